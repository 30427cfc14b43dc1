"""schema.org: what a term of the vocabulary for web pages means finds its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import (
    Entry,
    group_neighbours,
    read_lines,
    training_pairs,
    unambiguous,
)
from search_r3.data.sources.markup import html_text, shortened, words_of_name
from search_r3.errors import DataError

_LEAST_WORDS = 5
_QUERY_WORDS = 50
_DOCUMENTED = re.compile(
    r"interface (?P<interface>\w+)Base\b|/\*\*(?P<comment>(?:[^*]|\*(?!/))*)\*/\s*"
    r"(?:\"(?P<property>\w+)\"\?|export type (?P<type>\w+)\b)"
)
_STAR = re.compile(r"^\s*\* ?", re.MULTILINE)
_TARGET = re.compile(r"\{@link \S+(?: ([^{}]*))?\}")


@dataclass(frozen=True)
class SchemaTerm:
    """A class or a property.

    Attributes:
        name: Such as cookTime or Recipe.
        owner: The class whose property it is; "" of a class.
        description: What it means.
    """

    name: str
    owner: str
    description: str


def read_schema_org(path: Path) -> list[SchemaTerm]:
    """Read schema.d.ts of schema-dts: documented properties and classes, each name once, none deprecated.

    Raises:
        DataError: It cannot be read, or documents no term.
    """
    terms: dict[str, SchemaTerm] = {}
    owner = ""
    for found in _DOCUMENTED.finditer("\n".join(read_lines(path))):
        if found["interface"]:
            owner = found["interface"]
        elif "@deprecated" not in found["comment"]:
            text = _TARGET.sub(lambda link: link[1] or "", _STAR.sub("", found["comment"]))
            name = found["property"] or found["type"]
            terms.setdefault(name, SchemaTerm(name, "" if found["type"] else owner, html_text(text)))
    if not terms:
        raise DataError(f"{path} documents no term; wanted schema.d.ts of schema-dts.")
    return list(terms.values())


def schema_org_pairs(terms: Sequence[SchemaTerm]) -> list[TrainingPair]:
    """Pair meanings (50 words at most) with names in words.

    Negatives are other properties of the class, of a class other classes.

    Raises:
        DataError: No term has a meaning of five words.
    """
    owners = {term.name: term.owner for term in terms}
    entries = unambiguous(
        Entry(term.name, term.name, shortened(term.description, _QUERY_WORDS), words_of_name(term.name))
        for term in terms
        if len(term.description.split()) >= _LEAST_WORDS
    )
    return training_pairs(
        "schema_org", entries, group_neighbours(entries, lambda entry: owners[entry.entry_id])
    )
