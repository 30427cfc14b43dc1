"""Makes a training set of somebody's own pairs: a JSONL file, or a folder in BEIR's format."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.data.retrieval_task import read_beir
from search_r3.errors import DataError
from search_r3.paths import data_dir
from search_r3.text import join_title


def import_pairs(path: Path, source: str, most: int | None = None) -> tuple[Path, list[TrainingPair]]:
    """Read pairs and write them where the other training sets are.

    Args:
        path: A JSONL file (:func:`read_pair_lines`) or a folder in BEIR's format (:func:`read_pair_folder`).
        source: Name of the training set.
        most: Most pairs of one query of a folder; None means all.

    Returns:
        The file of the training set, and its pairs.

    Raises:
        DataError: Something in ``path`` is not a pair; nothing is written.
        OSError: ``path`` cannot be read.
    """
    pairs = read_pair_folder(path, source, most) if path.is_dir() else read_pair_lines(path, source)
    target = data_dir() / "training" / f"{source}.parquet"
    write_pairs(pairs, target)
    return target, pairs


def read_pair_lines(path: Path, source: str) -> list[TrainingPair]:
    """Read the pairs of a JSONL file.

    A line is ``{"query": ..., "positive": ...}``, and may have ``negatives`` (a list of texts), a
    ``query_id`` and a ``doc_id``. Where there are no ids, equal texts get equal ones.

    Raises:
        DataError: A line is not a pair, or an id is there twice.
    """
    pairs: dict[str, TrainingPair] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        pair = _pair_of(line, source, f"{path}, line {number}")
        if pair.query_id in pairs:
            raise DataError(f"{path}, line {number}: the query_id {pair.query_id!r} was there before.")
        pairs[pair.query_id] = pair
    if not pairs:
        raise DataError(f"{path} holds no pair.")
    return list(pairs.values())


def read_pair_folder(folder: Path, source: str, most: int | None) -> list[TrainingPair]:
    """Make pairs of the queries in a folder in BEIR's format and their relevant documents (qrels/train.tsv).

    Args:
        folder: The folder.
        source: Name of the training set.
        most: Most pairs of one query, those of the best grades; None means all.

    Raises:
        DataError: A file is missing or damaged.
    """
    task = read_beir(folder, split="train")
    pairs = []
    for query_id, grades in task.qrels.items():
        relevant = [doc_id for doc_id, grade in grades.items() if grade > 0]
        # Among equal grades by a hash, so that queries that share documents do not take the same ones.
        relevant.sort(key=lambda doc_id: (-grades[doc_id], _digest(f"{query_id}\0{doc_id}")))
        pairs += [
            TrainingPair(
                task.queries[query_id], task.corpus[doc_id], (), source, f"{query_id} {doc_id}", doc_id
            )
            for doc_id in relevant[:most]
        ]
    return pairs


def _pair_of(line: str, source: str, place: str) -> TrainingPair:
    """Read one line."""
    try:
        record: Any = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not JSON: {error}.") from None
    if not isinstance(record, dict):
        raise DataError(f"{place}: got {type(record).__name__}, wanted an object with query and positive.")
    known = {"query", "positive", "negatives", "query_id", "doc_id"}
    if unknown := sorted(set(record) - known):
        raise DataError(f"{place}: got the keys {unknown}, wanted some of {sorted(known)}.")
    negatives = record.get("negatives", [])
    if not isinstance(negatives, list):
        raise DataError(f"{place}: got {negatives!r} for negatives, wanted a list of texts.")
    for name, value in [(key, record.get(key)) for key in ("query", "positive")] + [
        ("negatives", text) for text in negatives
    ]:
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{place}: got {value!r} for {name}, wanted a text.")
    # The documents of a line are untitled: they become the texts that an index or an evaluation embeds.
    query, positive = record["query"], join_title(None, record["positive"])
    return TrainingPair(
        query,
        positive,
        tuple(join_title(None, text) for text in negatives),
        source,
        str(record.get("query_id", _digest(f"{query}\0{positive}"))),
        str(record.get("doc_id", _digest(positive))),
    )


def _digest(text: str) -> str:
    """An id that depends on the text alone."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
