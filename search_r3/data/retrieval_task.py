"""A labelled retrieval task in memory, and the hash that pins its content."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from search_r3.errors import DataError

_BREAKS = re.compile(r"[\t\r\n]")


@dataclass(frozen=True)
class RetrievalTask:
    """Queries, documents and graded judgements.

    A query may have the id of a document, as in ArguAna: that document is left out of the query's results. A
    judged document need not be in the corpus: it is never found. A query need not have a relevant document:
    every measure gives it 0. :meth:`unscored` names all these.

    Attributes:
        queries: Query texts by query id.
        corpus: Document texts by document id, as :func:`search_r3.text.join_title` gives them.
        qrels: For every query id, the grade (1 and above: relevant) of its judged documents, at least one.

    Raises:
        DataError: A query has no judgement, a judged query is not there, or an id is empty or has a tab or
            a line break.
    """

    queries: dict[str, str]
    corpus: dict[str, str]
    qrels: dict[str, dict[str, int]]

    def __post_init__(self) -> None:
        judged = {query_id for query_id, grades in self.qrels.items() if grades}
        if odd := sorted((set(self.queries) ^ set(self.qrels)) | (set(self.qrels) - judged)):
            raise DataError(f"Got queries without judgements or the reverse: {odd[:3]} ({len(odd)} in all).")
        if odd := [key for key in (*self.queries, *self.corpus) if not key or _BREAKS.search(key)]:
            raise DataError(f"Got the id {odd[0]!r}, wanted one without tabs and line breaks.")

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

    def unscored(self) -> list[str]:
        """Say what evaluators cannot score or leave out, one sentence for each kind with the first ids.

        Returns:
            Nothing for a task in which every query can reach every measure's 1.
        """
        judged = [(key, doc_id) for key, grades in self.qrels.items() for doc_id in grades]
        kinds = (
            (
                "judgements of documents that are not in the corpus",
                [doc_id for _, doc_id in judged if doc_id not in self.corpus],
                "such a document is never found, and is missed if it is relevant",
            ),
            (
                "queries with the id of a document",
                [query_id for query_id in self.queries if query_id in self.corpus],
                "that document is left out of the query's results, as in BEIR",
            ),
            (
                "queries whose document of the same id is judged relevant",
                [key for key in self.queries if key in self.corpus and self.qrels[key].get(key, 0) > 0],
                "it is missed; if it is another text than the query, rename the queries",
            ),
            (
                "queries without a relevant document",
                [query_id for query_id in self.queries if max(self.qrels[query_id].values()) <= 0],
                "every measure gives them 0, as in BEIR and mteb",
            ),
        )
        return [f"{counted(kind, ids)}; {meaning}" for kind, ids, meaning in kinds if ids]

    def answerable(self) -> RetrievalTask:
        """Keep what can be found: judgements of documents in the corpus, and queries with a relevant one.

        The document with the id of the query does not count, as it is left out of the query's results.
        """
        found = {
            query_id: {doc: grade for doc, grade in grades.items() if doc in self.corpus and doc != query_id}
            for query_id, grades in self.qrels.items()
        }
        qrels = {
            query_id: grades for query_id, grades in found.items() if max(grades.values(), default=0) > 0
        }
        queries = {query_id: text for query_id, text in self.queries.items() if query_id in qrels}
        return RetrievalTask(queries, self.corpus, qrels)

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
        qrels = {
            key: {doc_id: grade for doc_id, grade in grades.items() if doc_id in kept_documents}
            for key, grades in self.qrels.items()
            if key in kept_queries
        }
        if lost := [key for key, grades in qrels.items() if max(grades.values(), default=0) <= 0]:
            raise DataError(f"Query {lost[0]!r} has no relevant document ({len(lost)} in all).")
        return RetrievalTask(
            {key: text for key, text in self.queries.items() if key in kept_queries},
            {key: text for key, text in self.corpus.items() if key in kept_documents},
            qrels,
        )


def counted(kind: str, ids: Collection[str]) -> str:
    """Count ids and name the first three: ``queries without a relevant document: 4 (a, b, c, ...)``."""
    first = ", ".join(key[:40] for key in itertools.islice(ids, 3))
    return f"{kind}: {len(ids)} ({first}{', ...' if len(ids) > 3 else ''})"
