"""The mini size of a task: about 100 queries and 1,000 documents that keep the task hard.

Chosen once and kept as ids beside this file, so that every machine has the same one: the choice takes a
neural model, whose last digits differ from machine to machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidOptionError


@dataclass(frozen=True)
class Selection:
    """The ids of a mini task, in the full task's order.

    Attributes:
        full_hash: Data hash of the full task they were chosen from.
        query_ids: The kept queries.
        doc_ids: The kept documents: all relevant ones of these queries, hard ones, and others.
    """

    full_hash: str
    query_ids: tuple[str, ...]
    doc_ids: tuple[str, ...]


def select(
    task: RetrievalTask,
    rankings: Sequence[Mapping[str, Sequence[str]]],
    *,
    seed: str,
    queries: int = 100,
    documents: int = 1000,
) -> Selection:
    """Choose queries at random, and documents to go with them.

    First come all relevant documents of the chosen queries. Hard ones take two thirds of what is left: each
    retriever gives its next best document for each query, round-robin, so that none is favoured. The rest are
    chosen at random, which means in the order of a hash of the ids.

    Args:
        task: The full task.
        rankings: For each retriever, every query's document ids, best first.
        seed: Changes what is chosen.
        queries: Number of queries; a task with fewer gives all.
        documents: Number of documents; a task with fewer gives all.

    Raises:
        InvalidOptionError: The relevant documents alone are more than ``documents``.
    """

    def shuffled(ids: Mapping[str, str]) -> list[str]:
        return sorted(ids, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())

    query_ids = shuffled(task.queries)[:queries]
    chosen = {doc_id for query_id in query_ids for doc_id, grade in task.qrels[query_id].items() if grade > 0}
    if len(chosen) > documents:
        raise InvalidOptionError(
            f"{len(query_ids)} queries have {len(chosen)} relevant documents; wanted at most {documents}; "
            "choose fewer queries or more documents."
        )
    hard = len(chosen) + 2 * (documents - len(chosen)) // 3
    unfinished = [iter(ranking[query_id]) for query_id in query_ids for ranking in rankings]
    while unfinished and len(chosen) < hard:
        still = []
        for ranked in unfinished:
            if len(chosen) == hard:
                break
            found = next((doc_id for doc_id in ranked if doc_id not in chosen), None)
            if found is not None:
                chosen.add(found)
                still.append(ranked)
        unfinished = still
    for doc_id in shuffled(task.corpus):
        if len(chosen) >= documents:
            break
        chosen.add(doc_id)
    kept = set(query_ids)
    return Selection(
        task.data_hash(),
        tuple(query_id for query_id in task.queries if query_id in kept),
        tuple(doc_id for doc_id in task.corpus if doc_id in chosen),
    )


def to_json(selection: Selection) -> str:
    """The selection as one JSON object, one id a line."""
    return json.dumps(vars(selection), indent=0, ensure_ascii=True) + "\n"


def mini_of(name: str, full: RetrievalTask) -> RetrievalTask:
    """Cut the mini task out of the full one.

    Raises:
        DataError: The selection was made from other data.
    """
    text = files("search_r3.data").joinpath("mini", f"{name}.json").read_text(encoding="utf-8")
    selection = Selection(**json.loads(text))
    if (got := full.data_hash()) != selection.full_hash:
        raise DataError(
            f"{name} has the data hash {got[:16]}, but its mini size was chosen from "
            f"{selection.full_hash[:16]}. Choose it again (benchmarks/select_mini.py) if the task was "
            "changed on purpose."
        )
    return full.subset(selection.query_ids, selection.doc_ids)
