"""Thoughts to train on, kept as Parquet with where each came from and what it was worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from search_r3.data.thought_origin import ORIGINS, Origin
from search_r3.errors import DataError
from search_r3.extras import needs_extra
from search_r3.files import atomic_path

with needs_extra("parquet"):
    import pyarrow as pa
    import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("query_id", pa.string()),
        ("thought", pa.string()),
        ("origin", pa.string()),
        ("gain", pa.float32()),
        ("rank_gain", pa.int32()),
        ("is_finished", pa.bool_()),
        ("evidence", pa.list_(pa.string())),
    ]
)
"""Columns of a file of thoughts. Files from before there was evidence lack the last one."""


@dataclass(frozen=True)
class ThoughtRecord:
    """One thought about one training query.

    Attributes:
        source: Name of the training set.
        query_id: The query's id in it.
        thought: What was thought.
        origin: Who wrote it.
        gain: By how much it widened the positive's margin over the best negative, as a difference of cosines
            under the reference scorer (-4 to 4).
        rank_gain: By how many ranks it moved the positive up.
        is_finished: Whether it came to its own end; if not, a budget cut it.
        evidence: Passages that it is about. An empty thought about passages says that there is nothing to
            look up in them.
    """

    source: str
    query_id: str
    thought: str
    origin: Origin
    gain: float
    rank_gain: int
    is_finished: bool = True
    evidence: tuple[str, ...] = ()

    @property
    def helps(self) -> bool:
        """Whether the positive moved up, or its margin grew without it moving down."""
        return self.rank_gain > 0 or (self.rank_gain == 0 and self.gain > 0)


def thoughts_path(folder: Path, name: str) -> Path:
    """The file of the thoughts that a training set comes with, below a folder of built data."""
    return folder / "thoughts" / f"{name}.parquet"


def write_thoughts(records: Iterable[ThoughtRecord], path: Path, provenance: dict[str, str]) -> None:
    """Write records; the file appears whole or not at all.

    Args:
        records: All that the file is to hold.
        path: The file.
        provenance: How they were made, by ``<source> <origin>``; it becomes the file's metadata.
    """
    rows = [{**asdict(record), "evidence": list(record.evidence)} for record in records]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    with atomic_path(path) as part:
        pq.write_table(table.replace_schema_metadata(provenance), part, compression="zstd")


def read_provenance(path: Path) -> dict[str, str]:
    """How the thoughts of a file were made, by ``<source> <origin>``.

    Raises:
        DataError: It cannot be read.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"Cannot read the thoughts {path}: {error}.") from None
    return {key.decode(): value.decode() for key, value in metadata.items() if key != b"ARROW:schema"}


def read_thoughts(path: Path) -> list[ThoughtRecord]:
    """Read a file of :func:`write_thoughts`.

    Raises:
        DataError: It cannot be read, or its columns or origins are not the known ones.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"Cannot read the thoughts {path}: {error}.") from None
    if not any(table.schema.remove_metadata().equals(schema) for schema in (SCHEMA, SCHEMA.remove(7))):
        raise DataError(
            f"{path} has the columns {table.schema.names}, wanted {SCHEMA.names} of known types. "
            "Build it again."
        )
    records = [
        ThoughtRecord(**{**row, "evidence": tuple(row.get("evidence") or ())}) for row in table.to_pylist()
    ]
    if unknown := {record.origin for record in records} - set(ORIGINS):
        raise DataError(f"{path} has thoughts of the origins {sorted(unknown)}, wanted {ORIGINS}.")
    return records
