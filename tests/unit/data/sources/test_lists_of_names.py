"""Languages, scripts, currencies, chess openings and the calendar program's days."""

import json

import pytest

from search_r3.data.sources.calendars import read_births, read_events
from search_r3.data.sources.chess_openings import read_openings
from search_r3.data.sources.language_codes import read_currencies, read_languages, read_scripts
from search_r3.errors import DataError

OPENINGS = """ocn1,canonical_name,eco_legacy,parent_ocn1,moves_uci,aliases,flags,notes
C,Open Games,,,,,,Top.
A.Eng,English Opening,A10|A11|A12|A13,A,c2c4,,,1.c4
A.Eng.Sym,"English Opening, Symmetrical",A30|A31,A.Eng,c2c4 c7c5,Symmetrical English,closed|quiet,1.c4 c5.
"""
CALENDAR = """/* Music */
#define x
01/19\tJanis Joplin is born in Port Arthur, Texas, 1943
01/25\tDaevid Allen (Gong) is born in Melbourne, 1938
01/22*\tSir Francis Bacon born, 1561
01/17\tCaptain James Cook becomes the first explorer to cross the
\tAntarctic Circle, 1773
01/18\tGrey whale migration, California
13/01\tNo month, 1900
"""


def write(path, key, rows):
    path.write_text(json.dumps({key: rows}), encoding="utf-8")
    return path


def test_languages(tmp_path):
    """Type and scope in words; languages of no type are left out."""
    rows = [
        {"alpha_3": "aae", "name": "Arbëreshë Albanian", "scope": "I", "type": "E"},
        {"alpha_3": "sqi", "alpha_2": "sq", "name": "Albanian", "scope": "M", "type": "L"},
        {"alpha_3": "mis", "name": "Uncoded", "scope": "S", "type": "S"},
    ]
    first, second = read_languages(write(tmp_path / "l.json", "639-3", rows))
    assert first.fields == {"code": "aae", "kind": "extinct language", "a_kind": "an extinct language"}
    assert (second.fields["short_code"], second.fields["kind"]) == ("sq", "group of living languages")


def test_scripts_and_currencies(tmp_path):
    """Their letters and numbers."""
    row = {"alpha_4": "Latn", "name": "Latin", "numeric": "215"}
    (script,) = read_scripts(write(tmp_path / "s.json", "15924", [row]))
    assert (script.name, script.fields) == ("Latin", {"code": "Latn", "numeric": "215"})
    row = {"alpha_3": "EUR", "name": "Euro", "numeric": "978"}
    (currency,) = read_currencies(write(tmp_path / "c.json", "4217", [row]))
    assert (currency.name, currency.fields) == ("Euro", {"code": "EUR", "numeric": "978"})


def test_openings(tmp_path):
    """Classes without moves are left out, and so are long lists of codes; a note is a sentence."""
    path = tmp_path / "o.csv"
    path.write_text(OPENINGS, encoding="utf-8")
    english, symmetrical = read_openings(path)
    assert english.fields == {"moves": "c2c4", "count": "1", "note": "1.c4."}
    assert symmetrical.fields == {
        "eco": "A30, A31",
        "moves": "c2c4 c7c5",
        "count": "2",
        "parent": "English Opening",
        "alias": "Symmetrical English",
        "style": "closed, quiet",
        "note": "1.c4 c5.",
    }
    assert symmetrical.groups == ("A.Eng", "Eng")


def test_births(tmp_path):
    """Name, day, year, place and note; the file's other entries are no births."""
    path = tmp_path / "calendar.music"
    path.write_text(CALENDAR)
    joplin, allen, bacon = read_births([path])
    assert (joplin.name, joplin.fields) == (
        "Janis Joplin",
        {"day": "19 January", "year": "1943", "birthplace": "Port Arthur, Texas"},
    )
    assert (allen.name, allen.fields["note"], allen.fields["birthplace"]) == (
        "Daevid Allen",
        "Gong",
        "Melbourne",
    )
    assert (bacon.name, bacon.fields) == ("Sir Francis Bacon", {"day": "22 January", "year": "1561"})


def test_events(tmp_path):
    """An entry goes on in the next line if that is indented; without a year it is no event."""
    path = tmp_path / "calendar.history"
    path.write_text(CALENDAR)
    (cook,) = read_events([path])
    assert cook.name == "Captain James Cook becomes the first explorer to cross the Antarctic Circle"
    assert cook.fields == {"day": "17 January", "year": "1773", "decade": "1770s"}
    assert cook.groups == ("17 January", "January")
    with pytest.raises(DataError, match="Cannot read"):
        read_events([tmp_path / "gone"])
