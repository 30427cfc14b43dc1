"""Tables: rows of CSV, JSON and SQLite files, and literals of Python source."""

import sqlite3

import pytest

from search_r3.data.sources.record_tables import csv_rows, json_rows, python_literal, sqlite_rows
from search_r3.errors import DataError


def test_csv(tmp_path):
    """A row is a dictionary by the names of the first line."""
    path = tmp_path / "cups.csv"
    path.write_text('name,size\n"tea, cup",2\n', encoding="utf-8")
    assert csv_rows(path, ("name",)) == [{"name": "tea, cup", "size": "2"}]
    with pytest.raises(DataError, match="row without colour"):
        csv_rows(path, ("name", "colour"))


def test_json_lists_and_objects(tmp_path):
    """A list, an object's values, or what stands under a key."""
    path = tmp_path / "cups.json"
    path.write_text('[{"name": "a"}]')
    assert json_rows(path, ("name",)) == [{"name": "a"}]
    path.write_text('{"1": {"name": "a"}, "2": {"name": "b"}}')
    assert [row["name"] for row in json_rows(path, ("name",))] == ["a", "b"]
    path.write_text('{"cups": [{"name": "a"}]}')
    assert json_rows(path, ("name",), key="cups") == [{"name": "a"}]
    with pytest.raises(DataError, match=r"Cannot read .*cups\.json: KeyError"):
        json_rows(path, ("name",), key="pots")


def test_json_without_rows(tmp_path):
    """An empty list, text that is no JSON, rows that are no objects and a missing file are errors."""
    path = tmp_path / "cups.json"
    for text, message in (("[]", "holds no rows"), ("{", "Cannot read"), ('["a"]', "row without name")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            json_rows(path, ("name",))
    with pytest.raises(DataError, match="Cannot read"):
        json_rows(tmp_path / "gone.json", ("name",))


def test_sqlite(tmp_path):
    """The rows of a query, by column; a missing table is an error, and makes no file."""
    path = tmp_path / "cups.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE cups (name TEXT)")
        database.execute("INSERT INTO cups VALUES ('tea')")
    assert sqlite_rows(path, "SELECT name FROM cups") == [{"name": "tea"}]
    with pytest.raises(DataError, match="no such table"):
        sqlite_rows(path, "SELECT * FROM pots")
    with pytest.raises(DataError, match="unable to open"):
        sqlite_rows(tmp_path / "gone.db", "SELECT 1")
    assert not (tmp_path / "gone.db").exists()


def test_python_literals_are_not_run(tmp_path):
    """Both kinds of assignment are read; code in the literal is an error, and the rest has no effect."""
    path = tmp_path / "data.py"
    path.write_text(
        "import nothing_like_this\nFIRST = {'a': 1}\nSECOND: dict = {'b': [2]}\nTHIRD = open('x')\n"
    )
    assert python_literal(path, "FIRST") == {"a": 1}
    assert python_literal(path, "SECOND") == {"b": [2]}
    with pytest.raises(DataError, match="Cannot read"):
        python_literal(path, "THIRD")
    with pytest.raises(DataError, match="assigns nothing to FOURTH"):
        python_literal(path, "FOURTH")
