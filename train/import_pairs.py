"""Make a training set of your own out of a JSONL file of pairs, or of a folder in BEIR's format.

    python train/import_pairs.py pairs.jsonl --source mine
    python train/import_pairs.py my-task --source mine --positives 5    # qrels/train.tsv

A line is {"query": ..., "positive": ...}, and may have "negatives" (a list of texts), a "query_id" and a
"doc_id". Of a folder every relevant document of a query makes a pair, or --positives of them. The set lies
where `search-r3 data` puts its own: a run's [data.sources] names it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.data.retrieval_task import read_beir
from search_r3.errors import DataError, SearchR3Error
from search_r3.paths import data_dir
from search_r3.text import join_title


def main() -> None:
    """Read the lines that the command line names, and write the set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path, help="JSONL file, or folder in BEIR's format")
    parser.add_argument("--source", required=True, help="name of the training set")
    parser.add_argument("--positives", type=int, help="most pairs of one query of a folder [default: all]")
    arguments = parser.parse_args()
    try:
        if arguments.pairs.is_dir():
            pairs = read_folder(arguments.pairs, arguments.source, arguments.positives)
        else:
            pairs = read_lines(arguments.pairs, arguments.source)
    except (SearchR3Error, OSError) as error:
        sys.exit(f"error: {error}")
    target = data_dir() / "training" / f"{arguments.source}.parquet"
    write_pairs(pairs, target)
    print(f"{target}: {len(pairs):,} pairs, {sum(bool(pair.negatives) for pair in pairs):,} with negatives")


def read_lines(path: Path, source: str) -> list[TrainingPair]:
    """Read pairs.

    Raises:
        DataError: A line is not a pair, or an id is there twice.
    """
    pairs: dict[str, TrainingPair] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        pair = pair_of(line, source, f"{path}, line {number}")
        if pair.query_id in pairs:
            raise DataError(f"{path}, line {number}: the query_id {pair.query_id!r} was there before.")
        pairs[pair.query_id] = pair
    if not pairs:
        raise DataError(f"{path} holds no pair.")
    return list(pairs.values())


def read_folder(folder: Path, source: str, most: int | None) -> list[TrainingPair]:
    """Make pairs of a folder's queries and their relevant documents, the best grades first."""
    task = read_beir(folder, split="train")
    pairs = []
    for query_id, grades in task.qrels.items():
        relevant = [doc_id for doc_id, grade in grades.items() if grade > 0]
        # Among equal grades by a hash, so that queries that share documents do not take the same ones.
        relevant.sort(key=lambda doc_id: (-grades[doc_id], digest(f"{query_id}\0{doc_id}")))
        pairs += [
            TrainingPair(
                task.queries[query_id], task.corpus[doc_id], (), source, f"{query_id} {doc_id}", doc_id
            )
            for doc_id in relevant[:most]
        ]
    return pairs


def pair_of(line: str, source: str, place: str) -> TrainingPair:
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
        str(record.get("query_id", digest(f"{query}\0{positive}"))),
        str(record.get("doc_id", digest(positive))),
    )


def digest(text: str) -> str:
    """An id that depends on the text alone."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
