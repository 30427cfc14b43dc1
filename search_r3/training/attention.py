"""Which attention a run computes with: PyTorch's fused one is slow on a CPU when texts are short."""

from __future__ import annotations

from typing import Any

import torch

from search_r3.training.packing import ROW_TOKENS

_LONGEST_FOR_EAGER = ROW_TOKENS
"""In tokens. A training step of SmolLM2-135M on two cores: 5.2 s instead of 6.5 s for 128 texts of 24 tokens,
13.3 s instead of 16.3 s for 128 texts of 64. The backward pass of the fused attention takes the difference.
Plain attention keeps its weights, whose number grows with the square of the length."""


def choose_attention(language_model: Any, device: torch.device, longest: int) -> int:
    """Take plain attention on a CPU for short texts, in place; elsewhere the model stays as it is.

    Both compute the same function, so a run may go on with the other one.

    Args:
        language_model: A causal LM of transformers.
        device: Where it will be trained.
        longest: Tokens of the longest sequence.

    Returns:
        How many attention weights are kept for a token and a head: the tokens of a packed row, or 0 for fused
        attention.
    """
    if device.type != "cpu" or longest > _LONGEST_FOR_EAGER:
        return 0
    language_model.set_attn_implementation("eager")
    return ROW_TOKENS
