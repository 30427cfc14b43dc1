"""What happened on a day, and who was born: records of the calendar program's files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from search_r3.data.sources.entries import read_lines
from search_r3.data.sources.named_records import NamedRecord, digest, known, unique

_DAY = re.compile(r"(\d\d)/(\d\d)\*?\t(.+)")
_YEAR = re.compile(r",? (?:in )?(\d{3,4})(?:\s*\(.*\)|\.)?$")
_BORN = re.compile(r"(.+?)(?:,? (?:is|was))? born(?: (?:in|at|near|on) ([^,]+(?:, [A-Z][^,]+)?))?, (\d{3,4})")
_NOTE = re.compile(r"\s*\(([^)]*)\)|, (.+)$")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def read_births(paths: list[Path]) -> list[NamedRecord]:
    """People and the day they were born on; alike are those born in a month.

    Raises:
        DataError: A file cannot be read, or there is no birth.
    """
    records: dict[str, NamedRecord] = {}
    for day, month, text in _days(paths):
        if (found := _BORN.match(text)) is None:
            continue
        note = _NOTE.search(found[1])
        name = _NOTE.sub("", found[1]).strip(" ,")
        fields = {
            "day": f"{day} {month}",
            "year": found[3],
            "birthplace": found[2],
            "note": (note[1] or note[2]) if note else None,
        }
        records.setdefault(name.casefold(), NamedRecord(name, name, known(fields), (month,)))
    return unique(records.values(), "births")


def read_events(paths: list[Path]) -> list[NamedRecord]:
    """Events with their day and year; alike are those of a day, or of a month.

    Raises:
        DataError: A file cannot be read, or there is no event.
    """
    records: dict[str, NamedRecord] = {}
    for day, month, text in _days(paths):
        found = _YEAR.search(text)
        if _BORN.match(text) or found is None:
            continue
        name = text[: found.start()].strip(" ,.")
        fields = {"day": f"{day} {month}", "year": found[1], "decade": f"{found[1][:-1]}0s"}
        record_id = f"{digest(name):016x}"
        records.setdefault(record_id, NamedRecord(record_id, name, fields, (f"{day} {month}", month)))
    return unique(records.values(), "events")


def _days(paths: list[Path]) -> Iterator[tuple[int, str, str]]:
    """Day, month and text of every entry; a line that begins with a blank goes on with the one before."""
    for path in paths:
        entries: list[str] = []
        for line in read_lines(path):
            if line[:1] in (" ", "\t") and entries:
                entries[-1] += f" {line.strip()}"
            else:
                entries.append(line)
        for entry in entries:
            if (found := _DAY.match(entry)) and 1 <= int(found[1]) <= len(_MONTHS):
                yield int(found[2]), _MONTHS[int(found[1]) - 1], " ".join(found[3].split())
