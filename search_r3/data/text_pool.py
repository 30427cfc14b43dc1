"""The pool of plain texts for distillation: every text of the training sets once, in Parquet.

It is made from the finished training files, so that what the leak check took out of them is not in the pool.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from search_r3.data.pairs import TrainingPair, read_pairs
from search_r3.errors import DataError
from search_r3.extras import needs_extra
from search_r3.files import atomic_path

with needs_extra("parquet"):
    import pyarrow as pa
    import pyarrow.parquet as pq

POOL_FILE = "texts.parquet"
"""Name of the pool beside the folder of the training sets."""

SCHEMA = pa.schema([("text", pa.string()), ("source", pa.string())])
"""Columns of the pool."""

_LEAST_CHARACTERS = 12
_MOST_WORDS = 100


def pool_texts(pairs: Iterable[TrainingPair]) -> Iterator[str]:
    """Give the long enough texts of pairs: 12 characters at least, without blanks, and 100 words at most."""
    for pair in pairs:
        for text in (pair.query, pair.positive, *pair.negatives):
            words = text.split()
            if sum(map(len, words)) >= _LEAST_CHARACTERS:
                yield " ".join(words[:_MOST_WORDS])


def unique_texts(texts: Iterable[str], seen: set[bytes]) -> list[str]:
    """Keep the first of texts that differ in case alone.

    Args:
        texts: The texts of one source.
        seen: Digests of the texts before; those of the kept ones are added.
    """
    kept = []
    for text in texts:
        digest = hashlib.sha256(text.casefold().encode()).digest()[:12]
        if digest not in seen:
            seen.add(digest)
            kept.append(text)
    return kept


def build_pool(folder: Path, names: Iterable[str]) -> bool:
    """Write the pool of some training sets; a pool that is newer than all their files is kept.

    Args:
        folder: The data folder, with ``training/<name>.parquet``.
        names: The sets, in the order in which a text that is in several of them counts for the first.

    Returns:
        Whether it was written.

    Raises:
        DataError: A training file cannot be read.
    """
    target = folder / POOL_FILE
    paths = {name: folder / "training" / f"{name}.parquet" for name in names}
    if target.is_file() and all(
        path.is_file() and path.stat().st_mtime < target.stat().st_mtime for path in paths.values()
    ):
        return False
    seen: set[bytes] = set()
    write_pool(
        {name: unique_texts(pool_texts(read_pairs(path)), seen) for name, path in paths.items()}, target
    )
    return True


def write_pool(texts_by_source: dict[str, list[str]], path: Path) -> None:
    """Write the pool; the file appears whole or not at all."""
    tables = [
        pa.table({"text": texts, "source": [source] * len(texts)}, schema=SCHEMA)
        for source, texts in texts_by_source.items()
    ]
    with atomic_path(path) as part:
        pq.write_table(pa.concat_tables([SCHEMA.empty_table(), *tables]), part, compression="zstd")


def read_pool(path: Path) -> dict[str, list[str]]:
    """Read the pool: texts by source, in the order of the file.

    Raises:
        DataError: There is none, or its columns are others.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"Cannot read the pool of texts {path}: {error}. Build it with: search-r3 data"
        ) from None
    if not table.schema.equals(SCHEMA):
        raise DataError(
            f"{path} has the columns {table.schema.names}, wanted {SCHEMA.names} of type string. Delete it "
            "and build it again with: search-r3 data"
        )
    found: dict[str, list[str]] = {}
    for text, source in zip(table["text"].to_pylist(), table["source"].to_pylist(), strict=True):
        found.setdefault(source, []).append(text)
    if not found:
        raise DataError(f"{path} holds no text. Build the training sets again: search-r3 data")
    return found
