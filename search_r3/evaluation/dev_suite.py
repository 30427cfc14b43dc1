"""nDCG@10 on the dev tasks, which lie outside of the training sets' domains: they choose recipes.

Queries do not think here, and texts are cut at 256 tokens, so that a training run can afford to be
measured at its checkpoints.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_r3.data.beir import read_beir
from search_r3.data.dev_tasks import DEV_TASKS, load_dev_task
from search_r3.data.mini import select
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidOptionError
from search_r3.files import file_sha256
from search_r3.model.sentence_transformer import SearchR3
from search_r3.retrieval.bm25 import bm25_run
from search_r3.retrieval.fusion import FUSION_DEPTH, Run, hybrid_fusion
from search_r3.retrieval.metrics import drop_same_id, ndcg_at_10

MOST_TOKENS = 256
"""Longer texts are cut here."""

MULTIHOP_TASKS = ("hotpot-dev", "musique-dev")
"""Tasks that no package holds; they are in a folder that not every machine has."""

NAMES_TASK = "Names"
"""The test of names, which is measured where it is asked for: it chooses nothing."""

BRIDGE_TASKS = ("FoldocBridge", "WikiBridge")
"""The tests of questions in two hops, likewise."""

_DOCUMENTS_PER_QUERY = 10


@dataclass(frozen=True)
class DevResult:
    """One system on one dev task.

    Attributes:
        task: Name of the task.
        system: ``bm25``, ``dense``, or ``fused`` for both joined.
        data_hash: Hash of the task's data.
        queries: Number of queries.
        documents: Number of documents.
        ndcg_at_10: The mean over queries, between 0 and 1.
        per_query: The same of every query.
        seconds: Wall time.
    """

    task: str
    system: str
    data_hash: str
    queries: int
    documents: int
    ndcg_at_10: float
    per_query: dict[str, float]
    seconds: float


def load_dev_suite(
    names: Sequence[str] | None = None, *, multihop: Path | None = None, limit: int | None = None
) -> dict[str, RetrievalTask]:
    """Load dev tasks by name.

    Args:
        names: The tasks; None for all but :data:`NAMES_TASK` and :data:`BRIDGE_TASKS`.
        multihop: The folder of :data:`MULTIHOP_TASKS`; None goes without them.
        limit: Most queries of a task; documents are left out in proportion. None keeps all.

    Raises:
        InvalidOptionError: There is no such task, or it needs the multihop folder and there is none.
        DataError: A task is not built, or its data is not the pinned data.
    """
    suite = [*DEV_TASKS, *(MULTIHOP_TASKS if multihop is not None else ())]
    known = [*suite, NAMES_TASK, *BRIDGE_TASKS]
    if unknown := sorted(set(names or ()) - set(known)):
        raise InvalidOptionError(
            f"Got the dev tasks {unknown}, wanted some of {', '.join(known)}. "
            f"{' and '.join(MULTIHOP_TASKS)} need the folder that they are in."
        )
    tasks = {}
    for name in suite if names is None else names:
        is_multihop = multihop is not None and name in MULTIHOP_TASKS
        task = _multihop_task(multihop, name) if multihop is not None and is_multihop else load_dev_task(name)
        tasks[name] = task if limit is None else _limited(task, limit)
    return tasks


def _multihop_task(folder: Path, name: str) -> RetrievalTask:
    try:
        sums: dict[str, str] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["sha256"]
        for inside in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
            path, wanted = folder / name / inside, sums[f"{name}/{inside}"]
            if (got := file_sha256(path)) != wanted:
                raise DataError(f"{path} has the SHA-256 {got[:16]}, wanted {wanted[:16]}: copy it again.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"Cannot read {name} in {folder}: {error!r}; wanted manifest.json with its sums."
        ) from None
    return read_beir(folder / name)


def _limited(task: RetrievalTask, limit: int) -> RetrievalTask:
    asked = select(task, [], seed="limit", queries=limit, documents=len(task.corpus)).query_ids
    relevant = {key for query_id in asked for key, grade in task.qrels[query_id].items() if grade > 0}
    size = max(len(relevant), _DOCUMENTS_PER_QUERY * len(asked))
    chosen = select(task, [], seed="limit", queries=limit, documents=size)
    return task.subset(chosen.query_ids, chosen.doc_ids)


def dense_run(
    model: Any, task: RetrievalTask, *, batch_size: int = 32, show_progress_bar: bool = False
) -> Run:
    """Rank the whole corpus of a task by cosine, for every query; queries do not think.

    Args:
        model: Any sentence-transformers model. Its length limit and its training mode are as before when this
            returns.
        task: The task.
        batch_size: Texts per forward pass.
        show_progress_bar: Whether to show progress.
    """
    shared: dict[str, Any] = {"batch_size": batch_size, "show_progress_bar": show_progress_bar}
    asking: dict[str, Any] = {}
    if isinstance(model, SearchR3) and model.thinks:
        shared["on_truncation"] = "ignore"
        asking["reasoning"] = "never"
    limit, was_training = model.max_seq_length, getattr(model, "training", False)
    try:
        model.max_seq_length = min(limit or MOST_TOKENS, MOST_TOKENS)
        documents = _unit(model.encode_document(list(task.corpus.values()), **shared))
        queries = _unit(model.encode_query(list(task.queries.values()), **shared, **asking))
    finally:
        model.max_seq_length = limit
        if was_training:
            model.train()
    doc_ids = list(task.corpus)
    run = {
        query_id: dict(zip(doc_ids, map(float, row), strict=True))
        for query_id, row in zip(task.queries, queries @ documents.T, strict=True)
    }
    drop_same_id(run)
    return run


def _unit(vectors: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    found = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(norms > 0, norms, 1), dtype=np.float32)


def dev_scores(model: Any, tasks: Mapping[str, RetrievalTask], *, batch_size: int = 32) -> dict[str, float]:
    """Mean nDCG@10 of a loaded model on each task, without thinking.

    Args:
        model: Any sentence-transformers model, also one that is being trained.
        tasks: Tasks by name, such as :func:`load_dev_suite` gives: load them once.
        batch_size: Texts per forward pass.

    Returns:
        By task, between 0 and 1.
    """
    return {
        name: statistics.fmean(ndcg_at_10(task.qrels, dense_run(model, task, batch_size=batch_size)).values())
        for name, task in tasks.items()
    }


def measure_dev(
    model: Any | None,
    tasks: Mapping[str, RetrievalTask],
    *,
    fused: bool = False,
    batch_size: int = 32,
    show_progress_bar: bool = False,
) -> Iterator[DevResult]:
    """Measure a model, or BM25, on tasks one by one.

    Args:
        model: Any sentence-transformers model; None is BM25.
        tasks: Tasks by name.
        fused: Whether to measure the model joined with BM25 as well.
        batch_size: Texts per forward pass.
        show_progress_bar: Whether to show progress.

    Raises:
        InvalidOptionError: BM25 is to be joined with itself.
    """
    if model is None and fused:
        raise InvalidOptionError("Got BM25 to be fused, wanted a model: BM25 would be joined with itself.")
    for name, task in tasks.items():
        started = time.monotonic()
        if model is None:
            run = bm25_run(task.corpus, task.queries)
            drop_same_id(run)
            yield _scored(name, "bm25", task, run, time.monotonic() - started)
            continue
        run = dense_run(model, task, batch_size=batch_size, show_progress_bar=show_progress_bar)
        yield _scored(name, "dense", task, run, time.monotonic() - started)
        if fused:
            lexical = bm25_run(task.corpus, task.queries, k=FUSION_DEPTH)
            drop_same_id(lexical)
            both = hybrid_fusion(run, lexical)
            yield _scored(name, "fused", task, both, time.monotonic() - started)


def _scored(name: str, system: str, task: RetrievalTask, run: Run, seconds: float) -> DevResult:
    scores = ndcg_at_10(task.qrels, run)
    return DevResult(
        task=name,
        system=system,
        data_hash=task.data_hash(),
        queries=len(task.queries),
        documents=len(task.corpus),
        ndcg_at_10=statistics.fmean(scores.values()),
        per_query=scores,
        seconds=round(seconds, 2),
    )


def result_lines(
    results: Sequence[DevResult], *, model: str, limit: int | None, environment: Mapping[str, Any]
) -> list[str]:
    """The lines of a result file: one JSON object for the run with the means, then one for each result.

    Args:
        results: Of one model.
        model: Its name.
        limit: Most queries that each task had; None means all.
        environment: What ``provenance.describe_environment`` returned.
    """
    systems = dict.fromkeys(result.system for result in results)
    means = {
        system: statistics.fmean(result.ndcg_at_10 for result in results if result.system == system)
        for system in systems
    }
    head = {
        "model": model,
        "most_tokens": MOST_TOKENS,
        "limit": limit,
        "mean_ndcg_at_10": means,
        "environment": dict(environment),
    }
    return [json.dumps(line) + "\n" for line in (head, *map(asdict, results))]
