"""Compounds of PubChem and elements of mendeleev."""

import sqlite3

import pytest

from search_r3.data.sources.chemistry import read_compounds, read_elements
from search_r3.errors import DataError

ROWS = [
    "702\t64-17-5\tC2H6O\t46.0684\tCCO\tx\ty\tethanol\tethanol\talcohol\t64-17-5",
    "8254\t115-10-6\tC2H6O\t46.0684\tCOC\tx\ty\tmethoxymethane\tdimethyl ether\tmethoxymethane",
    "9\t1-11-1\tH2\t2.0\t[H]\tx\ty\t$l^{1}-x\t1-11-1",
    "10\t2-22-2\tH2\t2.0\t[H]\tx\ty\t",
]


def test_compounds(tmp_path):
    """Names are told from CAS numbers and notations; isomers are in one group."""
    path = tmp_path / "c.tsv"
    path.write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    ethanol, ether = read_compounds(path)
    assert (ethanol.record_id, ethanol.name, ethanol.fields["alias"]) == ("64-17-5", "ethanol", "alcohol")
    assert (ethanol.fields["mass"], ethanol.groups) == ("46.068", ("C2H6O", "CHO"))
    assert "iupac" not in ethanol.fields
    assert (ether.name, ether.fields["iupac"], ether.groups[0]) == (
        "dimethyl ether",
        "methoxymethane",
        "C2H6O",
    )


def test_a_short_line_is_refused(tmp_path):
    """A line without a structure is another file."""
    path = tmp_path / "c.tsv"
    path.write_text("702\t64-17-5\n")
    with pytest.raises(DataError, match="line of 2 columns"):
        read_compounds(path)


def test_elements(tmp_path):
    """Group, series and melting point come from other tables; sentences end in one full stop."""
    path = tmp_path / "e.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE groups (group_id INTEGER, name TEXT)")
        database.execute("CREATE TABLE series (id INTEGER, name TEXT)")
        database.execute("CREATE TABLE phasetransitions (id, atomic_number, melting_point, boiling_point)")
        names = "atomic_number symbol name atomic_weight block period group_id series_id discoverers"
        names += " discovery_year discovery_location name_origin uses sources description density cas"
        database.execute(f"CREATE TABLE elements ({', '.join(names.split())})")
        database.execute("INSERT INTO series VALUES (1, 'Noble gases')")
        database.execute("INSERT INTO phasetransitions VALUES (1, 18, 83.81, NULL)")
        values = [
            18,
            "Ar",
            "Argon",
            39.948,
            "p",
            3,
            18,
            1,
            "Ramsay",
            1894,
            "Scotland",
            "Greek: argos",
            "Lamps. ",
        ]
        values += [None, "A gas..", 0.001633, "7440-37-1"]
        database.execute(f"INSERT INTO elements VALUES ({', '.join('?' * len(values))})", values)
    (argon,) = read_elements(path)
    assert argon.name == "Argon"
    assert argon.groups == ("group 18", "period 3")
    fields = argon.fields
    assert (fields["series"], fields["a_series"], fields["melting"]) == ("noble gas", "a noble gas", "83.81")
    assert (fields["origin"], fields["uses"], fields["description"]) == ("Greek: argos.", "Lamps.", "A gas.")
    assert (fields["density"], fields["weight"]) == ("0.00163", "39.948")
    assert {"sources", "boiling"}.isdisjoint(fields)
