"""Rules that every source shares: identity of entries and documents, negatives that are no answers."""

import pytest

from search_r3.data.sources.entries import (
    Entry,
    group_neighbours,
    read_json,
    read_lines,
    sampled,
    training_pairs,
    unambiguous,
)
from search_r3.errors import DataError


def entry(entry_id, query, positive):
    return Entry(entry_id, entry_id.upper(), query, positive)


def test_fields_of_a_pair():
    """A pair carries the entry's texts and ids and the source's name."""
    (pair,) = training_pairs("tiny", [entry("a", "warm drink", "tea")], lambda _: {"x": "coffee"})
    assert (pair.query, pair.positive, pair.negatives) == ("warm drink", "tea", ("coffee",))
    assert (pair.source, pair.query_id, pair.doc_id) == ("tiny", "a", "A")


def test_query_that_equals_its_positive_is_dropped():
    """A query that is its own answer, but for case, teaches nothing."""
    pairs = training_pairs("tiny", [entry("a", "Tea", "tea"), entry("b", "warm drink", "tea")])
    assert [pair.query_id for pair in pairs] == ["b"]


def test_repeated_entries_are_kept_once():
    """The same query with the same positive is kept once, the first time."""
    pairs = training_pairs("tiny", [entry("a", "Warm drink", "tea"), entry("b", "warm drink", "Tea")])
    assert [pair.query_id for pair in pairs] == ["a"]


def test_equal_positives_share_a_document_id():
    """Entries with the same positive have the document id of the first."""
    pairs = training_pairs(
        "tiny",
        [entry("a", "warm drink", "tea"), entry("b", "leaf infusion", "Tea"), entry("c", "bean", "coffee")],
    )
    assert [pair.doc_id for pair in pairs] == ["A", "A", "C"]


def test_other_answers_are_no_negatives():
    """Neither the positive, nor the query, nor another positive of the same query is a negative."""
    entries = [entry("a", "warm drink", "tea"), entry("b", "Warm Drink", "cocoa")]
    texts = {"1": "TEA", "2": "Cocoa", "3": "warm drink", "4": "water"}
    pairs = training_pairs("tiny", entries, lambda _: texts)
    assert [pair.negatives for pair in pairs] == [("water",), ("water",)]


def test_negatives_are_few_distinct_and_repeatable():
    """At most five negatives, no text twice, the same whatever the order of the candidates."""
    texts = {str(number): f"text {number // 2}" for number in range(40)}
    reverse = dict(reversed(texts.items()))
    first = training_pairs("tiny", [entry("a", "q", "p")], lambda _: texts)[0].negatives
    again = training_pairs("tiny", [entry("a", "q", "p")], lambda _: reverse)[0].negatives
    other = training_pairs("tiny", [entry("b", "q", "p")], lambda _: texts)[0].negatives
    assert first == again
    assert len(first) == len(set(first)) == 5
    assert set(first) != set(other)


def test_no_pairs_and_repeated_ids_are_refused():
    """A source without pairs, or with one id for two entries, is an error."""
    with pytest.raises(DataError, match="tiny gave no pair"):
        training_pairs("tiny", [entry("a", "tea", "tea")])
    with pytest.raises(DataError, match="two entries with the same id"):
        training_pairs("tiny", [entry("a", "warm", "tea"), entry("a", "cold", "ice")])


def test_read_lines_refuses_what_is_not_text(tmp_path):
    """A missing file, or bytes in another encoding, are a DataError that names the file."""
    with pytest.raises(DataError, match=r"missing\.txt"):
        read_lines(tmp_path / "missing.txt")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="latin"):
        read_lines(tmp_path / "latin")
    assert read_lines(tmp_path / "latin", encoding="latin-1") == ["café"]


def plain(name, query="", positive=""):
    return Entry(name, name, query or f"query {name}", positive or f"text {name}")


def test_samples_depend_on_ids_only():
    """A sample keeps the order and does not change with entries that are not in it."""
    entries = [plain(str(number)) for number in range(50)]
    chosen = sampled(entries, 10)
    assert len(chosen) == 10
    assert chosen == [item for item in entries if item in chosen]
    assert sampled(chosen, 10) == chosen
    assert sampled([*reversed(entries)], 10) == chosen[::-1]


def test_ambiguous_queries_are_left_out():
    """A query with two answers goes, a repeated pair stays once; case does not count."""
    entries = [plain("a", "Tea", "x"), plain("b", "tea", "Y"), plain("c", "Pot", "z"), plain("d", "pot", "Z")]
    assert unambiguous(entries) == [entries[2]]


def test_neighbours_are_the_nearest_of_the_group():
    """Texts of the same group, 20 before and 20 after, without the entry itself."""
    entries = [plain(f"a{number}") for number in range(60)] + [plain("b")]
    neighbours = group_neighbours(entries, lambda item: item.entry_id[0])
    assert neighbours(entries[-1]) == {}
    near = neighbours(entries[30])
    assert set(near) == {f"a{number}" for number in range(10, 51)} - {"a30"}
    assert near["a29"] == "text a29"


def test_json_that_cannot_be_read(tmp_path):
    """A missing file and one that is no JSON are errors with the name."""
    path = tmp_path / "x.json"
    for content in (None, b"{", b"\xff"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.json"):
            read_json(path)
    path.write_text('{"a": [1]}')
    assert read_json(path) == {"a": [1]}
