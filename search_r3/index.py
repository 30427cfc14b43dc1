"""An exact vector index with stable document ids: saved atomically, checked in full when loaded."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from search_r3.errors import InvalidInputError, VectorIndexError

_FORMAT_VERSION = 1
_MANIFEST = "index.json"
_OWN_PAYLOAD = re.compile(r"vectors-[0-9a-f]{16}\.faiss|ids-[0-9a-f]{16}\.json")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SearchHit:
    """A document found, its score in [-1, 1] (larger is closer) and its rank, starting at 1."""

    doc_id: str
    score: float
    rank: int


class VectorIndex:
    """Exact inner-product search over float32 unit vectors, each under its own string id.

    Every method checks its arguments in full before it changes anything, and raises InvalidInputError for ids
    that are not valid strings and for vectors of the wrong shape, not finite, or off norm 1 by more than 1e-3.

    Args:
        dimension: Width of the vectors, at least 1.
        fingerprint: Identity of the model that makes the vectors.
    """

    def __init__(self, dimension: int, *, fingerprint: str) -> None:
        self._dimension = _positive_int(dimension, "dimension")
        if not isinstance(fingerprint, str):
            raise InvalidInputError(f"fingerprint: got {fingerprint!r}, wanted a string", fingerprint)
        self._fingerprint = fingerprint
        self._row_of: dict[str, int] = {}
        self._faiss = faiss.IndexFlatIP(self._dimension)

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """Identity of the model that made the vectors."""
        return self._fingerprint

    @property
    def doc_ids(self) -> tuple[str, ...]:
        """Every document id, in row order."""
        return tuple(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._row_of

    def add(self, doc_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Append new documents, with vectors of shape (len(doc_ids), dimension).

        Raises:
            VectorIndexError: An id is already present, or given twice.
        """
        ids = _checked_ids(doc_ids)
        if present := [doc_id for doc_id in ids if doc_id in self._row_of]:
            raise VectorIndexError(f"document {present[0]!r} is already in the index: use update to replace it")
        self._faiss.add(_unit_rows(vectors, self._dimension, ids))
        self._row_of.update(zip(ids, range(len(self), len(self) + len(ids)), strict=True))

    def update(self, doc_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Overwrite documents in place, with vectors of shape (len(doc_ids), dimension).

        Raises:
            VectorIndexError: An id is unknown, or given twice.
        """
        ids = _checked_ids(doc_ids)
        rows = self._rows(ids)
        _storage(self._faiss)[rows] = _unit_rows(vectors, self._dimension, ids)

    def remove(self, doc_ids: Sequence[str]) -> None:
        """Remove documents; the others keep their order.

        Raises:
            VectorIndexError: An id is unknown, or given twice.
        """
        ids = _checked_ids(doc_ids)
        self._faiss.remove_ids(self._rows(ids))
        kept = self._row_of.keys() - ids
        self._row_of = {doc_id: row for row, doc_id in enumerate(filter(kept.__contains__, self._row_of))}

    def vectors(self, doc_ids: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Return a copy of the vectors of these documents, in this order (None: all, in row order).

        Raises:
            VectorIndexError: An id is unknown.
        """
        stored = _storage(self._faiss)
        return stored.copy() if doc_ids is None else stored[self._rows(_checked_ids(doc_ids, distinct=False))]

    def search(self, queries: NDArray[np.float32], k: int, *, fingerprint: str) -> list[list[SearchHit]]:
        """Find the k closest documents of every query, exactly.

        A score is the inner product summed in float64 and rounded to float32: it depends on the two vectors
        only, never on row order or on the other queries. Hits are ordered by score, largest first; equal
        scores by document id, descending by code point, also where k cuts through a tie. This is the order
        that trec_eval and pytrec_eval derive from the scores, so ranks here and metrics there agree.

        Args:
            queries: Unit vectors, shape (n, dimension).
            k: Hits per query, at least 1; beyond the number of documents it means all.
            fingerprint: Identity of the model that made the queries.

        Returns:
            n lists of min(k, len(self)) hits.

        Raises:
            VectorIndexError: The queries come from another model than the documents.
        """
        if fingerprint != self._fingerprint:
            raise VectorIndexError(
                f"got queries of model {fingerprint!r}, wanted those of {self._fingerprint!r}, which made this "
                "index: search with that model, or build a new index with the other"
            )
        k = min(_positive_int(k, "k"), len(self))
        rows = _unit_rows(queries, self._dimension, None)
        if k == 0:
            return [[] for _ in rows]
        stored, ids, results = _storage(self._faiss), self.doc_ids, []
        for query, candidates in zip(rows, self._candidates(rows, k), strict=True):
            products = stored[candidates].astype(np.float64) * query.astype(np.float64)
            scores: list[float] = products.sum(axis=1).astype(np.float32).tolist()
            best = sorted(zip(scores, (ids[row] for row in candidates), strict=True), reverse=True)[:k]
            results.append([SearchHit(doc_id, score, rank) for rank, (score, doc_id) in enumerate(best, 1)])
        return results

    def _candidates(self, queries: NDArray[np.float32], k: int) -> list[NDArray[np.int64]]:
        # faiss keeps arbitrary rows of a tie at its cut, and each of its float32 sums may be off by half of
        # dimension * eps. What lies further below the k-th than twice the sum of two such errors cannot matter.
        margin = 2 * (self._dimension + 4) * float(np.finfo(np.float32).eps)
        found: dict[int, NDArray[np.int64]] = {}
        pending, width = np.arange(len(queries)), k + 32
        while pending.size:
            width = min(width, len(self))
            scores, rows = self._faiss.search(queries[pending], width)
            settled = (scores[:, k - 1] - scores[:, -1] > margin) | (width == len(self))
            found.update(zip(pending[settled].tolist(), rows[settled], strict=True))
            pending, width = pending[~settled], width * 4
        return [found[query] for query in range(len(queries))]

    def _rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        if unknown := [doc_id for doc_id in ids if doc_id not in self._row_of]:
            raise VectorIndexError(f"document {unknown[0]!r} is not in the index: add it, or leave it out")
        return np.array([self._row_of[doc_id] for doc_id in ids], dtype=np.int64)

    def save(self, folder: str | Path) -> None:
        """Make this index the content of a folder (created if missing), atomically and durably.

        A process killed or a machine cut off at any moment leaves the previous version or this one. Only one
        process may save to a folder at a time; a load meanwhile may be refused, but never returns a mixture.

        Raises:
            OSError: The folder cannot be written; it still holds the previous version, or already this one.
        """
        folder = Path(folder)
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            _sync_folder(path.parent)
        # Not faiss.write_index: it ignores a failing close, so a full disk would lose the tail in silence.
        vectors = _write(folder, "vectors-{}.faiss", faiss.serialize_index(self._faiss).tobytes())
        ids = _write(folder, "ids-{}.json", json.dumps(self.doc_ids).encode())
        header = {"format_version": _FORMAT_VERSION, "dimension": self._dimension, "count": len(self)}
        body = {**header, "fingerprint": self._fingerprint, "vectors": vectors, "ids": ids}
        _sync_folder(folder)
        _write(folder, _MANIFEST, _manifest_bytes(body))
        _sync_folder(folder)
        for path in folder.iterdir():
            if _OWN_PAYLOAD.fullmatch(path.name) and path.name not in (vectors["file"], ids["file"]):
                path.unlink()

    @classmethod
    def load(cls, folder: str | Path) -> VectorIndex:
        """Read what save wrote, after checking every byte of it.

        Raises:
            VectorIndexError: A file is missing, altered, of another format, or contradicts the others.
        """
        try:
            manifest = (Path(folder) / _MANIFEST).read_bytes()
            body = json.loads(manifest)
            if body.get("format_version") != _FORMAT_VERSION:
                raise ValueError(f"got format version {body.get('format_version')!r}, wanted {_FORMAT_VERSION}")
            body.pop("sha256", None)
            if manifest != _manifest_bytes(body):
                raise ValueError(f"{_MANIFEST} is altered: its own sha256 does not match")
            index = cls(body["dimension"], fingerprint=body["fingerprint"])
            ids = _checked_ids(json.loads(_read(Path(folder), **body["ids"])))
            content = np.frombuffer(_read(Path(folder), **body["vectors"]), dtype=np.uint8)
            stored = faiss.deserialize_index(content)
            if not isinstance(stored, faiss.IndexFlatIP) or len(ids) != body["count"]:
                raise ValueError(f"got {len(ids)} ids, {type(stored).__name__}, wanted {body['count']}, IndexFlatIP")
            _unit_rows(_storage(stored), index.dimension, ids)
        except (OSError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            hint = "restore the folder from a copy, or build the index again"
            raise VectorIndexError(f"cannot load an index from {folder}: {error}; {hint}") from error
        index._faiss, index._row_of = stored, {doc_id: row for row, doc_id in enumerate(ids)}
        return index


def _positive_int(value: object, name: str) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise InvalidInputError(f"{name}: got {value!r}, wanted an integer of at least 1", value)
    return int(value)


def _checked_ids(doc_ids: Sequence[str], *, distinct: bool = True) -> list[str]:
    ids = [doc_ids] if isinstance(doc_ids, str) else list(doc_ids)
    for position, doc_id in enumerate(ids):
        ...
    return ids
