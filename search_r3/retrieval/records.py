"""Reading the raw records of a file or folder: the lines, rows or files that documents are made of."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.errors import InvalidInputError
from search_r3.extras import needs_extra
from search_r3.json_lines import json_lines, not_an_object, not_utf8, read_lines
from search_r3.text import TITLE_FIELD

ID_FIELDS = ("_id", "id", "doc_id")
TEXT_FIELDS = ("text", "contents", "content", "body")
_LARGEST_CELL = 2**31 - 1  # of a C long on every platform


@dataclass(frozen=True)
class Record:
    """The named fields of one line, row or file, not checked yet; placed like a `MalformedLine`.

    Attributes:
        source: The file it stands in.
        line: Its 1-based line or row number.
        fields: Values by name.
        shard: Name of the file within a corpus of several files; empty for a corpus of one.
    """

    source: str
    line: int
    fields: dict[str, Any]
    shard: str = ""


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
class FieldNames:
    """The fields that the documents of a file are made of; ``doc_id`` is None if line numbers are the ids."""

    doc_id: str | None
    text: str


@dataclass(frozen=True)
class FieldChoice:
    """How the fields with id and text are chosen: the names asked for, else the first known ones present.

    Attributes:
        id_field: Name asked for, if any.
        text_field: Name asked for, if any.
        known_ids: Names of id fields, in the order of preference.
        known_texts: Names of text fields, in the order of preference.
    """

    id_field: str | None = None
    text_field: str | None = None
    known_ids: tuple[str, ...] = ID_FIELDS
    known_texts: tuple[str, ...] = TEXT_FIELDS

    def names(self, present: Collection[str]) -> FieldNames | None:
        """Choose among the fields that are present; None if there is no known text field."""
        text = self.text_field or next((name for name in self.known_texts if name in present), None)
        doc_id = self.id_field or next((name for name in self.known_ids if name in present), None)
        return FieldNames(doc_id=doc_id, text=text) if text else None


def text_file_records(files: Mapping[str, Path]) -> Iterator[Record | MalformedLine]:
    """Read every text file as one record, whose id is its name; in the order of the names.

    Args:
        files: Files by the names that become their ids.
    """
    for name in sorted(files):
        source = _source(files[name])
        try:
            text = files[name].read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            yield MalformedLine(source, line, not_utf8(error))
        except OSError as error:
            yield MalformedLine(source, 1, f"cannot be read ({error.strerror}); repair or remove the file")
        else:
            yield Record(source, 1, {ID_FIELDS[0]: name, TEXT_FIELDS[0]: text})


def text_line_records(path: Path) -> Iterator[Record | MalformedLine]:
    """Read every line of a text file as one record without an id; an empty line is an empty text."""
    for number, line in read_lines(path):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            yield MalformedLine(_source(path), number, not_utf8(error))
        else:
            yield Record(_source(path), number, {TEXT_FIELDS[0]: text.rstrip("\r\n")})


def json_records(path: Path) -> Iterator[Record | MalformedLine]:
    """Read every line of a JSON Lines file, plain or gzip, as one record; blank lines are skipped.

    Raises:
        InvalidInputError: A ``.gz`` file is damaged.
    """
    for number, fields in json_lines(path):
        if reason := not_an_object(fields):
            yield MalformedLine(_source(path), number, reason)
        else:
            yield Record(_source(path), number, fields)


def csv_records(path: Path, delimiter: str, choice: FieldChoice) -> Iterator[Record | MalformedLine]:
    """Read every row of a CSV file below its header as one record; blank lines are skipped.

    Raises:
        InvalidInputError: There is no readable header row, or it lacks a column.
    """
    rows = _csv_rows(read_lines(path), delimiter)
    _, header = next(rows, (0, []))
    if isinstance(header, str):
        raise InvalidInputError(f"got {path}, whose header row is {header}", path)
    _check_columns(path, header, choice)
    for line, row in rows:
        if isinstance(row, str):
            yield MalformedLine(_source(path), line, row)
        elif len(row) != len(header):
            reason = f"{len(row)} cells where the header has {len(header)}; check the quotes and delimiters"
            yield MalformedLine(_source(path), line, reason)
        else:
            yield Record(_source(path), line, dict(zip(header, row, strict=True)))


def parquet_records(path: Path, choice: FieldChoice) -> Iterator[Record | MalformedLine]:
    """Read every row of a Parquet file as one record, with the columns in use only.

    Raises:
        InvalidInputError: The file is not readable as Parquet, or it lacks a column.
        MissingExtraError: Without pyarrow, of the extra ``parquet``.
    """
    with needs_extra("parquet"):
        import pyarrow.parquet

    with path.open("rb") as file:
        try:
            parquet = pyarrow.parquet.ParquetFile(file)
            names = _check_columns(path, parquet.schema_arrow.names, choice)
            wanted = {names.doc_id, names.text, TITLE_FIELD}
            columns = [name for name in parquet.schema_arrow.names if name in wanted]
            row = 0
            for batch in parquet.iter_batches(batch_size=1024, columns=columns):
                for index in range(batch.num_rows):
                    row += 1
                    try:
                        # Named by the batch, whose columns are not in the order that was asked for.
                        values = (column[index].as_py() for column in batch.columns)
                        fields = dict(zip(batch.schema.names, values, strict=True))
                    except UnicodeDecodeError as error:
                        yield MalformedLine(_source(path), row, not_utf8(error))
                    else:
                        yield Record(_source(path), row, fields)
        except (pyarrow.ArrowException, OSError) as error:
            raise InvalidInputError(
                f"got {path}, which cannot be read as Parquet ({error}); wanted a whole Parquet file; "
                "write or copy it again",
                path,
            ) from error


def _csv_rows(numbered: Iterator[tuple[int, bytes]], delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the first line number of every row with its cells, or with the reason why it has none."""
    # Bytes that are not UTF-8 pass as lone surrogates, so that they spoil their own row and not the file.
    lines = (line.decode(errors="surrogateescape") for _, line in numbered)
    # Strict: otherwise a quote that is never closed takes in the rest of the file without a word.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first_line = reader.line_num + 1
        # The limit on a cell, 131072 characters unless changed, is the process's: lift it for this row only.
        limit = csv.field_size_limit(_LARGEST_CELL)
        row: list[str] | str
        try:
            row = next(reader)
            "".join(row).encode()
        except StopIteration:
            return
        except UnicodeEncodeError:
            row = "not valid UTF-8; save the file as UTF-8"
        except csv.Error as error:
            row = (
                f"not valid CSV ({error}, in the row from line {first_line} to {reader.line_num}); "
                "close every quote, and double the quotes inside a quoted cell"
            )
        finally:
            csv.field_size_limit(limit)
        if row:
            yield first_line, row


def _check_columns(path: Path, columns: list[str], choice: FieldChoice) -> FieldNames:
    """Choose the table's columns; raise InvalidInputError if one is missing or there twice."""
    names = choice.names(columns)
    if names is None:
        raise InvalidInputError(
            f"got {path} with the columns {columns}; wanted one of {list(choice.known_texts)} for the texts; "
            "name the columns in a header row, or say which one holds the texts",
            path,
        )
    wanted = [name for name in (names.doc_id, names.text) if name is not None]
    wanted += [TITLE_FIELD] if TITLE_FIELD in columns else []
    for name in wanted:
        if columns.count(name) != 1:
            raise InvalidInputError(
                f"got {path} with the columns {columns}; wanted one column {name!r}, got "
                f"{columns.count(name)}; rename or remove columns until one has the name",
                path,
            )
    return names


def _source(path: Path) -> str:
    """Return the path as text that can be printed, even if the file's name is not valid Unicode."""
    return str(path).encode(errors="backslashreplace").decode()
