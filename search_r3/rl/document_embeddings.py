"""The embeddings of a corpus, overwritten row by row, each with the step at which it was encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from search_r3.errors import InvalidInputError
from search_r3.rl.rewards import Ranking

_QUERIES_AT_ONCE = 16


class DocumentRows:
    """N unit vectors under the numbers 0 to N - 1.

    Up to ``exact_up_to`` rows everything is exact. Above, top documents come from an inverted file over the
    same rows, and a rank beyond ``depth`` is only known to be beyond it.

    Args:
        embeddings: Shape (N, D), unit vectors; copied.
        step: The step of the weights that made them.
        exact_up_to: Largest corpus that is searched exactly.
        probes: Lists of the inverted file that a search looks into.
        depth: How far an inverted file ranks.

    Raises:
        InvalidInputError: There is no row, or a value is not finite.
    """

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        step: int = 0,
        *,
        exact_up_to: int = 1_000_000,
        probes: int = 16,
        depth: int = 1000,
    ) -> None:
        self._embeddings = _checked(embeddings).copy()
        self.encoded_at: NDArray[np.int64] = np.full(len(embeddings), step, dtype=np.int64)
        """The step at which each row was encoded, shape (N,)."""
        self._depth = depth
        self._inverted: Any = None
        if len(embeddings) > exact_up_to:
            dimension = embeddings.shape[1]
            lists = max(1, int(4 * np.sqrt(len(embeddings))))
            self._inverted = faiss.IndexIVFFlat(
                faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT
            )
            self._inverted.train(self._embeddings)
            self._inverted.add(self._embeddings)
            self._inverted.make_direct_map()
            self._inverted.nprobe = min(probes, lists)

    def __len__(self) -> int:
        return len(self._embeddings)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """All rows, shape (N, D); read only."""
        view = self._embeddings.view()
        view.flags.writeable = False
        return view

    def overwrite(self, rows: NDArray[np.int64], embeddings: NDArray[np.float32], step: int) -> None:
        """Put new embeddings into some rows, and leave every other row as it is.

        Args:
            rows: Numbers of the rows, shape (R,), each once.
            embeddings: Shape (R, D).
            step: The step of the weights that made them.

        Raises:
            InvalidInputError: A row is named twice or does not exist, or the embeddings do not fit.
        """
        if len(np.unique(rows)) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < len(self)):
            raise InvalidInputError(
                f"got rows {rows.tolist()}, wanted different ones from 0 to {len(self) - 1}"
            )
        if embeddings.shape != (len(rows), self._embeddings.shape[1]):
            raise InvalidInputError(
                f"got embeddings {embeddings.shape} for {len(rows)} rows of {self._embeddings.shape[1]}"
            )
        if not len(rows):
            return
        self._embeddings[rows] = _checked(embeddings)
        self.encoded_at[rows] = step
        if self._inverted is not None:
            self._inverted.update_vectors(np.ascontiguousarray(rows), self._embeddings[rows])

    def turn(self, rotation: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Apply a linear map to some rows and scale them to unit length; their steps stay.

        Args:
            rotation: Shape (D, D), applied from the right.
            rows: Numbers of the rows.
        """
        turned = self._embeddings[rows] @ rotation
        self._embeddings[rows] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
        if self._inverted is not None:
            self._inverted.update_vectors(np.ascontiguousarray(rows), self._embeddings[rows])

    def search(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """The k nearest rows of each query, best first.

        Returns:
            Shape (B, min(k, N)); -1 where an inverted file found fewer.
        """
        k = min(k, len(self))
        if self._inverted is not None:
            return np.asarray(self._inverted.search(np.ascontiguousarray(queries), k)[1], dtype=np.int64)
        found = faiss.knn(
            np.ascontiguousarray(queries), self._embeddings, k, metric=faiss.METRIC_INNER_PRODUCT
        )
        return np.asarray(found[1], dtype=np.int64)

    def rankings(
        self,
        queries: NDArray[np.float32],
        relevant: list[dict[int, float]],
        among: NDArray[np.int64] | None = None,
        left_out: Sequence[int | None] | None = None,
    ) -> list[Ranking]:
        """Rank the relevant documents of every query.

        Args:
            queries: Embeddings, shape (B, D).
            relevant: For each, grades above 0 by row.
            among: The rows that are ranked, the relevant ones among them; None ranks all.
            left_out: For each query, a row that is not ranked and not relevant; None ranks it too.

        Raises:
            InvalidInputError: Numbers differ, or a query has nothing relevant among the rows.
        """
        if len(queries) != len(relevant):
            raise InvalidInputError(
                f"got {len(queries)} queries and {len(relevant)} judgements, wanted one each"
            )
        _checked(queries)
        out = list(left_out or [None] * len(queries))
        if among is None and self._inverted is not None:
            return [self._rank_nearest(*each) for each in zip(queries, relevant, out, strict=True)]
        judged = relevant
        if among is not None:
            place_of = {row: place for place, row in enumerate(among.tolist())}
            judged = [
                {place_of[row]: grade for row, grade in one.items() if row in place_of} for one in relevant
            ]
            out = [None if row is None else place_of.get(row) for row in out]
        documents = self._embeddings if among is None else self._embeddings[among]
        rankings: list[Ranking] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            some = slice(start, start + _QUERIES_AT_ONCE)
            rankings += map(_rank, queries[some] @ documents.T, judged[some], out[some])
        return rankings

    def _rank_nearest(
        self, query: NDArray[np.float32], grades: dict[int, float], left_out: int | None
    ) -> Ranking:
        """Rank among the nearest rows and the relevant ones: what is beyond the depth stays there."""
        nearest = self.search(query[None], self._depth)[0]
        candidates = np.union1d(nearest[nearest >= 0], np.array(sorted(grades), dtype=np.int64))
        candidates = candidates[candidates != (-1 if left_out is None else left_out)]
        place_of = {row: place for place, row in enumerate(candidates.tolist())}
        ranking = _rank(
            self._embeddings[candidates] @ query, {place_of[row]: grade for row, grade in grades.items()}
        )
        documents = len(self) - (left_out is not None)
        return Ranking(
            ranking.ranks, ranking.grades, ranking.similarities, ranking.best_other, documents=documents
        )


def _rank(
    similarities: NDArray[np.float32], grades: dict[int, float], left_out: int | None = None
) -> Ranking:
    if not grades:
        raise InvalidInputError("got a query without a relevant document among those that are ranked")
    if left_out is not None:
        similarities[left_out] = -np.inf
    rows = np.array(sorted(grades), dtype=np.int64)
    own = similarities[rows]
    # Whatever is as similar counts as before it; the document itself makes the 1 that ranks start with.
    ranks = (similarities[None] >= own[:, None]).sum(axis=1)
    others = np.delete(similarities, rows)
    return Ranking(
        ranks=ranks.astype(np.int64),
        grades=np.array([grades[row] for row in rows.tolist()], dtype=np.float64),
        similarities=own,
        best_other=float(others.max()) if len(others) else -np.inf,
        documents=len(similarities) - (left_out is not None),
    )


def _checked(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    if embeddings.ndim != 2 or not len(embeddings) or not np.isfinite(embeddings).all():
        raise InvalidInputError(
            f"got embeddings of shape {embeddings.shape}, wanted finite ones of shape (N, D), N at least 1"
        )
    return np.asarray(embeddings, dtype=np.float32)
