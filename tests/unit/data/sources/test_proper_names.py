"""Titles in texts, by hand."""

import pytest

from search_r3.data.sources.proper_names import ProperNames, is_part_of_longer, without

NAMES = ProperNames(
    ["Nile", "White Nile", "White House", "Ada", "river", "1066", "King's Lynn", "Nile (film)"]
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the Nile and the Nile", ["Nile"]),
        ("the White Nile meets the Blue Nile", ["White Nile", "Nile"]),
        ("Niles, the river of 1066", []),
        ("Ada is too short, Nile.", ["Nile"]),
        ("from King's Lynn to the White House", ["King's Lynn", "White House"]),
        ("the Nile (film)", ["Nile"]),
        ("nile", []),
    ],
)
def test_names_in_a_text(text, found):
    """The longest at each place, in order, each once; no small letters, numbers, brackets or short names."""
    assert NAMES.find(text) == found


def test_a_name_is_replaced_everywhere():
    """As whole words alone, and the placeholder is no pattern."""
    assert without("Nile, Niles and the Nile", "Nile", r"\\1") == r"\\1, Niles and the \\1"


@pytest.mark.parametrize(
    ("text", "is_part"), [("the White Nile", True), ("the Nile Delta", True), ("the Nile delta", False)]
)
def test_a_part_of_a_longer_name(text, is_part):
    assert is_part_of_longer(text, "Nile") is is_part
