"""Vectors that stay on the disk: exact search over mapped blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from search_r3.arguments import as_integer
from search_r3.errors import InvalidInputError, VectorIndexError
from search_r3.retrieval.exact import closest, ranks_of
from search_r3.retrieval.hits import SearchHit
from search_r3.retrieval.unit_vectors import Vectors, checked_ids, unit_rows

_ROWS = 16_384
"""Rows that are scored at once: 40 MB of vectors of 640 numbers."""

_QUERIES = 64
"""Queries that are scored at once."""


class StoredVectors:
    """Exact inner-product search over float32 unit vectors that do not change, as :class:`VectorIndex` does.

    Args:
        blocks: Vectors, each of shape (n, D).
        removed: Of each block, which rows do not count, shape (n,).
        ids: The id of each row of each block, of removed rows as well.
        row_of: The row of each document that counts, in the order of the rows.
        dimension: Width of the vectors.
        fingerprint: Identity of the model that made them.
    """

    def __init__(
        self,
        blocks: Sequence[NDArray[np.float32]],
        removed: Sequence[NDArray[np.bool_]],
        ids: Sequence[str],
        row_of: Mapping[str, int],
        *,
        dimension: int,
        fingerprint: str,
    ) -> None:
        self.dimension, self.fingerprint = dimension, fingerprint
        self._blocks, self._removed, self._ids = list(blocks), list(removed), ids
        self._starts = np.array([0, *accumulate(map(len, blocks))], dtype=np.int64)
        self._row_of = row_of

    @property
    def doc_ids(self) -> tuple[str, ...]:
        """Every document id, in row order."""
        return tuple(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._row_of

    def vectors(self, doc_ids: Iterable[str] | None = None) -> NDArray[np.float32]:
        """Return a copy of the vectors of these documents, in this order (None: all, in row order).

        Raises:
            VectorIndexError: An id is not there.
        """
        ids = list(self._row_of) if doc_ids is None else checked_ids(doc_ids, distinct=False)
        if unknown := [doc_id for doc_id in ids if doc_id not in self._row_of]:
            raise VectorIndexError(f"document {unknown[0]!r} is not in the index: add it, or leave it out")
        return self._vectors_of(np.array([self._row_of[doc_id] for doc_id in ids], dtype=np.int64))

    def search(self, queries: Vectors, k: int, *, fingerprint: str) -> list[list[SearchHit]]:
        """Find the k closest documents of every query, exactly; all of them if k is beyond their number.

        The order is that of :func:`search_r3.retrieval.exact.closest`.

        Raises:
            InvalidInputError: Malformed vectors, or a k that is no integer of 1 or more.
            VectorIndexError: The fingerprint is another model's.
        """
        rows, asked = self._checked(queries, k, fingerprint)
        return closest(rows, asked, self._best, self._vectors_of, self._ids, len(self))

    def _checked(self, queries: Vectors, k: int, fingerprint: str) -> tuple[NDArray[np.float32], int]:
        if fingerprint != self.fingerprint:
            wanted = f"wanted those of {self.fingerprint!r}, which made the index"
            raise VectorIndexError(f"got queries of {fingerprint!r}, {wanted}: use one model for both")
        if (asked := as_integer(k, 1)) is None:
            raise InvalidInputError(f"got k {k!r}, wanted an int of at least 1", k)
        return unit_rows(queries, self.dimension, None), asked

    def ranks(self, queries: Vectors, doc_ids: Sequence[Sequence[str]]) -> list[list[int]]:
        """The ranks, from 1, that a search of all documents for each query would give to some of them.

        Args:
            queries: Unit vectors, shape (Q, D).
            doc_ids: For each query the documents.
        """
        rows = unit_rows(queries, self.dimension, None)
        wanted = [[self._row_of[doc_id] for doc_id in ids] for ids in doc_ids]
        return ranks_of(rows, wanted, self._tiles(), self._vectors_of, self._ids)

    def _tiles(
        self, numbers: Iterable[int] | None = None
    ) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
        """The rows of these blocks (None: of all) in pieces, with the number of the first."""
        for number in range(len(self._blocks)) if numbers is None else numbers:
            begin, block, removed = int(self._starts[number]), self._blocks[number], self._removed[number]
            for start in range(0, len(block), _ROWS):
                yield begin + start, block[start : start + _ROWS], removed[start : start + _ROWS]

    def _vectors_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = np.empty((len(rows), self.dimension), dtype=np.float32)
        block_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(block_of):
            here = block_of == number
            found[here] = self._blocks[number][rows[here] - self._starts[number]]
        return found

    def _best(
        self, queries: NDArray[np.float32], width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        parts = [
            self._best_of_some(queries[start : start + _QUERIES], width, self._tiles())
            for start in range(0, len(queries), _QUERIES)
        ]
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([rows for _, rows in parts])

    def _best_of_some(
        self,
        queries: NDArray[np.float32],
        width: int,
        tiles: Iterable[tuple[int, NDArray[np.float32], NDArray[np.bool_]]],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        scores = np.zeros((len(queries), 0), dtype=np.float32)
        rows = np.zeros((len(queries), 0), dtype=np.int64)
        for first, vectors, removed in tiles:
            found = queries @ vectors.T
            found[:, removed] = -np.inf
            kept = _largest(found, width)
            scores = np.concatenate([scores, np.take_along_axis(found, kept, axis=1)], axis=1)
            rows = np.concatenate([rows, kept + first], axis=1)
            kept = _largest(scores, width)
            scores = np.take_along_axis(scores, kept, axis=1)
            rows = np.take_along_axis(rows, kept, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


def _largest(scores: NDArray[np.float32], width: int) -> NDArray[np.int64]:
    """The places of the largest numbers of each row, in any order."""
    if scores.shape[1] <= width:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, -width, axis=1)[:, -width:]
