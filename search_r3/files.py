"""Files and folders that appear whole or not at all, and the SHA-256 of files.

Everything is written under a temporary name beside its target, brought to the disk (fsync), and renamed. An
exception removes what was written. A kill or a power cut leaves the old content or the new one, and at most a
leftover: a hidden file or folder ``.part-<8 hexadecimal digits>-<name of the target>``, which no other writer
uses. Folders that are missing are made.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# A temporary folder may itself be the target of another writer, hence one prefix or more.
_LEFTOVER = re.compile(r"(?:\.part-[0-9a-f]{8}-)+(?P<name>.+)", re.DOTALL)
# Windows has no O_DIRECTORY: a folder cannot be opened there, and fsync needs a file opened for writing.
_OWNER_ONLY = 0o600  # what safetensors gives its files
_SYNCS_FOLDERS = hasattr(os, "O_DIRECTORY")


def write_bytes(path: Path, data: bytes) -> None:
    """Make these bytes the content of a file, atomically and durably."""
    with atomic_path(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Make this text the content of a file, in UTF-8 and with its newlines as they are; see write_bytes."""
    write_bytes(path, text.encode())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a stream of texts, one after the other, as write_text would write them joined.

    Args:
        path: The file.
        lines: Each with its own newline. If it raises, the file keeps its old content.
    """
    with atomic_path(path) as part, part.open("x", encoding="utf-8", newline="\n") as stream:
        stream.writelines(lines)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file at; at the end of the block the file becomes ``path``, durably.

    For libraries that write to a path. The temporary path is in the same folder and has the same suffix, and
    nothing is there yet. The file gets the permissions of an ordinary new file (0666 less the umask).

    Args:
        path: The file to write; its old content stays until the new one is complete on the disk.

    Raises:
        FileNotFoundError: The block wrote nothing at the temporary path.
        OSError: Writing or renaming failed; ``path`` has its old content. If only the last step failed, the
            fsync of the folder, it may have the new one.
    """
    _make_folder(path.parent)
    part = _beside(path)
    try:
        part.touch(exist_ok=False)
        mode = part.stat().st_mode
        part.unlink()  # a block that writes elsewhere must fail, and not leave an empty file
        yield part
        if part.stat().st_mode != mode:
            part.chmod(mode)  # safetensors writes files that only their owner may read
        sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary path to make a folder at; at the end of the block it becomes ``path``, durably.

    Nothing is at the temporary path yet. All files inside reach the disk before the folder is renamed. Those
    that only their owner may read and write get the permissions of an ordinary new file.

    Args:
        path: The folder.
        replace: Whether ``path`` may exist. It is then removed just before the new folder is renamed; a kill
            between the two leaves none.

    Raises:
        FileExistsError: ``path`` exists, at the start or the end of the block, and ``replace`` is false.
        FileNotFoundError: The block made nothing at the temporary path.
    """
    taken = f"{path} exists, and a folder is never overwritten: remove it, or choose another."
    if not replace and path.exists():
        raise FileExistsError(taken)
    _make_folder(path.parent)
    part = _beside(path)
    try:
        yield part
        mode = _mode_of_a_new_file(part)
        for inside in part.rglob("*"):
            if inside.is_symlink():
                continue
            if inside.is_file() and stat.S_IMODE(inside.stat().st_mode) == _OWNER_ONLY:
                inside.chmod(mode)
            sync(inside)
        sync(part)
        if replace and path.exists():
            shutil.rmtree(path)
        try:
            part.rename(path)
        except OSError as error:
            if path.exists():
                raise FileExistsError(taken) from error
            raise
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync(path.parent)


def _mode_of_a_new_file(folder: Path) -> int:
    probe = folder / f".mode-{secrets.token_hex(4)}"
    probe.touch(exist_ok=False)
    try:
        return stat.S_IMODE(probe.stat().st_mode)
    finally:
        probe.unlink()


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers left in a folder.

    The caller must be the only writer: the temporary files of one that is at work are removed too.

    Args:
        folder: A folder, not those inside of it.
        name: Name of the target whose leftovers are removed; None for every target.
    """
    for path in folder.iterdir():
        found = _LEFTOVER.fullmatch(path.name)
        if found is None or name not in (None, found["name"]):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces: 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bytes_sha256(data: bytes) -> str:
    """SHA-256 of bytes: 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(f".part-{secrets.token_hex(4)}-{path.name}")


def _make_folder(folder: Path) -> None:
    if missing := [path for path in (folder, *folder.parents) if not path.exists()]:
        folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    is_folder = path.is_dir()
    if is_folder and not _SYNCS_FOLDERS:
        return
    descriptor = os.open(path, os.O_RDONLY if _SYNCS_FOLDERS else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # The answer of a file system that has no fsync for folders, such as some network shares.
        if not is_folder or error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
