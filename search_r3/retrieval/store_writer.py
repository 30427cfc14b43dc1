"""Writing an index: rows are appended, and count from the next manifest on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from search_r3.files import remove_leftovers, sync, write_bytes
from search_r3.retrieval.candidates import is_stale
from search_r3.retrieval.document_store import DocumentStore
from search_r3.retrieval.shards import (
    MANIFEST,
    SUFFIXES,
    Extent,
    Manifest,
    Shard,
    append_rows,
    write_manifest,
)
from search_r3.retrieval.unit_vectors import Vectors, checked_ids, unit_rows

SHARD_ROWS = 262_144
"""A shard with as many rows grows no more."""

_MOST_REMOVED = 0.3
"""A larger share of removed rows has the shard written anew."""

_COPIED_ROWS = 4096
_OF_A_SHARD = re.compile(r"\d{6,}-\d+\.(vectors|ids|texts|starts|removed-\d+)")
_BM25 = re.compile(r"bm25-[0-9a-f]{16}")


class StoreWriter:
    """The only writer of an index: the caller sees to that.

    Args:
        store: The state that is continued.

    Attributes:
        store: The same; what is written is not in it.
        manifest: The newest state that was committed.
    """

    def __init__(self, store: DocumentStore) -> None:
        self.store, self.manifest = store, store.manifest
        self._folder = store.folder
        self._shards = list(self.manifest.shards)
        self._places = {doc_id: store.place_of(doc_id) for doc_id in store.row_of}
        self._removed = [set(np.flatnonzero(block.removed).tolist()) for block in store.blocks]
        self._grown: set[int] = set()  # shards that have new rows
        self._thinned: set[int] = set()  # shards that have new removed rows
        self._is_new = False

    @classmethod
    def open(cls, folder: Path) -> StoreWriter:
        """Continue the newest state of an index.

        Raises:
            FileNotFoundError: There is none.
            VectorIndexError: It is damaged.
        """
        return cls(DocumentStore.open(folder))

    @classmethod
    def create(
        cls, folder: Path, *, dimension: int, fingerprint: str, model: str, chunk_tokens: int = 0
    ) -> StoreWriter:
        """Begin an index in a folder that has none, or is not there; it exists once it is committed."""
        folder.mkdir(parents=True, exist_ok=True)
        writer = cls(
            DocumentStore(folder, Manifest(model, fingerprint, dimension, chunk_tokens=chunk_tokens))
        )
        writer._is_new = True
        return writer

    def put(self, doc_ids: Sequence[str], texts: Sequence[str], vectors: Vectors) -> None:
        """Append documents; one with the id of another takes its place.

        Raises:
            InvalidInputError: The ids or vectors are malformed.
            VectorIndexError: An id is given twice.
        """
        ids = checked_ids(doc_ids)
        rows = unit_rows(vectors, self.manifest.dimension, ids)
        if not ids:
            return
        if not self._shards or self._shards[-1].rows >= SHARD_ROWS:
            self._shards.append(Shard.empty(f"{self.manifest.generation + 1:06}-{len(self._shards)}"))
            self._removed.append(set())
        number = len(self._shards) - 1
        begin = self._shards[number].rows
        self._shards[number] = append_rows(
            self._folder, self._shards[number], ids, list(texts), rows.tobytes()
        )
        self._grown.add(number)
        self.remove([doc_id for doc_id in ids if doc_id in self._places])
        self._places.update((doc_id, (number, begin + row)) for row, doc_id in enumerate(ids))

    def remove(self, doc_ids: Sequence[str]) -> None:
        """Let documents not count any more.

        Raises:
            KeyError: One is not there.
        """
        for doc_id in doc_ids:
            number, row = self._places.pop(doc_id)
            self._removed[number].add(row)
            self._thinned.add(number)

    def commit(self, model: str | None = None) -> None:
        """Make what was done count, durably; a kill before the end of it leaves the state before.

        Args:
            model: What the model is called from now on; None keeps its name.
        """
        name = self.manifest.model if model is None else model
        changed = self._grown or self._thinned or self._is_new
        if not changed and name == self.manifest.model:
            return
        generation = self.manifest.generation + 1
        for number in self._grown:
            _sync(self._folder, self._shards[number])
        for number in self._thinned:
            data = np.array(sorted(self._removed[number]), dtype="<u4").tobytes()
            shard = self._shards[number]
            file = f"{shard.name}.removed-{generation}"
            write_bytes(self._folder / file, data)
            self._shards[number] = replace(shard, removed=file, removed_extent=Extent().longer(data))
        sync(self._folder)
        manifest = replace(self.manifest, model=name, generation=generation, shards=tuple(self._shards))
        write_manifest(self._folder, manifest)
        self.manifest, self._is_new = manifest, False
        self._grown.clear()
        self._thinned.clear()

    def sweep(self) -> None:
        """Delete files that no state names any more: of killed writers, and of states before.

        A reader that opened an older state keeps its files, on systems that let open files be deleted.
        """
        remove_leftovers(self._folder)
        named = {MANIFEST}.union(*(shard.file_names for shard in self.manifest.shards))
        rows = {shard.name: shard.rows for shard in self.manifest.shards}
        for path in self._folder.iterdir():
            is_unnamed = _OF_A_SHARD.fullmatch(path.name) and path.name not in named
            if is_unnamed or is_stale(path.name, rows):
                path.unlink()
            elif _BM25.fullmatch(path.name) and path.name != bm25_name(self.manifest):
                shutil.rmtree(path, ignore_errors=True)  # a reader may write it right now


def compact(folder: Path) -> None:
    """Write shards anew in which many rows do not count, without these; the order of documents stays.

    The caller sees to that nobody else writes, and opens a writer again.

    Raises:
        VectorIndexError: The index is damaged.
    """
    store = DocumentStore.open(folder)
    generation, kept = store.manifest.generation + 1, []
    for shard, block in zip(store.manifest.shards, store.blocks, strict=True):
        if block.removed.sum() <= _MOST_REMOVED * shard.rows:
            kept.append(shard)
            continue
        rows = np.flatnonzero(~block.removed)
        copy = Shard.empty(f"{generation:06}-{len(kept)}")
        for start in range(0, len(rows), _COPIED_ROWS):
            some = rows[start : start + _COPIED_ROWS].tolist()
            ids, texts = [block.ids[row] for row in some], [block.text(row) for row in some]
            copy = append_rows(folder, copy, ids, texts, block.vectors[some].tobytes())
        if copy.rows:
            kept.append(copy)
            _sync(folder, copy)
    if tuple(kept) != store.manifest.shards:
        sync(folder)
        write_manifest(folder, replace(store.manifest, generation=generation, shards=tuple(kept)))


def bm25_name(manifest: Manifest) -> str:
    """Name of the folder of the BM25 index of a state; no other state's, also of an index built anew."""
    return f"bm25-{manifest.identity[:16]}"


def _sync(folder: Path, shard: Shard) -> None:
    for suffix in SUFFIXES:
        sync(folder / (shard.name + suffix))
