"""Documents found: with their ids, scores and ranks, and with the texts behind them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchHit:
    """A document found, its score and its rank, from 1.

    The score is an inner product in [-1, 1] (within 0.3 %), larger is closer. Of a hybrid search it is that
    of :func:`search_r3.retrieval.fusion.hybrid_fusion`, and of a search in several steps that of
    :func:`search_r3.retrieval.steps.join_rankings`.
    """

    doc_id: str
    score: float
    rank: int


@dataclass(frozen=True)
class CorpusHit(SearchHit):
    """A document found in a corpus: a :class:`SearchHit` with the text that was embedded."""

    text: str
