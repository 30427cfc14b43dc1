"""Hybrid retrieval: rankings of several systems joined by their ranks alone."""

from __future__ import annotations

from collections import defaultdict

from search_r3.errors import InvalidOptionError

RANK_CONSTANT = 60
"""The constant of reciprocal rank fusion that its authors chose, and everyone since."""

FUSION_DEPTH = 1000
"""Documents of each ranking that are joined: as many as mteb and BEIR retrieve."""


def reciprocal_rank_fusion(
    *runs: dict[str, dict[str, float]], k: int | None = None
) -> dict[str, dict[str, float]]:
    """Join runs: a document scores the sum of 1 / (60 + rank) over the runs that have it.

    Scores of the runs count for their order only, so an inner product and a BM25 score need no common scale.
    Reciprocal rank fusion of Cormack, Clarke and Buettcher (SIGIR 2009).

    Args:
        runs: For every query id, the score of every retrieved document; higher is better. Documents with
            equal scores are ordered by id, last id first, as trec_eval orders them.
        k: Most documents to keep for a query; None keeps all.

    Returns:
        For every query id of any run, the fused score of every document, between 0 and len(runs) / 61, best
        first.

    Raises:
        InvalidOptionError: ``k`` is less than 1.
    """
    if k is not None and k < 1:
        raise InvalidOptionError(f"got k={k}; wanted 1 or more, or None for all documents")
    fused: dict[str, dict[str, float]] = {}
    for query_id in dict.fromkeys(query_id for run in runs for query_id in run):
        scores: dict[str, float] = defaultdict(float)
        for run in runs:
            for rank, doc_id in enumerate(_ranked(run.get(query_id, {})), start=1):
                scores[doc_id] += 1 / (RANK_CONSTANT + rank)
        fused[query_id] = {doc_id: scores[doc_id] for doc_id in _ranked(scores)[:k]}
    return fused


def _ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda doc_id: (scores[doc_id], doc_id), reverse=True)
