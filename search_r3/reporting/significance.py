"""Paired comparison of two arms (or models) over the same queries.

1. The difference is taken query by query: most of the variance lies between queries, and pairing removes it.
2. Interval: BCa bootstrap of the mean difference, resampling queries.
3. p-value: randomisation test. If the arms do not differ, the sign of every query's difference is arbitrary;
   p is the share of sign assignments whose mean difference is at least as far from 0 as the observed one.
   Both sides count.
4. Many comparisons are corrected together with :func:`adjust`.

Neither supposes a normal distribution, which nDCG with its many zeros and ones does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import SimpleNamespace

import numpy as np
from scipy import stats

from search_r3.errors import InvalidInputError, InvalidOptionError

# Differences are counted in whole units of this size, finer than the result files' 6 decimals. Sums of whole
# numbers are exact, so that sign assignments with equal means are recognised as equal: rounding errors would
# put them in any order, and the p-value of few queries would be wrong.
_UNIT = 1e-9

_BLOCK = 2**20  # random bits that are drawn and kept together


@dataclass(frozen=True)
class Comparison:
    """How much better A is than B over the same queries.

    Attributes:
        difference: Mean of A minus B, between -1 and 1.
        low: Lower end of the confidence interval of the difference.
        high: Upper end of it.
        p_value: Of the two-sided randomisation test, above 0 and at most 1; not corrected.
        queries: Number of queries.
        wins: Number of queries on which A is better.
        ties: Number of queries on which both are equal.
        losses: Number of queries on which B is better.
    """

    difference: float
    low: float
    high: float
    p_value: float
    queries: int
    wins: int
    ties: int
    losses: int


def compare(
    a: Mapping[str, float],
    b: Mapping[str, float],
    *,
    resamples: int = 10_000,
    assignments: int = 100_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two arms over the same queries.

    The p-value is exact where all sign assignments are no more than ``assignments`` (up to 16 queries that
    differ, by default). Otherwise it is estimated from as many random ones, and the observed assignment is
    counted among them, so that it is never 0: the least is 2 / (assignments + 1), small enough to stay below
    0.05 after the correction for a hundred comparisons.

    The interval is BCa. That is not defined where all queries differ by the same amount (or there is only
    one); the percentile interval then is a single point, which says nothing about other queries.

    Args:
        a: Score of every query, by its id.
        b: Score of the same queries.
        resamples: Number of bootstrap resamples, 100 or more.
        assignments: Most sign assignments of the randomisation test, 100 or more.
        seed: Seed of both.
        confidence: Confidence level of the interval, between 0 and 1 without the ends.

    Returns:
        The comparison. It does not depend on the order of the queries.

    Raises:
        InvalidInputError: The queries are not the same, there are none, or a score is not finite.
        InvalidOptionError: ``resamples``, ``assignments`` or ``confidence`` is out of its range.
    """
    if min(resamples, assignments) < 100 or not 0 < confidence < 1:
        raise InvalidOptionError(
            f"got resamples={resamples}, assignments={assignments} and confidence={confidence}; wanted 100 "
            "or more resamples and assignments, and a confidence between 0 and 1"
        )
    return _compare(tuple(_differences(a, b)), resamples, assignments, seed, confidence)


# A report, its plots and a model card show the same comparisons.
@cache
def _compare(
    differences: tuple[float, ...], resamples: int, assignments: int, seed: int, confidence: float
) -> Comparison:
    units = np.array(differences)
    low, high = _interval(units, resamples, seed, confidence)
    return Comparison(
        difference=float(units.mean()) * _UNIT,
        low=low * _UNIT,
        high=high * _UNIT,
        p_value=_p_value(units, assignments, seed),
        queries=units.size,
        wins=int((units > 0).sum()),
        ties=int((units == 0).sum()),
        losses=int((units < 0).sum()),
    )


def adjust(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for being many: of the rows below 0.05, at most 5 % are false finds in expectation.

    Benjamini and Yekutieli's procedure, because it holds under any dependence. Benjamini and Hochberg's is
    less strict but needs independent or positively dependent tests; here arms share their queries and their
    baseline, and pooled rows repeat the queries of single tasks.

    Args:
        p_values: Of all comparisons that are shown together, in any order.

    Returns:
        The adjusted p-values, at most 1, in the same order.

    Raises:
        InvalidInputError: One is not between 0 and 1.
    """
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise InvalidInputError(
                f"got the p-value {p_value}; wanted 0 to 1; look for its cause", item=p_value
            )
    if not p_values:
        return []  # scipy refuses them
    adjusted: list[float] = stats.false_discovery_control(p_values, method="by").tolist()
    return adjusted


def _differences(a: Mapping[str, float], b: Mapping[str, float]) -> np.ndarray:
    """Differences A minus B in units, ordered by query id."""
    odd = sorted(a.keys() ^ b.keys())
    if odd or not a:
        only = [f"{name!r} only in {'A' if name in a else 'B'}" for name in odd[:3]]
        raise InvalidInputError(
            f"got {len(a)} and {len(b)} queries, {len(odd)} of them without a partner ({', '.join(only)}); "
            "wanted one or more queries, the same on both sides; compare results of the same data",
            item=odd,
        )
    ids = sorted(a)
    differences = np.array([a[query_id] - b[query_id] for query_id in ids], dtype=np.float64)
    if not np.isfinite(differences).all():
        worst = ids[int(np.flatnonzero(~np.isfinite(differences))[0])]
        raise InvalidInputError(
            f"got the scores {a[worst]} and {b[worst]} for query {worst!r}; wanted finite numbers; look for "
            "the cause in the scoring",
            item=worst,
        )
    return np.rint(differences / _UNIT)


def _interval(units: np.ndarray, resamples: int, seed: int, confidence: float) -> tuple[float, float]:
    if np.ptp(units) == 0:
        # BCa divides by the spread of the jackknife, which is 0 here. The percentile interval is this point,
        # because every resample has this very mean; scipy computes neither for a single query.
        return float(units[0]), float(units[0])
    counts = _resampled_counts(units.size, resamples, seed)
    batch = _batch(units.size)
    sums = np.concatenate([counts[start : start + batch] @ units for start in range(0, resamples, batch)])
    interval = stats.bootstrap(
        (units,),
        np.mean,
        # The resamples are already drawn, once for all comparisons of as many queries.
        n_resamples=0,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=sums / units.size),
        batch=batch,
        confidence_level=confidence,
        method="BCa",
    ).confidence_interval
    return float(interval.low), float(interval.high)


@lru_cache(maxsize=4)
def _resampled_counts(queries: int, resamples: int, seed: int) -> np.ndarray:
    """How many times every query is in every bootstrap resample; shape (resamples, queries)."""
    rng = np.random.default_rng(seed)
    batch = _batch(queries)
    # A count beyond 255 needs more than 255 queries, and then has a probability below 1e-500.
    counts = np.empty((resamples, queries), dtype=np.uint8)
    for start in range(0, resamples, batch):
        rows = min(batch, resamples - start)
        drawn = rng.integers(0, queries, (rows, queries)) + queries * np.arange(rows)[:, None]
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * queries).reshape(rows, -1)
    return counts


def _p_value(units: np.ndarray, assignments: int, seed: int) -> float:
    # The sign of a difference of 0 does not matter: without them, more cases are small enough to be exact.
    differing = units[units != 0]
    queries = differing.size
    if queries < 2:
        return 1.0  # no difference at all, or a single one, whose two signs are equally far from 0
    is_exact = 2**queries <= assignments
    number = 2**queries if is_exact else assignments
    batch = _batch(queries)
    observed = differing.sum()
    at_most = at_least = 0 if is_exact else 1  # the observed assignment
    for start in range(0, number, batch):
        stop = min(start + batch, number)
        if is_exact:
            positive = np.arange(start, stop)[:, None] >> np.arange(queries) & 1
        else:
            positive = _random_bits(seed, start * queries, stop * queries).reshape(-1, queries)
        sums = 2 * (positive.astype(np.float64) @ differing) - observed
        at_most += int((sums <= observed).sum())
        at_least += int((sums >= observed).sum())
    return min(1.0, 2 * min(at_most, at_least) / (number if is_exact else number + 1))


def _random_bits(seed: int, start: int, stop: int) -> np.ndarray:
    """A part of the one stream of random bits of a seed, from which every comparison takes its signs."""
    first, last = start // _BLOCK, -(-stop // _BLOCK)
    blocks = [_block_of_bits(seed, number) for number in range(first, last)]
    return np.unpackbits(np.concatenate(blocks))[start - first * _BLOCK : stop - first * _BLOCK]


@cache
def _block_of_bits(seed: int, number: int) -> np.ndarray:
    """Eight bits in a byte: drawing them takes longer than all the rest of a comparison."""
    # A draw of 64 bits gives two of the stream, as in numpy's own permutations of two, which scipy uses.
    draws = np.random.PCG64(seed).advance(number * _BLOCK // 2).random_raw(_BLOCK // 2)
    return np.packbits((draws[:, None] >> np.array([0, 32], dtype=np.uint64) & np.uint64(1)).astype(np.uint8))


def _batch(queries: int) -> int:
    """Resamples to hold in memory at a time: some 2 MB, whatever the number of queries."""
    return max(1, 250_000 // queries)
