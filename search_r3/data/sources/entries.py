"""From entries of a source to training pairs, by rules that all sources share."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from search_r3.data.pairs import TrainingPair
from search_r3.errors import DataError

MOST_NEGATIVES = 5
"""A pair has at most this many negatives."""

MOST_ENTRIES = 20_000
"""A large source is cut to this many entries."""

_NEAREST = 20


@dataclass(frozen=True)
class Entry:
    """A query and the document that answers it, as a source has them.

    Attributes:
        entry_id: Unique in its source.
        item_id: The source's id of the thing that the document describes; several entries may share it.
        query: The query's text.
        positive: The document's text.
    """

    entry_id: str
    item_id: str
    query: str
    positive: str


def no_negatives(_: Entry) -> Mapping[str, str]:
    """For sources without a structure to take negatives from."""
    return {}


def training_pairs(
    source: str, entries: Iterable[Entry], neighbours: Callable[[Entry], Mapping[str, str]] = no_negatives
) -> list[TrainingPair]:
    """Make the pairs of one source, in the order of its entries.

    Texts are compared without regard to case. An entry whose query equals its positive teaches nothing and is
    dropped, as is the repetition of an entry. Entries with the same positive get the same document id: the
    item id of the first. A neighbour that answers the same query elsewhere in the source is no negative.

    Args:
        source: Name of the source.
        entries: Its entries.
        neighbours: For an entry, the texts of documents that are close to its positive but do not answer its
            query, by their ids.

    Raises:
        DataError: Two entries have the same id, or there is no entry.
    """
    kept: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        query, positive = entry.query.casefold(), entry.positive.casefold()
        if query != positive:
            kept.setdefault((query, positive), entry)
    if not kept:
        raise DataError(f"{source} gave no pair of a query and a document; check the files it was read from.")
    if len({entry.entry_id for entry in kept.values()}) < len(kept):
        raise DataError(f"{source} has two entries with the same id; wanted unique ids: check its files.")
    answers: dict[str, set[str]] = defaultdict(set)
    doc_ids: dict[str, str] = {}
    for (query, positive), entry in kept.items():
        answers[query].add(positive)
        doc_ids.setdefault(positive, entry.item_id)
    return [
        TrainingPair(
            query=entry.query,
            positive=entry.positive,
            negatives=_choose(entry.entry_id, neighbours(entry), answers[query] | {query}),
            source=source,
            query_id=entry.entry_id,
            doc_id=doc_ids[positive],
        )
        for (query, positive), entry in kept.items()
    ]


def _choose(entry_id: str, texts: Mapping[str, str], excluded: set[str]) -> tuple[str, ...]:
    """Choose a few texts, the same ones every time and other ones for every entry."""
    own = _digest(entry_id)
    chosen: dict[str, str] = {}
    waiting = [(own ^ _digest(item_id), item_id) for item_id in texts]
    heapq.heapify(waiting)  # a few of many are needed
    while waiting and len(chosen) < MOST_NEGATIVES:
        text = texts[heapq.heappop(waiting)[1]]
        if text.casefold() not in excluded:
            chosen.setdefault(text.casefold(), text)
    return tuple(chosen.values())


@cache
def _digest(item_id: str) -> int:
    return int.from_bytes(hashlib.sha256(item_id.encode()).digest()[:8])


def sampled(entries: Sequence[Entry], most: int = MOST_ENTRIES) -> list[Entry]:
    """Take a sample of the entries, in their order; a hash of its id decides on each."""
    if len(entries) <= most:
        return list(entries)
    chosen = {entry.entry_id for entry in sorted(entries, key=lambda entry: _digest(entry.entry_id))[:most]}
    return [entry for entry in entries if entry.entry_id in chosen]


def unambiguous(entries: Iterable[Entry]) -> list[Entry]:
    """Leave out every query that several documents answer, and repetitions, both without regard to case."""
    by_query: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        by_query[entry.query.casefold()].setdefault(entry.positive.casefold(), entry)
    return [entry for found in by_query.values() if len(found) == 1 for entry in found.values()]


def group_neighbours(
    entries: Sequence[Entry], group_of: Callable[[Entry], object]
) -> Callable[[Entry], Mapping[str, str]]:
    """For :func:`training_pairs`: the documents of the entries of the same group.

    Of a large group, the 20 entries before an entry and the 20 after it count: in sources that are sorted by
    name or topic they are the closest.

    Args:
        entries: All entries, in an order that puts related ones side by side.
        group_of: What the entries of a group have in common.
    """
    groups: dict[object, list[Entry]] = defaultdict(list)
    places: dict[str, int] = {}
    for entry in entries:
        places[entry.entry_id] = len(groups[group_of(entry)])
        groups[group_of(entry)].append(entry)

    def neighbours(entry: Entry) -> dict[str, str]:
        place = places[entry.entry_id]
        near = groups[group_of(entry)][max(0, place - _NEAREST) : place + _NEAREST + 1]
        return {other.item_id: other.positive for other in near if other.item_id != entry.item_id}

    return neighbours


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: It cannot be read, or is not JSON in UTF-8.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Read the lines of a text file.

    Raises:
        DataError: It cannot be read, or is not text in this encoding.
    """
    try:
        return path.read_text(encoding=encoding).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
