"""Records of named things as questions in two hops: a fact of the thing that another thing is tied to.

"What is the capital of the country where El Escorial lies?" takes a passage on El Escorial, which names
Spain, and a passage on Spain, which names the capital.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from search_r3.data.sources.bridges import Bridge, digest, mentions
from search_r3.data.sources.factbook import CountryFact
from search_r3.data.sources.named_records import NamedRecord, is_held_out
from search_r3.data.sources.record_texts import Templates, TextTemplate

_OTHERS = 3
_NO_QUESTION = ("Country name",)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Hop:
    """What ties records of one kind to those of another.

    Attributes:
        kind: Kind of the records that are asked about.
        field: Their field with the name of the other record.
        target: Kind of the other records.
        phrases: Ways to speak of the other record, with ``{name}`` for the first one.
    """

    kind: str
    field: str
    target: str
    phrases: tuple[str, ...]


HOPS = (
    Hop(
        "cities",
        "country",
        "countries",
        (
            "the country where {name} lies",
            "the country that the town of {name} belongs to",
            "{name}'s country",
        ),
    ),
    Hop(
        "airports",
        "country",
        "countries",
        ("the country where {name} is", "the country in which one lands at {name}"),
    ),
    Hop(
        "subdivisions",
        "country",
        "countries",
        ("the country that {name} is a part of", "the country with a region called {name}"),
    ),
    Hop(
        "schools",
        "country",
        "countries",
        ("the country in which {name} teaches", "the country where the students of {name} live"),
    ),
    Hop("operators", "country", "countries", ("the country where phones use {name}",)),
    Hop(
        "companies",
        "country",
        "countries",
        ("the home country of {name}", "the country that the company {name} comes from"),
    ),
    Hop("airports", "city", "cities", ("the city that {name} serves", "the place where {name} is")),
    Hop("countries", "currency", "currencies", ("the currency of {name}", "the money that {name} uses")),
)
"""The hops that questions are made of."""


def record_bridges(
    hop: Hop,
    records: Sequence[NamedRecord],
    targets: Sequence[NamedRecord],
    templates: Templates,
    target_templates: Templates,
    most: int,
) -> list[Bridge]:
    """Make questions about records, one for each, by a hash of their ids.

    Records and targets that are held out for the test of names are left out, and so are targets whose name
    another one has.

    Args:
        hop: What ties the two kinds.
        records: The records that are asked about.
        targets: The records that answer.
        templates: The texts of the first kind.
        target_templates: The texts of the second kind.
        most: Most questions.
    """
    by_name: dict[str, list[NamedRecord]] = defaultdict(list)
    for target in targets:
        by_name[target.name].append(target)
    found: list[Bridge] = []
    for record in sorted(records, key=lambda record: digest(f"{hop.kind}/{hop.field}/{record.record_id}")):
        if len(found) == most:
            break
        named = by_name.get(record.fields.get(hop.field, ""), [])
        if len(named) != 1 or is_held_out(record) or is_held_out(named[0]) or _is_namesake(record, named[0]):
            continue
        found += _bridge(hop, record, named[0], targets, templates, target_templates)
    return found


def fact_bridges(
    hop: Hop,
    records: Sequence[NamedRecord],
    facts: Sequence[CountryFact],
    templates: Templates,
    most: int,
) -> list[Bridge]:
    """Make questions about what the World Factbook says of the country that a record is of.

    Args:
        hop: Whose field names a country.
        records: The records that are asked about.
        facts: What the book says.
        templates: The texts of the records.
        most: Most questions.
    """
    by_country: dict[str, list[CountryFact]] = defaultdict(list)
    by_subject: dict[str, list[CountryFact]] = defaultdict(list)
    for fact in facts:
        if fact.subject in _NO_QUESTION:
            continue
        by_country[fact.country].append(fact)
        by_subject[fact.subject].append(fact)
    found: list[Bridge] = []
    for record in sorted(records, key=lambda record: digest(f"facts/{hop.kind}/{record.record_id}")):
        if len(found) == most:
            break
        country = record.fields.get(hop.field, "")
        if country not in by_country or is_held_out(record):
            continue
        key = f"{hop.kind}/{record.record_id}/facts"
        fact = choice(by_country[country], key)
        passage = passage_on(record, hop.field, templates, key)
        target = _shortened(fact)
        if passage is None or mentions(target, record.name) or mentions(record.name, country):
            continue
        phrase = choice(hop.phrases, f"{key}/phrase").format(name=record.name)
        alike = sorted(by_subject[fact.subject], key=lambda one: digest(f"{key}/{one.fact_id}"))
        others = tuple(_shortened(one) for one in alike if one.country != country)[:_OTHERS]
        question = f"{fact.subject.replace(' - ', ' ')} of {phrase}"
        found.append(
            Bridge(
                key,
                f"{hop.kind}/{record.record_id}",
                record.name,
                question,
                passage,
                country,
                target,
                fact.fact_id,
                others,
            )
        )
    return found


def _bridge(
    hop: Hop,
    record: NamedRecord,
    target: NamedRecord,
    targets: Sequence[NamedRecord],
    templates: Templates,
    target_templates: Templates,
) -> Iterator[Bridge]:
    key = f"{hop.kind}/{record.record_id}/{hop.field}"
    passage = passage_on(record, hop.field, templates, key)
    asked = [
        query
        for query in target_templates.queries
        if query.asked and query.named == {"name"} and query.fits(target)
    ]
    if passage is None or not asked or mentions(record.name, target.name):
        return
    query = choice(asked, f"{key}/query")
    answers = [text for text in target_templates.passages if query.facts <= text.facts and text.fits(target)]
    answers = [text for text in answers if "name" in text.named]
    if not answers:
        return
    answer = choice(answers, f"{key}/answer")
    text = answer.render(target)
    if mentions(text, record.name):
        return
    phrase = choice(hop.phrases, f"{key}/phrase").format(name=record.name)
    question = query.text.replace("{name}", phrase)
    question = question[:1].upper() + question[1:] if question.endswith("?") else question
    yield Bridge(
        key,
        f"{hop.kind}/{record.record_id}",
        record.name,
        question,
        passage,
        target.name,
        text,
        f"{hop.target}/{target.record_id}",
        _others(targets, target.name, answer, key),
    )


def _is_namesake(record: NamedRecord, target: NamedRecord) -> bool:
    """Whether a city of this name is another one than the record's: the name alone would lead elsewhere."""
    return any(
        field in target.fields and record.fields.get(own, "") != target.fields[field]
        for own, field in (("country", "country"), ("region", "state"))
    )


def _others(targets: Sequence[NamedRecord], name: str, answer: TextTemplate, key: str) -> tuple[str, ...]:
    """The same text on other things, from a place in their row that a hash decides."""
    start = int.from_bytes(digest(key)[4:8]) % len(targets)
    row = (targets[(start + step) % len(targets)] for step in range(len(targets)))
    fitting = (other for other in row if other.name != name and answer.fits(other) and not is_held_out(other))
    return tuple(answer.render(other) for other in islice(fitting, _OTHERS))


def passage_on(record: NamedRecord, field: str, templates: Templates, key: str) -> str | None:
    """A passage on a record in which its name and the value of a field stand; None if there is no such text.

    Args:
        record: The record.
        field: The field.
        templates: The texts of its kind.
        key: Decides among several passages.
    """
    fitting = []
    for text in templates.passages:
        if {"name", field} <= text.named and text.fits(record):
            rendered = text.render(record)
            if mentions(rendered, record.fields[field]):
                fitting.append(rendered)
    return choice(fitting, f"{key}/passage") if fitting else None


def _shortened(fact: CountryFact) -> str:
    return " ".join(f"{fact.country}: {fact.text}".split()[:60])


def choice(items: Sequence[Item], key: str) -> Item:
    """One of the items, the same one every time for a key."""
    return items[int.from_bytes(digest(key)[:4]) % len(items)]
