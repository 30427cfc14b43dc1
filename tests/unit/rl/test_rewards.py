import itertools
import math

import numpy as np
import pytest
import pytrec_eval

from search_r3.errors import InvalidInputError
from search_r3.rl.advantages import group_advantages
from search_r3.rl.rewards import (
    RETRIEVAL_REWARDS,
    Ranking,
    copied_share,
    dcg,
    hit_blend,
    hit_margin,
    log_rank,
    overlength,
)


def ranking(ranks, grades=None, similarities=None, best_other=0.0, documents=1000):
    grades = [1.0] * len(ranks) if grades is None else grades
    similarities = [0.5] * len(ranks) if similarities is None else similarities
    return Ranking(
        np.array(ranks),
        np.array(grades, dtype=float),
        np.array(similarities, dtype=np.float32),
        best_other,
        documents,
    )


@pytest.mark.parametrize(
    ("ranks", "grades", "cutoff", "expected"),
    [
        ([1], [1], 100, 1.0),
        ([3], [1], 100, 0.5),  # 1 / log2(4)
        ([101], [1], 100, 0.0),
        ([1, 3], [1, 1], 100, 1.5 / (1 + 1 / math.log2(3))),
        ([3, 1], [3, 2], 100, (3 / 2 + 2) / (3 + 2 / math.log2(3))),
        ([1, 2, 3], [1, 1, 1], 2, 1.0),  # the ideal is cut as well
    ],
)
def test_dcg_by_hand(ranks, grades, cutoff, expected):
    """Grades discounted by log2(rank + 1), over the same of the ideal ranking."""
    assert dcg(ranking(ranks, grades), cutoff) == pytest.approx(expected)


@pytest.mark.parametrize("cutoff", [5, 10, 30])
def test_dcg_is_ndcg(cutoff):
    """On random rankings it is what trec_eval calls nDCG at that depth."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        grades = dict(zip(map(str, range(6)), generator.integers(1, 4, 6).tolist(), strict=True))
        order = generator.permutation(30)
        run = {str(doc): float(-index) for index, doc in enumerate(order)}
        ranks = [1 + int(np.flatnonzero(order == int(doc))[0]) for doc in grades]
        evaluator = pytrec_eval.RelevanceEvaluator({"q": grades}, {f"ndcg_cut.{cutoff}"})
        expected = evaluator.evaluate({"q": run})["q"][f"ndcg_cut_{cutoff}"]
        assert dcg(ranking(ranks, list(grades.values()), documents=30), cutoff) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ranks", "grades", "expected"),
    [
        ([1], [1], 1.0),
        ([10], [1], 0.5),  # log 10 / log 100
        ([100], [1], 0.0),
        ([900], [1], 0.0),
        ([1, 2], [2, 2], 1.0),  # the second is behind its equal only
        ([2, 1], [2, 1], (2 * (1 - math.log(2) / math.log(100)) + 1) / 3),  # the better one is behind a worse
        ([1, 11], [3, 1], (3 + 0.5) / 4),
    ],
)
def test_log_rank_by_hand(ranks, grades, expected):
    """Equal or better answers excuse a rank; grades weigh the mean; the cut-off earns nothing."""
    assert log_rank(ranking(ranks, grades), 100) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rank", "expected"), [(1, 1), (2, 2 / 3), (3, 2 / 3), (4, 1 / 3), (5, 1 / 3), (6, 0)]
)
def test_hit_blend_by_hand(rank, expected):
    """The mean of hit@1, hit@3 and hit@5, of the best grade only."""
    assert hit_blend(ranking([rank]), 1000) == pytest.approx(expected)
    assert hit_blend(ranking([rank, rank % 6 + 1], [2, 1]), 1000) == pytest.approx(expected)


@pytest.mark.parametrize("name", RETRIEVAL_REWARDS)
def test_retrieval_rewards_are_scaled_and_fall_with_the_rank(name):
    """A perfect ranking earns 1, a worse one never more, the last rank nothing (dcg: next to nothing)."""
    earned = [RETRIEVAL_REWARDS[name](ranking([rank]), 1000) for rank in range(1, 1001)]
    assert earned[0] == 1 and earned[-1] < 0.11
    assert all(later <= sooner for sooner, later in itertools.pairwise(earned))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (ranking([1], similarities=[0.75], best_other=0.5), 0.25),
        (ranking([10], similarities=[0.25], best_other=0.5), 0.0),  # behind: no penalty
        (ranking([11], similarities=[0.25], best_other=0.5), 0.0),
        (ranking([1, 20], [1, 2], [0.75, 0.5], best_other=0.25), 0.0),  # the better one is no hit
        (ranking([1], best_other=-math.inf), 0.0),
    ],
)
def test_margin_is_gated_by_a_hit(case, expected):
    """Closeness without a hit earns nothing."""
    assert hit_margin(case) == pytest.approx(expected)


@pytest.mark.parametrize("name", RETRIEVAL_REWARDS)
def test_a_better_rank_never_earns_less(name):
    """Margin included, across the depth at which it begins; only the first rank is ahead of all others."""
    earned = [
        RETRIEVAL_REWARDS[name](one, 1000) + 0.3 * hit_margin(one)
        for rank in range(1, 30)
        for one in [ranking([rank], similarities=[0.8 - 0.01 * rank], best_other=0.75 if rank == 1 else 0.9)]
    ]
    assert all(later <= sooner for sooner, later in itertools.pairwise(earned))


def test_overlength_ramp():
    """Free up to a length, then linear, and 1 from the limit on."""
    assert [overlength(n, 8, 16) for n in (0, 8, 10, 12, 16, 99)] == [0, 0, 0.25, 0.5, 1, 1]
    with pytest.raises(InvalidInputError, match="a ramp from 16 to 16"):
        overlength(3, 16, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranks": np.array([0])}, "ranks \\[0\\]"),
        ({"ranks": np.array([11])}, "of 10 documents"),
        ({"grades": np.array([0.0])}, "grades above 0"),
        ({"ranks": np.array([], dtype=int)}, "as many each"),
        ({"similarities": np.array([np.nan], dtype=np.float32)}, "no finite number"),
        ({"best_other": math.nan}, "no finite number"),
    ],
)
def test_no_ranking(change, message):
    """What cannot be a ranking raises, and does not become a reward of zero."""
    good = {
        "ranks": np.array([1]),
        "grades": np.array([1.0]),
        "similarities": np.array([0.5], dtype=np.float32),
        "best_other": 0.0,
        "documents": 10,
    }
    Ranking(**good)
    with pytest.raises(InvalidInputError, match=message):
        Ranking(**(good | change))


REWARDS = np.array([[0.0, 1.0], [0.5, 0.5], [0.2, 0.2]])
DIRECT = np.array([0.5, 0.0, 0.2])


@pytest.mark.parametrize(
    ("weight", "expected", "is_zero"),
    [
        (0.0, [[-0.5, 0.5], [0.0, 0.0], [0.0, 0.0]], [False, True, True]),
        (1.0, [[-0.5, 0.5], [0.5, 0.5], [0.0, 0.0]], [False, False, True]),
        (0.5, [[-0.5, 0.5], [0.25, 0.25], [0.0, 0.0]], [False, False, True]),
    ],
)
def test_baselines_by_hand(weight, expected, is_zero):
    """The baseline lies between the group's mean and the direct embedding's reward."""
    advantages = group_advantages(REWARDS, DIRECT, direct_weight=weight, scaling="none")
    np.testing.assert_allclose(advantages.values, expected)
    assert advantages.is_zero.tolist() == is_zero


def test_scaling_by_hand():
    """By the deviation of the group with its direct rollout, or the size of the batch's advantages."""
    by_group = group_advantages(REWARDS, DIRECT, direct_weight=1.0, scaling="group").values
    np.testing.assert_allclose(by_group[0], [-0.5 / (1 / 6**0.5 + 1e-4), 0.5 / (1 / 6**0.5 + 1e-4)])
    by_batch = group_advantages(REWARDS, DIRECT, direct_weight=1.0, scaling="batch").values
    # -0.5, 0.5, 0.5, 0.5: the zero-advantage group does not count, nor does what queries have in common.
    np.testing.assert_allclose(by_batch[:2], np.array([[-0.5, 0.5], [0.5, 0.5]]) / (0.5 + 1e-4))
    harder = np.array([0, -9, 0])
    easier = group_advantages(REWARDS - harder[:, None], DIRECT - harder, direct_weight=1.0, scaling="batch")
    np.testing.assert_allclose(easier.values, by_batch)
    equal = group_advantages(np.ones((2, 3)), np.ones(2), direct_weight=1.0, scaling="batch")
    assert equal.is_zero.all() and not equal.values.any()


def test_without_the_direct_embedding_it_is_grpo():
    """Weight 0 and no scaling: rewards minus their group's mean, which sum to zero."""
    rewards = np.random.default_rng(0).random((5, 8))
    found = group_advantages(rewards, rewards[:, 0], direct_weight=0.0, scaling="none").values
    np.testing.assert_allclose(found, rewards - rewards.mean(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("rewards", "direct", "weight"),
    [
        (np.ones((2, 3)), np.ones(3), 0.5),
        (np.ones(3), np.ones(3), 0.5),
        (np.ones((2, 3)), np.ones(2), 1.5),
        (np.full((2, 3), np.nan), np.ones(2), 0.5),
        (np.ones((2, 3)), np.full(2, np.inf), 0.5),
    ],
)
def test_no_advantages(rewards, direct, weight):
    """Shapes that do not fit, weights out of range and rewards that are no numbers raise."""
    with pytest.raises(InvalidInputError):
        group_advantages(rewards, direct, direct_weight=weight, scaling="group")


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        ("", 0),
        ("... !", 0),
        ("femur", 0),
        ("Broken BONE", 1),
        ("bone femur, broken ulna", 0.5),
        ("bones", 0),  # other words, other tokens
    ],
)
def test_copied_share_counts_the_words_of_the_query(thought, expected):
    assert copied_share(thought, "a broken bone") == expected
