"""A LoRA adapter on disk, and merging it into the model it was trained on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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


def require_adapter(folder: str | os.PathLike[str]) -> None:
    """Check that a folder holds an adapter.

    Raises:
        ModelError: It does not.
    """
    if missing := [name for name in ADAPTER_FILES if not (Path(folder) / name).is_file()]:
        raise ModelError(f"{folder} lacks {missing}: it holds no adapter.")
