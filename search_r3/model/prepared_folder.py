"""Folders of the cache that are prepared once, checked always and mended when damaged."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from search_r3.errors import ModelError
from search_r3.files import atomic_folder, file_sha256, remove_leftovers
from search_r3.model.golden import GOLDEN_FILE

CHECKSUMS = "checksums.json"
"""SHA-256 of every file of a prepared folder, inside it."""


def prepared_folder(target: Path, prepare: Callable[[Path], None]) -> Path:
    """Return an intact folder; ``prepare`` writes it if it is not there.

    Nothing is written if it is there: the cache may be read-only, or another user's. Processes that ask at
    the same time wait for one preparation.

    Args:
        target: The folder.
        prepare: Fills an empty folder.

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
                    (staging / CHECKSUMS).write_text(sums, encoding="utf-8")
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


def _is_intact(folder: Path) -> bool:
    try:
        sums = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sums) and all(
        (folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in sums.items()
    )
