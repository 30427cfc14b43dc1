"""Perl's documentation format (POD): headings and list items with the paragraphs below them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.sources.entries import read_lines
from search_r3.errors import DataError

_CODES = (
    # Double and triple brackets may hold single ones, and are read before them.
    re.compile(r"([A-Z])<<<\s(.*?)\s>>>", re.DOTALL),
    re.compile(r"([A-Z])<<\s(.*?)\s>>", re.DOTALL),
    re.compile(r"([A-Z])<([^<>]*)>"),
)
_ESCAPES = {"lt": "<", "gt": ">", "sol": "/", "verbar": "|", "eacute": "é", "uuml": "ü"}
# Brackets that are text, out of the way until the codes are gone.
_HIDDEN = {"<": "\x01", ">": "\x02"}


@dataclass(frozen=True)
class PodEntry:
    """A heading or list item, and the text below it.

    Attributes:
        heading: Its text.
        paragraphs: The paragraphs up to the next heading or item; code is left out.
    """

    heading: str
    paragraphs: tuple[str, ...]


def read_pod(path: Path, command: str) -> list[PodEntry]:
    """Read the entries of a page, in order.

    Args:
        path: A .pod file.
        command: What begins an entry: "head2", or "item" for the items of the outermost lists. The items of
            other lists belong to the entry that they stand in.

    Raises:
        DataError: The file cannot be read, or has no such entry.
    """
    entries = list(_entries("\n".join(read_lines(path)), command))
    if not entries:
        raise DataError(f"{path} has no line ={command}; wanted a page of Perl's documentation.")
    return entries


def _entries(source: str, command: str) -> Iterator[PodEntry]:
    heading: str | None = None
    paragraphs: list[str] = []
    depth = 0
    for block in re.split(r"\n[ \t]*\n", source):
        block = block.strip("\n")
        name, _, rest = block.partition(" ") if block.startswith("=") else ("", "", block)
        name = name.strip()[1:]
        depth += {"over": 1, "back": -1}.get(name.split("\n")[0], 0)
        begins = name == command and (command != "item" or depth == 1)
        if begins or name.startswith("head"):
            if heading is not None:
                yield PodEntry(heading, tuple(paragraphs))
            heading, paragraphs = plain_pod(rest) if begins else None, []
        elif name == "item" and heading is not None:
            paragraphs.append(plain_pod(rest).lstrip("*").strip())
        elif not name and heading is not None and not block.startswith((" ", "\t")):
            paragraphs.append(plain_pod(block))
    if heading is not None:
        yield PodEntry(heading, tuple(paragraphs))


def plain_pod(text: str) -> str:
    """Text without formatting codes, in one line; index entries are left out, links keep their text."""
    done = False
    while not done:
        before = text
        for code in _CODES:
            text = code.sub(_replaced, text)
        done = text == before
    for letter, hidden in _HIDDEN.items():
        text = text.replace(hidden, letter)
    return " ".join(text.split())


def _replaced(found: re.Match[str]) -> str:
    code, content = found[1], found[2]
    if code in "XZ":
        return ""
    if code == "E":
        content = _ESCAPES.get(content, "")
    elif code == "L":
        label, bar, _ = content.partition("|")
        content = label if bar or "://" in label else label.replace("/", " ").replace('"', "").strip()
    for letter, hidden in _HIDDEN.items():
        content = content.replace(letter, hidden)
    return content
