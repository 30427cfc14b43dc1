"""How far rows have fallen behind the weights, and a linear map that takes them part of the way."""

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
        cosine: Mean cosine of a row with its document's embedding by the current weights.
        overlap: Mean share of a query's ten nearest documents of the probe that stay the same.
    """

    cosine: float
    overlap: float


@dataclass(frozen=True)
class RewardError:
    """What stale rows do to rewards.

    Attributes:
        mean_absolute: Mean absolute difference from the rewards of a full refresh, on the same rollouts.
        rank_correlation: Spearman's; NaN if one of the two is constant.
    """

    mean_absolute: float
    rank_correlation: float


def measure_drift(stale: Vectors, fresh: Vectors, queries: Vectors) -> Drift:
    """Compare rows with fresh embeddings of the same documents.

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
    """Compare the rewards that stale rows gave with those of a full refresh, shape (B,) each."""
    is_constant = np.ptp(stale) == 0 or np.ptp(fresh) == 0
    correlation = float("nan") if is_constant else float(spearmanr(stale, fresh).statistic)
    return RewardError(float(np.abs(stale - fresh).mean()), correlation)


def fit_rotation(before: Vectors, after: Vectors, *, ridge: float = 1.0) -> Vectors:
    """The orthogonal map that takes rows to their new embeddings (Procrustes), and is the identity elsewhere.

    Fewer rows than dimensions leave most directions open. The ridge holds those to where they were; without
    it they would be turned at random.

    Args:
        before: Shape (R, D).
        after: Shape (R, D).
        ridge: Weight of staying, as a number of rows spread over all directions.

    Returns:
        Shape (D, D); rows are multiplied by it from the right.
    """
    dimension = before.shape[1]
    covariance = before.astype(np.float64).T @ after + ridge / dimension * np.eye(dimension)
    left, _, right = np.linalg.svd(covariance)
    return np.asarray(left @ right, dtype=np.float32)
