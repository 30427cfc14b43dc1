"""Languages, scripts and currencies: records of iso-codes."""

from __future__ import annotations

from pathlib import Path

from search_r3.data.sources.named_records import NamedRecord, known, unique, with_article
from search_r3.data.sources.record_tables import json_rows

_TYPES = {
    "A": "ancient language",
    "C": "constructed language",
    "E": "extinct language",
    "H": "historical language",
    "L": "living language",
}


def read_languages(path: Path) -> list[NamedRecord]:
    """Languages of ISO 639-3; alike are those of a type, with neighbours in the alphabet first.

    Raises:
        DataError: The file cannot be read, or lacks a column.
    """
    records = []
    for row in json_rows(path, ("alpha_3", "name", "scope", "type"), key="639-3"):
        if row["type"] not in _TYPES:
            continue
        kind = _TYPES[row["type"]]
        kind = f"group of {kind}s" if row["scope"] == "M" else kind
        fields = {
            "code": row["alpha_3"],
            "short_code": row.get("alpha_2"),
            "kind": kind,
            "a_kind": with_article(kind),
            "inverted": row.get("inverted_name"),
        }
        records.append(NamedRecord(row["alpha_3"], row["name"], known(fields), (kind,)))
    return unique(records, "languages")


def read_scripts(path: Path) -> list[NamedRecord]:
    """Scripts of ISO 15924."""
    rows = json_rows(path, ("alpha_4", "name", "numeric"), key="15924")
    return unique(
        (
            NamedRecord(row["alpha_4"], row["name"], {"code": row["alpha_4"], "numeric": row["numeric"]})
            for row in rows
        ),
        "scripts",
    )


def read_currencies(path: Path) -> list[NamedRecord]:
    """Currencies of ISO 4217."""
    rows = json_rows(path, ("alpha_3", "name", "numeric"), key="4217")
    return unique(
        (
            NamedRecord(row["alpha_3"], row["name"], {"code": row["alpha_3"], "numeric": row["numeric"]})
            for row in rows
        ),
        "currencies",
    )
