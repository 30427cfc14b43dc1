"""How much memory a run will take, before it takes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from search_r3.errors import InvalidOptionError

_PROCESS = 1.0
"""GiB of a process that has loaded the libraries and the data."""

_GIB = 2**30


@dataclass(frozen=True)
class MemoryEstimate:
    """GiB by what they are for.

    Attributes:
        weights: Weights, a frozen copy included.
        training: Gradients and the two moments of Adam.
        activations: Kept for the backward pass, at the largest batch.
        logits: Of the tokens that are learnt, at the largest batch.
    """

    weights: float
    training: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it, with the process itself."""
        return _PROCESS + self.weights + self.training + self.activations + self.logits

    def __str__(self) -> str:
        return (
            f"{self.total:.1f} GiB: weights {self.weights:.1f}, gradients and optimizer {self.training:.1f}, "
            f"activations {self.activations:.1f}, logits {self.logits:.1f}, process {_PROCESS:.1f}"
        )


def estimate_memory(
    language_model: Any,
    *,
    batch_tokens: int,
    taught_tokens: int,
    half_precision: bool,
    gradient_checkpointing: bool,
    has_frozen_copy: bool = False,
    attention_length: int = 0,
) -> MemoryEstimate:
    """Estimate the peak of a training step: a count of what must be kept, not of what allocators add.

    Args:
        language_model: A causal LM, weights to be trained marked as such.
        batch_tokens: Tokens, padding included, that are kept for the backward pass at one time.
        taught_tokens: Tokens of a batch with a next-token loss.
        half_precision: Whether activations are in 16 bits.
        gradient_checkpointing: Whether layers are computed again in the backward pass.
        has_frozen_copy: Whether a copy of the weights is kept for the divergence from the base.
        attention_length: Attention weights kept for a token and a head; fused attention keeps none.
    """
    config = language_model.config.get_text_config()
    every = list(language_model.parameters())
    trained = [weights for weights in every if weights.requires_grad]
    weights = sum(one.numel() * one.element_size() for one in every) * (2 if has_frozen_copy else 1)
    training = sum(one.numel() * (one.element_size() + 2 * one.element_size()) for one in trained)
    width = 2 if half_precision else 4
    # Per token and layer: norms, projections and residuals about 14 hidden states, the gated product 6 of
    # its own width. Adapters keep their inputs, which are among these.
    layer = width * (14 * config.hidden_size + 6 * config.intermediate_size)
    # The softmax is in float32; in half precision its product with the values keeps a copy.
    layer += (4 + (width if half_precision else 0)) * config.num_attention_heads * attention_length
    kept = width * config.hidden_size if gradient_checkpointing else layer
    activations = batch_tokens * (config.num_hidden_layers * kept + layer)
    # float32: logits, log-softmax and its gradient, and the base's.
    logits = taught_tokens * config.vocab_size * 4 * 4
    return MemoryEstimate(weights / _GIB, training / _GIB, activations / _GIB, logits / _GIB)


def require_memory(estimate: MemoryEstimate, device: torch.device) -> None:
    """Refuse a run that will not fit.

    Raises:
        InvalidOptionError: The estimate is above what is free.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0] / _GIB
    else:
        # Of several processes on this machine each sees all of it.
        free = psutil.virtual_memory().available / _GIB / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if estimate.total > free:
        raise InvalidOptionError(
            f"This run needs about {estimate}; {free:.1f} GiB are free. Lower data.batch_tokens or "
            "max_document_tokens, train an adapter, or set gradient_checkpointing=true in [trainer]."
        )
