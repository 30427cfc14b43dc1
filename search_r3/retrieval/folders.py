"""What a folder of documents holds: text files, files of records, and what is left out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

TEXT_SUFFIXES = (".txt", ".md", ".rst")
RECORD_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
"""Suffixes of files with many documents; all but Parquet files may also end in ``.gz``."""


@dataclass(frozen=True)
class LeftOut:
    """A part of a folder that is not read.

    Attributes:
        source: Its path.
        reason: Why, and what to do to have it read.
        has_documents: Whether it is a file of documents, so that a corpus may be incomplete without it.
    """

    source: str
    reason: str
    has_documents: bool = False


@dataclass
class FolderContents:
    """The files of a folder at any depth, by their path relative to it.

    Attributes:
        texts: Files that are one document each.
        records: Files of many documents each.
        left_out: Hidden files and folders, and links to folders that are read already.
    """

    texts: dict[str, Path] = field(default_factory=dict)
    records: dict[str, Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def record_suffix(path: Path) -> str:
    """The suffix that says how a file of records is read; that of ``a.csv.gz`` is ``.csv``."""
    suffix = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if suffix == ".gz" and inner != ".parquet" else suffix


def folder_contents(folder: Path) -> FolderContents:
    """Walk a folder; links to folders are followed, each folder is read once.

    Folders that are really there come before links to them, so that a link never changes an id. Names that
    begin with a dot are hidden, as for shells and version control: ``.git`` is no part of a corpus.
    """
    found = FolderContents()
    seen = {folder.resolve()}
    pending: list[Path] = [folder]
    links: list[Path] = []
    while pending or links:
        if pending:
            here = pending.pop()
        else:
            here = links.pop(0)
            if here.resolve() in seen:
                found.left_out.append(LeftOut(str(here), "a link to a folder that is read already"))
                continue
            seen.add(here.resolve())
        for path in sorted(here.iterdir()):
            if path.name.startswith(".") and (path.is_dir() or _is_known(path)):
                found.left_out.append(
                    LeftOut(str(path), "hidden (its name begins with a dot); name it to read it")
                )
            elif path.is_dir() and path.is_symlink():
                links.append(path)
            elif path.is_dir():
                seen.add(path.resolve())
                pending.append(path)
            else:
                _sort(path, path.relative_to(folder).as_posix(), found)
    return found


def _sort(path: Path, name: str, found: FolderContents) -> None:
    """Put a file where it belongs; files of other kinds are no part of a corpus."""
    if path.suffix.lower() in TEXT_SUFFIXES:
        found.texts[name] = path
    elif record_suffix(path) in RECORD_SUFFIXES:
        found.records[name] = path
    elif path.suffix.lower() == ".gz" and _is_known(path.with_suffix("")):
        found.left_out.append(LeftOut(str(path), "packed; unpack it to have it read", True))


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in TEXT_SUFFIXES or record_suffix(path) in RECORD_SUFFIXES
