"""A dev split out of the training sets, by which a checkpoint is chosen: never a test set."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sentence_transformers.base.evaluation import BaseEvaluator

from search_r3.data.pairs import TrainingPair
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.evaluation.arms import encode_arm
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thoughts import Arm
from search_r3.retrieval.metrics import drop_same_id, ndcg_at_10


@dataclass(frozen=True)
class Split:
    """One training set in two parts that share neither a query nor a relevant document.

    Attributes:
        training: The pairs to train on.
        dev: The task to measure on; None if nothing is held out.
    """

    training: list[TrainingPair]
    dev: RetrievalTask | None


def split_pairs(pairs: Sequence[TrainingPair], *, queries: int, documents: int, seed: int) -> Split:
    """Hold queries out of a training set, with their documents and whatever else asks for these.

    The dev corpus holds the relevant documents, the queries' hard negatives, and others at random. Those are
    documents that are trained on too: as distractors, as in any use of the model.

    Args:
        pairs: One source's pairs.
        queries: Most queries held out; a tenth of the pairs at most, and none of fewer than ten pairs.
        documents: Documents in the dev corpus, at least the relevant ones.
        seed: Seed of the choice.
    """
    generator = random.Random(f"dev {seed}")
    order = sorted(pairs, key=lambda pair: pair.query_id)
    generator.shuffle(order)
    chosen = order[: min(queries, len(order) // 10)]
    if not chosen:
        return Split(order, None)
    asked = {pair.query.casefold() for pair in chosen}
    answers = {pair.positive.casefold() for pair in order if pair.query.casefold() in asked}
    held_out: list[TrainingPair] = []
    training: list[TrainingPair] = []
    for pair in order:
        is_held_out = pair.query.casefold() in asked or pair.positive.casefold() in answers
        (held_out if is_held_out else training).append(pair)
    training = [
        pair for pair in training if not answers & {pair.query.casefold(), *map(str.casefold, pair.negatives)}
    ]
    relevant = dict.fromkeys(pair.positive for pair in held_out)
    hard = (negative for pair in chosen for negative in pair.negatives)
    others = (pair.positive for pair in training)
    corpus = dict.fromkeys([*relevant, *hard, *others])
    texts = list(corpus)[: max(documents, len(relevant))]
    ids = {text: f"d{index}" for index, text in enumerate(texts)}
    judged: dict[str, dict[str, int]] = {}
    for pair in held_out:
        if pair.query.casefold() in asked:
            judged.setdefault(pair.query, {})[ids[pair.positive]] = 1
    asking = {f"q{index}": query for index, query in enumerate(judged)}
    task = RetrievalTask(
        asking,
        {doc_id: text for text, doc_id in ids.items()},
        {query_id: judged[query] for query_id, query in asking.items()},
    )
    return Split(training, task)


def asked_and_answers(task: RetrievalTask) -> set[str]:
    """The queries of a task and their relevant documents, all of which are in its corpus."""
    relevant = {doc_id for grades in task.qrels.values() for doc_id, grade in grades.items() if grade > 0}
    return set(task.queries.values()) | {task.corpus[doc_id] for doc_id in relevant}


class DevEvaluator(BaseEvaluator):
    """nDCG@10 on the dev splits of all sources, arm by arm.

    The scores are named ``<arm>_<source>``, and ``<arm>_ndcg_at_10`` for the mean over sources.

    Args:
        tasks: Dev tasks by source, or tasks of the dev suite by name.
        arms: How queries think. The mean of the first one chooses the checkpoint.
        max_reasoning_tokens: Budget of a thought.
        max_query_tokens: Limit of a query.
        max_document_tokens: Limit of a document: a short one keeps measuring cheap.
        evidence: By task and query id, the passages that a query reads; a task that is not in it reads none.
        batch_size: Texts per pass.
    """

    def __init__(
        self,
        tasks: dict[str, RetrievalTask],
        arms: Sequence[Arm],
        *,
        max_reasoning_tokens: int,
        max_query_tokens: int,
        max_document_tokens: int,
        evidence: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        batch_size: int = 16,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tasks = tasks
        self.arms = tuple(arms)
        self.max_reasoning_tokens = max_reasoning_tokens
        self.max_query_tokens = max_query_tokens
        self.max_document_tokens = max_document_tokens
        self.evidence = evidence or {}
        self.batch_size = batch_size
        self.primary_metric = f"{self.arms[0]}_ndcg_at_10"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """Measure a model; see ``sentence_transformers.base.evaluation.BaseEvaluator``."""
        limit = model.max_seq_length
        scores: dict[str, dict[str, float]] = {arm: {} for arm in self.arms}
        try:
            for source, task in self.tasks.items():
                model.max_seq_length = min(limit, self.max_document_tokens)
                documents = model.encode_document(
                    list(task.corpus.values()),
                    batch_size=self.batch_size,
                    show_progress_bar=False,
                    on_truncation="ignore",
                )
                room = model.reasoning_module.max_evidence_tokens if source in self.evidence else 0
                model.max_seq_length = min(limit, self.max_query_tokens + room)
                for arm in self.arms:
                    scores[arm][source] = self._score(model, source, np.asarray(documents), arm)
        finally:
            model.max_seq_length = limit
        found = {f"{arm}_{source}": score for arm in self.arms for source, score in scores[arm].items()}
        found |= {f"{arm}_ndcg_at_10": statistics.fmean(scores[arm].values()) for arm in self.arms}
        return found

    def passages(self, name: str) -> list[Sequence[str]] | None:
        """What the queries of a task read, in their order; None if they do not read."""
        if name not in self.evidence:
            return None
        return [self.evidence[name].get(query_id, ()) for query_id in self.tasks[name].queries]

    def _score(self, model: SearchR3, name: str, documents: Any, arm: Arm) -> float:
        task = self.tasks[name]
        queries = encode_arm(
            model,
            list(task.queries.values()),
            arm,
            evidence=self.passages(name),
            max_reasoning_tokens=self.max_reasoning_tokens,
            batch_size=self.batch_size,
            on_truncation="ignore",
        )
        similarities = queries.embeddings @ documents.T
        doc_ids = list(task.corpus)
        run = {
            query_id: dict(zip(doc_ids, map(float, row), strict=True))
            for query_id, row in zip(task.queries, similarities, strict=True)
        }
        drop_same_id(run)
        return statistics.fmean(ndcg_at_10(task.qrels, run).values())
