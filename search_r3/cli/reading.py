"""Reading input files for a command, with malformed lines reported and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.cli.console import note
from search_r3.errors import InvalidInputError
from search_r3.retrieval.documents import Document, LeftOut, MalformedLine, read_documents, read_queries

_SHOWN = 10


@dataclass(frozen=True)
class Reading:
    """What files or a folder gave.

    Attributes:
        items: The documents or queries.
        malformed: Number of lines that gave none.
        unread: Number of files of documents that were left out.
    """

    items: list[Document]
    malformed: int
    unread: int


def read_files(
    sources: Sequence[Path],
    *,
    strict: bool,
    id_field: str | None,
    text_field: str | None,
    as_queries: bool = False,
) -> Reading:
    """Read all documents, or queries, of files or a folder; report what is not read on standard error.

    Raises:
        InvalidInputError: If nothing readable is left, or if ``strict`` and a line is malformed.
    """
    items: list[Document] = []
    malformed: list[MalformedLine] = []
    left_out: list[LeftOut] = []
    read = read_queries if as_queries else read_documents
    source = sources[0] if len(sources) == 1 else sources
    for item in read(source, id_field=id_field, text_field=text_field):
        if isinstance(item, MalformedLine):
            malformed.append(item)
        elif isinstance(item, LeftOut):
            left_out.append(item)
        else:
            items.append(item)
    name = ", ".join(map(str, sources))
    _show([f"left out: {one.source}: {one.reason}" for one in left_out])
    unread = sum(one.has_documents for one in left_out)
    if unread and strict:
        raise InvalidInputError(
            f"{unread} files of documents in {name} are not read; nothing was done (--strict)."
        )
    _show([f"{bad.source}:{bad.line}: {bad.reason}" for bad in malformed])
    if malformed and strict:
        raise InvalidInputError(f"{len(malformed)} malformed lines in {name}; nothing was done (--strict).")
    if malformed:
        note(f"skipped {len(malformed)} malformed lines; {len(items)} documents are fine")
    if not items and malformed:
        raise InvalidInputError(
            f"Got {name}, in which every line is malformed, wanted documents. Other names of "
            "fields are given with --id-field and --text-field."
        )
    if not items:
        raise InvalidInputError(f"{name} holds no document.")
    return Reading(items, len(malformed), unread)


def _show(lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        note(line)
    if len(lines) > _SHOWN:
        note(f"... and {len(lines) - _SHOWN} more")
