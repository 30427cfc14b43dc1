import itertools
import random
import statistics

import numpy as np
import pytest
from scipy import stats

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.reporting.significance import Comparison, adjust, compare


def pair(differences):
    """Scores of A and B with these differences."""
    a = {f"q{place}": max(value, 0.0) for place, value in enumerate(differences)}
    return a, {f"q{place}": max(-value, 0.0) for place, value in enumerate(differences)}


@pytest.mark.parametrize(
    "differences",
    [
        [0.5, 0.25, 0.125],
        [0.1, 0.2, -0.3],  # its sum is 5.6e-17 in floating point, and 0 in truth
        [0.3, 0.3, 0.3, -0.1],
        [0.1, 0.2, 0.3, -0.05, 0.0],
        [0.4],
    ],
)
def test_p_value_of_few_queries_is_exact(differences):
    """The p-value is the share of all sign assignments that are as far from 0 as the observed one."""
    flips = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(sign * value for sign, value in zip(signs, differences, strict=True))) for signs in flips]
    expected = statistics.fmean(value >= abs(sum(differences)) - 1e-12 for value in sums)
    assert compare(*pair(differences)).p_value == pytest.approx(expected, abs=1e-12)


def test_p_value_of_many_queries_is_never_0():
    """With random sign assignments the observed one is counted: at best 2 / (assignments + 1)."""
    assert compare(*pair([0.5] * 40), assignments=999).p_value == pytest.approx(2 / 1000)


@pytest.mark.parametrize("queries", [2, 9, 16, 17, 40, 333, 1201])
def test_numbers_are_those_of_scipy(queries):
    """Drawing the resamples once for all comparisons changes no digit of scipy's own results."""
    units = np.rint(1e6 * np.random.default_rng(queries).normal(0.01, 0.2, queries).clip(-1, 1))
    found = compare(*pair((units / 1e6).tolist()), resamples=500, assignments=2**16)
    order = sorted(range(queries), key=lambda place: f"q{place}")  # that of the ids
    units = 1000 * units[order]  # the unit is 1e-9
    test = stats.permutation_test(
        (units,),
        np.sum,
        permutation_type="samples",
        n_resamples=2**16,
        batch=1000,
        rng=np.random.default_rng(0),
    )
    interval = stats.bootstrap(
        (units,), np.mean, n_resamples=500, batch=70, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.p_value == test.pvalue
    assert (found.low, found.high) == (interval.low * 1e-9, interval.high * 1e-9)


def test_counts_and_difference():
    """The counts and the mean are those of the differences, whatever the order of the queries."""
    a, b = pair([0.5, -0.25, 0.0, 0.5])
    found = compare(a, b)
    assert (found.queries, found.wins, found.ties, found.losses) == (4, 2, 1, 1)
    assert found.difference == pytest.approx(0.1875)  # (0.5 - 0.25 + 0 + 0.5) / 4
    assert compare(dict(reversed(a.items())), b) == found


def test_interval_is_near_the_normal_one_and_the_percentile_one():
    """For many well-behaved queries it is the normal interval, and that of a plain percentile bootstrap."""
    rng = np.random.default_rng(1)
    differences = rng.normal(0.02, 0.1, 300)
    found = compare(*pair(differences.tolist()))
    half = 1.96 * differences.std(ddof=1) / 300**0.5
    means = differences[rng.integers(0, 300, (4000, 300))].mean(axis=1)
    for low, high in (
        (differences.mean() - half, differences.mean() + half),
        np.percentile(means, [2.5, 97.5]),
    ):
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.0012)


def test_interval_covers_and_test_rejects_as_promised():
    """Of 200 sets with a true mean of 0, about 5 % are rejected, and about 95 % of the intervals hold it."""
    rng = random.Random(2)
    rejected = covered = 0
    for _ in range(200):
        found = compare(*pair([rng.uniform(-0.5, 0.5) for _ in range(30)]), resamples=299, assignments=299)
        rejected += found.p_value <= 0.05
        covered += found.low <= 0 <= found.high
    # Standard deviation of the share: sqrt(0.05 * 0.95 / 200) = 0.015; three of them, and a little for BCa.
    assert rejected <= 20
    assert 176 <= covered <= 199


def test_exchange_of_arms_turns_the_signs():
    """B against A is the mirror image of A against B."""
    a, b = pair([0.5, -0.1, 0.3, 0.0, 0.2, -0.4] * 5)
    one, other = compare(a, b), compare(b, a)
    assert other.difference == pytest.approx(-one.difference)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert other.p_value == one.p_value
    assert (other.wins, other.losses) == (one.losses, one.wins)


def test_no_difference():
    """Equal arms: p = 1 and the interval is the point 0."""
    assert compare({"a": 0.5, "b": 1.0}, {"a": 0.5, "b": 1.0}) == Comparison(0, 0, 0, 1.0, 2, 0, 2, 0)


def test_same_difference_everywhere_has_a_point_as_interval():
    """BCa is not defined; the percentile interval is the difference itself."""
    found = compare({"a": 0.3, "b": 0.2}, {"a": 0.2, "b": 0.1})  # 0.3 - 0.2 and 0.2 - 0.1 differ as floats
    assert found.low == found.high == found.difference == pytest.approx(0.1)


@pytest.mark.parametrize("seed", [0, 5])
def test_seed_decides(seed):
    """The same seed gives the same numbers."""
    a, b = pair([0.5, -0.1, 0.3, 0.01] * 6)
    assert compare(a, b, seed=seed) == compare(a, b, seed=seed)


def test_different_queries_are_refused():
    """The error names a query without a partner and its side."""
    with pytest.raises(InvalidInputError, match="'x' only in A, 'y' only in B"):
        compare({"q": 0.0, "x": 1.0}, {"q": 0.0, "y": 1.0})
    with pytest.raises(InvalidInputError, match="0 and 0 queries"):
        compare({}, {})
    with pytest.raises(InvalidInputError, match="finite"):
        compare({"q": float("nan")}, {"q": 0.0})


def test_options_out_of_range():
    """Too few resamples and a confidence that is none are refused."""
    for options in ({"resamples": 99}, {"assignments": 99}, {"confidence": 1.0}, {"confidence": 0.0}):
        with pytest.raises(InvalidOptionError):
            compare({"q": 1.0}, {"q": 0.0}, **options)


def test_adjustment_is_benjamini_and_yekutieli():
    """Adjusted values are those computed by hand, in the given order."""
    # Sorted 0.01, 0.02, 0.5; harmonic sum 1 + 1/2 + 1/3 = 11/6; p * 3 / rank * 11/6:
    # 0.055, 0.055, 0.91667; running minimum from the largest: the same.
    assert adjust([0.5, 0.01, 0.02]) == pytest.approx([0.5 * 11 / 6, 0.055, 0.055])
    # 0.04 * 2 * 1.5 = 0.12, 0.05 * 2 / 2 * 1.5 = 0.075: the smaller p takes the smaller value.
    assert adjust([0.04, 0.05]) == pytest.approx([0.075, 0.075])
    assert adjust([1.0, 1.0]) == [1.0, 1.0]
    assert adjust([]) == []
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidInputError, match="p-value"):
            adjust([wrong])
