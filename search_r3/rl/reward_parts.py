"""The reward of a rollout: weighted parts, which are logged one by one and added up."""

from __future__ import annotations

from search_r3.rl.grpo_config import RewardConfig
from search_r3.rl.rewards import RETRIEVAL_REWARDS, Ranking, hit_margin, overlength

REWARD_PARTS = ("retrieval", "margin", "unfinished", "overlength", "tokens", "copied")
"""Names of the parts, in the order of the log's columns."""


def reward_parts(
    config: RewardConfig,
    ranking: Ranking,
    *,
    thought_tokens: int,
    max_thought_tokens: int,
    is_finished: bool,
    copied: float,
) -> dict[str, float]:
    """Compute the reward of one rollout.

    Args:
        config: Weights and constants.
        ranking: Ranks of the relevant documents for the rollout's embedding.
        thought_tokens: Length of its thought, from 0 to ``max_thought_tokens``.
        max_thought_tokens: Longest thought.
        is_finished: Whether the policy ended the thought itself, or there is none.
        copied: Share of the thought's words that the query has already, in [0, 1].

    Returns:
        Every part of ``REWARD_PARTS`` times its weight; penalties are 0 or less.

    Raises:
        InvalidInputError: ``config.overlength`` is above 0, and ``config.free_tokens`` is not below
            ``max_thought_tokens``.
    """
    too_long = 0.0
    if config.overlength:
        too_long = overlength(thought_tokens, config.free_tokens, max_thought_tokens)
    return {
        "retrieval": RETRIEVAL_REWARDS[config.retrieval](ranking, config.cutoff or ranking.documents),
        "margin": config.margin * hit_margin(ranking),
        "unfinished": -config.unfinished * (not is_finished),
        "overlength": -config.overlength * too_long,
        "tokens": -config.token * thought_tokens,
        "copied": -config.copied * copied,
    }
