"""Ontologies in OBO format: terms, definitions, synonyms and parents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import DataError

_SCOPES = ("EXACT", "BROAD", "NARROW", "RELATED")
_ESCAPES = {"n": "\n", "t": "\t", "W": " "}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"(.*)')


@dataclass(frozen=True)
class Synonym:
    """Another wording of a term.

    Attributes:
        text: The wording.
        is_lay: Whether the ontology marks it as a layperson's.
        scope: EXACT, BROAD, NARROW or RELATED.
    """

    text: str
    is_lay: bool
    scope: str


@dataclass(frozen=True)
class Term:
    """One term that is not obsolete.

    Attributes:
        term_id: Its id, such as HP:0000118.
        name: Its preferred name.
        definition: Its definition; empty if it has none.
        synonyms: Its other wordings, in the order of the file.
        parents: Ids of the terms it is a kind of.
    """

    term_id: str
    name: str
    definition: str
    synonyms: tuple[Synonym, ...]
    parents: tuple[str, ...]


def read_obo(path: Path) -> list[Term]:
    """Read the terms of an OBO file, in its order.

    Raises:
        DataError: The file cannot be read, or holds no term.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the ontology {path}: {error}.") from None
    terms = [term for stanza in _stanzas(lines) if (term := _term(stanza)) is not None]
    if not terms:
        raise DataError(f"{path} holds no [Term]; wanted an ontology in OBO format.")
    return terms


def _stanzas(lines: list[str]) -> Iterator[list[tuple[str, str]]]:
    """The tag-value pairs of every [Term]."""
    stanza: list[tuple[str, str]] | None = None
    for line in [*lines, "[End]"]:
        if line.startswith("["):
            if stanza:
                yield stanza
            stanza = [] if line.strip() == "[Term]" else None
        elif stanza is not None and ": " in line:
            tag, value = line.split(": ", 1)
            stanza.append((tag, value.strip()))


def _term(stanza: list[tuple[str, str]]) -> Term | None:
    single = dict(reversed(stanza))  # the first of equal tags
    if single.get("is_obsolete") == "true" or "id" not in single or "name" not in single:
        return None
    synonyms = []
    for tag, value in stanza:
        if tag == "synonym" and (found := _QUOTED.match(value)):
            scope = next(iter(found[2].split()), "")
            scope = scope if scope in _SCOPES else "RELATED"
            synonyms.append(Synonym(_unescaped(found[1]), "layperson" in found[2], scope))
    definition = _QUOTED.match(single.get("def", ""))
    return Term(
        term_id=single["id"],
        name=single["name"],
        definition=_unescaped(definition[1]) if definition else "",
        synonyms=tuple(synonyms),
        parents=tuple(value.split(" ")[0] for tag, value in stanza if tag == "is_a"),
    )


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)
