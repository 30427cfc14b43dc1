"""Approximate search: faiss finds candidates in each shard, and the stored vectors put them in order.

The candidates of a shard come from a file beside it. A shard that has grown gets a new one. Scores and order
are exact, as :mod:`search_r3.retrieval.exact` says; a document that is no candidate is missed. Small shards
are searched exactly.
"""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from search_r3.files import write_bytes
from search_r3.model.option_checks import one_of
from search_r3.retrieval.candidates import Approximation, candidates_name
from search_r3.retrieval.document_store import Block, DocumentStore
from search_r3.retrieval.exact import ordered
from search_r3.retrieval.hits import SearchHit
from search_r3.retrieval.shards import Shard
from search_r3.retrieval.stored_vectors import StoredVectors
from search_r3.retrieval.unit_vectors import Vectors

logger = logging.getLogger(__name__)

_FAISS: Any = faiss  # its types lack some of what is used here

OVERSAMPLING: dict[Approximation, int] = {"float16": 2, "int8": 4, "binary": 100, "hnsw": 4, "ivf": 4}
"""Candidates from each shard for each hit that is wanted."""

LEAST_ROWS = 10_000
"""A shard with fewer is searched exactly."""

_MORE = 32  # than are wanted, because sums in float32 may be in another order
_ADDED_ROWS = 16_384
_GRAPH_NEIGHBOURS, _BUILT_WITH = 32, 100
_POINTS_OF_A_CLUSTER = 64  # that its centre is the mean of, in training

OnProgress = Callable[[int, int], None]


class ApproximateVectors(StoredVectors):
    """The vectors of an index with approximate search; see :class:`StoredVectors` for the other arguments.

    Args:
        store: One state of an index.
        kind: What finds the candidates.
        on_progress: Called with (rows, rows in all) while files of candidates are made.

    Raises:
        InvalidOptionError: There is no such kind.
    """

    def __init__(
        self,
        store: DocumentStore,
        kind: Approximation,
        *,
        on_progress: OnProgress = lambda done, total: None,
    ) -> None:
        self.kind: Approximation = one_of("approximate", kind, Approximation)
        super().__init__(
            [block.vectors for block in store.blocks],
            [block.removed for block in store.blocks],
            store.ids,
            store.row_of,
            dimension=store.manifest.dimension,
            fingerprint=store.manifest.fingerprint,
        )
        self._parts = _parts(store, self.kind, on_progress)

    def search(self, queries: Vectors, k: int, *, fingerprint: str) -> list[list[SearchHit]]:
        """Find the k closest documents of every query among the candidates.

        A shard in which a query has less than k candidates, because many rows do not count, is searched
        exactly.

        Raises:
            InvalidInputError: Malformed vectors, or a k that is no integer of 1 or more.
            VectorIndexError: The fingerprint is another model's.
        """
        rows, asked = self._checked(queries, k, fingerprint)
        wanted = min(asked, len(self))
        if wanted == 0 or len(rows) == 0:
            return [[] for _ in rows]
        candidates = self._candidates(rows, wanted)
        return [
            ordered(query, some, wanted, self._vectors_of, self._ids)
            for query, some in zip(rows, candidates, strict=True)
        ]

    def _candidates(self, queries: NDArray[np.float32], k: int) -> list[NDArray[np.int64]]:
        """For each query rows that count, in any order."""
        width = OVERSAMPLING[self.kind] * k
        small = [number for number, part in enumerate(self._parts) if part is None]
        found = [[rows] for rows in self._exactly(queries, k, small)]
        for number, part in enumerate(self._parts):
            if part is None:
                continue
            removed, start = self._removed[number], int(self._starts[number])
            least = min(k, int(np.count_nonzero(~removed)))
            rows_of_all = _searched(part, queries, width, self.kind)
            for query, one, rows in zip(queries, found, rows_of_all, strict=True):
                there = rows[rows >= 0]
                there = there[~removed[there]] + start
                if len(there) < least:
                    [there] = self._exactly(query[None], k, [number])
                one.append(there)
        return [np.concatenate(one) for one in found]

    def _exactly(self, queries: NDArray[np.float32], k: int, blocks: list[int]) -> list[NDArray[np.int64]]:
        """The rows of some blocks that are closest to each query."""
        scores, rows = self._best_of_some(queries, k + _MORE, self._tiles(blocks))
        return [row[score > -np.inf] for row, score in zip(rows, scores, strict=True)]


def _parts(store: DocumentStore, kind: Approximation, on_progress: OnProgress) -> list[Any]:
    """A faiss index of each shard; None of a small one."""
    shards, done = store.manifest.shards, 0
    total = sum(shard.rows for shard in shards if shard.rows >= LEAST_ROWS)
    parts: list[Any] = []
    for shard, block in zip(shards, store.blocks, strict=True):
        if shard.rows < LEAST_ROWS:
            parts.append(None)
            continue
        part = _read(store.folder, shard, kind)
        if part is None:
            part = _made(block, kind, partial(_told, on_progress, done, total))
            _write(store.folder, shard, kind, part)
        parts.append(part)
        done += shard.rows
    return parts


def _told(on_progress: OnProgress, before: int, total: int, rows: int) -> None:
    on_progress(before + rows, total)


def _made(block: Block, kind: Approximation, on_rows: Callable[[int], None]) -> Any:
    vectors, dimension = block.vectors, block.vectors.shape[1]
    eight, product = _FAISS.ScalarQuantizer.QT_8bit, _FAISS.METRIC_INNER_PRODUCT
    if kind == "binary":
        index: Any = _FAISS.IndexBinaryFlat(8 * ((dimension + 7) // 8))
    elif kind == "hnsw":
        index = _FAISS.IndexHNSWSQ(dimension, eight, _GRAPH_NEIGHBOURS, product)
        index.hnsw.efConstruction = _BUILT_WITH
    elif kind == "ivf":
        clusters = int(4 * np.sqrt(len(vectors)))
        index = _FAISS.IndexIVFScalarQuantizer(
            _FAISS.IndexFlatIP(dimension), dimension, clusters, eight, product
        )
        index.nprobe = max(8, clusters // 16)
    else:
        precision = _FAISS.ScalarQuantizer.QT_fp16 if kind == "float16" else eight
        index = _FAISS.IndexScalarQuantizer(dimension, precision, product)
    if not index.is_trained:
        step = max(1, len(vectors) // (_POINTS_OF_A_CLUSTER * getattr(index, "nlist", 1024)))
        index.train(np.ascontiguousarray(vectors[::step]))
    for start in range(0, len(vectors), _ADDED_ROWS):
        some = vectors[start : start + _ADDED_ROWS]
        index.add(_bits(some) if kind == "binary" else np.ascontiguousarray(some))
        on_rows(min(start + _ADDED_ROWS, len(vectors)))
    return index


def _searched(part: Any, queries: NDArray[np.float32], width: int, kind: Approximation) -> NDArray[np.int64]:
    """Rows of a shard, shape (Q, width); -1 where there are no more."""
    width = min(width, part.ntotal)
    options: dict[str, Any] = {}
    if kind == "hnsw":
        options["params"] = _FAISS.SearchParametersHNSW(efSearch=max(64, 2 * width))
    _, rows = part.search(_bits(queries) if kind == "binary" else queries, width, **options)
    found: NDArray[np.int64] = rows
    return found


def _bits(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.packbits(vectors > 0, axis=1)


def _read(folder: Path, shard: Shard, kind: Approximation) -> Any:
    """What was written for these rows; None if there is nothing, or it is damaged."""
    for path in folder.glob(f"{shard.name}.{kind}-{shard.rows}-*"):
        data = np.fromfile(path, dtype=np.uint8)
        if path.name == candidates_name(shard.name, shard.rows, kind, zlib.crc32(data.data)):
            return (
                _FAISS.deserialize_index_binary(data) if kind == "binary" else _FAISS.deserialize_index(data)
            )
        logger.warning("%s does not match its checksum: it is made again.", path)
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _write(folder: Path, shard: Shard, kind: Approximation, part: Any) -> None:
    data = _FAISS.serialize_index_binary(part) if kind == "binary" else _FAISS.serialize_index(part)
    with contextlib.suppress(OSError):  # where nobody may write, the next process makes it again
        write_bytes(
            folder / candidates_name(shard.name, shard.rows, kind, zlib.crc32(data.data)), data.tobytes()
        )
