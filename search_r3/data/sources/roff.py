"""Plain text out of manual pages written in roff with the man macros."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FONT_MACROS = {"B", "I", "R", "SM", "SB"}
_ALTERNATING_MACROS = {"BR", "RB", "BI", "IB", "IR", "RI", "QW", "PQ"}
_BREAKS = {"PP", "P", "LP", "HP", "sp"}
_LISTS = {"TP", "TQ", "IP", "SS", "TS"}
# Text that is set as it stands, by the macro that begins it and the one that ends it.
_LITERAL = {"EX": "EE", "nf": "fi", "TS": "TE"}
_MACRO = re.compile(r"[.']\s*([A-Za-z]+)\s*(.*)")
_COMMENT = re.compile(r'\\["#].*')
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"?|(\S+)')
_ESCAPES = [
    (re.compile(r"\\f(?:\(..|\[[^\]]*\]|.)"), ""),
    (re.compile(r"\\s[+-]?\d"), ""),
    (re.compile(r"\\\*\(.."), ""),
    (re.compile(r"\\[&%:|^)/,cz{}]"), ""),
    (re.compile(r"\\[ ~0]"), " "),
    (re.compile(r"\\-"), "-"),
]
_CHARACTERS = {
    "aq": "'",
    "cq": "\u2019",
    "oq": "\u2018",
    "dq": '"',
    "lq": "\u201c",
    "rq": "\u201d",
    "ha": "^",
    "ti": "~",
    "ga": "`",
    "en": "\u2013",
    "em": "\u2014",
    "bu": "\u2022",
    "+-": "\u00b1",
    "mu": "\u00d7",
    "<=": "\u2264",
    ">=": "\u2265",
    "->": "\u2192",
    "co": "\u00a9",
    "de": "\u00b0",
    "mc": "\u00b5",
    "la": "\u27e8",
    "ra": "\u27e9",
    "fm": "\u2032",
    "rs": "\\",
    "sc": "\u00a7",
    "dg": "\u2020",
}
_CHARACTER = re.compile(r"\\\((..)|\\\[([^\]]*)\]")


def sections(source: str) -> dict[str, list[str]]:
    """Split a page at its .SH headings: the lines of every section, by its heading in capitals."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in source.replace("\\\n", "").split("\n"):
        if macro := re.match(r"\.\s*SH\s+(.*)", line):
            lines = found.setdefault(macro[1].strip().strip('"').upper(), [])
        else:
            lines.append(line)
    return found


def plain_text(lines: Sequence[str]) -> str:
    """The text of lines without macros, in one line."""
    return " ".join(paragraphs(lines))


def paragraphs(lines: Sequence[str]) -> list[str]:
    """The paragraphs before the first list, table or subsection; the first of these is entered if need be.

    Examples and other literal text are left out.
    """
    done: list[str] = []
    words: list[str] = []
    literal_end = ""
    for line in lines:
        macro = _MACRO.match(line)
        name = macro[1] if macro else ""
        if literal_end:
            literal_end = "" if name == literal_end else literal_end
        elif name in _LISTS and (done or words):
            break
        elif name in _LITERAL:
            literal_end = _LITERAL[name]
        elif name in _BREAKS or not line.strip():
            done += [" ".join(words)] if words else []
            words = []
        elif macro is None and not line.startswith((".", "'")):
            words += _unescape(line).split()
        elif macro is not None and name in _FONT_MACROS | _ALTERNATING_MACROS:
            words += _unescape(_joined(name, macro[2])).split()
    return done + ([" ".join(words)] if words else [])


def line_text(line: str) -> str | None:
    """The text of one line, be it plain or a font macro; nothing for any other macro."""
    macro = _MACRO.match(line)
    if macro is None:
        return None if line.startswith((".", "'")) else _unescape(line)
    if macro[1] in _FONT_MACROS | _ALTERNATING_MACROS:
        return _unescape(_joined(macro[1], macro[2]))
    return None


def macro_arguments(line: str) -> tuple[str, list[str]]:
    """The name of a line's macro, empty if there is none, and its arguments as plain text."""
    macro = _MACRO.match(line)
    return (macro[1], [_unescape(text) for text in _arguments(macro[2])]) if macro else ("", [])


def _joined(macro: str, arguments: str) -> str:
    """The text of a font macro: those that alternate between two fonts put no space between."""
    return ("" if macro in _ALTERNATING_MACROS else " ").join(_arguments(arguments))


def _arguments(text: str) -> list[str]:
    found = _ARGUMENT.finditer(_COMMENT.sub("", text.replace("\\ ", "\\~")))
    return [argument[2] if argument[1] is None else argument[1].replace('""', '"') for argument in found]


def _unescape(text: str) -> str:
    text = _COMMENT.sub("", text)
    for pattern, replacement in _ESCAPES:
        text = pattern.sub(replacement, text)
    text = _CHARACTER.sub(lambda found: _CHARACTERS.get(found[1] or found[2], ""), text)
    return re.sub(r"\\([e'`.])", lambda found: {"e": "\\", "'": "\u00b4"}.get(found[1], found[1]), text)
