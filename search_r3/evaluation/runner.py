"""Evaluates one system on one task through mteb or BEIR, and measures every query from the very same run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from search_r3.errors import DataError, InvalidOptionError
from search_r3.evaluation.baselines import BM25Search
from search_r3.evaluation.beir_encoder import BeirModel
from search_r3.evaluation.mteb_encoder import REVISION_DIGITS, SearchR3Encoder, query_prompt
from search_r3.evaluation.mteb_tasks import OWN_TASKS, find_task, needing_hub, query_texts
from search_r3.evaluation.results import Harness, Result, ThoughtStatistics
from search_r3.evaluation.system import TOP_K, System, config_of, thinking_model, tokens_per_query
from search_r3.extras import needs_extra
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import QueryEncoding
from search_r3.model.thoughts import Arm, Thought
from search_r3.provenance import describe_environment
from search_r3.retrieval.bm25 import BM25Index
from search_r3.retrieval.fusion import FUSION_DEPTH, LEXICAL_WEIGHT, hybrid_fusion
from search_r3.retrieval.metrics import drop_same_id, measure
from search_r3.text import TITLE_FIELD, join_title

with needs_extra("eval"):
    import mteb
    from beir.retrieval.evaluation import EvaluateRetrieval  # type: ignore[import-untyped]
    from beir.retrieval.search.dense import DenseRetrievalExactSearch  # type: ignore[import-untyped]
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.models import SentenceTransformerEncoderWrapper

_AGREEMENT = 6e-5
"""Four decimals, and the half of a fifth to which the harnesses round."""


@dataclass(frozen=True)
class Evaluation:
    """A result, and what was thought for it.

    Attributes:
        result: The result.
        thoughts: The thought of every query, by its text; empty for a system that does not think.
        run: For every query id, the score of every document that was retrieved.
    """

    result: Result
    thoughts: dict[str, Thought]
    run: dict[str, dict[str, float]]


@dataclass(frozen=True)
class _Part:
    """The one split and subset of a task that is evaluated, and its data."""

    task: AbsTaskRetrieval
    split: str
    subset: str

    @property
    def data(self) -> Any:
        return self.task.dataset[self.subset][self.split]

    @property
    def qrels(self) -> dict[str, dict[str, int]]:
        qrels: dict[str, dict[str, int]] = self.data["relevant_docs"]
        return qrels


@dataclass(frozen=True)
class _Measured:
    """What a harness gave: the run, its own nDCG@10, and where the time (in seconds) went."""

    run: dict[str, dict[str, float]]
    ndcg_at_10: float
    query_encoding: QueryEncoding | None
    seconds: dict[str, float]


def benchmark_task(name: str) -> AbsTaskRetrieval:
    """Return a retrieval task of this project or of mteb; of a multilingual one the English part.

    Raises:
        InvalidOptionError: If there is no such retrieval task.
    """
    task = find_task(name)
    if not isinstance(task, AbsTaskRetrieval):
        raise InvalidOptionError(f"Got {name}, a task of type {task.metadata.type}, wanted a retrieval task.")
    task.filter_languages(["eng"])
    return task


def run_arms(
    harness: Harness,
    system: System,
    arms: Sequence[Arm | None],
    task: AbsTaskRetrieval,
    cache_folder: Path,
    *,
    hybrid: bool = False,
) -> Iterator[Result]:
    """Evaluate a system in several arms; what ``always`` thought is what the control arms after it work with.

    ``always`` is evaluated first, if it is among the arms. Under mteb the arms share the documents' vectors,
    which are kept in ``cache_folder``: the time of documents is that of encoding them only where none were
    kept before. A control arm's time of queries is that of reading the given thoughts, not of thinking them.

    Args:
        harness: Which one evaluates.
        system: The system; its own arm does not matter.
        arms: The arms; (None,) for a system that does not think.
        task: The task.
        cache_folder: For mteb's own result files, and for document vectors, which the arms share.
        hybrid: Whether every result is followed by that of the same run joined with BM25's. Its model is
            called ``<name>-hybrid``; its cost is the system's own, without BM25's.

    Raises:
        DataError: As :func:`run_mteb` and :func:`run_beir` say.
        InvalidOptionError: BM25 is to be joined with itself.
    """
    if hybrid and system.model is None:
        raise InvalidOptionError("Got hybrid for BM25, wanted an embedder: it would be joined with itself.")
    own: dict[str, Thought] | None = None
    lexical: dict[str, dict[str, float]] | None = None
    for arm in sorted(arms, key=lambda arm: arm != "always"):
        one = replace(system, arm=arm)
        if harness == "mteb":
            evaluation = run_mteb(one, task, cache_folder=cache_folder, own_thoughts=own)
        else:
            evaluation = run_beir(one, task, own_thoughts=own)
        if arm == "always":
            own = evaluation.thoughts
        yield evaluation.result
        if hybrid:
            part = _loaded_part(task)
            if lexical is None:
                # As both harnesses leave a query's own text out of the other run.
                lexical = _lexical_run(part, with_itself=harness == "mteb" and not task.ignore_identical_ids)
            yield _joined(evaluation, lexical, part.qrels)


def run_mteb(
    system: System,
    task: AbsTaskRetrieval,
    *,
    cache_folder: Path,
    own_thoughts: Mapping[str, Thought] | None = None,
) -> Evaluation:
    """Evaluate a system with ``mteb.evaluate``; the result is always measured anew.

    Args:
        system: The system.
        task: A task with one split and one subset.
        cache_folder: Gets mteb's own result files, and in ``vectors`` those of documents.
        own_thoughts: Thoughts of the arm ``always`` by query text, for the control arms.

    Raises:
        DataError: If the data cannot be had, the task has several parts, or mteb's nDCG@10 differs from the
            one measured here.
    """
    part = _loaded_part(task)
    model = _mteb_model(system, cache_folder / "vectors", own_thoughts)
    started = time.monotonic()
    with TemporaryDirectory() as predictions:
        results = mteb.evaluate(
            model,
            task,
            co2_tracker=False,
            encode_kwargs={"batch_size": system.batch_size, "show_progress_bar": system.show_progress_bar},
            cache=mteb.ResultCache(cache_folder),
            overwrite_strategy="always",  # a cached result has no run
            prediction_folder=predictions,
            show_progress_bar=False,
        )
        text = (Path(predictions) / task.prediction_file_name).read_text(encoding="utf-8")
    seconds = {"documents": 0.0, "queries": 0.0, "total": time.monotonic() - started}
    for phase in results.task_results[0].evaluation_phases or []:
        if kind := {"Encoding queries": "queries", "Searching corpus": "documents"}.get(phase["name"]):
            seconds[kind] += phase["end"] - phase["start"]
    if isinstance(model, BM25Search):
        seconds["documents"] = model.index_seconds
    encoded = model.encodings.get((task.metadata.name, part.split, part.subset)) if system.arm else None
    reported = results.task_results[0].scores[part.split][0]["ndcg_at_10"]
    run = json.loads(text)[part.subset][part.split]
    if task.ignore_identical_ids:
        drop_same_id(run)
    measured = _Measured(run, reported, encoded.query_encoding if encoded else None, seconds)
    return _evaluation("mteb", system, part, measured)


def run_beir(
    system: System, task: AbsTaskRetrieval, *, own_thoughts: Mapping[str, Thought] | None = None
) -> Evaluation:
    """Evaluate a system with BEIR's exact search and its ``EvaluateRetrieval``, on the data of an mteb task.

    Args:
        system: The system.
        task: A task with one split and one subset, and two or more queries.
        own_thoughts: Thoughts of the arm ``always`` by query text, for the control arms.

    Raises:
        DataError: As for :func:`run_mteb`; or the task has one query, with which BEIR's search fails.
    """
    part = _loaded_part(task)
    queries = query_texts(part.data["queries"])
    if len(queries) < 2:
        raise DataError(f"Got {task.metadata.name} with {len(queries)} query, wanted two: BEIR needs them.")
    corpus = {
        row["id"]: {"title": row.get(TITLE_FIELD) or "", "text": row["text"]} for row in part.data["corpus"]
    }
    started = time.monotonic()
    encoding, seconds = None, {"documents": 0.0, "queries": 0.0}
    if system.model is None:
        index = BM25Index({doc_id: join_title(**document) for doc_id, document in corpus.items()})
        indexed = time.monotonic()
        run = index.search(queries, k=TOP_K)
        drop_same_id(run)  # as BEIR's own search does, for any other model
        seconds = {"documents": indexed - started, "queries": time.monotonic() - indexed}
    else:
        own = None if own_thoughts is None else [own_thoughts[text] for text in queries.values()]
        model = BeirModel(
            system.model,
            system.arm,
            max_reasoning_tokens=system.max_reasoning_tokens,
            seed=system.seed,
            prompt=query_prompt(task.metadata) if system.instructions else None,
            own_thoughts=own,
        )
        search = DenseRetrievalExactSearch(
            model, batch_size=system.batch_size, show_progress_bar=system.show_progress_bar
        )
        run = EvaluateRetrieval(search, k_values=[TOP_K]).retrieve(corpus, queries)
        encoding = model.query_encoding
        seconds = {"documents": model.document_seconds, "queries": model.query_seconds}
    reported = EvaluateRetrieval.evaluate(part.qrels, run, [10], ignore_identical_ids=False)[0]["NDCG@10"]
    seconds["total"] = time.monotonic() - started
    return _evaluation("beir", system, part, _Measured(run, reported, encoding, seconds))


def _loaded_part(task: AbsTaskRetrieval) -> _Part:
    parts = [(split, subset) for split in task.eval_splits for subset in task.hf_subsets]
    if len(parts) != 1:
        raise DataError(
            f"Got {task.metadata.name} with the parts {parts}, wanted one split and one subset. Name a task "
            "that has one, such as BrightBiologyRetrieval instead of BrightRetrieval."
        )
    with needing_hub(task):
        task.load_data()
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    return _Part(task, *parts[0])


def _mteb_model(system: System, vectors: Path, own_thoughts: Mapping[str, Thought] | None) -> Any:
    name = system.name if "/" in system.name else f"local/{system.name}"
    if system.model is None:
        return BM25Search()
    if system.arm is not None:
        return SearchR3Encoder(
            name,
            model=thinking_model(system),
            reasoning=system.arm,
            max_reasoning_tokens=system.max_reasoning_tokens,
            instructions=system.instructions,
            seed=system.seed,
            own_thoughts=own_thoughts,
            document_cache=vectors,
        )
    wrapped = SentenceTransformerEncoderWrapper(system.model)
    # A model out of a folder has no name, and all models without a name would share one folder of results.
    named = {"name": name, "revision": fingerprint(system.model)[:REVISION_DIGITS]}
    wrapped.mteb_model_meta = wrapped.mteb_model_meta.model_copy(update=named)
    return wrapped


def _lexical_run(part: _Part, *, with_itself: bool) -> dict[str, dict[str, float]]:
    index = BM25Index(
        {row["id"]: join_title(row.get(TITLE_FIELD), row["text"]) for row in part.data["corpus"]}
    )
    queries = query_texts(part.data["queries"])
    run = index.search(queries, k=FUSION_DEPTH)
    if not with_itself:
        drop_same_id(run)
    return run


def _joined(
    evaluation: Evaluation, lexical: dict[str, dict[str, float]], qrels: dict[str, dict[str, int]]
) -> Result:
    result = evaluation.result
    return replace(
        result,
        model=f"{result.model}-hybrid",
        config={**result.config, "fused_with": "bm25", "lexical_weight": LEXICAL_WEIGHT},
        per_query=_per_query(qrels, hybrid_fusion(evaluation.run, lexical)),
    )


def _per_query(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    by_query = measure(qrels, run)
    return {
        name: {query_id: scores[name] for query_id, scores in by_query.items()}
        for name in ("ndcg_at_10", "recall_at_100", "reciprocal_rank")
    }


def _evaluation(harness: Harness, system: System, part: _Part, measured: _Measured) -> Evaluation:
    metadata_, queries = part.task.metadata, list(query_texts(part.data["queries"]).values())
    per_query = _per_query(part.qrels, measured.run)
    mean = statistics.fmean(per_query["ndcg_at_10"].values())
    if abs(mean - measured.ndcg_at_10) > _AGREEMENT:
        raise DataError(
            f"Got nDCG@10 = {measured.ndcg_at_10} from {harness} on {metadata_.name}, wanted {mean:.5f}, as "
            "measured from its run. Do not use either before the difference is explained."
        )
    encoding = measured.query_encoding
    name, size = OWN_TASKS.get(metadata_.name, (metadata_.name, "full"))
    result = Result(
        task=name,
        size=size,
        data_hash=metadata_.dataset["revision"],
        harness=f"{harness} {metadata.version(harness)}",
        model=system.name,
        fingerprint=None if system.model is None else fingerprint(system.model),
        arm=system.arm,
        config=config_of(system),
        seed=system.seed,
        per_query=per_query,
        thoughts=None if encoding is None else ThoughtStatistics.of(encoding.thoughts),
        tokens_per_query=tokens_per_query(system, part.task, queries, encoding),
        seconds=measured.seconds,
        environment=describe_environment(),
    )
    thoughts = {} if encoding is None else dict(zip(queries, encoding.thoughts, strict=True))
    return Evaluation(result, thoughts, measured.run)
