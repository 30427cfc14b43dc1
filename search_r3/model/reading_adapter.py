"""A LoRA adapter that is on only while a query reads passages.

Documents, and queries that read nothing, are embedded by the model's own weights. So a model can learn to
read without changing any other vector, and no index has to be built again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn

from search_r3.errors import ModelError

READING_FILE = "reading_adapter.safetensors"
"""The factors, inside a saved model."""

_is_reading: ContextVar[bool] = ContextVar("is_reading", default=False)


class ReadingAdapter(nn.Module):
    """Adds B A x to the outputs of linear layers, where x is their input, inside :meth:`on`.

    Its factors are no part of the model's state, but are moved and cast with it.

    Args:
        language_model: The LLM; hooks are put on its layers.
        factors: For each layer ``<name>.a`` of shape (rank, inputs) and ``<name>.b`` of shape (outputs,
            rank), in which the adapter's scale is contained.

    Raises:
        ModelError: The LLM has no such linear layer, or one of another shape, or a factor is missing.
    """

    def __init__(self, language_model: Any, factors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        layers = dict(language_model.named_modules())
        self._names = sorted({name.rpartition(".")[0] for name in factors})
        self._digests: dict[torch.dtype, str] = {}
        self._hooks: list[Any] = []
        for number, name in enumerate(self._names):
            layer, a, b = layers.get(name), factors.get(f"{name}.a"), factors.get(f"{name}.b")
            weight = getattr(layer, "weight", None)
            shape = tuple(getattr(weight, "shape", ()))
            if a is None or b is None or shape != (len(b), a.shape[-1]) or a.shape[0] != b.shape[-1]:
                raise ModelError(
                    f"The reading adapter does not fit this model: it has no such layer as {name}."
                )
            self.register_buffer(f"a{number}", a, persistent=False)
            self.register_buffer(f"b{number}", b, persistent=False)
            assert layer is not None
            self._hooks.append(layer.register_forward_hook(_Update(self, number)))

    @property
    def factors(self) -> dict[str, torch.Tensor]:
        """The factors, as they were given."""
        found = {}
        for number, name in enumerate(self._names):
            found[f"{name}.a"], found[f"{name}.b"] = self.pair(number)
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of the factors in their type: 64 hexadecimal digits."""
        kind = self.pair(0)[0].dtype
        if kind not in self._digests:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.factors.items()):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
            self._digests[kind] = digest.hexdigest()
        return self._digests[kind]

    def pair(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The two factors of a layer."""
        return self.get_buffer(f"a{number}"), self.get_buffer(f"b{number}")

    def remove(self) -> None:
        """Take the hooks off the LLM."""
        for hook in self._hooks:
            hook.remove()

    @contextmanager
    def on(self, is_on: bool) -> Iterator[None]:
        """Switch it on in this thread, or off, for as long as the block runs."""
        token = _is_reading.set(is_on)
        try:
            yield
        finally:
            _is_reading.reset(token)


class _Update:
    """The hook of a layer."""

    def __init__(self, adapter: ReadingAdapter, number: int) -> None:
        self._adapter, self._number = adapter, number

    def __call__(self, layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> Any:
        if not _is_reading.get():
            return None
        a, b = (factor.to(inputs[0].dtype) for factor in self._adapter.pair(self._number))
        return output + nn.functional.linear(nn.functional.linear(inputs[0], a), b)
