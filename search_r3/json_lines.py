"""Reading JSON Lines: one JSON value per line, in a plain file or in a gzip file (``.gz``)."""

from __future__ import annotations

import gzip
import json
import math
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from search_r3.errors import DataError, InvalidInputError

STANDARD_INPUT = "-"
"""In place of a path: standard input."""

_UTF8_BOM = b"\xef\xbb\xbf"
_WRITE_OBJECTS = "write one JSON object per line"


class Repeated(Enum):
    """The type of :data:`REPEATED`."""

    REPEATED = "repeated"


REPEATED = Repeated.REPEATED
"""Stands for the value of a field that a JSON object has twice, for nobody knows which one is meant."""


@dataclass(frozen=True)
class UnreadableLine:
    """A line that is not JSON.

    Attributes:
        reason: Why not.
        advice: What to do.
    """

    reason: str
    advice: str


def open_binary(path: Path) -> BinaryIO:
    """Open a file to read its bytes; those of a file ``.gz`` are decompressed.

    Raises:
        OSError: The file cannot be opened.
    """
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    r"""Yield the lines of a file with their 1-based numbers, without the byte order mark of the first.

    Lines end at ``\n`` only: JSON and CSV may have U+2028 and its like inside a text.
    """
    for number, line in enumerate(file, start=1):
        yield number, line.removeprefix(_UTF8_BOM) if number == 1 else line


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file, plain or gzip, or of standard input, as :func:`numbered_lines` does.

    Raises:
        InvalidInputError: A ``.gz`` file is damaged.
        OSError: The file cannot be read.
    """
    if str(path) == STANDARD_INPUT:
        yield from numbered_lines(sys.stdin.buffer)
        return
    with open_binary(path) as file:
        try:
            yield from numbered_lines(file)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidInputError(
                f"got {path}, which cannot be read as gzip ({error}); wanted a whole gzip file; "
                "write or copy it again",
                path,
            ) from error


def json_lines(path: Path, *, allow_nan: bool = True) -> Iterator[tuple[int, Any]]:
    """Yield the value of every line with its 1-based number; blank lines are skipped.

    Args:
        path: The file, plain or gzip.
        allow_nan: Whether ``NaN`` and ``Infinity`` are read, which are not JSON.

    Yields:
        The number of a line, and its value: :data:`REPEATED` stands for each field that an object has twice.
        Of a line that is not UTF-8 or not JSON, an :class:`UnreadableLine` instead.

    Raises:
        InvalidInputError: A ``.gz`` file is damaged.
        OSError: The file cannot be read.
    """
    decoder = _LENIENT if allow_nan else _STRICT
    for number, line in read_lines(path):
        if not line.strip():
            continue
        value: Any
        try:
            value = decoder.decode(line.rstrip().decode())
        except UnicodeDecodeError as error:
            value = UnreadableLine(_wrong_byte(error), "save the file as UTF-8")
        except json.JSONDecodeError as error:
            value = UnreadableLine(f"not valid JSON ({error.msg} at column {error.colno})", _WRITE_OBJECTS)
        except (ValueError, RecursionError) as error:  # numbers of thousands of digits, very deep nesting
            value = UnreadableLine(
                f"not readable JSON ({error})", "write a flat JSON object with an id and a text"
            )
        yield number, value


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the object of every line, as :func:`json_lines` does, of a file that has nothing else.

    Raises:
        DataError: A line is not a JSON object, or a ``.gz`` file is damaged; the message names the file, and
            the line by its number.
        OSError: The file cannot be read.
    """
    try:
        for number, value in json_lines(path):
            if reason := not_an_object(value):
                raise DataError(f"{path}, line {number}: {reason}.")
            yield number, value
    except InvalidInputError as error:
        raise DataError(f"{error}.") from error


def not_an_object(value: Any) -> str | None:
    """Say why a value of :func:`json_lines` is not an object; None if it is one."""
    if isinstance(value, UnreadableLine):
        return f"{value.reason}; {value.advice}"
    if not isinstance(value, dict):
        return f"a JSON {type(value).__name__} and not an object; {_WRITE_OBJECTS}"
    return None


def text_value(fields: dict[str, Any], name: str) -> str:
    """Return a field that is a string of valid Unicode.

    Raises:
        InvalidInputError: It is absent, there twice, of another type, or has half of a surrogate pair.
    """
    if name not in fields:
        raise InvalidInputError(f"no field {name!r}; wanted a string; add it")
    value = fields[name]
    if value is REPEATED:
        raise InvalidInputError(f"the field {name!r} is there twice; wanted it once; remove one of them")
    if not isinstance(value, str):
        got = "null" if value is None else f"of type {type(value).__name__}"
        raise InvalidInputError(f"the field {name!r} is {got}; wanted a string; write it as a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"the field {name!r} has the lone surrogate {value[error.start]!r}, half of a character; wanted "
            "valid Unicode; write the text again from its source"
        ) from error
    return value


def id_value(fields: dict[str, Any], name: str) -> str:
    """Return a field that is an id: a string that is not empty, or a number, which becomes a string.

    Raises:
        InvalidInputError: It is absent, empty, or neither.
    """
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(value)
    if value is None or value == "":
        raise InvalidInputError(f"no id: the field {name!r} is absent or empty; give it an id")
    return text_value(fields, name)


def not_utf8(error: UnicodeDecodeError) -> str:
    """Say which byte is not UTF-8, and what to do."""
    return f"{_wrong_byte(error)}; save the file as UTF-8"


def _wrong_byte(error: UnicodeDecodeError) -> str:
    return f"not valid UTF-8 (byte 0x{error.object[error.start]:02x})"


def _mark_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object's dictionary; Python's own would keep the last of two values without a word."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        fields[name] = REPEATED if name in fields else value
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"got the number {name}, which JSON does not have")


_LENIENT = json.JSONDecoder(object_pairs_hook=_mark_repeated)
_STRICT = json.JSONDecoder(object_pairs_hook=_mark_repeated, parse_constant=_refuse_constant)
