"""Help pages of R packages, out of the compressed files in which packages are installed.

A file ``<package>.rdb`` is a row of objects: the length in four bytes, then R's binary format under zlib. Of
this format, what help pages are made of is read: lists, texts and numbers with attributes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.errors import DataError

_SYMBOL, _PAIRS, _ENVIRONMENT, _CALL, _TEXT = 1, 2, 4, 6, 9
_LOGICAL, _INTEGER, _REAL, _TEXTS, _LIST = 10, 13, 14, 16, 19
_NAMED = (247, 248, 249)  # environments that are written by name
_REFERENCE = 255
_EMPTY = (241, 242, 250, 251, 252, 253, 254)

# What is not prose, by its markup.
_LEFT_OUT = frozenset(
    ("\\url", "\\href", "\\eqn", "\\deqn", "\\figure", "\\preformatted", "COMMENT", "\\Sexpr")
)


@dataclass(frozen=True)
class HelpPage:
    """A help page.

    Attributes:
        name: Name of the page.
        title: One line.
        description: Its description.
        details: Its sections on details and source.
        is_data_set: Whether it is on a data set, and not on a function.
    """

    name: str
    title: str
    description: str
    details: str
    is_data_set: bool


@dataclass(frozen=True)
class _Value:
    """A vector of R with the markup that a help page notes on it, such as ``TEXT`` or a section's name."""

    content: list[Any]
    markup: str


def read_help_pages(path: Path) -> list[HelpPage]:
    """Read the pages of a package, in the order of the file.

    Raises:
        DataError: The file cannot be read, or is not of this format.
    """
    pages = []
    try:
        for block in _blocks(path.read_bytes()):
            page = _Reader(block).value()
            if isinstance(page, _Value) and (found := _page(page)) is not None:
                pages.append(found)
    except (OSError, zlib.error, struct.error, ValueError, IndexError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
    return pages


def _blocks(data: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(data):
        unpacker = zlib.decompressobj()
        yield unpacker.decompress(data[begin + 4 :])
        begin = len(data) - len(unpacker.unused_data)


class _Reader:
    """Reads one object."""

    def __init__(self, data: bytes) -> None:
        if data[:2] != b"X\n":
            raise ValueError(f"an object begins with {data[:2]!r}, not with R's binary mark")
        self._data = data
        self._place = 2
        self._known: list[Any] = []
        version, *_ = (self._integer() for _ in range(3))
        if version == 3:
            self._bytes(self._integer())  # the name of the encoding

    def value(self) -> Any:
        """A vector, a dictionary of pairs, a text, or None for what holds no text."""
        flags = self._integer()
        kind, has_attributes, has_tag = flags & 255, flags >> 9 & 1, flags >> 10 & 1
        if kind in _EMPTY:
            return None
        if kind == _REFERENCE:
            return self._known[(flags >> 8 or self._integer()) - 1]
        if kind == _TEXT:
            length = self._integer()
            return "" if length < 0 else self._bytes(length).decode("utf-8", "replace")
        if kind == _SYMBOL:
            self._known.append(self.value())
            return self._known[-1]
        if kind == _ENVIRONMENT or kind in _NAMED:
            self._pass_environment(kind)
            return None
        if kind in (_PAIRS, _CALL):
            if has_attributes:
                self.value()
            tag = self.value() if has_tag else None
            pairs = {tag: self.value()}
            rest = self.value()
            return pairs | rest if isinstance(rest, dict) else pairs
        return self._vector(kind, bool(has_attributes))

    def _pass_environment(self, kind: int) -> None:
        self._integer()
        self._known.append(None)  # later objects may refer to it
        for _ in range(4 if kind == _ENVIRONMENT else self._integer()):
            self.value()

    def _vector(self, kind: int, has_attributes: bool) -> _Value:
        length = self._integer()
        content: list[Any] = []
        if kind in (_TEXTS, _LIST):
            content = [self.value() for _ in range(length)]
        elif kind in (_LOGICAL, _INTEGER, _REAL):
            self._bytes(length * (8 if kind == _REAL else 4))
        else:
            raise ValueError(f"an object has the type {kind}, which help pages do not have")
        attributes = self.value() if has_attributes else None
        tag = attributes.get("Rd_tag") if isinstance(attributes, dict) else None
        return _Value(content, str(tag.content[0]) if isinstance(tag, _Value) and tag.content else "")

    def _integer(self) -> int:
        (number,) = struct.unpack(">i", self._bytes(4))
        return int(number)

    def _bytes(self, length: int) -> bytes:
        found = self._data[self._place : self._place + length]
        self._place += length
        return found


def _page(page: _Value) -> HelpPage | None:
    parts: dict[str, list[str]] = {}
    for part in page.content:
        if isinstance(part, _Value) and part.markup:
            parts.setdefault(part.markup, []).append(" ".join(_text(part).split()))
    if "\\title" not in parts:
        return None  # what the package keeps beside its pages
    name, title, description = (
        " ".join(parts.get(f"\\{field}", ())) for field in ("name", "title", "description")
    )
    details = " ".join([*parts.get("\\details", ()), *parts.get("\\source", ())])
    return HelpPage(name, title, description, details, "datasets" in parts.get("\\keyword", ()))


def _text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, _Value) or part.markup in _LEFT_OUT:
        return ""
    return "".join(map(_text, part.content))
