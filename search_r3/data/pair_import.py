"""Makes a training set of somebody's own pairs: a JSONL file, or a folder in BEIR's format."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from search_r3.data.beir import read_beir
from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.errors import DataError, InvalidInputError
from search_r3.json_lines import id_value, json_objects, text_value
from search_r3.paths import data_dir
from search_r3.text import join_title


def import_pairs(path: Path, source: str, most: int | None = None) -> tuple[Path, list[TrainingPair]]:
    """Read pairs and write them where the other training sets are.

    Args:
        path: A JSONL file, plain or gzip (:func:`read_pair_lines`), or a folder in BEIR's format
            (:func:`read_pair_folder`).
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
        OSError: The file cannot be read.
    """
    pairs: dict[str, TrainingPair] = {}
    for number, fields in json_objects(path):
        try:
            pair = _pair_of(fields, source)
        except InvalidInputError as error:
            raise DataError(f"{path}, line {number}: {error.reason}.") from None
        if pair.query_id in pairs:
            raise DataError(f"{path}, line {number}: the query_id {pair.query_id!r} was there before.")
        pairs[pair.query_id] = pair
    if not pairs:
        raise DataError(f"{path} holds no pair.")
    return list(pairs.values())


def read_pair_folder(folder: Path, source: str, most: int | None) -> list[TrainingPair]:
    """Make pairs of the queries in a folder in BEIR's format and their relevant documents (qrels/train.tsv).

    A judgement of a document that is not in the corpus makes no pair; :func:`read_beir` warns of it.

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
        relevant = [doc_id for doc_id, grade in grades.items() if grade > 0 and doc_id in task.corpus]
        # Among equal grades by a hash, so that queries that share documents do not take the same ones.
        relevant.sort(key=lambda doc_id: (-grades[doc_id], _digest(f"{query_id}\0{doc_id}")))
        pairs += [
            TrainingPair(
                task.queries[query_id], task.corpus[doc_id], (), source, f"{query_id} {doc_id}", doc_id
            )
            for doc_id in relevant[:most]
        ]
    return pairs


def _pair_of(fields: dict[str, Any], source: str) -> TrainingPair:
    """Make a pair of one line.

    Raises:
        InvalidInputError: It is none.
    """
    known = {"query", "positive", "negatives", "query_id", "doc_id"}
    if unknown := sorted(set(fields) - known):
        raise InvalidInputError(f"got the keys {unknown}, wanted some of {sorted(known)}")
    negatives = fields.get("negatives", [])
    if not isinstance(negatives, list):
        raise InvalidInputError(f"got {negatives!r} for negatives, wanted a list of texts")
    named = {f"negatives[{place}]": text for place, text in enumerate(negatives)}
    query, positive = _text(fields, "query"), _text(fields, "positive")
    # The documents of a line are untitled: they become the texts that an index or an evaluation embeds.
    positive = join_title(None, positive)
    return TrainingPair(
        query,
        positive,
        tuple(join_title(None, _text({name: text}, name)) for name, text in named.items()),
        source,
        id_value(fields, "query_id") if "query_id" in fields else _digest(f"{query}\0{positive}"),
        id_value(fields, "doc_id") if "doc_id" in fields else _digest(positive),
    )


def _text(fields: dict[str, Any], name: str) -> str:
    """A field that is a text and not blank."""
    text = text_value(fields, name)
    if not text.strip():
        raise InvalidInputError(f"got {text!r} for {name}, wanted a text")
    return text


def _digest(text: str) -> str:
    """An id that depends on the text alone."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
