"""Hybrid retrieval: the rankings by vectors and by words joined by their scores."""

from __future__ import annotations

from search_r3.errors import InvalidOptionError

FUSION_DEPTH = 1000
"""Documents of each ranking that are joined: as many as mteb and BEIR retrieve."""

LEXICAL_WEIGHT = 0.3
"""What BM25 counts in a hybrid ranking. On the dev suite 0.25 to 0.33 are level (benchmarks/LOG.md)."""

_SCALE_DEPTH = 100

Run = dict[str, dict[str, float]]
"""For every query id, the score of every retrieved document by its id; higher is better."""


def hybrid_fusion(dense: Run, lexical: Run, *, k: int | None = None) -> Run:
    """Join a dense and a BM25 run: 0.7 * scaled cosine + 0.3 * scaled BM25 score.

    A convex combination of scaled scores, which keeps how far apart documents are; their ranks alone do not
    (Bruch, Gai and Ingber, arXiv 2210.11934). A query's cosines are scaled so that its best document has 1
    and its hundredth, or last, has 0: only what is near counts, whatever the size of the corpus. BM25 is
    scaled so that the best has 1; 0 is a document without a word of the query, and any that its run lacks.
    A document that the dense run lacks counts as its last one.

    Args:
        dense: Scores on any linear scale, such as cosines or inner products.
        lexical: BM25 scores, 0 or more.
        k: Most documents to keep for a query; None keeps all.

    Returns:
        For every query id of any run, the joined score of every document, at most 1, best first; documents of
        equal scores by id, last id first, as trec_eval orders them.

    Raises:
        InvalidOptionError: ``k`` is less than 1.
    """
    if k is not None and k < 1:
        raise InvalidOptionError(f"Got k={k}, wanted 1 or more, or None for all documents.")
    fused: Run = {}
    for query_id in dict.fromkeys([*dense, *lexical]):
        near, words = _scaled(dense.get(query_id, {})), lexical.get(query_id, {})
        missing = min([0.0, *near.values()])
        most = max(words.values(), default=0.0) or 1.0
        scores = {
            doc_id: (1 - LEXICAL_WEIGHT) * near.get(doc_id, missing)
            + LEXICAL_WEIGHT * words.get(doc_id, 0.0) / most
            for doc_id in dict.fromkeys([*near, *words])
        }
        best = sorted(scores, key=lambda doc_id: (scores[doc_id], doc_id), reverse=True)[:k]
        fused[query_id] = {doc_id: scores[doc_id] for doc_id in best}
    return fused


def _scaled(scores: dict[str, float]) -> dict[str, float]:
    if not scores:
        return {}
    ordered = sorted(scores.values(), reverse=True)
    best, low = ordered[0], ordered[min(_SCALE_DEPTH, len(ordered)) - 1]
    if best == low:
        return {doc_id: 1.0 if score == best else 0.0 for doc_id, score in scores.items()}
    return {doc_id: (score - low) / (best - low) for doc_id, score in scores.items()}
