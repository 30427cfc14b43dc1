"""Cities, countries and their parts, airports: records of GeoNames, iso-codes and airportsdata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from search_r3.data.sources.named_records import (
    NamedRecord,
    another_name,
    coordinates,
    counted,
    is_latin,
    known,
    unique,
    with_article,
)
from search_r3.data.sources.record_tables import csv_rows, json_rows

CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
_LARGE = 100_000
_METRES_A_FOOT = 0.3048
_MARK = re.compile(r"\s*(?:†|\([A-Z]+-partial\)|\[[^\]]*\])")
_UNFINISHED = re.compile(r"under construction|closed|unknown|duplicate|\[|\?", re.IGNORECASE)


def country_names(path: Path) -> dict[str, str]:
    """Names of countries by their codes of two letters, from GeoNames."""
    return {row["iso"]: row["name"] for row in json_rows(path, ("iso", "name"))}


def read_countries(path: Path) -> list[NamedRecord]:
    """Countries and territories of GeoNames; alike are those of a continent.

    Raises:
        DataError: The file cannot be read, or lacks a column.
    """
    rows = json_rows(path, ("iso", "iso3", "name", "capital", "areakm2", "population", "neighbours"))
    names = {row["iso"]: row["name"] for row in rows}
    records = []
    for row in rows:
        continent = CONTINENTS[row["continentcode"]]
        neighbours = [names[code] for code in row["neighbours"].split(",") if code in names]
        fields = {
            "capital": row["capital"],
            "continent": continent,
            "area": counted(round(row["areakm2"])) if row["areakm2"] else None,
            "population": counted(row["population"]) if row["population"] else None,
            "currency": row["currencyname"],
            "currency_code": row["currencycode"],
            "iso2": row["iso"],
            "iso3": row["iso3"],
            "domain": row["tld"],
            "phone": f"+{row['phone'].lstrip('+')}" if row["phone"] else None,
            "neighbours": ", ".join(neighbours),
        }
        records.append(NamedRecord(row["iso"], row["name"], known(fields), (continent,)))
    return unique(records, "countries")


def read_cities(path: Path, countries: Mapping[str, str], states: Mapping[str, str]) -> list[NamedRecord]:
    """Populated places of GeoNames; alike are those of a country, and in the US of a state.

    Raises:
        DataError: The file cannot be read, or lacks a column.
    """
    records = []
    for row in json_rows(path, ("geonameid", "name", "countrycode", "population", "timezone")):
        code, number = row["countrycode"], str(row["geonameid"])
        if code not in countries:
            continue
        state = states.get(row["admin1code"]) if code == "US" else None
        others = [name for name in row["alternatenames"] if name[:1].isupper() or not is_latin(name)]
        kind = "city" if row["population"] >= _LARGE else "town"
        fields = {
            "country": countries[code],
            "state": state,
            "kind": kind,
            "population": counted(row["population"]) if row["population"] else None,
            "timezone": row["timezone"],
            "place": coordinates(row["latitude"], row["longitude"]),
            "alias": another_name(number, row["name"], filter(is_latin, others)),
            "native": another_name(number, row["name"], (name for name in others if not is_latin(name))),
        }
        groups = (f"{code}/{state}", code) if state else (code,)
        records.append(NamedRecord(number, row["name"], known(fields), groups))
    return unique(records, "cities")


def read_states(path: Path) -> dict[str, str]:
    """Names of the states of the US by their codes."""
    return {row["code"]: row["name"] for row in json_rows(path, ("code", "name"))}


def read_counties(path: Path, states: Mapping[str, str]) -> list[NamedRecord]:
    """Counties of the US; alike are those of a state."""
    return unique(
        (
            NamedRecord(
                row["fips"],
                row["name"],
                {"state": states[row["state"]], "fips": row["fips"]},
                (row["state"],),
            )
            for row in json_rows(path, ("fips", "name", "state"))
            if row["state"] in states
        ),
        "counties",
    )


def read_subdivisions(path: Path, countries: Mapping[str, str]) -> list[NamedRecord]:
    """Parts of countries of ISO 3166-2; alike are those of the same type in a country, or of a country.

    Raises:
        DataError: The file cannot be read, or lacks a column.
    """
    rows = json_rows(path, ("code", "name", "type"), key="3166-2")
    names = {row["code"]: _MARK.sub("", row["name"]) for row in rows}
    records = []
    for row in rows:
        country = countries.get(row["code"].partition("-")[0])
        if country is None:
            continue
        kind = row["type"].lower()
        fields = {
            "country": country,
            "code": row["code"],
            "kind": kind,
            "a_kind": with_article(kind),
            "parent": names.get(row.get("parent", "")),
        }
        groups = (f"{country}/{kind}", country)
        records.append(NamedRecord(row["code"], names[row["code"]], known(fields), groups))
    return unique(records, "subdivisions")


def read_airports(path: Path, countries: Mapping[str, str]) -> list[NamedRecord]:
    """Airports with a name, a city and a code of letters only; alike are those of a country.

    Raises:
        DataError: The file cannot be read, or lacks a column.
    """
    records = []
    for row in csv_rows(path, ("icao", "iata", "name", "city", "subd", "country", "elevation", "tz")):
        country, name = countries.get(row["country"]), " ".join(row["name"].split())
        lettered = row["icao"].isalpha() and len(row["icao"]) == 4
        if not (name and country and row["city"] and (row["iata"] or lettered)) or _UNFINISHED.search(name):
            continue
        feet = round(float(row["elevation"]))
        fields = {
            "iata": row["iata"],
            "icao": row["icao"] if lettered else None,
            "city": row["city"],
            "region": row["subd"] if row["subd"] != row["city"] else None,
            "country": country,
            "feet": counted(feet) if feet else None,
            "metres": counted(round(feet * _METRES_A_FOOT)) if feet else None,
            "timezone": row["tz"],
            "place": coordinates(float(row["lat"]), float(row["lon"])),
        }
        groups = (f"{country}/{row['subd']}", country)
        records.append(NamedRecord(row["icao"], name, known(fields), groups))
    return unique(records, "airports")
