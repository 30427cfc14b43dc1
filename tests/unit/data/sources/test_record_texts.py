"""Texts about records: templates, pairs, negatives, and the records that are left out."""

import pytest

from search_r3.data.sources.named_records import NamedRecord, is_held_out
from search_r3.data.sources.record_texts import (
    RecordPairs,
    Templates,
    differs,
    parse_template,
    read_templates,
    record_pairs,
)
from search_r3.errors import DataError


def city(name, country="Belgium", people="1,000", **fields):
    fields = {"country": country, "people": people, **fields}
    return NamedRecord(f"{name}/{country}", name, fields, (country,))


def named(held_out, count):
    """Names that are held out, or are not."""
    names = (f"Town {number}" for number in range(10_000))
    found = (name for name in names if is_held_out(NamedRecord("", name, {})) == held_out)
    return [next(found) for _ in range(count)]


def templates(queries, passages):
    return Templates(
        tuple(parse_template(text) for text in queries), tuple(parse_template(text) for text in passages)
    )


def pairs(records, queries, passages, most=1000):
    return record_pairs("made", [RecordPairs("town", records, templates(queries, passages), most)])


PASSAGES = ["{name} is in {country}.", "{name} has {people} inhabitants."]


def test_templates_name_fields_and_ask_for_others():
    """What a query asks for stands in square brackets, and is no part of its text."""
    template = parse_template("How large is {name}, {a_kind}? [people area]")
    assert template.text == "How large is {name}, {a_kind}?"
    assert template.named == {"name", "a_kind"}
    assert template.asked == {"people", "area"}
    assert template.facts == {"kind", "people", "area"}


def test_a_sentence_begins_with_a_capital():
    """A search query stays as it is, and so does a code at the beginning."""
    record = NamedRecord("1", "baker's yeast", {"code": "yst", "country": "United States"})
    assert parse_template("{name} is a fungus.").render(record) == "Baker's yeast is a fungus."
    assert parse_template("{name} price").render(record) == "baker's yeast price"
    assert parse_template("{code} stands for {name}.").render(record) == "yst stands for baker's yeast."
    assert parse_template("made in {country}").render(record) == "made in the United States"


def test_a_field_may_end_in_a_full_stop():
    """Two full stops become one, three stay."""
    record = NamedRecord("1", "e4", {"seat": "Denver, U.S.", "move": "1...e5"})
    assert parse_template("{name} sits in {seat}.").render(record) == "E4 sits in Denver, U.S."
    assert parse_template("{name} {move}").render(record) == "e4 1...e5"


def test_the_passage_holds_what_is_asked_for():
    """Of two passages, the one with the field in question is taken."""
    (name,) = named(False, 1)
    (pair,) = pairs([city(name)], ["people of {name} [people]"], PASSAGES)
    assert (pair.query, pair.positive) == (f"people of {name}", f"{name} has 1,000 inhabitants.")
    assert (pair.source, pair.negatives) == ("made", ())
    assert pair.query_id.startswith(f"town/{name}/Belgium/")


def test_a_query_without_an_answer_is_not_asked():
    """Neither an unknown field nor a field that no passage has gives a pair."""
    (name,) = named(False, 1)
    queries = ["mayor of {name} [mayor]", "area of {name} [area]", "{name} country [country]"]
    found = pairs([city(name, area="3 km²")], queries, PASSAGES)
    assert [pair.query for pair in found] == [f"{name} country"]


def test_negatives_are_of_the_same_template():
    """They are passages of other records, of the same country first, in the words of the positive."""
    first, second, third = named(False, 3)
    records = [city(first), city(second), city(third, "France")]
    found = {pair.query: pair for pair in pairs(records, ["{name} [country]"], PASSAGES)}
    assert set(found[first].negatives) == {f"{second} is in Belgium.", f"{third} is in France."}


def test_a_record_with_the_queried_field_is_no_negative():
    """Whoever asks by country gets no other record of that country as a wrong answer."""
    first, second, third = named(False, 3)
    records = [city(first), city(second), city(third, "France")]
    found = pairs(records, ["town in {country}"], PASSAGES)
    for pair in found:
        assert pair.negatives
        country = "France" if third in pair.positive else "Belgium"
        assert not any(country in negative for negative in pair.negatives)


def test_a_namesake_is_a_negative_if_the_query_tells_them_apart():
    """Asked for with its country, the town of the same name elsewhere is a wrong answer."""
    (name,) = named(False, 1)
    records = [city(name), city(name, "France")]
    told, untold = (
        pairs(records, [query], PASSAGES[:1]) for query in ("{name}, {country}", "{name} [country]")
    )
    assert {pair.query: pair.negatives for pair in told} == {
        f"{name}, Belgium": (f"{name} is in France.",),
        f"{name}, France": (f"{name} is in Belgium.",),
    }
    assert {pair.negatives for pair in untold} == {()}


def test_names_that_contain_one_another_do_not_differ():
    """Nor do unknown fields; another country does."""
    query = parse_template("{name} in {country}")
    assert not differs(NamedRecord("1", "New Ghent", {}), city("Ghent"), query)
    assert differs(NamedRecord("1", "New Ghent", {"country": "France"}), city("Ghent"), query)
    assert differs(NamedRecord("1", "Bruges", {}), city("Ghent"), query)


def test_held_out_records_are_neither_asked_for_nor_negatives():
    """No text of the pairs holds a held-out name."""
    kept, held_out = named(False, 4), named(True, 4)
    found = pairs([city(name) for name in (*kept, *held_out)], ["{name} [country]"], PASSAGES)
    assert {pair.query for pair in found} == set(kept)
    texts = [text for pair in found for text in (pair.query, pair.positive, *pair.negatives)]
    words = {" ".join(text.split()[:2]).rstrip(".,") for text in texts}
    assert words == set(kept)


def test_at_most_so_many_pairs_the_same_every_time():
    """The limit cuts by hash, whatever the order of the records; without one, every query is asked."""
    records = [city(name) for name in named(False, 20)]
    queries = ["{name} [country]", "where is {name}? [country]", "people of {name} [people]"]
    cut = pairs(records, queries, PASSAGES, most=10)
    assert len(cut) == 10
    assert cut == pairs(list(reversed(records)), queries, PASSAGES, most=10)
    assert len(pairs(records, queries, PASSAGES, most=60)) == 60


def test_templates_that_cannot_be_read_are_refused():
    """A brace too many, or a format in the braces."""
    with pytest.raises(DataError, match="cannot be read"):
        parse_template("{name is here")
    with pytest.raises(DataError, match="wanted a name"):
        parse_template("{name.x} is here")


def test_templates_are_read_from_their_file():
    """The cities' templates have both parts, and their ten documents share country and kind."""
    cities = read_templates("cities")
    assert cities.shared == ("country", "kind")
    assert not {*cities.queries, *cities.passages} & {*cities.test_queries, *cities.test_passages}
