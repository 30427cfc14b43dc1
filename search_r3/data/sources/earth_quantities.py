"""Quantities of atmosphere, ocean and land: the standard names of the CF conventions with descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from search_r3.errors import DataError


@dataclass(frozen=True)
class Quantity:
    """A quantity that is measured or computed.

    Attributes:
        name: Such as sea_surface_height_above_geoid.
        description: Sentences on what is meant.
    """

    name: str
    description: str


def read_quantities(path: Path) -> list[Quantity]:
    """Read the entries of a standard name table that have a description.

    Raises:
        DataError: The file cannot be read, is no XML, or has no such entry.
    """
    try:
        entries = ElementTree.parse(path).getroot().findall("entry")
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
    described = (
        Quantity(entry.get("id", ""), " ".join((entry.findtext("description") or "").split()))
        for entry in entries
    )
    quantities = [quantity for quantity in described if quantity.name and quantity.description]
    if not quantities:
        raise DataError(f"{path} holds no described entry; wanted a table of CF standard names.")
    return quantities
