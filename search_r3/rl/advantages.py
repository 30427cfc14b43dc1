"""Advantages within groups, with a baseline that asks what thinking gained over not thinking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search_r3.errors import InvalidInputError

Scaling = Literal["group", "batch", "none"]

_EPSILON = 1e-4
"""Added to a deviation before it divides, as TRL does."""


@dataclass(frozen=True)
class Advantages:
    """What each rollout is worth above its baseline.

    Attributes:
        values: Shape (Q, G).
        is_zero: Whether all advantages of a group are 0, so that nothing is learnt from it; shape (Q,).
    """

    values: NDArray[np.float64]
    is_zero: NDArray[np.bool_]


def group_advantages(
    rewards: NDArray[np.float64],
    direct: NDArray[np.float64],
    *,
    direct_weight: float,
    scaling: Scaling,
) -> Advantages:
    """Compare the rollouts of each query with one another, and with not thinking at all.

    The baseline is ``direct_weight`` times the direct embedding's reward plus the rest times the group's
    mean. At 0 this is GRPO (arXiv 2402.03300): a thought is better or worse than other thoughts. At 1 a
    thought is better or worse than none, and a group whose thoughts all hurt is discouraged as a whole.

    Args:
        rewards: Of Q groups of G rollouts that thought, shape (Q, G).
        direct: Of the direct embedding of each query, shape (Q,).
        direct_weight: In [0, 1].
        scaling: Whether advantages are divided by the deviation of their group's rewards (the direct one
            included), by the root mean square of the batch's advantages without zero-advantage groups
            (REINFORCE++, arXiv 2501.03262), or not. TRL's "batch" divides by the deviation of all rewards:
            ours differ ten times as much between queries as within (benchmarks/LOG.md), so that advantages
            would be small beside the other parts of the loss.

    Raises:
        InvalidInputError: Shapes do not fit, a reward is not finite, or the weight is out of range.
    """
    if rewards.ndim != 2 or direct.shape != rewards.shape[:1]:
        raise InvalidInputError(
            f"got rewards {rewards.shape} and direct {direct.shape}, wanted (Q, G) and (Q,)"
        )
    if not 0 <= direct_weight <= 1:
        raise InvalidInputError(f"got direct_weight={direct_weight}, wanted a number from 0 to 1")
    if not np.isfinite(rewards).all() or not np.isfinite(direct).all():
        raise InvalidInputError("got a reward that is not finite")
    baseline = direct_weight * direct + (1 - direct_weight) * rewards.mean(axis=1)
    values = rewards - baseline[:, None]
    together = np.concatenate([rewards, direct[:, None]], axis=1)  # (Q, G + 1)
    is_zero = (np.abs(values) < 1e-9).all(axis=1)
    if scaling == "group":
        values = values / (together.std(axis=1, keepdims=True) + _EPSILON)
    elif scaling == "batch" and not is_zero.all():
        values = values / (np.sqrt((values[~is_zero] ** 2).mean()) + _EPSILON)
    values[is_zero] = 0.0
    return Advantages(values, is_zero)
