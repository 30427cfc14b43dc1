"""LoRA through peft, put on for training; :mod:`search_r3.model.adapter` merges it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from search_r3.errors import InvalidOptionError
from search_r3.files import file_sha256
from search_r3.model.adapter import ADAPTER_FILES, require_adapter
from search_r3.model.sentence_transformer import SearchR3
from search_r3.training.run_config import AdapterConfig


def add_adapter(model: SearchR3, config: AdapterConfig) -> None:
    """Put a LoRA adapter on the model's LLM, in place; everything else is frozen.

    The adapter is a new one, which changes nothing yet, or has the weights of ``config.start``.

    Raises:
        InvalidOptionError: The LLM has no layer of some name, or fewer layers than ``first_layer``; or the
            adapter to start from was made otherwise.
        ModelError: There is no adapter to start from.
    """
    module = model.reasoning_module
    language_model: Any = module.model
    tokens = [module.prompt_encoder.embed_token_id] if config.train_embed_token else None
    language_model.add_adapter(lora_config(language_model, config, tokens))
    for weights in language_model.parameters():
        if weights.requires_grad:  # small, and half precision would round small updates away
            weights.data = weights.data.float()
    if config.start is not None:
        require_adapter(config.start)
        saved = PeftConfig.from_pretrained(str(config.start))
        for name, wanted in (("r", config.rank), ("lora_alpha", config.alpha)):
            if (got := getattr(saved, name, None)) != wanted:
                raise InvalidOptionError(
                    f"The adapter in {config.start} has {name}={got}, the configuration {wanted}."
                )
        load_adapter_weights(model, config.start)


def lora_config(language_model: Any, config: AdapterConfig, tokens: list[int] | None = None) -> LoraConfig:
    """Describe an adapter to peft.

    Args:
        language_model: The causal LM that gets it.
        config: The adapter.
        tokens: Rows of the embedding matrix that are trained as well.

    Raises:
        InvalidOptionError: The LLM has no layer of some name, or fewer layers than ``first_layer``.
    """
    layers = language_model.config.get_text_config().num_hidden_layers
    if config.first_layer >= layers:
        raise InvalidOptionError(f"Got first_layer={config.first_layer}, wanted less than {layers}.")
    names = {name.rpartition(".")[2] for name, _ in language_model.named_modules()}
    if missing := sorted(set(config.targets) - names):
        raise InvalidOptionError(
            f"Got targets {missing}, which {type(language_model).__name__} does not have."
        )
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # declared as int, used as a number
        lora_dropout=config.dropout,
        target_modules=list(config.targets),
        layers_to_transform=list(range(config.first_layer, layers)) if config.first_layer else None,
        trainable_token_indices=tokens,
    )


def load_adapter_weights(model: SearchR3, folder: Path) -> None:
    """Read a saved adapter's weights into the adapter that is on the model.

    Raises:
        InvalidOptionError: They are of other layers, or of another model.
    """
    language_model: Any = model.reasoning_module.model
    weights = {
        name.removeprefix("base_model.model."): values
        for name, values in load_file(folder / ADAPTER_FILES[1]).items()
    }
    here = get_peft_model_state_dict(language_model)
    if differing := sorted(set(here) ^ set(weights)):
        raise InvalidOptionError(
            f"The adapter in {folder} is of other layers: {len(differing)} weights are in one of "
            f"the two only, for example {differing[0]}."
        )
    try:
        set_peft_model_state_dict(language_model, weights)
    except RuntimeError as error:
        raise InvalidOptionError(f"The adapter in {folder} is of another model: {error}") from error


@contextmanager
def without_input_casts(model: Any, active: bool) -> Iterator[None]:
    """Let adapters take their inputs as they are, for as long as autocast sees to their types.

    In mixed precision a layer's adapter casts its input to float32, and autocast casts it back: the same
    values, for a tenth of a training step. (peft's own switch fails on layers of trainable tokens.)

    Args:
        model: A model with a peft adapter, or without.
        active: Whether to do so; without autocast the types would not fit.
    """
    layers = [layer for layer in model.modules() if getattr(layer, "cast_input_dtype_enabled", False)]
    try:
        for layer in layers if active else ():
            layer.cast_input_dtype_enabled = False
        yield
    finally:
        for layer in layers:
            layer.cast_input_dtype_enabled = True


def hash_of_start(config: AdapterConfig | None) -> str | None:
    """SHA-256 of the weights of the adapter that a run goes on with; None if it starts a new one."""
    if config is None or config.start is None:
        return None
    return file_sha256(config.start / ADAPTER_FILES[1])


def trainable_parameters(model: torch.nn.Module) -> int:
    """Count the weights that training changes."""
    return sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
