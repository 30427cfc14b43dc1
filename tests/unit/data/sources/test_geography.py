"""GeoNames, iso-codes and airportsdata as records."""

import json

import pytest

from search_r3.data.sources.geography import (
    read_airports,
    read_cities,
    read_counties,
    read_countries,
    read_states,
    read_subdivisions,
)
from search_r3.errors import DataError

COUNTRIES = {"BE": "Belgium", "US": "United States"}
AIRPORTS = """icao,iata,name,city,subd,country,elevation,lat,lon,tz,lid
ENTC,TOS,Tromso Airport,Tromso,Troms,NO,31,69.68,18.92,Europe/Oslo,
00AK,,Lowell Field,Anchor Point,Alaska,NO,450,59.9,-151.7,America/Anchorage,00AK
ENXX,,New Airport (under construction),Bergen,Vestland,NO,0,60.0,5.0,Europe/Oslo,
ENYY,,Bergen Field,Bergen,Bergen,NO,0,60.0,5.0,Europe/Oslo,
"""


def write(path, table):
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def city(number, name, code="BE", **fields):
    row = {"geonameid": number, "name": name, "countrycode": code, "population": 20000}
    row |= {"timezone": "Europe/Brussels", "latitude": 51.05, "longitude": 3.72, "admin1code": "VLG"}
    return row | {"alternatenames": [], **fields}


def test_cities(tmp_path):
    """Country, size, position, and a name in each script; transliterations in small letters are none."""
    names = ["Gent", "Gand", "gen te", "Гент"]
    rows = {"1": city(1, "Gent", population=231493, alternatenames=names), "2": city(2, "Lost", "XX")}
    (record,) = read_cities(write(tmp_path / "c.json", rows), COUNTRIES, {})
    assert (record.record_id, record.name, record.groups) == ("1", "Gent", ("BE",))
    assert record.fields == {
        "country": "Belgium",
        "kind": "city",
        "population": "231,493",
        "timezone": "Europe/Brussels",
        "place": "51.05° N, 3.72° E",
        "alias": "Gand",
        "native": "Гент",
    }


def test_cities_of_the_us_have_a_state(tmp_path):
    """The state is a group narrower than the country; codes of other countries mean no state."""
    rows = {"1": city(1, "Cary", "US", admin1code="IL"), "2": city(2, "Gent", admin1code="IL")}
    first, second = read_cities(write(tmp_path / "c.json", rows), COUNTRIES, {"IL": "Illinois"})
    assert (first.fields["state"], first.fields["kind"]) == ("Illinois", "town")
    assert first.groups == ("US/Illinois", "US")
    assert "state" not in second.fields


def test_countries(tmp_path):
    """Codes of neighbours become names; what is unknown is left out."""
    row = {"iso": "BE", "iso3": "BEL", "name": "Belgium", "capital": "Brussels", "areakm2": 30510}
    row |= {"population": 11422068, "neighbours": "FR,XX", "continentcode": "EU", "currencyname": "Euro"}
    row |= {"currencycode": "EUR", "tld": ".be", "phone": "32"}
    other = row | {"iso": "FR", "iso3": "FRA", "name": "France", "neighbours": "", "phone": "", "areakm2": 0}
    belgium, france = read_countries(write(tmp_path / "c.json", {"BE": row, "FR": other}))
    assert belgium.fields["neighbours"] == "France"
    assert (belgium.fields["phone"], belgium.fields["area"]) == ("+32", "30,510")
    assert {"neighbours", "phone", "area"}.isdisjoint(france.fields)
    assert france.groups == ("Europe",)


def test_subdivisions(tmp_path):
    """Type in small letters with its article, and the name of the part above."""
    rows = [
        {"code": "BE-VLG", "name": "Flanders †", "type": "Region"},
        {"code": "BE-VOV", "name": "East Flanders (NL-partial)", "type": "Province", "parent": "BE-VLG"},
        {"code": "XX-1", "name": "Nowhere", "type": "Atoll"},
    ]
    first, second = read_subdivisions(write(tmp_path / "s.json", {"3166-2": rows}), COUNTRIES)
    assert first.name == "Flanders"
    assert (first.fields["a_kind"], first.groups) == ("a region", ("Belgium/region", "Belgium"))
    assert (second.name, second.fields["code"], second.fields["parent"]) == (
        "East Flanders",
        "BE-VOV",
        "Flanders",
    )


def test_counties(tmp_path):
    """Counties have the names of their states; territories without a state are left out."""
    states = read_states(write(tmp_path / "s.json", {"AL": {"code": "AL", "name": "Alabama"}}))
    rows = [
        {"fips": "01001", "name": "Autauga County", "state": "AL"},
        {"fips": "72001", "name": "A", "state": "PR"},
    ]
    (record,) = read_counties(write(tmp_path / "c.json", rows), states)
    assert (record.name, record.fields) == ("Autauga County", {"state": "Alabama", "fips": "01001"})


def test_airports(tmp_path):
    """Feet become metres; codes with digits, and airports not yet open, are left out."""
    path = tmp_path / "a.csv"
    path.write_text(AIRPORTS, encoding="utf-8")
    tromso, bergen = read_airports(path, {"NO": "Norway"})
    assert tromso.name == "Tromso Airport"
    assert tromso.fields == {
        "iata": "TOS",
        "icao": "ENTC",
        "city": "Tromso",
        "region": "Troms",
        "country": "Norway",
        "feet": "31",
        "metres": "9",
        "timezone": "Europe/Oslo",
        "place": "69.68° N, 18.92° E",
    }
    assert {"iata", "region", "feet", "metres"}.isdisjoint(bergen.fields)
    assert tromso.groups == ("Norway/Troms", "Norway")


def test_other_tables_are_refused(tmp_path):
    """A table without a column, or without a row that counts, is an error."""
    with pytest.raises(DataError, match="row without timezone"):
        read_cities(
            write(tmp_path / "c.json", [{"geonameid": 1, "name": "", "countrycode": "", "population": 0}]),
            {},
            {},
        )
    with pytest.raises(DataError, match="no record of airports"):
        path = tmp_path / "a.csv"
        path.write_text(AIRPORTS, encoding="utf-8")
        read_airports(path, {})
