"""Small bodies of JPL's database and objects of OpenNGC."""

import json
import sqlite3

import pytest

from search_r3.data.sources.astronomy import read_asteroids, read_comets, read_deep_sky
from search_r3.errors import DataError


def write(path, columns, *rows):
    path.write_text(json.dumps({"fields": columns.split(), "data": rows}))
    return path


def test_asteroids(tmp_path):
    """Number, name and provisional designation are told apart; bodies without a name are left out."""
    columns = "full_name class diameter rot_per albedo per_y a H"
    rows = [
        ["     1 Ceres (A801 AA)", "MBA", "939.4", "9.07417", "0.090", 4.6018, "2.7666", "3.33"],
        ["       (2004 XR190)", "TNO", None, None, None, 432.1, "57.1", "4.3"],
        [" 42355 Typhon (2002 CR46)", "CEN", None, None, None, 233.0, "37.7", "7.6"],
    ]
    ceres, typhon = read_asteroids(write(tmp_path / "a.dat", columns, *rows))
    assert ceres.name == "Ceres"
    assert ceres.fields == {
        "number": "1",
        "designation": "A801 AA",
        "orbit": "main-belt asteroid",
        "an_orbit": "a main-belt asteroid",
        "diameter": "939",
        "rotation": "9.07",
        "albedo": "0.09",
        "years": "4.6",
        "distance": "2.77",
        "magnitude": "3.33",
    }
    assert (typhon.name, "diameter" in typhon.fields) == ("Typhon", False)


def test_comets(tmp_path):
    """Numbered comets have no year; names that observatories give to many comets are left out."""
    columns = "full_name per.y q i diameter"
    many = [[f"     C/1997 X{number} (SOHO)", None, "0.01", "70", None] for number in range(5)]
    rows = [
        ["    1P/Halley", 75.3, "0.586", "162.3", "11"],
        ["     C/1881 K1", None, "0.7", "63", None],
        *many,
    ]
    rows.append(["     C/1951 P1 (Wilson-Harrington)", None, "0.74", "152.5", None])
    halley, wilson = read_comets(write(tmp_path / "c.dat", columns, *rows))
    assert (halley.name, halley.record_id, halley.groups) == ("Halley", "1P", ("P",))
    assert (halley.fields["years"], "year" in halley.fields) == ("75.3", False)
    assert (wilson.name, wilson.fields["designation"]) == ("Wilson-Harrington", "C/1951 P1")
    assert wilson.fields["year"] == "1951"


def test_deep_sky(tmp_path):
    """A common name comes before the number in the catalogue; stars and duplicates are left out."""
    path = tmp_path / "n.db"
    with sqlite3.connect(path) as database:
        columns = "name type const vmag bmag majax messier hubble redshift commonnames"
        database.execute(f"CREATE TABLE objects ({', '.join(columns.split())})")
        rows = [
            ("NGC1976", "Cl+N", "Ori", 4.0, None, 90.0, "042", None, None, "Great Orion Nebula,M42"),
            ("IC2732", "G", "Leo", None, 17.2, 0.4, None, "Sbc", -0.001, None),
            ("NGC0030", "**", "Ori", None, None, None, None, None, None, None),
            ("NGC0999", "Dup", "Ori", None, None, None, None, None, None, None),
        ]
        database.executemany(f"INSERT INTO objects VALUES ({', '.join('?' * 10)})", rows)
    leo, double, orion = read_deep_sky(path)
    assert (orion.name, orion.fields["catalogue"], orion.fields["messier"]) == (
        "Great Orion Nebula",
        "NGC 1976",
        "Messier 42",
    )
    assert orion.fields["a_kind"] == "a star cluster with a nebula"
    assert (leo.name, leo.fields["constellation"], leo.fields["magnitude"]) == ("IC 2732", "Leo", "17.2")
    assert {"catalogue", "redshift"}.isdisjoint(leo.fields)
    assert (double.name, double.fields["kind"]) == ("NGC 30", "double star")


def test_other_files_are_refused(tmp_path):
    """A file without rows of bodies is an error."""
    path = tmp_path / "a.dat"
    path.write_text("{}")
    with pytest.raises(DataError, match=r"Cannot read .*a\.dat: KeyError"):
        read_asteroids(path)
