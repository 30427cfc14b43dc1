"""Chemical compounds and elements: records of PubChem identifiers and of mendeleev's table."""

from __future__ import annotations

import re
from pathlib import Path

from search_r3.data.sources.entries import read_lines
from search_r3.data.sources.named_records import (
    NamedRecord,
    another_name,
    known,
    rounded,
    unique,
    with_article,
)
from search_r3.data.sources.record_tables import sqlite_rows
from search_r3.errors import DataError

_MOST_LETTERS = 45
_MOST_ATOMS_TEXT = 90
_COLUMNS = 9
_WORD = re.compile(r"[a-z]{4}")
_CAS = re.compile(r"\d{2,7}-\d\d-\d")
_MARKS = re.compile(r"[\[{|\\<]|\?|;|\$")
_ELEMENTS = """
    SELECT elements.*, groups.name AS group_name, series.name AS series,
        (SELECT melting_point FROM phasetransitions WHERE phasetransitions.atomic_number =
            elements.atomic_number AND melting_point IS NOT NULL ORDER BY id LIMIT 1) AS melting,
        (SELECT boiling_point FROM phasetransitions WHERE phasetransitions.atomic_number =
            elements.atomic_number AND boiling_point IS NOT NULL ORDER BY id LIMIT 1) AS boiling
    FROM elements LEFT JOIN groups USING (group_id) LEFT JOIN series ON series.id = elements.series_id
    ORDER BY elements.atomic_number
"""


def read_compounds(path: Path) -> list[NamedRecord]:
    """Compounds with a common name; alike are isomers, then those whose formulas have the same elements.

    The table has a compound a line: PubChem's id, CAS number, formula, molar mass, SMILES, InChI, its key,
    IUPAC name, common name, synonyms.

    Raises:
        DataError: The file cannot be read, or a line has fewer columns.
    """
    records: dict[str, NamedRecord] = {}
    for line in read_lines(path):
        if not line:
            continue
        cells = line.split("\t")
        if len(cells) < _COLUMNS - 1:
            raise DataError(f"{path} has a line of {len(cells)} columns, wanted {_COLUMNS}: {line[:60]!r}.")
        number, cas, formula, mass, smiles, _, _, iupac = cells[:8]
        names = [name for name in cells[8:] if _is_name(name)]
        if not names or cells[8] != names[0]:
            continue
        fields = {
            "cas": cas,
            "cid": number,
            "formula": formula,
            "mass": rounded(float(mass), 5),
            "smiles": smiles if len(smiles) <= _MOST_ATOMS_TEXT else None,
            "iupac": iupac if iupac != names[0] and _is_name(iupac) else None,
            "alias": another_name(cas, names[0], names),
        }
        groups = (formula, re.sub(r"\d+", "", formula))
        records.setdefault(cas, NamedRecord(cas, names[0], known(fields), groups))
    return unique(records.values(), "compounds")


def _is_name(text: str) -> bool:
    """Words rather than a number or the notation of a structure."""
    if len(text) > _MOST_LETTERS or _CAS.search(text) or _MARKS.search(text):
        return False
    return bool(_WORD.search(text.lower()))


def read_elements(path: Path) -> list[NamedRecord]:
    """Chemical elements of mendeleev; alike are those of a group or a series.

    Raises:
        DataError: The file cannot be read, or lacks a table or a column.
    """
    records = []
    for row in sqlite_rows(path, _ELEMENTS):
        series = _singular(row["series"].lower()) if row["series"] else None
        fields = {
            "symbol": row["symbol"],
            "number": row["atomic_number"],
            "weight": rounded(row["atomic_weight"], 5) if row["atomic_weight"] else None,
            "block": row["block"],
            "period": row["period"],
            "group": row["group_id"],
            "series": series,
            "a_series": with_article(series) if series else None,
            "discoverers": row["discoverers"],
            "year": row["discovery_year"],
            "country": row["discovery_location"],
            "origin": _sentence(row["name_origin"]),
            "uses": _sentence(row["uses"]),
            "sources": _sentence(row["sources"]),
            "description": _sentence(row["description"]),
            "melting": rounded(row["melting"], 5) if row["melting"] else None,
            "boiling": rounded(row["boiling"], 5) if row["boiling"] else None,
            "density": rounded(row["density"]) if row["density"] else None,
            "cas": row["cas"],
        }
        groups = (f"group {row['group_id']}", f"period {row['period']}")
        records.append(NamedRecord(row["symbol"], row["name"], known(fields), groups))
    return unique(records, "elements")


def _singular(series: str) -> str:
    return series.removesuffix("es") if series.endswith("gases") else series.removesuffix("s")


def _sentence(text: str | None) -> str | None:
    return f"{' '.join(text.split()).rstrip('. ')}." if text else None
