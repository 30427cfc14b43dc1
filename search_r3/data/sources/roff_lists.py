"""The tagged lists of manual pages in the man macros: every tag with the text that explains it.

Pages are written by hand, or made by pod2man, docbook, asciidoc or docutils. Each sets lists in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from search_r3.data.sources.roff import line_text, macro_arguments

_LITERAL = {"EX": "EE", "nf": "fi", "TS": "TE", "Vb": "Ve", "CS": "CE", "DS": "DE"}
_PARAGRAPHS = {"PP", "P", "LP", "HP"}
_BREAKS = _PARAGRAPHS | {"sp", "Sp"}
_INDENT = {"RS", "INDENT"}
_UNINDENT = {"RE", "UNINDENT"}
_BULLET = re.compile(r"^\W*$|^\(?\w{1,2}[.)]$")

TaggedText = tuple[str, tuple[str, ...], tuple[str, ...]]
"""The subsection, the tags that share an explanation, and its paragraphs."""


def tagged_texts(lines: Sequence[str]) -> list[TaggedText]:
    """The entries of the lists in a section, in their order; lists inside of an entry are left out."""
    reader = _ListReader()
    for line in lines:
        reader.read(line)
    reader.close()
    return list(_merged(reader.entries))


def _merged(entries: Sequence[tuple[str, list[str], list[str]]]) -> Iterator[TaggedText]:
    """Several tags in a row share the text of the last one."""
    waiting: list[str] = []
    for heading, tags, texts in entries:
        waiting += tags
        if texts:
            yield heading, tuple(waiting), tuple(texts)
            waiting = []


class _ListReader:
    """Reads line by line; an entry is open from its tag to the next one of its depth."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, list[str], list[str]]] = []
        self._heading = ""
        self._depth = 0
        self._literal_end = ""
        self._tag_follows = False
        self._open_at: int | None = None  # the depth of the open entry's text
        self._muted = False  # inside of a list inside of the entry
        self._indented = False  # the open entry's text is indented as a whole, as docbook does it
        self._words: list[str] = []
        self._loose: list[str] = []  # text outside of entries, which an indented text may follow

    def read(self, line: str) -> None:
        name, arguments = macro_arguments(line)
        if self._literal_end:
            self._literal_end = "" if name == self._literal_end else self._literal_end
        elif name in _LITERAL:
            self._literal_end = _LITERAL[name]
        elif name in ("TP", "TQ", "IP"):
            self._tag(name, arguments)
        elif name in _INDENT:
            self._indent()
        elif name in _UNINDENT:
            self._unindent()
        elif name == "SS" or name in _BREAKS or not line.strip():
            self._end_paragraph(name, arguments)
        elif (text := line_text(line)) is not None:
            self._text(text)

    def _end_paragraph(self, name: str, arguments: Sequence[str]) -> None:
        outdents = name in _PARAGRAPHS and self._open_at == self._depth and not self._indented
        if name == "SS" or outdents:
            self.close()
        if name == "SS":
            self._heading = " ".join(arguments)
        self._break()
        self._loose = []

    def close(self) -> None:
        self._break()
        self._open_at = None
        self._muted = self._tag_follows = self._indented = False

    def _tag(self, name: str, arguments: Sequence[str]) -> None:
        if name == "IP" and (not arguments or _BULLET.match(arguments[0])):
            self._break()
        elif self._open_at is not None and self._depth > self._open_at:
            self._break()
            self._muted = True
        elif name == "TQ" and self.entries and self._open_at is not None:
            self._tag_follows = True
        else:
            self.close()
            self._open(arguments[:1] if name == "IP" else [])
            self._tag_follows = name != "IP"

    def _open(self, tags: Sequence[str]) -> None:
        self.entries.append((self._heading, list(tags), []))
        self._open_at = self._depth
        self._loose = []

    def _indent(self) -> None:
        loose, self._loose = self._loose, []
        self._depth += 1
        if self._open_at is not None and self._indented and not self._muted:
            # What stands before an indented text is the tag of an inner list.
            self._words = []
            self._muted = True
        self._break()
        if self._open_at is None and loose:
            self._open([" ".join(loose)])
            self._indented = True

    def _unindent(self) -> None:
        self._break()
        self._depth = max(self._depth - 1, 0)
        if self._open_at is not None and self._depth < self._open_at:
            self.close()
        elif self._depth == self._open_at:
            self._muted = False

    def _text(self, text: str) -> None:
        if self._tag_follows:
            self.entries[-1][1].append(" ".join(text.split()))
            self._tag_follows = False
        elif self._open_at is None:
            self._loose += text.split()
        elif not self._muted:
            self._words += text.split()

    def _break(self) -> None:
        if self._words and self._open_at is not None:
            self.entries[-1][2].append(" ".join(self._words))
        self._words = []
