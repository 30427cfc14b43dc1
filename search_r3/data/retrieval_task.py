"""A labelled retrieval task in memory, its BEIR folder on disk, and the hash that pins its content."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.errors import DataError
from search_r3.text import TITLE_FIELD, join_title

_BREAKS = re.compile(r"[\t\r\n]")


@dataclass(frozen=True)
class RetrievalTask:
    """Queries, documents and graded judgements.

    Attributes:
        queries: Query texts by query id. A query id is never also a document id: some evaluators ignore a
            document that has the id of the query.
        corpus: Document texts by document id, as :func:`search_r3.text.join_title` gives them.
        qrels: For every query id, the grade (1 and above: relevant) of its judged documents.
    """

    queries: dict[str, str]
    corpus: dict[str, str]
    qrels: dict[str, dict[str, int]]

    def __post_init__(self) -> None:
        if set(self.queries) != set(self.qrels):
            odd = sorted(set(self.queries) ^ set(self.qrels))
            raise DataError(f"Got queries without judgements or the reverse: {odd[:3]} ({len(odd)} in all).")
        if both := set(self.queries) & set(self.corpus):
            raise DataError(f"Got ids that are both query and document: {sorted(both)[:3]} ({len(both)}).")
        if odd := [key for key in (*self.queries, *self.corpus) if not key or _BREAKS.search(key)]:
            raise DataError(f"Got the id {odd[0]!r}, wanted one without tabs and line breaks.")
        for query_id, grades in self.qrels.items():
            # Not a difference of sets: that would walk the whole corpus for every query.
            if missing := [doc_id for doc_id in grades if doc_id not in self.corpus]:
                raise DataError(
                    f"Query {query_id!r} judges documents that do not exist: {sorted(missing)[:3]}."
                )
            if not any(grade > 0 for grade in grades.values()):
                raise DataError(f"Query {query_id!r} has no relevant document.")

    @property
    def judgements(self) -> int:
        """Number of relevant (query, document) judgements."""
        return sum(grade > 0 for grades in self.qrels.values() for grade in grades.values())

    def data_hash(self) -> str:
        """Hash queries, documents and judgements, in the order of their ids.

        Returns:
            64 hexadecimal digits of a SHA-256; independent of the order of the dictionaries.
        """
        digest = hashlib.sha256()
        for name, table in (("queries", self.queries), ("corpus", self.corpus), ("qrels", self.qrels)):
            digest.update(f"{name} {len(table)}\n".encode())
            for key in sorted(table):
                digest.update(
                    json.dumps([key, table[key]], sort_keys=True, ensure_ascii=True).encode() + b"\n"
                )
        return digest.hexdigest()

    def subset(self, query_ids: Collection[str], doc_ids: Collection[str]) -> RetrievalTask:
        """Keep some queries and documents, in this task's order.

        Raises:
            DataError: An id is not of this task, or a kept query has no relevant document left.
        """
        kept_queries, kept_documents = set(query_ids), set(doc_ids)
        if unknown := (kept_queries - set(self.queries)) | (kept_documents - set(self.corpus)):
            raise DataError(
                f"Got ids that the task does not have: {sorted(unknown)[:3]} ({len(unknown)} in all)."
            )
        return RetrievalTask(
            {key: text for key, text in self.queries.items() if key in kept_queries},
            {key: text for key, text in self.corpus.items() if key in kept_documents},
            {
                key: {doc_id: grade for doc_id, grade in grades.items() if doc_id in kept_documents}
                for key, grades in self.qrels.items()
                if key in kept_queries
            },
        )


def write_beir(task: RetrievalTask, folder: Path, split: str = "test") -> None:
    """Write ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/<split>.tsv`` in the format of BEIR.

    Each file is written beside its place and then moved there.

    Raises:
        DataError: A document has outer whitespace, so that :func:`read_beir` would read another text.
    """
    if odd := [key for key, text in task.corpus.items() if text != join_title(None, text)]:
        raise DataError(
            f"Got the document {odd[0]!r} with outer whitespace ({len(odd)} in all), wanted texts without: "
            "readers strip it, and the data hash would change. Strip it when the task is made."
        )
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _replace(
        folder / "corpus.jsonl",
        (_json_line({"_id": key, "title": "", "text": text}) for key, text in task.corpus.items()),
    )
    _replace(
        folder / "queries.jsonl",
        (_json_line({"_id": key, "text": text}) for key, text in task.queries.items()),
    )
    rows = (
        f"{key}\t{doc_id}\t{grade}\n"
        for key, grades in task.qrels.items()
        for doc_id, grade in grades.items()
    )
    _replace(folder / "qrels" / f"{split}.tsv", _with_header("query-id\tcorpus-id\tscore\n", rows))


def read_beir(folder: Path, split: str = "test") -> RetrievalTask:
    """Read a BEIR folder; documents become the texts of :func:`search_r3.text.join_title`.

    Raises:
        DataError: A file is missing or malformed; the message names it and, for a line, its number.
    """
    corpus = {
        record["_id"]: join_title(record.get(TITLE_FIELD), record["text"])
        for record in _records(folder / "corpus.jsonl", ("_id", "text"), optional=TITLE_FIELD)
    }
    queries = {
        record["_id"]: record["text"] for record in _records(folder / "queries.jsonl", ("_id", "text"))
    }
    path = folder / "qrels" / f"{split}.tsv"
    qrels: dict[str, dict[str, int]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(rows, None)
            for query_id, doc_id, grade in rows:
                qrels.setdefault(query_id, {})[doc_id] = int(grade)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error}.") from None
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a table of query-id, corpus-id, score: {error}.") from None
    return RetrievalTask({key: text for key, text in queries.items() if key in qrels}, corpus, qrels)


def _json_line(record: dict[str, str]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _with_header(header: str, rows: Iterator[str]) -> Iterator[str]:
    yield header
    yield from rows


def _replace(path: Path, lines: Iterator[str]) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(lines)
    part.replace(path)


def _records(path: Path, fields: tuple[str, ...], optional: str | None = None) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(f"{path}, line {number}: not JSON: {error}.") from None
                if not isinstance(record, dict):
                    raise DataError(f"{path}, line {number}: wanted an object.")
                if missing := [field for field in fields if not isinstance(record.get(field), str)]:
                    raise DataError(f"{path}, line {number}: wanted strings in the fields {missing}.")
                if optional is not None and not isinstance(record.get(optional), str | None):
                    raise DataError(f"{path}, line {number}: wanted a string or null in {optional!r}.")
                yield record
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}.") from None
