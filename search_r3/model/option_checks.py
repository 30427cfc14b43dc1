"""Checks of the thinking module's options: what is wrong is said with what was wanted."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, get_args

from search_r3.arguments import as_integer
from search_r3.errors import InvalidOptionError


def one_of(name: str, value: Any, choices: Any) -> Any:
    """Return a value that is one of a ``Literal``'s.

    Raises:
        InvalidOptionError: It is not.
    """
    if value not in get_args(choices):
        raise InvalidOptionError(
            f"Got {name}={value!r}, wanted one of {', '.join(map(repr, get_args(choices)))}."
        )
    return value


def checked_seed(temperature: object, top_p: object, seed: object) -> int:
    """Check the options of sampling; the seed comes back as a plain integer, on whose text samples depend.

    Raises:
        InvalidOptionError: One of them is not valid.
    """
    numbers = isinstance(temperature, Real) and isinstance(top_p, Real)
    if not numbers or not 0 <= temperature < math.inf or not 0 < top_p <= 1:  # type: ignore[operator]
        raise InvalidOptionError(
            f"Got temperature={temperature!r}, top_p={top_p!r}, wanted temperature >= 0 and 0 < top_p <= 1."
        )
    checked = as_integer(seed, -math.inf)
    if checked is None:
        raise InvalidOptionError(f"Got seed={seed!r}, wanted an integer.")
    return checked


def checked_integer(name: str, value: object, minimum: int) -> int:
    """Return an option that is an integer of some size, as Python's own.

    Raises:
        InvalidOptionError: It is none, or smaller.
    """
    checked = as_integer(value, minimum)
    if checked is None:
        raise InvalidOptionError(f"Got {name}={value!r}, wanted an integer of {minimum} or more.")
    return checked
