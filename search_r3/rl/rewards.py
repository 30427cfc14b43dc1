"""Rewards: pure functions of the ranks of relevant documents, and of a thought's length and words.

The retrieval part is one of three, each in [0, 1] and 1 for a perfect ranking:

- ``dcg``: the paper's (arXiv 2510.07048), discounted gain scaled by the ideal one. It is nDCG with a cut-off
  so deep that the rollouts of a group rarely earn the same;
- ``log_rank``: LREM's (arXiv 2510.14321): rank 200 earns as much more than rank 400 as rank 2 than rank 4;
- ``hit_blend``: the mean of hit@1, hit@3 and hit@5, as CoSearch has it (arXiv 2604.17555).

A function that cannot compute raises: a reward that fails must stop training, not become a zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search_r3.errors import InvalidInputError

RetrievalReward = Literal["dcg", "log_rank", "hit_blend"]

_HIT_DEPTHS = (1, 3, 5)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Ranking:
    """Ranks of the relevant documents of a query among all documents, by one rollout's embedding.

    Attributes:
        ranks: Rank of each relevant document, shape (R,), R at least 1; 1 is best. Ties count against it, so
            that embeddings that are all alike earn nothing.
        grades: Their grades, shape (R,), above 0.
        similarities: Their similarities with the embedding, shape (R,).
        best_other: Largest similarity of a document that is not relevant; -inf if there is none.
        documents: Number of documents that are ranked.
    """

    ranks: NDArray[np.int64]
    grades: NDArray[np.float64]
    similarities: NDArray[np.float32]
    best_other: float
    documents: int

    def __post_init__(self) -> None:
        """Refuse what no ranking can be.

        Raises:
            InvalidInputError: Nothing is relevant, a grade is not positive, a rank is not in the ranking, or
                a similarity is no number.
        """
        sizes = {len(self.ranks), len(self.grades), len(self.similarities)}
        if sizes != {len(self.ranks)} or not len(self.ranks):
            raise InvalidInputError(
                f"got {sorted(sizes)} ranks, grades and similarities, wanted as many each, at least 1"
            )
        if self.ranks.min() < 1 or self.ranks.max() > self.documents or self.grades.min() <= 0:
            raise InvalidInputError(
                f"got ranks {self.ranks.tolist()} of {self.documents} documents with grades "
                f"{self.grades.tolist()}, wanted ranks from 1 to that number and grades above 0"
            )
        if not np.isfinite(self.similarities).all() or math.isnan(self.best_other):
            raise InvalidInputError("got a similarity that is no finite number")


def dcg(ranking: Ranking, cutoff: int) -> float:
    """Discounted gain of the relevant documents over that of the ideal ranking, both cut at ``cutoff``.

    The gain is the grade itself, as in trec_eval, so this is nDCG at that depth.
    """
    ideal = np.sort(ranking.grades)[::-1][:cutoff]
    found = ranking.ranks <= cutoff
    gain = (ranking.grades[found] / np.log2(ranking.ranks[found] + 1)).sum()
    return float(gain / (ideal / np.log2(np.arange(2, len(ideal) + 2))).sum())


def log_rank(ranking: Ranking, cutoff: int) -> float:
    """1 - log(rank) / log(cutoff) of each relevant document, at least 0, averaged by the grades' weights.

    Relevant documents of the same grade or a better one do not push each other down: a rank counts only the
    others that stand before it, so that a perfect ranking earns 1.
    """
    before = ranking.ranks[None] < ranking.ranks[:, None]
    excused = (before & (ranking.grades[None] >= ranking.grades[:, None])).sum(axis=1)
    earned = 1 - np.log(ranking.ranks - excused) / math.log(max(cutoff, 2))
    return float(np.average(earned.clip(min=0), weights=ranking.grades))


def hit_blend(ranking: Ranking, cutoff: int) -> float:
    """Mean over the depths 1, 3 and 5 of whether a document of the best grade stands there."""
    del cutoff  # the depths are part of the definition
    best = ranking.ranks[ranking.grades == ranking.grades.max()].min()
    return float(np.mean([best <= depth for depth in _HIT_DEPTHS]))


RETRIEVAL_REWARDS: dict[RetrievalReward, Callable[[Ranking, int], float]] = {
    "dcg": dcg,
    "log_rank": log_rank,
    "hit_blend": hit_blend,
}
"""The retrieval rewards by name; each takes a ranking and a cut-off."""


def hit_margin(ranking: Ranking, depth: int = 10) -> float:
    """How far the best document of the best grade is ahead of the best irrelevant one, if it is a hit.

    Returns:
        A difference of similarities, in [0, 2]; 0 if no document of the best grade is among the first
        ``depth``, so that closeness without a hit earns nothing; 0 if all documents are relevant. 0 as well
        where it is behind: a penalty there would make rank 10 worse than rank 11.
    """
    top = ranking.grades == ranking.grades.max()
    if ranking.ranks[top].min() > depth or math.isinf(ranking.best_other):
        return 0.0
    return max(0.0, float(ranking.similarities[top].max() - ranking.best_other))


def overlength(length: int, free: int, limit: int) -> float:
    """A soft ramp: 0 up to ``free`` tokens, 1 at ``limit``, as DAPO's (arXiv 2503.14476).

    Raises:
        InvalidInputError: ``free`` is not below ``limit``.
    """
    if not 0 <= free < limit:
        raise InvalidInputError(f"got a ramp from {free} to {limit} tokens, wanted 0 <= from < to")
    return min(max(length - free, 0) / (limit - free), 1.0)


def copied_share(thought: str, query: str) -> float:
    """Share of a thought's words that its query has already, in [0, 1]; 0 if it has no word.

    Repeating the question is the safest thought, and says nothing: a reward that is flat leads there
    (benchmarks/LOG.md). Words are runs of letters and digits, without regard to case.
    """
    asked = set(_WORD.findall(query.casefold()))
    words = _WORD.findall(thought.casefold())
    return sum(word in asked for word in words) / len(words) if words else 0.0
