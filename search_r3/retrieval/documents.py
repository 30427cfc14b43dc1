"""Reading a corpus or a query file for the command line, one document at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.json_lines import id_value, text_value
from search_r3.retrieval.records import (
    ID_FIELDS,
    TEXT_FIELDS,
    FieldNames,
    MalformedLine,
    Record,
    choose_field_names,
    csv_records,
    folder_records,
    json_records,
    parquet_records,
    text_line_records,
)
from search_r3.text import TITLE_FIELD, join_title

__all__ = ["Document", "MalformedLine", "read_documents", "read_queries"]


@dataclass(frozen=True)
class Document:
    """One document or query to embed.

    Attributes:
        doc_id: Its id, unique in its file or folder.
        text: The text that is embedded: of a document as :func:`search_r3.text.join_title` gives it.
    """

    doc_id: str
    text: str


class _MalformedRecordError(Exception):
    """A record cannot be a document; the message is the reason."""


def read_documents(
    path: Path, *, id_field: str | None = None, text_field: str | None = None
) -> Iterator[Document | MalformedLine]:
    """Read the documents of a file or folder in order; of all it has read, only the ids stay in memory.

    The kind is told by the suffix:

    - ``.jsonl``, ``.ndjson``: one JSON object per line; blank lines are skipped.
    - ``.csv``, ``.tsv``: one document per row below a header row, quoted as Python's csv module does; blank
      lines are skipped.
    - ``.parquet``: one document per row.
    - ``.txt``: one text per line, whose id is the line number.
    - A folder: one document per ``.txt``, ``.md`` and ``.rst`` file at any depth, sorted by its id, which is
      its path relative to the folder.

    The id is the field ``_id``, ``id`` or ``doc_id``, the text is ``text``, ``contents``, ``content`` or
    ``body``: the first of these names that the first document has, for the whole file. A ``title`` is put
    before the text by :func:`search_r3.text.join_title`, which also strips outer whitespace. Without an id
    field, ids are line numbers (in a Parquet file: row numbers).

    Args:
        path: The file or folder.
        id_field: Name of the field with the id, instead of the names above.
        text_field: Name of the field with the text, instead of the names above.

    Yields:
        A document, or what is wrong with the line that should have been one. No record is left out silently.

    Raises:
        InvalidInputError: The path does not exist or is of no known kind, a folder holds no text file, a
            Parquet file is not readable, or a table lacks a column for the texts or one asked for. Like the
            next error, it is raised when the first item is asked for.
        InvalidOptionError: A field name is given for texts that have no fields (``.txt`` or a folder).
    """
    yield from _documents(_records(path, id_field, text_field), id_field, text_field, _document_text)


def read_queries(
    path: Path, *, id_field: str | None = None, text_field: str | None = None
) -> Iterator[Document | MalformedLine]:
    """Read the queries of a file or folder; like :func:`read_documents`, but texts stay as they are.

    A title is not read, and no whitespace is stripped: mteb and BEIR do neither to a query.
    """
    yield from _documents(_records(path, id_field, text_field), id_field, text_field, _query_text)


def _records(path: Path, id_field: str | None, text_field: str | None) -> Iterator[Record | MalformedLine]:
    """Choose the reader for the path's kind."""
    suffix = path.suffix.lower()
    if not path.exists():
        raise InvalidInputError(
            f"got {path}, which does not exist; wanted a file or folder; check the path", path
        )
    if path.is_dir() or suffix == ".txt":
        if id_field is not None or text_field is not None:
            raise InvalidOptionError(
                f"got a field name for {path}, whose texts have no fields; wanted none; leave it out"
            )
        return folder_records(path) if path.is_dir() else text_line_records(path)
    if suffix in (".jsonl", ".ndjson"):
        return json_records(path)
    if suffix in (".csv", ".tsv"):
        return csv_records(path, "," if suffix == ".csv" else "\t", id_field, text_field)
    if suffix == ".parquet":
        return parquet_records(path, id_field, text_field)
    raise InvalidInputError(
        f"got {path} with the unknown suffix {path.suffix!r}; wanted .jsonl, .ndjson, .csv, .tsv, "
        ".parquet, .txt or a folder of text files; convert or rename the file",
        path,
    )


def _documents(
    records: Iterable[Record | MalformedLine],
    id_field: str | None,
    text_field: str | None,
    text_of: Callable[[dict[str, Any], str], str],
) -> Iterator[Document | MalformedLine]:
    """Turn records into documents with unique ids; the first one with a text field decides on the names."""
    names: FieldNames | None = None
    line_of_id: dict[str, int] = {}
    for record in records:
        if isinstance(record, MalformedLine):
            yield record
            continue
        try:
            names = names or choose_field_names(record.fields, id_field, text_field)
            document = _document(record, names, text_of)
            if document.doc_id in line_of_id:
                raise _MalformedRecordError(
                    f"the id {document.doc_id!r} is already on line {line_of_id[document.doc_id]}; "
                    "give every document its own id"
                )
        except _MalformedRecordError as error:
            yield MalformedLine(record.source, record.line, str(error))
        else:
            line_of_id[document.doc_id] = record.line
            yield document


def _document(
    record: Record, names: FieldNames | None, text_of: Callable[[dict[str, Any], str], str]
) -> Document:
    """Check the record's fields and make a document of them."""
    fields = record.fields
    if names is None or names.text not in fields:
        wanted = " or ".join(map(repr, TEXT_FIELDS if names is None else [names.text]))
        raise _MalformedRecordError(
            f"no text field: got {list(fields)}, wanted {wanted}; add it, or say which field it is"
        )
    text = text_of(fields, names.text)
    return Document(doc_id=_doc_id(record, names), text=text)


def _document_text(fields: dict[str, Any], text_field: str) -> str:
    """The text of a document, with its title unless that is the text itself."""
    text = _string(fields, text_field)
    # An absent title and a null one mean the same: there is none.
    has_title = text_field != TITLE_FIELD and fields.get(TITLE_FIELD) is not None
    return join_title(_string(fields, TITLE_FIELD) if has_title else None, text)


def _query_text(fields: dict[str, Any], text_field: str) -> str:
    """The text of a query."""
    return _string(fields, text_field)


def _doc_id(record: Record, names: FieldNames) -> str:
    """Return the record's id: its id field, or its line number where the file has no id field."""
    if names.doc_id is None:
        late = next((name for name in ID_FIELDS if name in record.fields), None)
        if late is not None:
            # Taking it, or leaving it, would mix two kinds of ids without a word.
            raise _MalformedRecordError(
                f"an id in the field {late!r}, but the file's first document has none; give all ids or none"
            )
        return str(record.line)
    try:
        return id_value(record.fields, names.doc_id)
    except InvalidInputError as error:
        raise _MalformedRecordError(error.reason) from error


def _string(fields: dict[str, Any], name: str) -> str:
    """Return a field's value if it is a string of valid Unicode."""
    try:
        return text_value(fields, name)
    except InvalidInputError as error:
        raise _MalformedRecordError(error.reason) from error
