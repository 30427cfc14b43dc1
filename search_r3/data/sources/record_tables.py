"""Tables of records as packages ship them: CSV, JSON, SQLite, and literals in Python source (never run)."""

from __future__ import annotations

import ast
import csv
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from search_r3.errors import DataError

Row = dict[str, Any]


def csv_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read a CSV file with a line of column names.

    Raises:
        DataError: It cannot be read, has no rows, or lacks one of the columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows: list[Row] = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
    return _checked(rows, path, columns)


def json_rows(path: Path, columns: Sequence[str], key: str | None = None) -> list[Row]:
    """Read a JSON list of objects, or the objects of a JSON object whatever their keys.

    Args:
        path: The file.
        columns: Every object must have these.
        key: Where the file's object holds the list or the object, if not the file itself is it.

    Raises:
        DataError: It cannot be read, holds no such objects, or one lacks one of the columns.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        table = table if key is None else table[key]
        rows = list(table.values()) if isinstance(table, dict) else list(table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"Cannot read {path}: {error!r}; unpack its package again.") from None
    return _checked(rows, path, columns)


def sqlite_rows(path: Path, query: str) -> list[Row]:
    """Read the rows that a query gives from an SQLite file.

    Raises:
        DataError: It cannot be read, lacks a table or column of the query, or gives no row.
    """
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute(query)]
    except sqlite3.Error as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
    return _checked(rows, path, ())


def python_literal(path: Path, name: str) -> Any:
    """Read the literal that a Python source assigns to a name at its top, without running the source.

    Raises:
        DataError: It cannot be read, or assigns nothing, or no literal, to the name.
    """
    try:
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        for statement in statements:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
    raise DataError(f"{path} assigns nothing to {name}; wanted the version of its package that is pinned.")


def _checked(rows: list[Row], path: Path, columns: Sequence[str]) -> list[Row]:
    if not rows:
        raise DataError(f"{path} holds no rows; unpack its package again.")
    for row in rows:
        if not isinstance(row, dict) or (missing := [name for name in columns if name not in row]):
            wanted = missing if isinstance(row, dict) else columns
            raise DataError(f"{path} has a row without {', '.join(wanted)}: {str(row)[:80]}.")
    return rows
