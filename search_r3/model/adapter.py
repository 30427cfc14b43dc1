"""A LoRA adapter on disk, and what is made of it: merged into the model, or on while a query reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from search_r3.errors import ModelError
from search_r3.model.sentence_transformer import SearchR3

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
"""What a saved adapter consists of."""


def merge_adapter(model: SearchR3, folder: str | os.PathLike[str]) -> SearchR3:
    """Merge a saved adapter into the model it was trained on, in place and in the model's own dtype.

    Args:
        model: The base, freshly loaded, without an adapter.
        folder: Holds ``ADAPTER_FILES``.

    Raises:
        ModelError: The folder holds no adapter, or one that does not fit.
    """
    require_adapter(folder)
    module = model.reasoning_module
    from peft import PeftModel  # slow to import, and needed once per adapter

    language_model: Any = module.model
    try:
        merged = PeftModel.from_pretrained(language_model, str(folder)).merge_and_unload(safe_merge=True)
    except (RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"The adapter in {folder} does not fit this model: {error}") from error
    module.model = merged
    return model


def attach_reading_adapter(model: SearchR3, folder: str | os.PathLike[str]) -> SearchR3:
    """Put a saved adapter on the model it was trained on, in place, for queries that read passages.

    Args:
        model: The base, without an adapter that is not merged.
        folder: Holds ``ADAPTER_FILES``.

    Raises:
        ModelError: The folder holds no adapter, or one that does not fit.
    """
    model.reasoning_module.attach_reading(reading_factors(folder))
    return model


def reading_factors(folder: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """The factors of a saved adapter as a reading adapter has them, in half precision.

    Raises:
        ModelError: The folder holds no adapter, or one with other weights than factors.
    """
    require_adapter(folder)
    settings = json.loads((Path(folder) / ADAPTER_FILES[0]).read_text(encoding="utf-8"))
    scale = settings["lora_alpha"] / settings["r"]
    factors = {}
    for name, values in load_file(Path(folder) / ADAPTER_FILES[1]).items():
        layer, _, kind = name.removeprefix("base_model.model.").rpartition(".lora_")
        if kind not in ("A.weight", "B.weight"):
            raise ModelError(f"The adapter in {folder} has {name}, wanted factors of linear layers alone.")
        # Half precision: next to the weights the factors are small, and they are shipped.
        factors[f"{layer}.{kind[0].lower()}"] = (values if kind[0] == "A" else scale * values).half()
    return factors


def require_adapter(folder: str | os.PathLike[str]) -> None:
    """Check that a folder holds an adapter.

    Raises:
        ModelError: It does not.
    """
    if missing := [name for name in ADAPTER_FILES if not (Path(folder) / name).is_file()]:
        raise ModelError(f"{folder} lacks {missing}: it holds no adapter.")
