"""What a thought is worth: does it help a reference scorer find the positive?

After STaR (arXiv 2203.14465) and MMEmb-R1 (arXiv 2604.06156), which keep a rationale only if it leads to the
right answer. The scorer is any sentence-transformers model. One that thinks reads the thought where its own
would stand: its worth is what it does to that model's own vector. Any other reads it behind the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import sentence_transformers
from numpy.typing import NDArray

from search_r3.data.pairs import TrainingPair
from search_r3.data.thought_origin import Origin
from search_r3.data.thought_records import ThoughtRecord
from search_r3.model.sentence_transformer import SearchR3
from search_r3.training.thought_sources import quotes

Vectors = NDArray[np.float32]


class ThoughtFilter:
    """Scores thoughts about the pairs of one source.

    Args:
        pairs: The pairs; their positives and negatives are what a query is ranked against.
        scorer: The reference scorer.
        batch_size: Texts per pass.
    """

    def __init__(
        self,
        pairs: Sequence[TrainingPair],
        scorer: sentence_transformers.SentenceTransformer,
        batch_size: int = 64,
    ) -> None:
        self._scorer = scorer
        self._batch_size = batch_size
        texts = [text for pair in pairs for text in (pair.positive, *pair.negatives)]
        self._pool = list(dict.fromkeys(texts))
        self._index_of = {text: index for index, text in enumerate(self._pool)}
        self._documents = self._encode(self._pool, task="document")

    def records(
        self,
        pairs: Sequence[TrainingPair],
        thoughts: Sequence[Sequence[tuple[str, bool]]],
        origin: Origin,
    ) -> list[ThoughtRecord]:
        """Measure what every thought is worth; those that quote the positive are left out.

        Args:
            pairs: Some of the source's pairs.
            thoughts: The thoughts about each, and whether each came to its own end.
            origin: Who wrote them.
        """
        asked = self._encode([pair.query for pair in pairs], task="query")
        rows = [
            (index, thought, is_finished)
            for index, (_, some) in enumerate(zip(pairs, thoughts, strict=True))
            for thought, is_finished in some
            if not quotes(thought, pairs[index].positive)
        ]
        helped = self._after([(pairs[index].query, thought) for index, thought, _ in rows])
        before = [self._standing(vector, pair) for vector, pair in zip(asked, pairs, strict=True)]
        found = []
        for (index, thought, is_finished), vector in zip(rows, helped, strict=True):
            rank, margin = self._standing(vector, pairs[index])
            old_rank, old_margin = before[index]
            found.append(
                ThoughtRecord(
                    source=pairs[index].source,
                    query_id=pairs[index].query_id,
                    thought=thought,
                    origin=origin,
                    gain=margin - old_margin,
                    rank_gain=old_rank - rank,
                    is_finished=is_finished,
                )
            )
        return found

    def _after(self, rows: list[tuple[str, str]]) -> Vectors:
        """Vectors of queries with their thoughts."""
        if isinstance(self._scorer, SearchR3) and self._scorer.thinks and rows:
            found = self._scorer.encode_query(rows, batch_size=self._batch_size, normalize_embeddings=True)
            return np.asarray(found, dtype=np.float32)
        return self._encode([f"{query} {thought}" for query, thought in rows], task="query")

    def _standing(self, vector: Vectors, pair: TrainingPair) -> tuple[int, float]:
        """Rank of the positive (1 is best), and its margin over the best other document."""
        similarities = self._documents @ vector
        own = self._index_of[pair.positive]
        others = np.delete(similarities, own)
        return 1 + int((others > similarities[own]).sum()), float(
            similarities[own] - others.max(initial=-1.0)
        )

    def _encode(self, texts: list[str], *, task: Literal["query", "document"]) -> Vectors:
        if not texts:
            return np.zeros((0, self._scorer.get_embedding_dimension() or 0), dtype=np.float32)
        options: dict[str, Any] = {"batch_size": self._batch_size, "normalize_embeddings": True}
        if isinstance(self._scorer, SearchR3) and task == "query":
            options["reasoning"] = "never"  # what a thought is worth is measured against having none
        encode = self._scorer.encode_query if task == "query" else self._scorer.encode_document
        return np.asarray(encode(texts, show_progress_bar=False, **options), dtype=np.float32)
