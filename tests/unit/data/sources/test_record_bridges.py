"""Records as questions in two hops: by hand over a few towns, countries and facts."""

import pytest

from search_r3.data.sources.bridges import Bridge
from search_r3.data.sources.factbook import CountryFact
from search_r3.data.sources.named_records import NamedRecord, is_held_out
from search_r3.data.sources.record_bridges import HOPS, Hop, fact_bridges, record_bridges
from search_r3.data.sources.record_texts import Templates, parse_template, read_templates

HOP = Hop("towns", "country", "countries", ("the country where {name} lies",))
TOWNS = Templates(
    queries=(parse_template("Where is {name}?"),),
    passages=(parse_template("{name} is a town in {country}."), parse_template("{name} has a church.")),
)
COUNTRIES = Templates(
    queries=(
        parse_template("What is the capital of {name}? [capital]"),
        parse_template("{name}, {continent} [capital]"),  # it would tell a fact of the country
        parse_template("{name}"),  # it asks for nothing
    ),
    passages=(
        parse_template("The capital of {name} is {capital}."),
        parse_template("{name} is in {continent}."),
    ),
)


def town(name, country="Norway", **fields):
    return NamedRecord(name, name, {"country": country, **fields})


def country(name, capital, **fields):
    return NamedRecord(name, name, {"capital": capital, **fields})


NORWAY, PERU, CHAD = country("Norway", "Oslo"), country("Peru", "Lima"), country("Chad", "N'Djamena")


def made(records, targets=(NORWAY, PERU, CHAD), most=9):
    assert not any(is_held_out(record) for record in (*records, *targets))  # a check of the names chosen
    return record_bridges(HOP, records, targets, TOWNS, COUNTRIES, most)


def test_a_question_by_hand():
    """The query asks about the phrase, the passage names the country, its text has what is asked for."""
    [bridge] = made([town("Hamar")])
    assert bridge == Bridge(
        "towns/Hamar/country", "towns/Hamar", "Hamar", "What is the capital of the country where Hamar lies?",
        "Hamar is a town in Norway.", "Norway", "The capital of Norway is Oslo.", "countries/Norway",
        bridge.others,
    )  # fmt: skip
    assert sorted(bridge.others) == ["The capital of Chad is N'Djamena.", "The capital of Peru is Lima."]


def test_what_gives_no_question():
    """A country without a record or with two, a town named like it, and an answer that names the town."""
    assert made([town("Hamar", "Atlantis")]) == []
    assert made([town("Hamar")], (NORWAY, country("Norway", "Bergen"), PERU)) == []
    assert made([town("Norway Heights")]) == []
    assert made([town("Bergen")], (country("Norway", "Bergen"), PERU)) == []


def test_as_many_as_asked_for_and_the_same_ones():
    records = [town(f"Town {n}") for n in range(40)]
    records = [record for record in records if not is_held_out(record)]
    found = made(records, most=7)
    assert len(found) == 7
    assert made(records[::-1], most=7) == found


def test_held_out_names_are_left_out():
    """Of either kind."""
    held = next(f"Town {n}" for n in range(1000) if is_held_out(town(f"Town {n}")))
    assert record_bridges(HOP, [town(held)], [NORWAY, PERU], TOWNS, COUNTRIES, 9) == []
    away = country(held, "Oslo")
    assert record_bridges(HOP, [town("Hamar", held)], [away, PERU], TOWNS, COUNTRIES, 9) == []


def test_held_out_names_are_no_negatives():
    """Their passages are of the test of names."""
    held = next(name for name in (f"Land {n}" for n in range(1000)) if is_held_out(country(name, "X")))
    [bridge] = record_bridges(HOP, [town("Hamar")], [NORWAY, country(held, "X"), PERU], TOWNS, COUNTRIES, 9)
    assert bridge.others == ("The capital of Peru is Lima.",)


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        ({"country": "Italy", "region": "Lombardy"}, True),
        ({"country": "United States", "region": "Michigan"}, False),
    ],
)
def test_a_namesake_elsewhere_is_not_meant(fields, is_found):
    """Milan of Michigan is not Milan of Italy."""
    hop = Hop("airports", "city", "cities", ("the city that {name} serves",))
    airport = NamedRecord("AAA", "Linate Field", {"city": "Milan", **fields})
    milan = NamedRecord("1", "Milan", {"country": "Italy", "population": "1,236,837"})
    texts = Templates(queries=(), passages=(parse_template("{name} serves {city}."),))
    cities = Templates(
        queries=(parse_template("population of {name} [population]"),),
        passages=(parse_template("{name} has {population} inhabitants."),),
    )
    assert not any(map(is_held_out, (airport, milan)))
    assert bool(record_bridges(hop, [airport], [milan], texts, cities, 9)) == is_found


def test_facts_by_hand():
    """A subject of the town's country; the same subject of other countries does not answer."""
    facts = [
        CountryFact("no/climate", "Norway", "Climate", "temperate along the coast"),
        CountryFact("no/name", "Norway", "Country name", "Kingdom of Norway"),
        CountryFact("pe/climate", "Peru", "Climate", "varies from tropical to dry desert"),
        CountryFact("pe/terrain", "Peru", "Terrain", "western coastal plain"),
    ]
    [bridge] = fact_bridges(HOP, [town("Hamar"), town("Hamar 2", "Atlantis")], facts, TOWNS, 9)
    assert bridge == Bridge(
        "towns/Hamar/facts", "towns/Hamar", "Hamar", "Climate of the country where Hamar lies",
        "Hamar is a town in Norway.", "Norway", "Norway: temperate along the coast", "no/climate",
        ("Peru: varies from tropical to dry desert",),
    )  # fmt: skip


def test_every_hop_has_templates_for_it():
    """A passage of the first kind names the field, and a query of the second kind asks about a name alone."""
    for hop in HOPS:
        assert any({"name", hop.field} <= text.named for text in read_templates(hop.kind).passages), hop
        queries = read_templates(hop.target).queries
        assert any(query.named == {"name"} and query.asked for query in queries), hop
        assert all("{name}" in phrase for phrase in hop.phrases)
