"""The file of a cache of thoughts: SQLite, which several threads and processes may use at once."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from search_r3.errors import DataError
from search_r3.model.thoughts import ENDINGS

logger = logging.getLogger(__name__)

Entry = tuple[tuple[int, ...], str]
"""A thought's token ids, and how it ended."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS thoughts (key BLOB PRIMARY KEY, value TEXT, checksum BLOB, used REAL)"
_SECONDS = 5.0
_KEYS_AT_ONCE = 500
_KEPT_SHARE = 0.9
"""What is kept when there are too many, so that not every write has to make room."""


class ThoughtStore:
    """Thoughts by key. Once it is open no failure is an error: a thought that cannot be read is written anew.

    A file that is no database is moved aside, to ``<name>.damaged``. An entry that does not match its own
    checksum is dropped. Both are logged as warnings.

    Args:
        path: The file; it and its folder are made.
        max_entries: Most thoughts; those that were not used for longest go first.

    Raises:
        DataError: The file cannot be opened, is locked, or has other columns; it stays as it is.
    """

    def __init__(self, path: Path, max_entries: int) -> None:
        self._path, self._most = path, max_entries
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._open()
        except sqlite3.OperationalError as error:
            raise DataError(
                f"Cannot use {path} as a cache of thoughts: {error}. Name another file, or remove it."
            ) from None
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{path.name}.damaged")
            logger.warning("The cache of thoughts %s cannot be read (%s): it is now %s.", path, error, aside)
            path.replace(aside)
            self._connection = self._open()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Look up keys; those that are not there, or are damaged, are left out."""
        found: dict[bytes, Entry] = {}
        try:
            with self._lock, self._connection as connection:
                for start in range(0, len(keys), _KEYS_AT_ONCE):
                    part = keys[start : start + _KEYS_AT_ONCE]
                    marks = ",".join("?" * len(part))
                    rows = connection.execute(
                        f"SELECT key, value, checksum FROM thoughts WHERE key IN ({marks})", part
                    ).fetchall()
                    for key, value, checksum in rows:
                        entry = _entry(key, value, checksum)
                        if entry is None:
                            logger.warning(
                                "A damaged entry of the cache of thoughts %s is dropped.", self._path
                            )
                            connection.execute("DELETE FROM thoughts WHERE key = ?", (key,))
                        else:
                            found[key] = entry
                    used = [(time.time(), key) for key in part if key in found]
                    connection.executemany("UPDATE thoughts SET used = ? WHERE key = ?", used)
        except sqlite3.Error as error:
            logger.warning("The cache of thoughts %s cannot be read: %s.", self._path, error)
        return found

    def write(self, entries: dict[bytes, Entry]) -> None:
        """Keep thoughts; all of them are in the file when this returns, or a warning says why not."""
        rows = []
        for key, (token_ids, ending) in entries.items():
            value = json.dumps([token_ids, ending])
            rows.append((key, value, _checksum(key, value), time.time()))
        try:
            with self._lock, self._connection as connection:
                connection.executemany("INSERT OR REPLACE INTO thoughts VALUES (?, ?, ?, ?)", rows)
                (count,) = connection.execute("SELECT COUNT(*) FROM thoughts").fetchone()
                if count > self._most:
                    surplus = count - max(1, int(_KEPT_SHARE * self._most))
                    connection.execute(
                        "DELETE FROM thoughts WHERE key IN (SELECT key FROM thoughts ORDER BY used LIMIT ?)",
                        (surplus,),
                    )
        except sqlite3.Error as error:
            logger.warning("The cache of thoughts %s cannot be written: %s.", self._path, error)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may lose the last ones, a kill none
            connection.execute(_SCHEMA)
            connection.execute("SELECT key, value, checksum, used FROM thoughts LIMIT 1").fetchall()
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection


def _checksum(key: bytes, value: str) -> bytes:
    return hashlib.sha256(key + value.encode()).digest()


def _entry(key: bytes, value: object, checksum: object) -> Entry | None:
    if not isinstance(value, str) or checksum != _checksum(key, value):
        return None
    token_ids, ending = json.loads(value)
    return (tuple(token_ids), ending) if ending in ENDINGS else None
