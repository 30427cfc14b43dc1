"""Training pairs: one schema for every source, kept as Parquet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import DataError
from search_r3.extras import needs_extra
from search_r3.files import atomic_path
from search_r3.paths import data_dir

with needs_extra("parquet"):
    import pyarrow as pa
    import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("query", pa.string()),
        ("positive", pa.string()),
        ("negatives", pa.list_(pa.string())),
        ("source", pa.string()),
        ("query_id", pa.string()),
        ("doc_id", pa.string()),
    ]
)
"""Columns of every training file."""


@dataclass(frozen=True)
class TrainingPair:
    """A query with one document that answers it and some that do not.

    Attributes:
        query: The query's text.
        positive: Text of a relevant document.
        negatives: Texts of hard negatives, none or more.
        source: Name of the set it comes from, the same for a whole file.
        query_id: Unique in its source.
        doc_id: Id of the positive; queries with the same positive share it.
    """

    query: str
    positive: str
    negatives: tuple[str, ...]
    source: str
    query_id: str
    doc_id: str


def write_pairs(pairs: Iterable[TrainingPair], path: Path) -> None:
    """Write pairs as Parquet; the file appears whole or not at all."""
    rows = [{**vars(pair), "negatives": list(pair.negatives)} for pair in pairs]
    with atomic_path(path) as part:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), part, compression="zstd")


def read_pairs(path: Path) -> list[TrainingPair]:
    """Read a training file.

    Raises:
        DataError: It cannot be read, or its columns are not those of :data:`SCHEMA`.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"Cannot read the training pairs {path}: {error}.") from None
    if not table.schema.equals(SCHEMA):
        raise DataError(
            f"{path} has the columns {table.schema.names}, wanted {SCHEMA.names} of the known types."
        )
    return [TrainingPair(**{**row, "negatives": tuple(row["negatives"] or ())}) for row in table.to_pylist()]


def read_training_set(name: str) -> list[TrainingPair]:
    """Read a training set of the data folder by its name.

    Raises:
        DataError: There is none of that name, or it is damaged.
    """
    path = data_dir() / "training" / f"{name}.parquet"
    if not path.is_file():
        raise DataError(
            f"There is no training set {path}. Build all of them with: search-r3 data. Make one of your own "
            "pairs with: search-r3 import-pairs"
        )
    return read_pairs(path)


def pairs_hash(pairs: Sequence[TrainingPair]) -> str:
    """Hash the pairs in their order: 64 hexadecimal digits of a SHA-256."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(json.dumps(list(vars(pair).values()), ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()
