"""An exact vector index with stable document ids: saved atomically, checked in full when loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from search_r3.arguments import as_integer
from search_r3.errors import InvalidInputError, VectorIndexError
from search_r3.files import bytes_sha256, remove_leftovers, write_bytes
from search_r3.retrieval.exact import closest, ranks_of
from search_r3.retrieval.hits import SearchHit
from search_r3.retrieval.unit_vectors import Vectors, checked_ids, unit_rows

_FORMAT_VERSION = 1
_MANIFEST = "index.json"
_PAYLOAD = re.compile(r"vectors-[0-9a-f]{16}\.faiss|ids-[0-9a-f]{16}\.json")


_ROWS = 16_384
"""Rows that are scored at once to rank documents."""


class VectorIndex:
    """Exact inner-product search over float32 unit vectors, each under its own string id.

    Every method checks all of its arguments before it changes anything. Ids are any iterable of strings.
    Vectors are arrays or tensors of shape (n, dimension), finite, every norm 1 within 1e-3; n is the number
    of document ids, or of queries. An empty list is no vectors.

    Args:
        dimension: Width of the vectors, at least 1.
        fingerprint: Identity of the model that makes the vectors.

    Raises:
        InvalidInputError: From every method, for malformed ids, vectors or numbers.
        VectorIndexError: From every method, for ids unknown, present already, or given twice.
    """

    def __init__(self, dimension: int, *, fingerprint: str) -> None:
        width = as_integer(dimension, 1)
        if width is None or not isinstance(fingerprint, str):
            wanted = "wanted a positive int and a string"
            raise InvalidInputError(f"got dimension {dimension!r}, fingerprint {fingerprint!r}: {wanted}")
        self._fingerprint = fingerprint
        self._row_of: dict[str, int] = {}
        self._faiss = faiss.IndexFlatIP(width)

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return self._faiss.d

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

    def add(self, doc_ids: Iterable[str], vectors: Vectors) -> None:
        """Append new documents; refuses ids that are present already."""
        ids = checked_ids(doc_ids)
        if present := [doc_id for doc_id in ids if doc_id in self._row_of]:
            raise VectorIndexError(f"document {present[0]!r} is already in the index: replace it with update")
        self._faiss.add(unit_rows(vectors, self._faiss.d, ids))
        self._row_of.update(zip(ids, range(len(self), len(self) + len(ids)), strict=True))

    def update(self, doc_ids: Iterable[str], vectors: Vectors) -> None:
        """Overwrite the vectors of present documents; the row order stays."""
        ids = checked_ids(doc_ids)
        _storage(self._faiss)[self._rows(ids)] = unit_rows(vectors, self._faiss.d, ids)

    def remove(self, doc_ids: Iterable[str]) -> None:
        """Remove present documents; the others keep their order."""
        ids = checked_ids(doc_ids)
        self._faiss.remove_ids(faiss.IDSelectorBatch(self._rows(ids)))
        kept = self._row_of.keys() - ids
        self._row_of = {doc_id: row for row, doc_id in enumerate(filter(kept.__contains__, self._row_of))}

    def vectors(self, doc_ids: Iterable[str] | None = None) -> NDArray[np.float32]:
        """Return a copy of the vectors of these documents, in this order (None: all, in row order)."""
        stored = _storage(self._faiss)
        return stored.copy() if doc_ids is None else stored[self._rows(checked_ids(doc_ids, distinct=False))]

    def search(self, queries: Vectors, k: int, *, fingerprint: str) -> list[list[SearchHit]]:
        """Find the k closest documents of every query, exactly; all of them if k is beyond their number.

        The order is that of :func:`search_r3.retrieval.exact.closest`. Another model's fingerprint raises
        VectorIndexError.
        """
        if fingerprint != self._fingerprint:
            wanted = f"wanted those of {self._fingerprint!r}, which made the index"
            raise VectorIndexError(f"got queries of {fingerprint!r}, {wanted}: use one model for both")
        if (asked := as_integer(k, 1)) is None:
            raise InvalidInputError(f"got k {k!r}, wanted an int of at least 1", k)
        rows, stored = unit_rows(queries, self._faiss.d, None), _storage(self._faiss)
        return closest(rows, asked, self._faiss.search, stored.__getitem__, self.doc_ids, len(self))

    def ranks(self, queries: Vectors, doc_ids: Sequence[Sequence[str]]) -> list[list[int]]:
        """The ranks, from 1, that a search of all documents for each query would give to some of them.

        Args:
            queries: Unit vectors, shape (Q, D).
            doc_ids: For each query the documents.
        """
        rows, stored, ids = unit_rows(queries, self._faiss.d, None), _storage(self._faiss), self.doc_ids
        tiles = (
            (start, stored[start : start + _ROWS], np.zeros(len(stored[start : start + _ROWS]), dtype=bool))
            for start in range(0, len(stored), _ROWS)
        )
        return ranks_of(rows, [self._rows(some).tolist() for some in doc_ids], tiles, stored.__getitem__, ids)

    def _rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        if unknown := [doc_id for doc_id in ids if doc_id not in self._row_of]:
            raise VectorIndexError(f"document {unknown[0]!r} is not in the index: add it, or leave it out")
        return np.array([self._row_of[doc_id] for doc_id in ids], dtype=np.int64)

    def save(self, folder: str | Path) -> None:
        """Make this index the content of a folder (created if missing), atomically and durably.

        An OSError, a kill or a power cut at any moment leaves the previous version or this one. Only one
        process may save to a folder at a time; a load meanwhile may be refused, but never returns a mixture.
        """
        folder = Path(folder)
        # Not faiss.write_index: it ignores a failing close, so a full disk would lose the tail in silence.
        vectors = _write(folder, "vectors-{}.faiss", faiss.serialize_index(self._faiss).tobytes())
        files = dict([vectors, _write(folder, "ids-{}.json", json.dumps(self.doc_ids).encode())])
        body = {"format_version": _FORMAT_VERSION, "dimension": self._faiss.d, "count": len(self)}
        _write(folder, _MANIFEST, _manifest({**body, "fingerprint": self._fingerprint, "files": files}))
        for path in folder.iterdir():
            if _PAYLOAD.fullmatch(path.name) and path.name not in files:
                path.unlink()
        remove_leftovers(folder)

    @classmethod
    def load(cls, folder: str | Path) -> VectorIndex:
        """Read what save wrote, after checking every byte of it.

        Raises:
            VectorIndexError: A file is missing, altered, of another format, or contradicts the others.
        """
        try:
            manifest = (Path(folder) / _MANIFEST).read_bytes()
            body = json.loads(manifest)
            if (version := body.get("format_version")) != _FORMAT_VERSION:
                raise ValueError(f"got format version {version!r}, wanted {_FORMAT_VERSION}")
            if manifest != _manifest(body):
                raise ValueError(f"{_MANIFEST} is damaged: it does not match its own sha256")
            payloads = {name: (Path(folder) / name).read_bytes() for name in body["files"]}
            for name, payload in payloads.items():
                if bytes_sha256(payload) != body["files"][name]:
                    raise ValueError(f"{name} is damaged: it does not match the sha256 in {_MANIFEST}")
            vectors, ids = payloads.values()
            index = cls(body["dimension"], fingerprint=body["fingerprint"])
            stored = faiss.deserialize_index(np.frombuffer(vectors, dtype=np.uint8))
            index.add(json.loads(ids), _storage(stored))
            if len(index) != body["count"]:
                raise ValueError(f"got {len(index)} documents, wanted count {body['count']}")
        except (OSError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise VectorIndexError(f"cannot load {folder}: {error}; restore it, or build it again") from error
        return index


def _storage(index: Any) -> NDArray[np.float32]:
    # A view that faiss does not know of: it must not outlive the index, nor the next add or remove.
    return faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(-1, index.d)


def _write(folder: Path, pattern: str, content: bytes) -> tuple[str, str]:
    """Write a file atomically and durably; return its name (pattern filled with its sha256) and sha256."""
    sha256 = bytes_sha256(content)
    target = folder / pattern.format(sha256[:16])
    write_bytes(target, content)
    return target.name, sha256


def _manifest(body: dict[str, Any]) -> bytes:
    """Return the only valid manifest with these fields: "sha256" is that of itself left empty."""
    sha256 = bytes_sha256(json.dumps({**body, "sha256": ""}).encode())
    return (json.dumps({**body, "sha256": sha256}, indent=2) + "\n").encode()
