"""Questions in two hops about values of records, by hand."""

import pytest

from search_r3.data.sources.attribute_bridges import NAMED_FIELDS, NamedField, attribute_bridges
from search_r3.data.sources.bridges import Bridge
from search_r3.data.sources.named_records import NamedRecord, is_held_out
from search_r3.data.sources.record_texts import Templates, parse_template, read_templates

FIELD = NamedField("firms", "founder", ("Where was {thing} born?",), ("the founder of {name}",))
FIRMS = Templates(
    queries=(), passages=(parse_template("{founder} began {name}."), parse_template("{name} makes tyres."))
)


def firm(name, founder="Emma Grey", **fields):
    return NamedRecord(name, name, {"founder": founder, **fields})


def made(*records, most=99):
    assert not any(is_held_out(record) for record in records)  # a check of the names chosen
    return attribute_bridges(FIELD, records, FIRMS, most)


def test_a_question_by_hand():
    """The question speaks of the founder by the firm; the passage has both names; the answer is the name."""
    found = {bridge.about: bridge for bridge in made(firm("Hamar Ltd"), firm("Torg", "Ola Dunn"))}
    assert found["Hamar Ltd"] == Bridge(
        "firms/Hamar Ltd/founder/asked", "firms/Hamar Ltd", "Hamar Ltd",
        "Where was the founder of Hamar Ltd born?", "Emma Grey began Hamar Ltd.", "Emma Grey", "Emma Grey",
        "firms/founder/Emma Grey", ("Ola Dunn began Torg.",),
    )  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        firm("Grey"),  # the question would say the answer
        firm("Emma Grey Brothers"),
        firm("Hamar Ltd", "nobody"),
        firm("Hamar Ltd", "Emma Grey (1900)"),
        firm("Hamar Ltd", "One Of A Board Of Seven People"),
        NamedRecord("Hamar Ltd", "Hamar Ltd", {}),
    ],
)
def test_what_gives_no_question(record):
    """Names within names, values that are no plain names, lists, and records without a value."""
    assert made(record) == []


def test_no_value_is_most_of_the_answers():
    firms = [firm(f"Firm {number}") for number in range(60)]
    kept = [one for one in firms if not is_held_out(one)]
    assert len(made(*kept)) == 12 and len(made(*kept, most=5)) == 5
    assert attribute_bridges(FIELD, firms, FIRMS, 99) == made(*kept)


@pytest.mark.parametrize("named", NAMED_FIELDS, ids=lambda named: f"{named.kind}-{named.field}")
def test_every_field_has_a_text(named):
    """A template of its kind names both, or no question could be made; phrases and questions have a place."""
    passages = read_templates(named.kind).passages
    assert any({"name", named.field} <= text.named for text in passages)
    assert all("{name}" in phrase for phrase in named.phrases)
    assert all("{thing}" in question for question in named.questions)
