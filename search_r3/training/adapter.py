"""LoRA through peft: put on for training, merged into plain weights afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.evaluation.arms import thinking_module
from search_r3.model import SentenceTransformer
from search_r3.training.config import AdapterConfig

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
"""What a saved adapter consists of."""


def add_adapter(model: SentenceTransformer, config: AdapterConfig) -> None:
    """Put a new LoRA adapter on the model's LLM, in place; everything else is frozen.

    Raises:
        InvalidOptionError: The LLM has no layer of some name, or fewer layers than ``first_layer``.
    """
    module = thinking_module(model)
    language_model: Any = module.model
    layers = language_model.config.get_text_config().num_hidden_layers
    if config.first_layer >= layers:
        raise InvalidOptionError(f"Got first_layer={config.first_layer}, wanted less than {layers}.")
    names = {name.rpartition(".")[2] for name, _ in language_model.named_modules()}
    if missing := sorted(set(config.targets) - names):
        raise InvalidOptionError(
            f"Got targets {missing}, which {type(language_model).__name__} does not have."
        )
    tokens = [module.prompt_encoder.embed_token_id] if config.train_embed_token else None
    language_model.add_adapter(
        LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,  # type: ignore[arg-type]  # declared as int, used as a number
            lora_dropout=config.dropout,
            target_modules=list(config.targets),
            layers_to_transform=list(range(config.first_layer, layers)) if config.first_layer else None,
            trainable_token_indices=tokens,
        )
    )
    for weights in language_model.parameters():
        if weights.requires_grad:  # small, and half precision would round small updates away
            weights.data = weights.data.float()


def merge_adapter(model: SentenceTransformer, folder: Path) -> SentenceTransformer:
    """Merge a saved adapter into the model it was trained on, in place and in the model's own dtype.

    Args:
        model: The base, freshly loaded, without an adapter.
        folder: Holds ``ADAPTER_FILES``.

    Raises:
        ModelError: The folder holds no adapter, or one that does not fit.
    """
    if missing := [name for name in ADAPTER_FILES if not (folder / name).is_file()]:
        raise ModelError(f"{folder} lacks {missing}: it holds no adapter.")
    module = thinking_module(model)
    language_model: Any = module.model
    try:
        merged = PeftModel.from_pretrained(language_model, str(folder)).merge_and_unload(safe_merge=True)
    except (RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"The adapter in {folder} does not fit this model: {error}") from error
    module.model = merged
    return model


def trainable_parameters(model: torch.nn.Module) -> int:
    """Count the weights that training changes."""
    return sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
