"""An exact vector index with stable document ids: saved atomically, checked in full when loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from search_r3.arguments import as_integer, as_list
from search_r3.errors import InvalidInputError, VectorIndexError
from search_r3.files import bytes_sha256, remove_leftovers, write_bytes
from search_r3.retrieval.hits import SearchHit

_FORMAT_VERSION = 1
_MANIFEST = "index.json"
_PAYLOAD = re.compile(r"vectors-[0-9a-f]{16}\.faiss|ids-[0-9a-f]{16}\.json")
_UNIT_TOLERANCE = 1e-3

Vectors = NDArray[np.float32] | torch.Tensor


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
        ids = _checked_ids(doc_ids)
        if present := [doc_id for doc_id in ids if doc_id in self._row_of]:
            raise VectorIndexError(f"document {present[0]!r} is already in the index: replace it with update")
        self._faiss.add(_unit_rows(vectors, self._faiss.d, ids))
        self._row_of.update(zip(ids, range(len(self), len(self) + len(ids)), strict=True))

    def update(self, doc_ids: Iterable[str], vectors: Vectors) -> None:
        """Overwrite the vectors of present documents; the row order stays."""
        ids = _checked_ids(doc_ids)
        _storage(self._faiss)[self._rows(ids)] = _unit_rows(vectors, self._faiss.d, ids)

    def remove(self, doc_ids: Iterable[str]) -> None:
        """Remove present documents; the others keep their order."""
        ids = _checked_ids(doc_ids)
        self._faiss.remove_ids(faiss.IDSelectorBatch(self._rows(ids)))
        kept = self._row_of.keys() - ids
        self._row_of = {doc_id: row for row, doc_id in enumerate(filter(kept.__contains__, self._row_of))}

    def vectors(self, doc_ids: Iterable[str] | None = None) -> NDArray[np.float32]:
        """Return a copy of the vectors of these documents, in this order (None: all, in row order)."""
        stored = _storage(self._faiss)
        return stored.copy() if doc_ids is None else stored[self._rows(_checked_ids(doc_ids, distinct=False))]

    def search(self, queries: Vectors, k: int, *, fingerprint: str) -> list[list[SearchHit]]:
        """Find the k closest documents of every query, exactly; all of them if k is beyond their number.

        A score is the inner product summed in float64 and rounded to float32: it depends on the two vectors
        only, never on row order or on the other queries. Hits are ordered by score, largest first; equal
        scores by document id, descending by code point, also where k cuts through a tie. This is the order
        that trec_eval and pytrec_eval derive from the scores, so ranks here and metrics there agree. Another
        model's fingerprint raises VectorIndexError.
        """
        if fingerprint != self._fingerprint:
            wanted = f"wanted those of {self._fingerprint!r}, which made the index"
            raise VectorIndexError(f"got queries of {fingerprint!r}, {wanted}: use one model for both")
        if (asked := as_integer(k, 1)) is None:
            raise InvalidInputError(f"got k {k!r}, wanted an int of at least 1", k)
        rows, k = _unit_rows(queries, self._faiss.d, None), min(asked, len(self))
        if k == 0 or len(rows) == 0:
            return [[] for _ in rows]
        stored, ids, results = _storage(self._faiss), self.doc_ids, []
        for query, candidates in zip(rows, self._candidates(rows, k, width=k + 32), strict=True):
            products = stored[candidates].astype(np.float64) * query
            scores = products.sum(axis=1).astype(np.float32).tolist()
            best = sorted(zip(scores, (ids[row] for row in candidates), strict=True), reverse=True)[:k]
            results.append([SearchHit(doc_id, score, rank) for rank, (score, doc_id) in enumerate(best, 1)])
        return results

    def _candidates(self, queries: NDArray[np.float32], k: int, width: int) -> list[NDArray[np.int64]]:
        # faiss keeps arbitrary rows of a tie at its cut, and each of its float32 sums may be off by half of
        # dimension * eps. What lies further below the k-th than twice the sum of two such errors is out.
        margin = 2 * (self._faiss.d + 4) * float(np.finfo(np.float32).eps)
        scores, rows = self._faiss.search(queries, min(width, len(self)))
        found = list(rows)
        unsettled = np.flatnonzero(scores[:, k - 1] - scores[:, -1] <= margin)
        if unsettled.size and width < len(self):
            wider = self._candidates(queries[unsettled], k, 4 * width)
            for query, more in zip(unsettled, wider, strict=True):
                found[query] = more
        return found

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


def _checked_ids(doc_ids: Iterable[str], *, distinct: bool = True) -> list[str]:
    if isinstance(doc_ids, str):
        raise InvalidInputError(f"got the string {doc_ids!r}, wanted a list of document ids", doc_ids)
    ids, seen = as_list(doc_ids), set[str]()
    for doc_id in ids:
        # JSON would join two lone surrogates into another character, and a run file cannot hold even one.
        if not isinstance(doc_id, str) or re.search("[\ud800-\udfff]", doc_id):
            raise InvalidInputError(f"got document id {doc_id!r}, wanted a valid Unicode string", doc_id)
        if distinct and doc_id in seen:
            raise VectorIndexError(f"document {doc_id!r} is given twice: give every id once")
        seen.add(doc_id)
    return [str(doc_id) for doc_id in ids]  # numpy's strings as Python's


def _unit_rows(vectors: object, dimension: int, ids: Sequence[str] | None) -> NDArray[np.float32]:
    try:
        array = _as_array(vectors)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"vectors: {error}: convert them to a float32 array", vectors) from error
    if array.shape == (0,):  # of an empty list
        array = np.zeros((0, dimension), dtype=np.float32)
    count = "n" if ids is None else len(ids)
    if array.dtype.kind not in "fiu" or array.shape[1:] != (dimension,) or count not in ("n", len(array)):
        got = f"got {array.dtype} vectors of shape {array.shape}"
        advice = ": put the text into a list" if array.shape == (dimension,) else ""
        raise InvalidInputError(
            f"{got}, wanted real numbers of shape ({count}, {dimension}){advice}", vectors
        )
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(array, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    # Negated so that NaN is bad too: faiss would store it, and answer it with row -1.
    bad = np.flatnonzero(~(np.abs(norms - 1) <= _UNIT_TOLERANCE))
    if bad.size:
        row = bad[0]
        label = f"query {row}" if ids is None else f"row {row} (document {ids[row]!r})"
        got = f"norm {norms[row]:.6g} (normalise it)" if norms[row] < np.inf else "NaN or infinity"
        raise InvalidInputError(f"{label}: wanted norm 1 within {_UNIT_TOLERANCE}, got {got}", rows[row])
    return rows


def _as_array(vectors: object) -> NDArray[Any]:
    if isinstance(vectors, list | tuple) and vectors and isinstance(vectors[0], torch.Tensor):
        vectors = torch.stack(list(vectors))
    if isinstance(vectors, torch.Tensor):
        vectors = vectors.detach().cpu()
        vectors = (
            vectors.float() if vectors.is_floating_point() else vectors
        ).numpy()  # numpy has no bfloat16
    return np.asarray(vectors)


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
