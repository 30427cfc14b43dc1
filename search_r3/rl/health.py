"""Signs that a policy decays: pure functions of thoughts and embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from search_r3.model.generation import last_hidden_states, next_token_logits

_PAIRS = 2000


def distinct_share(thoughts: Sequence[Sequence[int]]) -> float:
    """Distinct tokens over all tokens of a batch of thoughts, in (0, 1]; NaN if there is no token.

    It falls when all queries get the same thought. It also falls with the number of tokens: compare batches
    of the same size.
    """
    tokens = [token for thought in thoughts for token in thought]
    return len(set(tokens)) / len(tokens) if tokens else float("nan")


def repeated_share(thoughts: Sequence[Sequence[int]]) -> float:
    """Share of tokens that stood in the same thought before, in [0, 1); NaN if there is no token."""
    count = sum(len(thought) for thought in thoughts)
    return 1 - sum(len(set(thought)) for thought in thoughts) / count if count else float("nan")


def mean_pair_cosine(embeddings: NDArray[np.float32], seed: int = 0) -> float:
    """Mean cosine of random pairs of unit vectors: near 1, all embeddings have collapsed into one.

    Args:
        embeddings: Shape (N, D), N at least 2.
        seed: Seed of the pairs.
    """
    generator = np.random.default_rng(seed)
    first = generator.integers(0, len(embeddings), _PAIRS)
    second = (first + generator.integers(1, len(embeddings), _PAIRS)) % len(embeddings)
    return float((embeddings[first] * embeddings[second]).sum(axis=1).mean())


@torch.no_grad()
def thought_perplexity(
    model: torch.nn.Module, prompts: Sequence[Sequence[int]], thoughts: Sequence[Sequence[int]]
) -> float:
    """Perplexity of thoughts under a causal LM, over all of their tokens; NaN if there is none.

    Args:
        model: The policy that training started from.
        prompts: Tokens before each thought.
        thoughts: Tokens of each thought, without the embed token.
    """
    total, count = 0.0, 0
    for prompt, thought in zip(prompts, thoughts, strict=True):
        if not thought:
            continue
        input_ids = torch.tensor([[*prompt, *thought]], device=next(model.parameters()).device)
        states = last_hidden_states(model, input_ids, torch.ones_like(input_ids))  # type: ignore[arg-type]
        logits = next_token_logits(model, states[0, len(prompt) - 1 : -1])  # type: ignore[arg-type]
        total += float(functional.cross_entropy(logits, input_ids[0, len(prompt) :], reduction="sum"))
        count += len(thought)
    return float(np.exp(total / count)) if count else float("nan")
