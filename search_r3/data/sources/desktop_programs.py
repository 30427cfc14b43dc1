"""AppStream: the one-line summary of a desktop program or font finds its description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, read_lines, training_pairs
from search_r3.data.sources.markup import html_text, shortened
from search_r3.errors import DataError
from search_r3.extras import needs_extra

with needs_extra("eval"):
    import yaml

_WANTED = re.compile(r"(?:ID|Type|Name|Summary|Description|Categories):")
_LANGUAGE = re.compile(r"^  (\S+):")
_LEAST_WORDS = 3


@dataclass(frozen=True)
class DesktopProgram:
    """A program with a window, or a part of one.

    Attributes:
        program_id: Such as org.gnome.Maps.desktop.
        name: Such as Maps.
        summary: One line.
        description: All paragraphs, in one line.
        categories: Of the menus, such as Utility.
    """

    program_id: str
    name: str
    summary: str
    description: str
    categories: tuple[str, ...]


def read_desktop_programs(path: Path) -> list[DesktopProgram]:
    """Read the English texts of a DEP-11 file, the first of each id; those without description are skipped.

    Raises:
        DataError: It cannot be read, or describes no program.
    """
    programs: dict[str, DesktopProgram] = {}
    document: list[str] = []
    for line in [*read_lines(path), "---"]:
        if line == "---":
            if (found := _program("\n".join(document))) is not None:
                programs.setdefault(found.program_id, found)
            document = []
        else:
            document.append(line)
    if not programs:
        raise DataError(f"{path} describes no program; wanted a DEP-11 file, decompressed by apt-helper.")
    return list(programs.values())


def _program(document: str) -> DesktopProgram | None:
    try:
        table = yaml.safe_load(_english(document))
    except yaml.YAMLError:
        return None
    if not isinstance(table, dict) or not isinstance(table.get("ID"), str):
        return None
    name, summary, description = (_text(table.get(key)) for key in ("Name", "Summary", "Description"))
    if not (name and summary and description):
        return None
    return DesktopProgram(table["ID"], name, summary, description, tuple(table.get("Categories") or ()))


def _english(document: str) -> str:
    """Only the fields that are read, in English: the others take minutes to parse."""
    kept: list[str] = []
    wanted = english = False
    for line in document.split("\n"):
        if line and not line.startswith((" ", "-")):
            wanted, english = _WANTED.match(line) is not None, True
        elif found := _LANGUAGE.match(line):
            english = found[1] == "C"
        if wanted and english:
            kept.append(line)
    return "\n".join(kept)


def _text(field: Any) -> str:
    return html_text(str(field.get("C") or "")) if isinstance(field, dict) else ""


def desktop_programs_pairs(programs: Sequence[DesktopProgram]) -> list[TrainingPair]:
    """Pair summaries with name and description (120 words at most).

    Negatives are programs that share all categories or, if there is none, the first one.

    Raises:
        DataError: No program has a summary of three words.
    """
    texts = {item.program_id: shortened(f"{item.name}: {item.description}") for item in programs}
    by_id = {program.program_id: program for program in programs}
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for program in programs:
        for key in {program.categories, program.categories[:1]} - {()}:
            groups.setdefault(key, {})[program.program_id] = texts[program.program_id]

    def alike(entry: Entry) -> dict[str, str]:
        categories = by_id[entry.item_id].categories
        whole = groups.get(categories, {})
        return whole if len(whole) > 1 else groups.get(categories[:1], {})

    entries = [
        Entry(program.program_id, program.program_id, program.summary, texts[program.program_id])
        for program in programs
        if len(program.summary.split()) >= _LEAST_WORDS
    ]
    return training_pairs("desktop_programs", entries, alike)
