"""From entries of a source to training pairs, by rules that all sources share."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.errors import DataError

MOST_NEGATIVES = 5
"""A pair has at most this many negatives."""


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
    for item_id in sorted(texts, key=lambda item_id: own ^ _digest(item_id)):
        text = texts[item_id]
        if text.casefold() not in excluded:
            chosen.setdefault(text.casefold(), text)
        if len(chosen) == MOST_NEGATIVES:
            break
    return tuple(chosen.values())


@cache
def _digest(item_id: str) -> int:
    return int.from_bytes(hashlib.sha256(item_id.encode()).digest()[:8])


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Read the lines of a text file.

    Raises:
        DataError: It cannot be read, or is not text in this encoding.
    """
    try:
        return path.read_text(encoding=encoding).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
