"""Records: numbers and names as texts, and which records are held out."""

import pytest

from search_r3.data.sources.named_records import (
    NamedRecord,
    another_name,
    coordinates,
    is_held_out,
    is_latin,
    known,
    rounded,
    unique,
    with_article,
)
from search_r3.errors import DataError


def test_one_name_in_ten_is_held_out_whatever_its_case_and_kind():
    """The choice depends on the name alone, and comes to about a tenth of the names."""
    share = sum(is_held_out(NamedRecord(str(number), f"name {number}", {})) for number in range(5000)) / 5000
    assert 0.08 < share < 0.12
    for name in ("Ghent", "Bruges", "Ostend", "Namur", "Liège"):
        first, second = NamedRecord("1", name, {"a": "b"}), NamedRecord("2", name.upper(), {}, ("x",))
        assert is_held_out(first) == is_held_out(second)


def test_value_knows_the_name():
    """The name counts as a field; an unknown field is None."""
    record = NamedRecord("1", "Ghent", {"country": "Belgium"})
    assert (record.value("name"), record.value("country"), record.value("area")) == ("Ghent", "Belgium", None)


def test_known_drops_what_is_empty():
    """Blanks are run together; 0 is a value, None and an empty text are not."""
    assert known({"a": " x \n y ", "b": "", "c": None, "d": 0}) == {"a": "x y", "d": "0"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("airport", "an airport"),
        ("university", "a university"),
        ("United States senator", "a United States senator"),
        ("urban district", "an urban district"),
        ("the last king", "the last king"),
        ("British painter", "a British painter"),
    ],
)
def test_articles(words, expected):
    """A or an by the sound; words with an article keep it."""
    assert with_article(words) == expected


@pytest.mark.parametrize(
    ("number", "digits", "expected"),
    [(939.4, 3, "939"), (0.05761, 2, "0.058"), (92.90637, 5, "92.906"), (12.0, 3, "12"), (0.0, 3, "0")],
)
def test_rounded(number, digits, expected):
    """Significant digits, without an exponent."""
    assert rounded(number, digits) == expected


def test_large_numbers_keep_their_digits():
    """Rounding is of decimals only."""
    assert rounded(231493.4) == "231,493"


def test_coordinates():
    """South and west have letters instead of signs."""
    assert coordinates(-33.8678, 151.2073) == "33.87° S, 151.21° E"
    assert coordinates(40.0, -3.5) == "40.00° N, 3.50° W"


def test_other_names():
    """The name itself, in any case, is no other name; none left gives None."""
    assert another_name("1", "Wien", ["WIEN", "Vienna"]) == "Vienna"
    assert another_name("1", "Wien", ["wien"]) is None
    assert (is_latin("Gänt"), is_latin("Гент"), is_latin("123")) == (True, False, False)


def test_ids_are_unique():
    """No record, or two with the same id, is an error."""
    with pytest.raises(DataError, match="no record of cups"):
        unique([], "cups")
    with pytest.raises(DataError, match="Two records of cups"):
        unique([NamedRecord("1", "a", {}), NamedRecord("1", "b", {})], "cups")
