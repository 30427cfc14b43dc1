"""Arguments in the forms in which numpy, pandas and their like hold integers and columns of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from search_r3.errors import InvalidInputError


def as_integer(value: object, minimum: float) -> int | None:
    """Return an integer of any type as Python's own; None if it is none, or below ``minimum``.

    numpy's integers are integers; booleans and whole floats are not.
    """
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return int(value) if is_integer and value >= minimum else None  # type: ignore[call-overload, operator]


def is_column(values: object) -> bool:
    """Whether these are several values in one order: any iterable that is not a text, a table or unordered.

    Lists, tuples, arrays of texts, pandas and polars series, columns of datasets and pyarrow, and generators
    are columns. Strings, bytes, mappings, sets, tables and arrays of numbers are not.
    """
    if isinstance(values, np.ndarray):
        return values.ndim >= 1 and values.dtype.kind in "UOT"
    is_other = isinstance(values, str | bytes | bytearray | Mapping | set | frozenset)
    # A table has two dimensions, and iterating over it gives its column names.
    return isinstance(values, Iterable) and not is_other and len(getattr(values, "shape", (0,))) == 1


def checked_list(values: Iterable[Any], name: str) -> list[Any]:
    """Return :func:`as_list` of a column.

    Args:
        values: The column.
        name: What its values are, in the plural.

    Raises:
        InvalidInputError: It is none.
    """
    if not is_column(values):
        got = "string" if isinstance(values, str) else type(values).__name__
        raise InvalidInputError(f"got one {got}, wanted a list of {name}.", values)
    return as_list(values)


def as_list(values: Iterable[Any]) -> list[Any]:
    """Return the values in their order, as plain Python objects where they come from an array.

    A pandas series is read by position, whatever its index is.
    """
    if isinstance(values, np.ndarray):
        return list(values.tolist())
    if hasattr(values, "to_pylist"):  # of pyarrow, whose iterator gives its own scalars
        return list(values.to_pylist())
    return list(values)
