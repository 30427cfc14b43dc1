"""The demo: semantic search over the standard library of the interpreter that runs it.

Fixed questions show what is found, and what a thought does if the model thinks. Held-out docstring summaries,
each of which has exactly one right answer, score BM25, the direct exit, and thinking if the model thinks.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.demo.stdlib_corpus import demo_task
from search_r3.errors import VectorIndexError
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thoughts import Reasoning
from search_r3.paths import cache_dir
from search_r3.retrieval.bm25 import bm25_run
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.corpus_search import Explanation
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import build_index
from search_r3.retrieval.metrics import ndcg_at_10
from search_r3.retrieval.shards import FORMAT_VERSION

_WAIT_SECONDS = 600
"""Several servers that start at once build one index."""

QUESTIONS = (
    "How do I copy a folder with everything in it?",
    "Which words occur most often in a list?",
    "Turn a string into a date",
    "Find files whose names match a pattern",
    "Keep a list sorted while inserting",
)


@dataclass(frozen=True)
class ArmScore:
    """One arm on the labelled queries: mean nDCG@10 and mean tokens of thought per query."""

    arm: str
    ndcg_at_10: float
    tokens_per_query: float


def demo_folder(model: SearchR3) -> Path:
    """Where a model's index is kept. One of another format is left alone: the demo runs after an upgrade."""
    return cache_dir() / f"demo-{FORMAT_VERSION}-{fingerprint(model)[:12]}"


def build_demo_index(
    model: SearchR3, folder: Path, on_progress: Callable[[int, int], None], *, name: str = "default"
) -> tuple[CorpusIndex, RetrievalTask]:
    """Index the standard library in ``folder``; what is there already is kept. A search loads ``name``.

    If all of it is there, nothing is written, and the folder may be read-only.
    """
    task = demo_task()
    with suppress(VectorIndexError):
        index = CorpusIndex.load(folder)
        if (index.vectors.fingerprint, index.model, dict(index.texts)) == (
            fingerprint(model),
            name,
            task.corpus,
        ):
            return index, task
    documents = [Document(doc_id, text) for doc_id, text in task.corpus.items()]
    build_index(
        folder,
        model,
        documents,
        model_name=name,
        prune=True,
        wait_seconds=_WAIT_SECONDS,
        on_progress=on_progress,
    )
    return CorpusIndex.load(folder), task


def ask(model: SearchR3, index: CorpusIndex, k: int = 3) -> list[Explanation]:
    """Answer the fixed questions; if the model's queries think, say what each thought changed."""
    return index.search_with_thoughts(QUESTIONS, k, model, explain=thinks_by_default(model))


def thinks_by_default(model: SearchR3) -> bool:
    """Whether the model's queries think unless told otherwise."""
    return bool(model.reasoning_module.reasoning != "never")


def score(model: SearchR3, index: CorpusIndex, task: RetrievalTask, batch_size: int = 64) -> list[ArmScore]:
    """Score BM25, the direct exit and, if the model thinks, thinking on the labelled queries."""
    queries = list(task.queries.values())
    identity = index.vectors.fingerprint  # build_demo_index has just held it against the model
    runs = {"BM25": (bm25_run(task.corpus, task.queries), 0.0)}
    arms: list[tuple[str, Reasoning]] = [("no thinking", "never")]
    if thinks_by_default(model):
        arms.append(("thinking", "always"))
    for arm, reasoning in arms:
        encoding = model.encode_query_with_thoughts(queries, reasoning=reasoning, batch_size=batch_size)
        found = index.vectors.search(encoding.embeddings, 100, fingerprint=identity)
        run = {
            query_id: {hit.doc_id: hit.score for hit in hits}
            for query_id, hits in zip(task.queries, found, strict=True)
        }
        runs[arm] = (run, statistics.fmean(thought.length for thought in encoding.thoughts))
    return [
        ArmScore(arm, statistics.fmean(ndcg_at_10(task.qrels, run).values()), tokens)
        for arm, (run, tokens) in runs.items()
    ]
