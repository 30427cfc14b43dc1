"""Training sets about named things: people, places, works, species, substances, products and the like."""

from __future__ import annotations

from collections.abc import Mapping

from search_r3.data.name_records import Names
from search_r3.data.pairs import TrainingPair
from search_r3.data.parsed import Sources
from search_r3.data.sources.record_texts import MOST_PAIRS, RecordPairs, read_templates, record_pairs
from search_r3.data.training_set import TrainingSet


def _set(name: str, description: str, licence: str, kinds: Mapping[str, int]) -> TrainingSet:
    """A set of some kinds of records, of each kind at most so many pairs."""

    def make(sources: Sources) -> list[TrainingPair]:
        names = Names(sources)
        return record_pairs(
            name,
            [
                RecordPairs(kind, names.records(kind), read_templates(kind), most)
                for kind, most in kinds.items()
            ],
        )

    return TrainingSet(f"{description} (no held-out names)", licence, make)


_WORDNET = "WordNet 3.0 licence"

NAME_SETS: dict[str, TrainingSet] = {
    name: _set(name, description, licence, kinds)
    for name, description, licence, kinds in (
        (
            "names_cities",
            "question about a city -> passage on it",
            "CC BY 4.0 (GeoNames)",
            {"cities": MOST_PAIRS},
        ),
        (
            "names_airports",
            "question about an airport -> passage on it",
            "MIT (airportsdata); names of countries CC BY 4.0 (GeoNames)",
            {"airports": MOST_PAIRS},
        ),
        (
            "names_regions",
            "question about a country or a part of one -> passage on it",
            "CC BY 4.0 (GeoNames), LGPL-2.1-or-later (iso-codes)",
            {"countries": 3_000, "subdivisions": 8_000, "counties": 4_000},
        ),
        (
            "names_people",
            "question about a person -> passage on them",
            f"{_WORDNET}; BSD-4-Clause-UC (calendar)",
            {"people": 13_000, "births": 2_000},
        ),
        (
            "names_species",
            "question about an animal, plant or fungus -> passage on it",
            _WORDNET,
            {"species": MOST_PAIRS},
        ),
        (
            "names_places",
            "question about a natural feature, city or region -> passage on it",
            _WORDNET,
            {"places": 9_000},
        ),
        (
            "names_events",
            "question about an event, battle, deity or figure -> passage on it",
            f"{_WORDNET}; BSD-4-Clause-UC (calendar)",
            {"events": 4_000, "battles": 1_000, "figures": 3_000},
        ),
        (
            "names_chemicals",
            "question about a compound or element -> passage on it",
            "US public domain (PubChem), MIT (chemicals, mendeleev)",
            {"compounds": 13_000, "elements": 2_000},
        ),
        (
            "names_sky",
            "question about an asteroid, comet, cluster, nebula or galaxy -> passage on it",
            "US public domain (JPL, in GPL-2.0-or-later KStars), CC BY-SA 4.0 (OpenNGC)",
            {"asteroids": 7_000, "comets": 2_000, "deep_sky": 6_000},
        ),
        (
            "names_games",
            "question about a computer game or program -> passage on it",
            "CC0-1.0 (MAME software lists)",
            {"games": MOST_PAIRS},
        ),
        (
            "names_organisations",
            "question about a company, school or mobile operator -> passage on it",
            "MIT (swot; pytickersymbols, with facts of Wikipedia, CC BY-SA 4.0), "
            "public domain (operators), CC BY 4.0 (names of countries, GeoNames)",
            {"companies": 6_000, "schools": 7_000, "operators": 2_000},
        ),
        (
            "names_devices",
            "question about a device, camera or lens -> passage on it",
            "GPL-2.0-or-later or BSD-3-Clause (usb.ids, pci.ids), CC BY-SA 3.0 (lensfun)",
            {"devices": 11_000, "cameras": 4_000},
        ),
        (
            "names_languages",
            "question about a language, script or currency -> passage on it",
            "LGPL-2.1-or-later (iso-codes)",
            {"languages": 8_000, "scripts": 800, "currencies": 800},
        ),
        (
            "names_openings",
            "question about a chess opening -> passage on it",
            "CC BY 4.0 (Open Chess Naming)",
            {"openings": 9_000},
        ),
    )
}
"""Pairs from templates, without the records held out for :mod:`search_r3.data.names_task`."""
