"""Reading a corpus or a query file for the command line, one document at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.json_lines import STANDARD_INPUT, id_value, text_value
from search_r3.retrieval.folders import (
    RECORD_SUFFIXES,
    TEXT_SUFFIXES,
    LeftOut,
    folder_contents,
    record_suffix,
)
from search_r3.retrieval.records import (
    ID_FIELDS,
    TEXT_FIELDS,
    FieldChoice,
    FieldNames,
    MalformedLine,
    Record,
    csv_records,
    json_records,
    parquet_records,
    text_file_records,
    text_line_records,
)
from search_r3.text import TITLE_FIELD, join_title

__all__ = ["Document", "LeftOut", "MalformedLine", "Source", "read_documents", "read_queries"]


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


Source = Path | str | Sequence[Path | str]
"""A file, a folder, ``-`` for JSON lines from standard input, or several files."""


def read_documents(
    source: Source, *, id_field: str | None = None, text_field: str | None = None
) -> Iterator[Document | MalformedLine | LeftOut]:
    """Read the documents of files or a folder in order; of all it has read, only the ids stay in memory.

    The kind is told by the suffix:

    - ``.jsonl``, ``.ndjson``: one JSON object per line; blank lines are skipped.
    - ``.csv``, ``.tsv``: one document per row below a header row, quoted as Python's csv module does; blank
      lines are skipped.
    - ``.parquet``: one document per row.
    - ``.txt``: one text per line, whose id is the line number.
    - A folder with ``.txt``, ``.md`` and ``.rst`` files at any depth: one document per file, sorted by its
      id, which is its path relative to the folder.
    - A folder without such files: the documents of all the files of the other kinds in it (shards), in the
      order of their paths.

    All but Parquet files may be packed with gzip (``.jsonl.gz``). Hidden files and folders are left out.

    The id is the field ``_id``, ``id`` or ``doc_id``, the text is ``text``, ``contents``, ``content`` or
    ``body``: the first of these names that the first document has, for the whole corpus. A ``title`` is put
    before the text by :func:`search_r3.text.join_title`, which also strips outer whitespace. Without an id
    field, ids are line numbers (in a Parquet file: row numbers), of several files with the file before them
    (``part-0.jsonl:7``).

    Args:
        source: The file, the folder, or several files.
        id_field: Name of the field with the id, instead of the names above.
        text_field: Name of the field with the text, instead of the names above.

    Yields:
        A document; or what is wrong with the line that should have been one; or what of a folder is not read.
        No record is left out silently.

    Raises:
        InvalidInputError: A path does not exist or is of no known kind, a folder holds no file to read, a
            Parquet or gzip file is not readable, or a table lacks a column for the texts or one asked for, or
            has it twice. Like the next error, it is raised when the first item is asked for.
        InvalidOptionError: A field name is given for texts without fields (``.txt`` or a folder of texts).
    """
    choice = FieldChoice(id_field, text_field)
    yield from _documents(_records(source, choice), choice, _document_text)


def read_queries(
    source: Source, *, id_field: str | None = None, text_field: str | None = None
) -> Iterator[Document | MalformedLine | LeftOut]:
    """Read the queries of files or a folder; like :func:`read_documents`, but texts stay as they are.

    A title is not read, and no whitespace is stripped: mteb and BEIR do neither to a query. The id may also
    be the field ``query_id`` or ``qid``, the text ``query`` or ``question``.
    """
    choice = FieldChoice(
        id_field, text_field, (*ID_FIELDS, "query_id", "qid"), (*TEXT_FIELDS, "query", "question")
    )
    yield from _documents(_records(source, choice), choice, _query_text)


def _records(source: Source, choice: FieldChoice) -> Iterator[Record | MalformedLine | LeftOut]:
    """Read the records of every file, numbered within the whole corpus."""
    if not isinstance(source, Path | str):
        files = {str(path): Path(path) for path in source}
        if len(files) != 1:
            if folders := [name for name, path in files.items() if path.is_dir()]:
                raise InvalidInputError(
                    f"got the folder {folders[0]} among several sources; wanted files, or one folder alone; "
                    "name the files of the folder",
                    files[folders[0]],
                )
            yield from _shards(files, choice)
            return
        (source,) = files.values()
    path = Path(source)
    if not path.is_dir():
        yield from _file_records(path, choice)
        return
    contents = folder_contents(path)
    yield from contents.left_out
    if contents.texts:
        _refuse_fields(path, choice)
        for name in contents.records:
            reason = "a file of records in a folder of texts; give it by its name to read it"
            yield LeftOut(str(contents.records[name]), reason, has_documents=True)
        yield from text_file_records(contents.texts)
    elif contents.records:
        _refuse_beir_folder(path, contents.records)
        yield from _shards(contents.records, choice)
    else:
        raise InvalidInputError(
            f"got the folder {path} without a file to read; wanted "
            f"{', '.join(TEXT_SUFFIXES + RECORD_SUFFIXES)} files at any depth; check the path",
            path,
        )


def _shards(files: Mapping[str, Path], choice: FieldChoice) -> Iterator[Record | MalformedLine]:
    """Read several files as one corpus; a record keeps the name of its file."""
    for name in sorted(files):
        for record in _file_records(files[name], choice):
            yield record if isinstance(record, MalformedLine) else replace(record, shard=name)


def _refuse_beir_folder(folder: Path, files: Mapping[str, Path]) -> None:
    """Refuse a folder in BEIR's format: its queries and judgements are no documents."""
    names = {name.removesuffix(".gz") for name in files}
    if {"corpus.jsonl", "queries.jsonl"} <= names:
        raise InvalidInputError(
            f"got the folder {folder} in BEIR's format; wanted its documents alone; give "
            f"{files.get('corpus.jsonl') or files['corpus.jsonl.gz']}",
            folder,
        )


def _file_records(path: Path, choice: FieldChoice) -> Iterator[Record | MalformedLine]:
    """Choose the reader for a file's kind."""
    if str(path) == STANDARD_INPUT:
        return json_records(path)
    if not path.exists():
        raise InvalidInputError(
            f"got {path}, which does not exist; wanted a file or folder; check the path", path
        )
    suffix = record_suffix(path)
    if suffix == ".txt":
        _refuse_fields(path, choice)
        return text_line_records(path)
    if suffix in (".jsonl", ".ndjson"):
        return json_records(path)
    if suffix in (".csv", ".tsv"):
        return csv_records(path, "," if suffix == ".csv" else "\t", choice)
    if suffix == ".parquet":
        return parquet_records(path, choice)
    raise InvalidInputError(
        f"got {path} with the unknown suffix {path.suffix!r}; wanted {', '.join(RECORD_SUFFIXES)}, .txt, one "
        "of these (but Parquet) with .gz behind it, or a folder; convert or rename the file",
        path,
    )


def _refuse_fields(path: Path, choice: FieldChoice) -> None:
    if choice.id_field is not None or choice.text_field is not None:
        raise InvalidOptionError(
            f"got a field name for {path}, whose texts have no fields; wanted none; leave it out"
        )


def _documents(
    records: Iterable[Record | MalformedLine | LeftOut],
    choice: FieldChoice,
    text_of: Callable[[dict[str, Any], str], str],
) -> Iterator[Document | MalformedLine | LeftOut]:
    """Turn records into documents with unique ids; the first one with a text field decides on the names."""
    names: FieldNames | None = None
    first_of_id: dict[str, tuple[str, int]] = {}
    for record in records:
        if not isinstance(record, Record):
            yield record
            continue
        try:
            names = names or choice.names(record.fields)
            document = _document(record, names, choice, text_of)
            if document.doc_id in first_of_id:
                source, line = first_of_id[document.doc_id]
                where = f"line {line}" if source == record.source else f"line {line} of {source}"
                raise _MalformedRecordError(
                    f"the id {document.doc_id!r} is already on {where}; give every document its own id"
                )
        except _MalformedRecordError as error:
            yield MalformedLine(record.source, record.line, str(error))
        else:
            first_of_id[document.doc_id] = (record.source, record.line)
            yield document


def _document(
    record: Record,
    names: FieldNames | None,
    choice: FieldChoice,
    text_of: Callable[[dict[str, Any], str], str],
) -> Document:
    """Check the record's fields and make a document of them."""
    fields = record.fields
    if names is None or names.text not in fields:
        wanted = " or ".join(map(repr, choice.known_texts if names is None else [names.text]))
        raise _MalformedRecordError(
            f"no text field: got {list(fields)}, wanted {wanted}; add it, or say which field it is"
        )
    text = text_of(fields, names.text)
    return Document(doc_id=_doc_id(record, names, choice), text=text)


def _document_text(fields: dict[str, Any], text_field: str) -> str:
    """The text of a document, with its title unless that is the text itself."""
    text = _string(fields, text_field)
    # An absent title and a null one mean the same: there is none.
    has_title = text_field != TITLE_FIELD and fields.get(TITLE_FIELD) is not None
    return join_title(_string(fields, TITLE_FIELD) if has_title else None, text)


def _query_text(fields: dict[str, Any], text_field: str) -> str:
    """The text of a query."""
    return _string(fields, text_field)


def _doc_id(record: Record, names: FieldNames, choice: FieldChoice) -> str:
    """Return the record's id: its id field, or its line number where the file has no id field."""
    if names.doc_id is None:
        late = next((name for name in choice.known_ids if name in record.fields), None)
        if late is not None:
            # Taking it, or leaving it, would mix two kinds of ids without a word.
            raise _MalformedRecordError(
                f"an id in the field {late!r}, but the file's first document has none; give all ids or none"
            )
        return f"{record.shard}:{record.line}" if record.shard else str(record.line)
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
