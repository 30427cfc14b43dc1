"""Reading a corpus or a query file for the command line, one document at a time."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from search_r3.errors import InvalidInputError, InvalidOptionError

_ID_FIELDS = ("_id", "id", "doc_id")
_TEXT_FIELDS = ("text", "contents", "content", "body")
_TITLE_FIELD = "title"
_TEXT_SUFFIXES = (".txt", ".md", ".rst")
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Document:
    """One document or query to embed.

    Attributes:
        doc_id: Its id, unique in its file or folder.
        text: Its text; where the record has a title that is not empty: the title, a newline and the text.
    """

    doc_id: str
    text: str


@dataclass(frozen=True)
class MalformedLine:
    """A record that is not a document.

    Attributes:
        source: The file it stands in.
        line: Its 1-based line number, the first if it spans several; in a Parquet file, its row number.
        reason: What is wrong with it and what to do.
    """

    source: str
    line: int
    reason: str


@dataclass(frozen=True)
class _Record:
    """The named fields of one line, row or file, not checked yet."""

    source: str
    line: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class _FieldNames:
    """The fields a file's documents are made of; without an id field, the line numbers are the ids."""

    doc_id: str | None
    text: str


class _MalformedRecordError(Exception):
    """A record cannot be a document; the message is the reason."""


def read_documents(
    path: Path, *, id_field: str | None = None, text_field: str | None = None
) -> Iterator[Document | MalformedLine]:
    """Read the documents of a file or folder, in order, without holding them in memory.

    The kind is told by the suffix:
        ``.jsonl``, ``.ndjson``: one JSON object per line; blank lines are skipped.
        ``.csv``, ``.tsv``: a header row is required; cells are quoted as Python's csv module does.
        ``.parquet``: one document per row.
        ``.txt``: one text per line, whose id is the line number.
        A folder: one document per ``.txt``, ``.md`` and ``.rst`` file, at any depth, sorted by its id, which is
        its path relative to the folder.

    The id is in the field ``_id``, ``id`` or ``doc_id``, the text in ``text``, ``contents``, ``content`` or
    ``body``: the first of these names that the first document has, for the whole file. A ``title`` is put before
    the text. Without an id field, ids are line numbers.

    Args:
        path: The file or folder.
        id_field: Name of the field with the id, instead of the names above.
        text_field: Name of the field with the text, instead of the names above.

    Yields:
        A document, or what is wrong with the line that should have been one. Nothing is left out silently.

    Raises:
        InvalidInputError: The path does not exist or is of no known kind, a folder holds no text file, a Parquet
            file is not readable, or a table has no column for the texts or not the ones asked for. Raised when
            the first item is asked for.
        InvalidOptionError: Field names are given for texts without fields (``.txt`` or a folder).
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise InvalidInputError(f"got {path}, which does not exist; wanted a file or folder; check the path", path)
    if path.is_dir() or suffix == ".txt":
        if id_field is not None or text_field is not None:
            raise InvalidOptionError(
                f"got a field name for {path}, whose texts have no fields; wanted none; leave the option out"
            )
        records = _folder_records(path) if path.is_dir() else _text_line_records(path)
    elif suffix in (".jsonl", ".ndjson"):
        records = _json_records(path)
    elif suffix in (".csv", ".tsv"):
        records = _csv_records(path, "," if suffix == ".csv" else "\t", id_field, text_field)
    elif suffix == ".parquet":
        records = _parquet_records(path, id_field, text_field)
    else:
        raise InvalidInputError(
            f"got {path}, whose suffix {path.suffix!r} is not known; wanted .jsonl, .ndjson, .csv, .tsv, .parquet, "
            ".txt or a folder of text files; convert or rename the file",
            path,
        )
    yield from _documents(records, id_field, text_field)


def _documents(
    records: Iterable[_Record | MalformedLine], id_field: str | None, text_field: str | None
) -> Iterator[Document | MalformedLine]:
    """Turn records into documents with unique ids; the first one with a text decides on the field names."""
    names: _FieldNames | None = None
    line_of_id: dict[str, int] = {}
    for record in records:
        if isinstance(record, MalformedLine):
            yield record
            continue
        try:
            names = names or _field_names(record.fields, id_field, text_field)
            document = _document(record, names)
            if document.doc_id in line_of_id:
                raise _MalformedRecordError(
                    f"the id {document.doc_id!r} is already used on line {line_of_id[document.doc_id]}; "
                    "give every document its own id"
                )
        except _MalformedRecordError as error:
            yield MalformedLine(record.source, record.line, str(error))
            continue
        line_of_id[document.doc_id] = record.line
        yield document
