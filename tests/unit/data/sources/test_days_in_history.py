"""Days in history: persons by what they were, events by their dates."""

import pytest

from search_r3.data.sources.days_in_history import (
    HistoricEntry,
    days_in_history_pairs,
    read_days_in_history,
)
from search_r3.errors import DataError


def test_fields(tmp_path):
    """Day and month are in the file's name; the year of death goes; deaths and other lines are skipped."""
    (tmp_path / "day_5_month_4_births.dialog").write_text(
        "1521 - Birthday of Anna Tea, Italian architect (d. 1570)\nBirthday of nobody\n10 - Birthday of Cup\n"
    )
    (tmp_path / "day_5_month_4_events.dialog").write_text("919 - The tea  is invented.\n")
    (tmp_path / "day_5_month_4_deaths.dialog").write_text("919 - Death of Bo, a king\n")
    assert read_days_in_history(tmp_path) == [
        HistoricEntry("day_5_month_4_births/0", "5 April 1521", "Anna Tea", "Italian architect"),
        HistoricEntry("day_5_month_4_events/0", "5 April 919", "", "The tea is invented."),
    ]


def test_pairs():
    """A description with the date finds the name; a date with two events is left out."""
    history = [
        HistoricEntry("a_births/0", "5 April 1521", "Anna Tea", "Italian architect"),
        HistoricEntry("a_births/1", "5 April 1522", "Bo Cup", "king"),
        HistoricEntry("a_events/0", "5 April 919", "", "The tea is invented by a king."),
        HistoricEntry("a_events/1", "5 April 920", "", "The cup is invented by a queen."),
        HistoricEntry("a_events/2", "5 April 920", "", "The pot is invented by a duke."),
    ]
    pairs = days_in_history_pairs(history)
    assert [(pair.query, pair.positive) for pair in pairs] == [
        ("Italian architect, born 5 April 1521", "Anna Tea"),
        ("king, born 5 April 1522", "Bo Cup"),
        ("What happened on 5 April 919?", "The tea is invented by a king."),
    ]
    assert pairs[0].negatives == ("Bo Cup",)
    assert set(pairs[2].negatives) == {"The cup is invented by a queen.", "The pot is invented by a duke."}


def test_refuses_other_folders(tmp_path):
    """A folder without days is an error."""
    with pytest.raises(DataError, match="holds no day"):
        read_days_in_history(tmp_path)
