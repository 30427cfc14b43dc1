"""BM25: the lexical baseline that every result is set against."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search_r3.errors import InvalidOptionError
from search_r3.files import atomic_folder, write_text

logger = logging.getLogger(__name__)

_CHECKSUMS = "checksums.json"


def bm25_run(corpus: dict[str, str], queries: dict[str, str], k: int = 100) -> dict[str, dict[str, float]]:
    """Retrieve the best documents for every query with BM25.

    Uses bm25s with its defaults (Lucene's formula, k1=1.5, b=0.75, words of two letters and more, no
    stemming) and its English stop words.

    Args:
        corpus: Document texts by document id.
        queries: Query texts by query id.
        k: Most documents to retrieve for a query.

    Returns:
        For every query id, the score of at most ``k`` documents, best first; of documents with equal scores,
        the earlier one in the corpus first. Documents that share no word with the query are left out, so a
        query that is empty or made of stop words has an empty dictionary.

    Raises:
        InvalidOptionError: ``k`` is less than 1.
    """
    return BM25Index(corpus).search(queries, k)


class BM25Index:
    """Documents ready to be searched with BM25, as :func:`bm25_run` does.

    Args:
        corpus: Document texts by document id.
    """

    def __init__(self, corpus: dict[str, str]) -> None:
        self._bm25s = _import_bm25s()
        self._doc_ids = list(corpus)
        tokens = self._bm25s.tokenize(list(corpus.values()), stopwords="english", show_progress=False)
        # bm25s cannot index documents without a single word; no query can match them either.
        self._retriever = self._bm25s.BM25() if tokens.vocab else None
        if self._retriever is not None:
            self._retriever.index(tokens, show_progress=False)

    def save(self, folder: Path) -> None:
        """Make it the content of a folder, atomically; the documents' ids are not written.

        Raises:
            OSError: It cannot be written.
        """
        with atomic_folder(folder, replace=True) as part:
            part.mkdir()
            if self._retriever is not None:
                self._retriever.save(part, show_progress=False)
            checksums = {path.name: zlib.crc32(path.read_bytes()) for path in sorted(part.iterdir())}
            write_text(part / _CHECKSUMS, json.dumps({"documents": len(self._doc_ids), "files": checksums}))

    @classmethod
    def load(cls, folder: Path, doc_ids: Sequence[str]) -> BM25Index | None:
        """Read what :meth:`save` wrote, mapped from the disk.

        Args:
            folder: Where it is.
            doc_ids: Ids of the documents that it was made of, in their order.

        Returns:
            The index; None if there is none, or a file of it is damaged, which is logged.
        """
        if not folder.is_dir():
            return None
        bm25s = _import_bm25s()
        found = cls.__new__(cls)
        found._bm25s, found._doc_ids = bm25s, list(doc_ids)
        try:
            written = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
            if written["documents"] != len(doc_ids):
                raise ValueError(f"it is of {written['documents']} documents")
            for name, checksum in written["files"].items():
                if zlib.crc32((folder / name).read_bytes()) != checksum:
                    raise ValueError(f"{name} does not match its checksum")
            is_empty = not written["files"]
            found._retriever = None if is_empty else bm25s.BM25.load(folder, mmap=True, show_progress=False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("The BM25 index %s cannot be read (%s): it is built again.", folder, error)
            return None
        return found

    def search(self, queries: dict[str, str], k: int = 100) -> dict[str, dict[str, float]]:
        """Retrieve the best documents for every query; see :func:`bm25_run`.

        Raises:
            InvalidOptionError: ``k`` is less than 1.
        """
        if k < 1:
            raise InvalidOptionError(f"got k={k}; wanted 1 or more; give the number of documents to retrieve")
        run: dict[str, dict[str, float]] = {query_id: {} for query_id in queries}
        if self._retriever is None or not queries:
            return run
        query_tokens = self._bm25s.tokenize(
            list(queries.values()), stopwords="english", return_ids=False, show_progress=False
        )
        for query_id, tokens in zip(queries, query_tokens, strict=True):
            if not tokens:
                continue
            # All scores, and not bm25s' own choice of the best k: it wants k within the size of the corpus,
            # and chooses among equal scores at random.
            scores = self._retriever.get_scores(tokens)
            for index in np.argsort(-scores, kind="stable")[:k]:
                if scores[index] > 0:
                    run[query_id][self._doc_ids[index]] = float(scores[index])
        return run


def _import_bm25s() -> Any:
    """Import bm25s without letting it log.

    Its import sets its logger to DEBUG, and any handler of the application would then print its every step.
    """
    logger = logging.getLogger("bm25s")
    level = logger.level
    import bm25s

    logger.setLevel(level)
    return bm25s
