"""The policy's hidden states, taken from the pass that computes its loss: no second pass."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch.nn import functional

from search_r3.errors import ModelError


class CapturedStates:
    """Keeps the backbone's last hidden states while it is entered.

    Args:
        language_model: A causal LM, with adapters in its layers or without.
    """

    def __init__(self, language_model: Any) -> None:
        self._decoder = language_model.get_decoder()
        self._found: list[torch.Tensor] = []
        self._hook: Any = None

    def __enter__(self) -> CapturedStates:
        self._hook = self._decoder.register_forward_hook(
            lambda _module, _inputs, output: self._found.append(output.last_hidden_state)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()

    def unit_vectors(self, positions: torch.Tensor) -> torch.Tensor:
        """The state at one position of each sequence, scaled to unit length, with its gradient.

        Args:
            positions: Index of a token in each padded sequence, shape (B,).

        Returns:
            Shape (B, D), float32.

        Raises:
            ModelError: The backbone was not run exactly once.
        """
        if len(self._found) != 1:
            raise ModelError(f"The backbone ran {len(self._found)} times where one pass was expected.")
        [states] = self._found
        rows = torch.arange(len(positions), device=states.device)
        return functional.normalize(states[rows, positions].float(), dim=1)
