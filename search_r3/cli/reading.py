"""Reading input files for a command, with malformed lines reported and counted."""

from __future__ import annotations

from pathlib import Path

from search_r3.cli.loading import messages
from search_r3.errors import InvalidInputError
from search_r3.retrieval.documents import Document, MalformedLine, read_documents, read_queries

_SHOWN = 10


def read_file(
    path: Path, *, strict: bool, id_field: str | None, text_field: str | None, as_queries: bool = False
) -> list[Document]:
    """Read all documents, or queries, of a file or folder; report malformed lines on standard error.

    Raises:
        InvalidInputError: If nothing readable is left, or if ``strict`` and a line is malformed.
    """
    documents: list[Document] = []
    malformed: list[MalformedLine] = []
    read = read_queries if as_queries else read_documents
    for item in read(path, id_field=id_field, text_field=text_field):
        if isinstance(item, MalformedLine):
            malformed.append(item)
        else:
            documents.append(item)
    for bad in malformed[:_SHOWN]:
        messages.print(f"{bad.source}:{bad.line}: {bad.reason}", markup=False)
    if len(malformed) > _SHOWN:
        messages.print(f"... and {len(malformed) - _SHOWN} more")
    if malformed and strict:
        raise InvalidInputError(f"{len(malformed)} malformed lines in {path}; nothing was done (--strict).")
    if malformed:
        messages.print(
            f"skipped {len(malformed)} malformed lines; {len(documents)} documents are fine", markup=False
        )
    if not documents and malformed:
        raise InvalidInputError(
            f"Got {path}, in which every line is malformed, wanted documents. Other names of "
            "fields are given with --id-field and --text-field."
        )
    if not documents:
        raise InvalidInputError(f"{path} holds no document.")
    return documents
