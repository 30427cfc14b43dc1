"""Records of named things as questions in two hops whose second hop is in no record.

"When was the founder of Tesco born?" takes a passage on Tesco, which names the founder. No passage says when
he was born, so what answers the question here is the name alone. Such questions teach what to look up: they
are of many more kinds than those of :mod:`search_r3.data.sources.record_bridges`. Passages on other things of
the kind do not help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from search_r3.data.sources.bridges import Bridge, digest, mentions
from search_r3.data.sources.named_records import NamedRecord, is_held_out
from search_r3.data.sources.record_bridges import choice, passage_on
from search_r3.data.sources.record_texts import Templates

_MOST_OF_A_NAME = 12
_MOST_NAME_WORDS = 6
_OTHERS = 3

_PERSON = (
    "When was {thing} born?",
    "Where was {thing} born?",
    "What is the date of birth of {thing}?",
    "What nationality is {thing}?",
    "When did {thing} die?",
    "Where is {thing} buried?",
    "Who is the father of {thing}?",
    "Who was married to {thing}?",
    "At which university did {thing} study?",
    "What prize was given to {thing}?",
    "the mother of {thing}",
    "cause of death of {thing}",
    "What else is {thing} known for?",
)
_COMPANY = (
    "Where is the headquarters of {thing}?",
    "Who founded {thing}?",
    "In what year was {thing} founded?",
    "Who leads {thing}?",
    "Which company owns {thing}?",
    "What else does {thing} make?",
    "How many people work for {thing}?",
    "What country is {thing} from?",
    "parent company of {thing}",
    "Is {thing} still in business?",
)
_PLACE = (
    "What is the population of {thing}?",
    "Which river flows through {thing}?",
    "Who is the mayor of {thing}?",
    "When was {thing} founded?",
    "What is {thing} famous for?",
    "Which language is spoken in {thing}?",
    "Who ruled {thing} in 1900?",
    "Who was born in {thing}?",
    "the highest point of {thing}",
    "In which valley is {thing}?",
    "What is the nearest sea to {thing}?",
)
_COUNTRY = (
    "What is the capital of {thing}?",
    "Who is the head of state of {thing}?",
    "Which countries border on {thing}?",
    "When did {thing} become independent?",
    "national anthem of {thing}",
    "What is the official language of {thing}?",
    "On which continent is {thing}?",
)
_THING = (
    "What does one know about {thing}?",
    "Who discovered {thing}?",
    "What is {thing} named after?",
    "When was {thing} first described?",
    "How many of its kind does {thing} have?",
    "origin of {thing}",
)


@dataclass(frozen=True)
class NamedField:
    """A field of records whose value is a name.

    Attributes:
        kind: Kind of the records.
        field: The field.
        questions: What can be asked about its value, with ``{thing}`` for a phrase.
        phrases: Ways to speak of the value, with ``{name}`` for the record.
    """

    kind: str
    field: str
    questions: tuple[str, ...]
    phrases: tuple[str, ...]


NAMED_FIELDS = (
    NamedField(
        "games",
        "publisher",
        _COMPANY,
        ("the publisher of {name}", "the company that published {name}", "the firm behind the game {name}"),
    ),
    NamedField(
        "games", "platform", _THING, ("the machine that {name} was made for", "the platform of {name}")
    ),
    NamedField(
        "devices",
        "vendor",
        _COMPANY,
        ("the vendor of {name}", "the company that makes the {name}", "the maker of {name}"),
    ),
    NamedField(
        "companies",
        "founder",
        _PERSON,
        ("the founder of {name}", "the person who founded {name}", "the one who started {name}"),
    ),
    NamedField(
        "companies", "seat", _PLACE, ("the place where {name} has its seat", "the home town of {name}")
    ),
    NamedField(
        "elements",
        "discoverers",
        _PERSON,
        ("the discoverer of {name}", "the chemist who found {name}", "the person who discovered {name}"),
    ),
    NamedField("elements", "country", _COUNTRY, ("the country where {name} was discovered",)),
    NamedField(
        "deep_sky",
        "constellation",
        _THING,
        ("the constellation of {name}", "the constellation in which {name} lies"),
    ),
    NamedField(
        "openings", "parent", _THING, ("the opening that {name} belongs to", "the line that leads to {name}")
    ),
    NamedField(
        "births", "birthplace", _PLACE, ("the birthplace of {name}", "the town where {name} was born")
    ),
    NamedField("airports", "city", _PLACE, ("the city that {name} serves", "the town next to {name}")),
    NamedField("airports", "region", _PLACE, ("the region in which {name} lies",)),
    NamedField("counties", "state", _PLACE, ("the state that {name} is a part of", "the state of {name}")),
    NamedField(
        "species", "genus", _THING, ("the genus of the {name}", "the genus that the {name} belongs to")
    ),
    NamedField("countries", "capital", _PLACE, ("the capital of {name}", "the seat of government of {name}")),
    NamedField("countries", "currency", _THING, ("the currency of {name}", "the money of {name}")),
    NamedField(
        "schools",
        "country",
        _COUNTRY,
        ("the country where {name} is", "the country in which {name} teaches"),
    ),
    NamedField("cities", "country", _COUNTRY, ("the country of {name}", "the country in which {name} lies")),
)
"""The fields that questions are made of."""


def attribute_bridges(
    named: NamedField, records: Sequence[NamedRecord], templates: Templates, most: int
) -> list[Bridge]:
    """Make questions about records, one for each, by a hash of their ids.

    Records that are held out for the test of names are left out.

    Args:
        named: The field.
        records: Records of its kind.
        templates: Their texts.
        most: Most questions.
    """
    counts: Counter[str] = Counter()
    asked: list[tuple[NamedRecord, str]] = []
    for record in sorted(records, key=lambda record: digest(f"{_key(named, record)}/order")):
        value = record.fields.get(named.field, "")
        if len(asked) == most or not _is_usable(record, value) or counts[value] == _MOST_OF_A_NAME:
            continue
        passage = passage_on(record, named.field, templates, _key(named, record))
        if passage is not None:
            counts[value] += 1
            asked.append((record, passage))
    return [_bridge(named, asked, place) for place in range(len(asked))]


def _bridge(named: NamedField, asked: Sequence[tuple[NamedRecord, str]], place: int) -> Bridge:
    record, passage = asked[place]
    key, value = _key(named, record), record.fields[named.field]
    phrase = choice(named.phrases, f"{key}/phrase").format(name=record.name)
    beside = (asked[(place + step) % len(asked)] for step in range(1, len(asked)))
    others = (text for other, text in beside if other.fields[named.field] != value)
    return Bridge(
        key,
        f"{named.kind}/{record.record_id}",
        record.name,
        choice(named.questions, f"{key}/question").format(thing=phrase),
        passage,
        value,
        value,
        f"{named.kind}/{named.field}/{value}",
        tuple(islice(others, _OTHERS)),
    )


def _key(named: NamedField, record: NamedRecord) -> str:
    return f"{named.kind}/{record.record_id}/{named.field}/asked"


def _is_usable(record: NamedRecord, value: str) -> bool:
    if not value[:1].isupper() or len(value.split()) > _MOST_NAME_WORDS or "(" in value or "[" in value:
        return False
    return not (is_held_out(record) or mentions(record.name, value) or mentions(value, record.name))
