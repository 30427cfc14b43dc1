"""The parts of a rollout's reward and their weights, by hand."""

import numpy as np
import pytest

from search_r3.errors import InvalidInputError
from search_r3.rl.grpo_config import RewardConfig
from search_r3.rl.reward_parts import REWARD_PARTS, reward_parts
from search_r3.rl.rewards import Ranking

# One relevant document at rank 3 of 16; its similarity is 0.25 above the other that margin looks at.
RANKING = Ranking(np.array([3]), np.array([1.0]), np.array([0.75], dtype=np.float32), 0.5, 16)


def parts(config, ranking=RANKING, *, tokens=0, finished=True, copied=0.0):
    return reward_parts(
        RewardConfig(**config),
        ranking,
        thought_tokens=tokens,
        max_thought_tokens=12,
        is_finished=finished,
        copied=copied,
    )


def test_every_part_by_hand():
    """Each part is its own value times its own weight, and no weight is applied to another part."""
    config = {
        "retrieval": "dcg", "margin": 0.2, "unfinished": 0.5, "overlength": 0.4, "free_tokens": 4,
        "token": 0.01, "copied": 0.3,
    }  # fmt: skip
    found = parts(config, tokens=10, finished=False, copied=0.5)
    assert tuple(found) == REWARD_PARTS
    assert found == pytest.approx(
        {
            "retrieval": 0.5,  # 1 / log2(3 + 1)
            "margin": 0.05,  # 0.2 x (0.75 - 0.5)
            "unfinished": -0.5,
            "overlength": -0.3,  # 0.4 x (10 - 4) / (12 - 4)
            "tokens": -0.1,  # 0.01 x 10
            "copied": -0.15,  # 0.3 x 0.5
        }
    )


def test_penalties_are_off_unless_asked_for():
    """By default a long, cut and copied thought costs nothing; only retrieval and margin earn."""
    found = parts({}, tokens=12, finished=False, copied=1.0)
    assert found == pytest.approx(dict.fromkeys(REWARD_PARTS, 0.0) | {"retrieval": 0.5, "margin": 0.3 * 0.25})


def test_a_finished_thought_has_no_penalty_of_its_end():
    """The penalty is for a thought that the budget cut, whatever its length."""
    assert parts({"unfinished": 0.5}, tokens=12)["unfinished"] == 0
    assert parts({"unfinished": 0.5}, tokens=1, finished=False)["unfinished"] == -0.5


@pytest.mark.parametrize(
    ("retrieval", "cutoff", "expected"),
    [
        ("dcg", None, 0.5),
        ("dcg", 3, 0.5),
        ("dcg", 2, 0.0),  # rank 3 is beyond the cut-off
        ("log_rank", None, 1 - np.log(3) / np.log(16)),  # the corpus has 16 documents
        ("log_rank", 9, 0.5),  # 1 - log 3 / log 9
        ("log_rank", 2, 0.0),
        ("hit_blend", None, 2 / 3),
    ],
)
def test_the_cutoff_is_the_corpus_unless_it_is_set(retrieval, cutoff, expected):
    """A rank at the cut-off or beyond earns nothing; without one the corpus is the limit."""
    assert parts({"retrieval": retrieval, "cutoff": cutoff})["retrieval"] == pytest.approx(expected)


def test_a_ramp_without_a_range_raises():
    """A penalty of length needs thoughts that are longer than the free ones; without the penalty none is."""
    with pytest.raises(InvalidInputError, match="a ramp from 12 to 12"):
        parts({"overlength": 0.1, "free_tokens": 12})
    assert parts({"free_tokens": 12})["overlength"] == 0
