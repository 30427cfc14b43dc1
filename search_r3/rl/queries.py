"""Queries and one corpus out of several sets, without what the dev split asks."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.beir import read_beir
from search_r3.data.pairs import TrainingPair, pairs_hash, read_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import read_thoughts, thoughts_path
from search_r3.errors import DataError
from search_r3.files import file_sha256
from search_r3.paths import data_dir
from search_r3.rl.grpo_config import QueriesConfig, SetConfig
from search_r3.training.dev_split import asked_and_answers, split_pairs

Passages = tuple[str, ...]


@dataclass(frozen=True)
class QueryData:
    """What a run asks, and is measured on.

    Attributes:
        task: Queries and corpus of all sets; ids begin with the set's name.
        dev: Dev tasks by source.
        hashes: Hash of every set and dev source, before anything was chosen, and of the thoughts whose
            passages are read.
        evidence: The passages that a query reads, by its id; empty if the run does not read.
        dev_evidence: The same of dev tasks, by source and query id.
    """

    task: RetrievalTask
    dev: dict[str, RetrievalTask]
    hashes: dict[str, str]
    evidence: dict[str, Passages]
    dev_evidence: dict[str, dict[str, Passages]]


def load_queries(config: QueriesConfig, seed: int) -> QueryData:
    """Read the sets, choose from them, and put them together.

    Args:
        config: Which, and how much of each.
        seed: Decides what is chosen of a set that has more.

    Returns:
        Only queries that have a relevant document in the corpus, other than the one with the query's own id.

    Raises:
        DataError: A set is missing or damaged, or has nothing left to ask.
    """
    dev: dict[str, RetrievalTask] = {}
    hashes: dict[str, str] = {}
    evidence: dict[str, Passages] = {}
    dev_evidence: dict[str, dict[str, Passages]] = {}
    for name in config.dev_sources:
        pairs = _pairs(name)
        hashes[f"dev/{name}"] = pairs_hash(pairs)
        split = split_pairs(
            pairs, queries=config.dev_queries, documents=config.dev_documents, seed=config.dev_seed
        )
        if split.dev is not None:
            dev[name] = split.dev
            if config.reads and thoughts_path(data_dir(), name).is_file():
                passages = _passages(name, pairs, config.dev_seed, hashes)
                dev_evidence[name] = {i: passages.get(q.casefold(), ()) for i, q in split.dev.queries.items()}
    held_out = {text.casefold() for task in dev.values() for text in asked_and_answers(task)}
    queries: dict[str, str] = {}
    corpus: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for name, some in config.sets.items():
        whole = _task(name)
        hashes[name] = whole.data_hash()
        if config.reads:
            passages = _passages(name, _pairs(name), seed, hashes)
            read = {query_id for query_id, text in whole.queries.items() if text.casefold() in passages}
            whole = whole.subset(read, set(whole.corpus))
        part = _chosen(_without(whole.answerable(), held_out), some, random.Random(f"{seed} {name}"))
        if not part.queries:
            raise DataError(
                f"The set {name} has no query with a relevant document that the dev split does not ask."
            )
        queries |= {f"{name}/{query_id}": text for query_id, text in part.queries.items()}
        if config.reads:
            evidence |= {f"{name}/{i}": passages[text.casefold()] for i, text in part.queries.items()}
        corpus |= {f"{name}/{doc_id}": text for doc_id, text in part.corpus.items()}
        for query_id, grades in part.qrels.items():
            qrels[f"{name}/{query_id}"] = {f"{name}/{doc_id}": grade for doc_id, grade in grades.items()}
    return QueryData(RetrievalTask(queries, corpus, qrels), dev, hashes, evidence, dev_evidence)


def _passages(name: str, pairs: list[TrainingPair], seed: int, hashes: dict[str, str]) -> dict[str, Passages]:
    """For each query of a set, by its text without case, the passages of one of its thoughts, at random."""
    path = thoughts_path(data_dir(), name)
    if not path.is_file():
        raise DataError(
            f"Got reads=true and the set {name!r}, wanted a set that comes with thoughts about passages, "
            "such as bridge_records: search-r3 data builds it."
        )
    hashes[f"{name}, thoughts"] = file_sha256(path)
    known: dict[str, list[Passages]] = {}
    for record in read_thoughts(path):
        if record.source == name and record.evidence:
            known.setdefault(record.query_id, []).append(record.evidence)
    found: dict[str, Passages] = {}
    for pair in pairs:
        if options := known.get(pair.query_id):
            chosen = random.Random(f"{seed} {pair.query_id}").choice(options)
            found.setdefault(pair.query.casefold(), chosen)
    return found


def _task(name: str) -> RetrievalTask:
    for folder in (data_dir() / "graded" / name, Path(name)):
        if (folder / "qrels").is_dir():
            return read_beir(folder, split="train")
    return _task_of(_pairs(name))


def _pairs(name: str) -> list[TrainingPair]:
    path = data_dir() / "training" / f"{name}.parquet"
    if not path.is_file():
        raise DataError(
            f"There is no set {name!r}: neither a graded nor a training set, nor a folder with qrels/. Build "
            "them with: search-r3 data"
        )
    return read_pairs(path)


def _task_of(pairs: list[TrainingPair]) -> RetrievalTask:
    """A training set as a task; pairs that ask the same are one query with several answers.

    Raises:
        DataError: A document has the id of a query, and would be left out of the query's results.
    """
    queries: dict[str, str] = {}
    corpus: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    first_with: dict[str, str] = {}
    for pair in pairs:
        query_id = first_with.setdefault(pair.query.casefold(), f"query {pair.query_id}")
        queries.setdefault(query_id, pair.query)
        corpus[pair.doc_id] = pair.positive
        qrels.setdefault(query_id, {})[pair.doc_id] = 1
    if both := queries.keys() & corpus.keys():
        raise DataError(f"Got pairs with the document id {min(both)!r}, wanted none like 'query <query id>'.")
    return RetrievalTask(queries, corpus, qrels)


def _without(task: RetrievalTask, held_out: set[str]) -> RetrievalTask:
    """Drop the queries that the dev split asks, and those whose best answers it asks or answers with.

    A graded document may be several wordings with a semicolon between: each of them counts. The documents
    stay, as distractors.
    """

    def is_held_out(query_id: str) -> bool:
        grades = task.qrels[query_id]
        best = [task.corpus[doc_id] for doc_id, grade in grades.items() if grade == max(grades.values())]
        parts = [part for text in best for part in (text, *text.split("; "))]
        return any(text.casefold() in held_out for text in (task.queries[query_id], *parts))

    kept = {query_id for query_id in task.queries if not is_held_out(query_id)}
    return task.subset(kept, set(task.corpus))


def _chosen(task: RetrievalTask, config: SetConfig, generator: random.Random) -> RetrievalTask:
    """Choose queries whose relevant documents all fit, then fill the corpus with others."""
    order = sorted(task.queries)
    generator.shuffle(order)
    queries: list[str] = []
    documents: dict[str, None] = {}
    for query_id in order:
        if len(queries) == config.queries:
            break
        wanted = [doc_id for doc_id, grade in task.qrels[query_id].items() if grade > 0]
        if len(documents) + sum(doc_id not in documents for doc_id in wanted) <= config.documents:
            queries.append(query_id)
            documents.update(dict.fromkeys(wanted))
    others = sorted(task.corpus.keys() - documents.keys())
    generator.shuffle(others)
    documents.update(dict.fromkeys(others[: config.documents - len(documents)]))
    return task.subset(set(queries), set(documents))
