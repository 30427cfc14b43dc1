"""Exact search: the order of hits, whatever found the candidates in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from search_r3.retrieval.hits import SearchHit

Search = Callable[[NDArray[np.float32], int], tuple[NDArray[np.float32], NDArray[np.int64]]]
"""Given queries and a width, gives the best scores of each in float32, falling, and their rows."""


def closest(
    queries: NDArray[np.float32],
    k: int,
    search: Search,
    vectors_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    doc_ids: Sequence[str],
    count: int,
) -> list[list[SearchHit]]:
    """The k closest documents of every query, exactly; all of them if k is beyond their number.

    A score is the inner product summed in float64 and rounded to float32: it depends on the two vectors only,
    never on row order or on the other queries. Hits are ordered by score, largest first; equal scores by
    document id, descending by code point, also where k cuts through a tie. This is the order that trec_eval
    and pytrec_eval derive from the scores, so ranks here and metrics there agree.

    Args:
        queries: Unit vectors, shape (Q, D).
        k: 1 or more.
        search: Finds candidates among the documents.
        vectors_of: Gives the vectors of rows, shape (n, D).
        doc_ids: The id of each row.
        count: How many rows can be found.
    """
    k = min(k, count)
    if k == 0 or len(queries) == 0:
        return [[] for _ in queries]
    candidates = _candidates(queries, k, k + 32, search, count)
    return [
        ordered(query, rows, k, vectors_of, doc_ids) for query, rows in zip(queries, candidates, strict=True)
    ]


def ordered(
    query: NDArray[np.float32],
    rows: NDArray[np.int64],
    k: int,
    vectors_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    doc_ids: Sequence[str],
) -> list[SearchHit]:
    """The k closest of some rows to a query, with the scores and in the order of :func:`closest`."""
    best = sorted(_keys(query, rows, vectors_of, doc_ids), reverse=True)[:k]
    return [SearchHit(doc_id, score, rank) for rank, (score, doc_id) in enumerate(best, 1)]


def ranks_of(
    queries: NDArray[np.float32],
    wanted: Sequence[Sequence[int]],
    tiles: Iterable[tuple[int, NDArray[np.float32], NDArray[np.bool_]]],
    vectors_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    doc_ids: Sequence[str],
) -> list[list[int]]:
    """The rank, from 1, that some documents have among all for each query, in the order of :func:`closest`.

    It counts what is before them, so memory does not grow with the number of documents.

    Args:
        queries: Unit vectors, shape (Q, D).
        wanted: For each query the rows of the documents.
        tiles: All rows, in pieces: number of the first one, vectors of shape (n, D), which do not count (n,).
        vectors_of: As for :func:`closest`.
        doc_ids: As there.
    """
    keys = [_keys(query, rows, vectors_of, doc_ids) for query, rows in zip(queries, wanted, strict=True)]
    before = [[0] * len(rows) for rows in wanted]
    margin = _margin(queries.shape[1])
    for first, vectors, removed in tiles:
        products = queries @ vectors.T
        products[:, removed] = -np.inf
        for row, (query, scores) in enumerate(zip(queries, products, strict=True)):
            for place, key in enumerate(keys[row]):
                before[row][place] += int(np.count_nonzero(scores > key[0] + margin))
                near = np.flatnonzero(np.abs(scores - key[0]) <= margin) + first
                before[row][place] += sum(one > key for one in _keys(query, near, vectors_of, doc_ids))
    return [[count + 1 for count in row] for row in before]


def _keys(
    query: NDArray[np.float32],
    rows: Sequence[int] | NDArray[np.int64],
    vectors_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    doc_ids: Sequence[str],
) -> list[tuple[float, str]]:
    """What documents are ordered by: the score, and the id."""
    products = vectors_of(np.asarray(rows, dtype=np.int64)).astype(np.float64) * query
    scores = products.sum(axis=1).astype(np.float32).tolist()
    return list(zip(scores, (doc_ids[row] for row in rows), strict=True))


def _margin(dimension: int) -> float:
    # Each float32 sum may be off by half of dimension * eps: what two sums differ by beyond twice the sum of
    # two such errors is a difference of the scores.
    return 2 * (dimension + 4) * float(np.finfo(np.float32).eps)


def _candidates(
    queries: NDArray[np.float32], k: int, width: int, search: Search, count: int
) -> list[NDArray[np.int64]]:
    # A search keeps arbitrary rows of a tie at its cut. What is below the k-th by more is out.
    margin = _margin(queries.shape[1])
    scores, rows = search(queries, min(width, count))
    found = list(rows)
    unsettled = np.flatnonzero(scores[:, k - 1] - scores[:, -1] <= margin)
    if unsettled.size and width < count:
        wider = _candidates(queries[unsettled], k, 4 * width, search, count)
        for query, more in zip(unsettled, wider, strict=True):
            found[query] = more
    return found
