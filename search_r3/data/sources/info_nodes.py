"""GNU info manuals: the title of a node finds its text, and an explanation finds what it explains."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, training_pairs
from search_r3.data.sources.explained_items import ExplainedItem
from search_r3.data.sources.info_text import split_blocks
from search_r3.errors import DataError

_MOST_WORDS = 120
_LEAST_WORDS = 12
_NODE = re.compile(r"File: ([^,\n]*),\s+Node: ([^,\n]+?)\s*(?:,|\n|$)")
_UP = re.compile(r",\s+Up: ([^,\n]+)")
_UNDERLINE = re.compile(r"([*=.-])\1+")
_NUMBER = re.compile(r"^(?:(?:Chapter|Appendix)\s+)?(?:[A-Z]|\d+)?(?:\.\d+)*\.?\s+(?=\S)|^Appendix\s+")
_END = re.compile(r"^\* Menu:|^\s*-{5,} Footnotes -{5,}|^\0\x08\[index", re.MULTILINE)
_PART = re.compile(r"(?:\.info)?(?:-(\d+))?\.gz$")
# Nodes that say nothing about the subject.
_APART = re.compile(
    r"\b(?:licen[cs]es?|copying|copyright|warranty|index|contents|acknowledge?ments?|thanks|credits|authors?|"
    r"contributors|contributing|change ?log|history|bugs?|bibliography|references|this manual|"
    r"further reading|mailing lists?|colophon|gfdl|gpl)\b",
    re.IGNORECASE,
)
# Titles that say nothing without the one above them.
_VAGUE = re.compile(
    r"^(?:(?:more|some|an?|the|other|basic|general|detailed|further|special|simple|advanced|common|sample) )*"
    r"(?:overview|introduction|options?|examples?|syntax|usage|details?|description|notes?|summary|functions?|"
    r"variables?|commands?|concepts?|basics?|tutorial|about|misc\w*|features?|installation|customi[sz]ation|"
    r"configuration|invoking|macros?|preliminaries|environment(?: variables)?|exit status|"
    r"diagnostics|messages|return values?|parameters|operation|remarks|background|preface|format|"
    r"files?|caveats|limitations|types?)\.?$",
    re.IGNORECASE,
)
# A node of this name is about a program of its own.
_PROGRAM = re.compile(r"^([\w.-]+) invocation$|^Invoking ([\w.-]+)$")
_TITLES = {"spec": "exim4", "filter": "exim4 filter"}
"""What manuals are about whose files are called something else."""

_ANNOUNCEMENT = re.compile(r"(?<=[.!?]) [^.!?]*:$")


@dataclass(frozen=True)
class InfoNode:
    """One node of a manual.

    Attributes:
        manual: Name of the manual's file without .info, such as coreutils.
        name: Unique in the manual.
        up: Name of the node above.
        title: Its heading without the number.
        paragraphs: Its prose, without examples, menus and footnotes.
        items: The entries of its lists and its definitions.
    """

    manual: str
    name: str
    up: str
    title: str
    paragraphs: tuple[str, ...]
    items: tuple[ExplainedItem, ...]


def read_info_nodes(folder: Path) -> list[InfoNode]:
    """Read the manuals in a folder (usr/share/info), by name; a manual may be split into several files.

    Raises:
        DataError: A file is damaged, or there is no node with a name.
    """
    nodes: dict[tuple[str, str], InfoNode] = {}
    for path in sorted(folder.rglob("*.gz"), key=_order):
        for piece in _read(path).split("\x1f")[1:]:
            if (node := _node(piece)) is not None:
                nodes.setdefault((node.manual, node.name), node)
    if not nodes:
        raise DataError(f"{folder} holds no info node; wanted usr/share/info with compressed manuals.")
    return list(nodes.values())


def _order(path: Path) -> tuple[str, int]:
    part = _PART.search(path.name)
    return _PART.sub("", path.name), int(part[1] or 0) if part else 0


def _read(path: Path) -> str:
    try:
        with gzip.open(path) as file:
            return file.read().decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Cannot read the info file {path}: {error}; unpack its package again.") from None


def _node(piece: str) -> InfoNode | None:
    header, _, body = piece.lstrip("\n").partition("\n")
    if (found := _NODE.match(header)) is None:
        return None
    up = _UP.search(header)
    manual, name = found[1].removesuffix(".info"), found[2]
    if end := _END.search(body):
        body = body[: end.start()]
    lines = body.strip("\n").split("\n")
    title = name
    if len(lines) > 1 and _UNDERLINE.fullmatch(lines[1].strip()):
        title, lines = _NUMBER.sub("", lines[0].strip()), lines[2:]
    paragraphs, items = split_blocks(lines)
    program = _PROGRAM.search(name)
    owner = _TITLES.get(manual, manual) if program is None else (program[1] or program[2])
    explained = (
        ExplainedItem(f"{manual}/{name}/{index}", owner, names, texts, topic="" if program else title)
        for index, (names, texts) in enumerate(items)
    )
    return InfoNode(manual, name, up[1].strip() if up else "", title, tuple(paragraphs), tuple(explained))


def info_nodes_pairs(source: str, nodes: Sequence[InfoNode]) -> list[TrainingPair]:
    """Pair every node's title with the beginning of its prose (120 words at most).

    A title that is vague or a single word gets the one above it, or else the manual's name. Negatives are
    nodes below the same node. Licences, indexes, histories and nodes of a few words are left out.

    Raises:
        DataError: No node is left.
    """
    titles = {(node.manual, node.name): node.title for node in nodes}
    parents = {(node.manual, node.name): node.up for node in nodes}
    siblings: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    entries: list[Entry] = []
    groups: dict[str, tuple[str, str]] = {}
    for node in nodes:
        text = _beginning(node.paragraphs)
        if node.name == "Top" or _is_apart(node, titles, parents) or len(text.split()) < _LEAST_WORDS:
            continue
        node_id = f"{node.manual}/{node.name}"
        groups[node_id] = (node.manual, node.up)
        siblings[node.manual, node.up][node_id] = text
        entries.append(Entry(node_id, node_id, _query(node, titles), text))
    return training_pairs(source, entries, lambda entry: siblings[groups[entry.item_id]])


def info_items(nodes: Iterable[InfoNode]) -> list[ExplainedItem]:
    """The options, functions and other things that the nodes explain."""
    return [item for node in nodes if not _APART.search(node.title) for item in node.items]


def _is_apart(
    node: InfoNode, titles: dict[tuple[str, str], str], parents: dict[tuple[str, str], str]
) -> bool:
    """Whether a node, or one above it, is not about the manual's subject."""
    name, seen = node.name, set()
    while name and name != "Top" and name not in seen:
        if _APART.search(titles.get((node.manual, name), "")):
            return True
        seen.add(name)
        name = parents.get((node.manual, name), "")
    return False


def _query(node: InfoNode, titles: dict[tuple[str, str], str]) -> str:
    if len(node.title.split()) > 1 and not _VAGUE.match(node.title):
        return node.title
    above = titles.get((node.manual, node.up), "")
    if node.up == "Top" or not above or _VAGUE.match(above):
        above = _TITLES.get(node.manual, node.manual)
    return f"{above}: {node.title}"


def _beginning(paragraphs: Sequence[str]) -> str:
    """The first paragraph, and those after it as long as they fit."""
    words: list[str] = []
    for paragraph in paragraphs:
        if words and len(words) + len(paragraph.split()) > _MOST_WORDS:
            break
        words += paragraph.split()
    # The example or list that such a sentence announces is not part of the text.
    return _ANNOUNCEMENT.sub("", " ".join(words[:_MOST_WORDS]))
