"""Prose and explained items out of the body of an info node, told apart by how far lines are indented."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BODY = 5
"""makeinfo sets the text of an item this many columns to the right of the item."""

_DEFINITION = re.compile(r" -- (?:[^:]+): (.*)")
_COLUMNS = re.compile(r"\S {3,}\S")
_UNDERLINE = re.compile(r"([*=.-])\1{2,}")
_SESSION = re.compile(r"\s*(?:\(%i\d|>>>|\$ |[a-z]*> |\||\+--)")
_BULLET = re.compile(r"^\s*(?:[\u2022\u2212*-]|\(?[0-9a-z]{1,2}[.)])\s+")
_NOTICE = re.compile(
    r"Copyright (?:\(C\)|\u00a9)|Copying and distribution of this file|This program is free software"
)
_REPLACED = [
    (re.compile(r"\0\x08\[.*?\0\x08\]"), ""),
    (re.compile(r"\*[Nn]ote\s+([^:]+)::"), r"\1"),
    (re.compile(r"\*[Nn]ote\s+([^:]+):\s+(?:\([^)]*\))?[^.,;)]*(?=[.,;)]|$)"), r"\1"),
    (re.compile(r"(?<![\w'\u2018])_([^_\s](?:[^_]*[^_\s])?)_(?!\w)"), r"\1"),
    (re.compile(r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])"), r"\1"),
    (re.compile(r"^Download the latest version of .*"), ""),
    (re.compile(r" {2,}"), " "),
]

Item = tuple[tuple[str, ...], tuple[str, ...]]
"""Names and paragraphs."""


def split_blocks(lines: Sequence[str]) -> tuple[list[str], list[Item]]:
    """Split the lines of a node, without its heading and menu, into prose and items.

    An item is a line, or several, with the text directly below it and further to the right; or a definition
    (" -- Function: ..."). Examples and tables are left out, and so are lists inside of items.

    Returns:
        The paragraphs of prose, and the names and paragraphs of every item.
    """
    prose: list[str] = []
    items: list[tuple[list[str], list[str]]] = []
    within = False
    for block in _blocks(lines):
        if len(block) > 1 and _UNDERLINE.fullmatch(block[1].strip()):
            block = block[2:]  # a heading
        if not block or _is_table(block) or _SESSION.match(block[0]):
            continue
        indent = _indent(block[0])
        if heads := _heads(block):
            names = _names(block[:heads])
            texts = [clean(block[heads:])] if heads < len(block) else []
            # Several items may share the text of the last one.
            if within and items and not items[-1][1]:
                items[-1][0].extend(names)
                items[-1][1].extend(texts)
            else:
                items.append((names, texts))
            within = True
        elif indent in (0, 3) and len({_indent(line) for line in block[1:]} - {0, _BODY}) == 0:
            prose.append(clean([_BULLET.sub("", block[0]), *block[1:]]))
            within = False
        elif within and indent == _BODY:
            items[-1][1].append(clean(block))
    prose = [text for text in prose if text and not _NOTICE.match(text)]
    return prose, [(tuple(names), tuple(texts)) for names, texts in items if texts]


def clean(lines: Sequence[str]) -> str:
    """The text of lines in one line, with cross-references, emphasis and images resolved."""
    text = " ".join(line.strip() for line in lines)
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return text.strip()


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line.expandtabs())
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_table(block: Sequence[str]) -> bool:
    return 2 * sum(bool(_COLUMNS.search(line.strip())) for line in block) >= len(block)


def _heads(block: Sequence[str]) -> int:
    """How many lines at the beginning of a block are an item's names; 0 if it is no item."""
    if _DEFINITION.match(block[0]):
        number = 1
        while number < len(block) and (
            _DEFINITION.match(block[number]) or _indent(block[number]) >= 2 * _BODY
        ):
            number += 1
        return number
    number = 0
    while number < len(block) and _indent(block[number]) == 0:
        number += 1
    if 0 < number < len(block) and all(_indent(line) >= _BODY for line in block[number:]):
        return number
    return 0


def _names(lines: Sequence[str]) -> list[str]:
    joined: list[str] = []
    for line in lines:
        if found := _DEFINITION.match(line):
            joined.append(found[1])
        elif _indent(line) >= 2 * _BODY and joined:
            joined[-1] += " " + line.strip()
        else:
            joined.append(line.strip())
    return [clean([re.sub("[\u2018\u2019`]|(?<!\\w)'|'(?!\\w)", "", name)]) for name in joined]
