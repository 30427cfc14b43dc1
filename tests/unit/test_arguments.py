"""Integers and columns of texts in the forms in which users have them."""

import numpy as np
import pandas as pd
import pytest

from search_r3.arguments import as_integer, as_list, checked_list, is_column
from search_r3.errors import InvalidInputError

TEXTS = ["red sea", "b", "a longer one"]
COLUMNS = {
    "list": lambda: list(TEXTS),
    "tuple": lambda: tuple(TEXTS),
    "generator": lambda: (text for text in TEXTS),
    "keys": lambda: dict.fromkeys(TEXTS).keys(),
    "values": lambda: dict(enumerate(TEXTS)).values(),
    "numpy": lambda: np.array(TEXTS),
    "numpy-objects": lambda: np.array(TEXTS, dtype=object),
    "numpy-strings": lambda: np.array(TEXTS, dtype=np.dtypes.StringDType()),
    "series": lambda: pd.Series(TEXTS),
    "series-5-to-7": lambda: pd.Series(TEXTS, index=[5, 6, 7]),
    "series-backwards": lambda: pd.Series(TEXTS, index=[2, 1, 0]),
    "series-category": lambda: pd.Series(TEXTS, dtype="category"),
    "index": lambda: pd.Index(TEXTS),
}
NO_COLUMNS = {
    "string": "red sea",
    "numpy-string": np.str_("red sea"),
    "bytes": b"red sea",
    "none": None,
    "dict": {"a": "b"},
    "set": {"a"},
    "frozenset": frozenset("a"),
    "frame": pd.DataFrame({"a": TEXTS}),
    "numbers": np.zeros(3),
    "scalar-array": np.array("red sea"),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_read_by_position_as_plain_strings(column):
    assert is_column(column())
    for found in (as_list(column()), checked_list(column(), "texts")):
        assert found == TEXTS
        assert all(type(text) is str for text in found)


def test_a_column_of_pyarrow_is_read_as_plain_strings():
    pyarrow = pytest.importorskip("pyarrow")
    for column in (pyarrow.array(TEXTS), pyarrow.chunked_array([TEXTS[:1], TEXTS[1:]])):
        assert checked_list(column, "texts") == TEXTS


@pytest.mark.parametrize("value", NO_COLUMNS.values(), ids=NO_COLUMNS)
def test_what_is_no_column_is_refused(value):
    assert not is_column(value)
    with pytest.raises(InvalidInputError, match=r"got one \w+, wanted a list of texts"):
        checked_list(value, "texts")


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.int32(3)])
def test_integers_of_numpy_are_integers(value):
    found = as_integer(value, 1)
    assert found == 3 and type(found) is int
    assert as_integer(value, 4) is None


@pytest.mark.parametrize("value", [True, False, np.True_, 3.0, np.float64(3), "3", None, [3]])
def test_other_values_are_none(value):
    assert as_integer(value, 0) is None
