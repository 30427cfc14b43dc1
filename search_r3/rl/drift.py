"""How far embeddings have fallen behind the weights, and what that does to rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Drift:
    """What the weights have done to a fixed probe of documents.

    Attributes:
        cosine: Mean cosine of a stale embedding with that by the current weights.
        overlap: Mean share of a query's ten nearest documents of the probe that stay the same.
    """

    cosine: float
    overlap: float


@dataclass(frozen=True)
class RewardError:
    """What stale embeddings do to rewards.

    Attributes:
        mean_absolute: Mean absolute difference from the rewards of a full refresh, on the same rollouts.
        rank_correlation: Spearman's; NaN if one of the two is constant.
    """

    mean_absolute: float
    rank_correlation: float


def measure_drift(stale: Vectors, fresh: Vectors, queries: Vectors) -> Drift:
    """Compare stale with fresh embeddings of the same documents.

    Args:
        stale: Shape (P, D), unit vectors.
        fresh: Shape (P, D), unit vectors.
        queries: Shape (B, D).
    """
    k = min(10, len(stale))
    before, after = (
        np.argpartition(-(queries @ documents.T), k - 1, axis=1)[:, :k] for documents in (stale, fresh)
    )
    shared = [len(np.intersect1d(*pair)) for pair in zip(before, after, strict=True)]
    return Drift(float((stale * fresh).sum(axis=1).mean()), float(np.mean(shared) / k))


def reward_error(stale: NDArray[np.float64], fresh: NDArray[np.float64]) -> RewardError:
    """Compare the rewards by stale embeddings with those of a full refresh, shape (B,) each."""
    is_constant = np.ptp(stale) == 0 or np.ptp(fresh) == 0
    correlation = float("nan") if is_constant else float(spearmanr(stale, fresh).statistic)
    return RewardError(float(np.abs(stale - fresh).mean()), correlation)
