"""Exact search: the order of hits, whatever found the candidates in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    results = []
    candidates = _candidates(queries, k, k + 32, search, count)
    for query, rows in zip(queries, candidates, strict=True):
        products = vectors_of(rows).astype(np.float64) * query
        scores = products.sum(axis=1).astype(np.float32).tolist()
        best = sorted(zip(scores, (doc_ids[row] for row in rows), strict=True), reverse=True)[:k]
        results.append([SearchHit(doc_id, score, rank) for rank, (score, doc_id) in enumerate(best, 1)])
    return results


def _candidates(
    queries: NDArray[np.float32], k: int, width: int, search: Search, count: int
) -> list[NDArray[np.int64]]:
    # A search keeps arbitrary rows of a tie at its cut, and each of its float32 sums may be off by half of
    # dimension * eps. What lies further below the k-th than twice the sum of two such errors is out.
    margin = 2 * (queries.shape[1] + 4) * float(np.finfo(np.float32).eps)
    scores, rows = search(queries, min(width, count))
    found = list(rows)
    unsettled = np.flatnonzero(scores[:, k - 1] - scores[:, -1] <= margin)
    if unsettled.size and width < count:
        wider = _candidates(queries[unsettled], k, 4 * width, search, count)
        for query, more in zip(unsettled, wider, strict=True):
            found[query] = more
    return found
