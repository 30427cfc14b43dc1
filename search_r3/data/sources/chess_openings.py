"""Chess openings: records of the Open Chess Naming catalogue."""

from __future__ import annotations

from pathlib import Path

from search_r3.data.sources.named_records import NamedRecord, another_name, known, unique
from search_r3.data.sources.record_tables import csv_rows

_MOST_MOVES = 16
_MOST_CODES = 3


def read_openings(path: Path) -> list[NamedRecord]:
    """Openings with their moves; alike are those with the same parent, or of the same family.

    Raises:
        DataError: The file cannot be read, or lacks a column.
    """
    columns = ("ocn1", "canonical_name", "eco_legacy", "parent_ocn1", "moves_uci", "aliases", "notes")
    rows = csv_rows(path, columns)
    names = {row["ocn1"]: row["canonical_name"] for row in rows}
    records = []
    for row in rows:
        code, moves = row["ocn1"], row["moves_uci"].split()
        if not moves or len(moves) > _MOST_MOVES:
            continue
        family = code.split(".")[1] if "." in code else code
        note, codes = row["notes"].strip(), row["eco_legacy"].split("|")
        fields = {
            "eco": ", ".join(codes) if len(codes) <= _MOST_CODES else None,
            "moves": " ".join(moves),
            "count": len(moves),
            "parent": names.get(row["parent_ocn1"]),
            "alias": another_name(code, row["canonical_name"], filter(None, row["aliases"].split("|"))),
            "style": row["flags"].replace("|", ", ") or None,
            "note": note if note.endswith(".") else f"{note}." if note else None,
        }
        records.append(NamedRecord(code, row["canonical_name"], known(fields), (row["parent_ocn1"], family)))
    return unique(records, "openings")
