"""Reading an index: its documents with their texts and vectors, mapped from the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_r3.errors import VectorIndexError
from search_r3.retrieval.shards import ADVICE, Manifest, Shard, mapped, read_manifest
from search_r3.retrieval.stored_vectors import StoredVectors

_ATTEMPTS = 5


@dataclass(frozen=True)
class Block:
    """A shard in memory or mapped.

    Attributes:
        ids: Id of each row.
        vectors: Shape (rows, D).
        removed: Whether each row does not count any more, shape (rows,).
        starts: Where each text begins.
        texts: The file of texts.
    """

    ids: list[str]
    vectors: NDArray[np.float32]
    removed: NDArray[np.bool_]
    starts: NDArray[np.uint64]
    texts: NDArray[np.uint8]

    def text(self, row: int) -> str:
        """The text of a row."""
        end = int(self.starts[row + 1]) if row + 1 < len(self.starts) else len(self.texts)
        text: str = json.loads(self.texts[int(self.starts[row]) : end].tobytes())
        return text


class DocumentStore:
    """One state of an index; what a writer does later is not seen.

    Args:
        folder: Of the index.
        manifest: The state.

    Attributes:
        blocks: The shards.
        starts: Number of the first row of each block among all rows, and of all rows, shape (blocks + 1,).
        ids: Id of every row, of removed ones as well.
        row_of: The row of each document that counts.

    Raises:
        FileNotFoundError: A file is missing.
        VectorIndexError: A file is damaged.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.blocks = [_block(folder, shard, manifest.dimension) for shard in manifest.shards]
        self.starts = np.array([0, *accumulate(shard.rows for shard in manifest.shards)], dtype=np.int64)
        self.ids = [doc_id for block in self.blocks for doc_id in block.ids]
        removed = np.concatenate([*(block.removed for block in self.blocks), np.zeros(0, dtype=bool)])
        self.row_of = {self.ids[row]: row for row in np.flatnonzero(~removed).tolist()}
        if len(self.row_of) != int((~removed).sum()):
            raise VectorIndexError(f"{folder} is damaged: a document is in it twice. {ADVICE}.")

    @classmethod
    def open(cls, folder: Path) -> DocumentStore:
        """Read the newest state.

        Raises:
            FileNotFoundError: There is no index of this format.
            VectorIndexError: It is damaged, or of a newer format.
        """
        manifest = read_manifest(folder)
        for _ in range(_ATTEMPTS):
            try:
                return cls(folder, manifest)
            except FileNotFoundError as error:
                newer = read_manifest(folder)
                if newer == manifest:
                    missing = Path(error.filename).name
                    raise VectorIndexError(f"{folder} is damaged: it has no {missing}. {ADVICE}.") from None
                manifest = newer  # a writer removed what the older one named
        raise VectorIndexError(f"{folder} is being changed all the time: try again later.")

    def place_of(self, doc_id: str) -> tuple[int, int]:
        """Number of a document's block, and its row there.

        Raises:
            KeyError: The document is not there.
        """
        row = self.row_of[doc_id]
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return number, row - int(self.starts[number])

    @cached_property
    def vectors(self) -> StoredVectors:
        """The vectors."""
        return StoredVectors(
            [block.vectors for block in self.blocks],
            [block.removed for block in self.blocks],
            self.ids,
            self.row_of,
            dimension=self.manifest.dimension,
            fingerprint=self.manifest.fingerprint,
        )

    @property
    def texts(self) -> Mapping[str, str]:
        """The texts by id, in the order of the rows; read when they are asked for."""
        return StoredTexts(self)


class StoredTexts(Mapping[str, str]):
    """Texts of a store by document id.

    Args:
        store: The store.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    def __getitem__(self, doc_id: str) -> str:
        number, row = self._store.place_of(doc_id)
        return self._store.blocks[number].text(row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.row_of)

    def __len__(self) -> int:
        return len(self._store.row_of)


def _block(folder: Path, shard: Shard, dimension: int) -> Block:
    vectors, ids, texts, starts = (
        np.asarray(mapped(folder, shard.name + suffix, extent)) for suffix, extent in shard.files.items()
    )
    removed = np.zeros(shard.rows, dtype=bool)
    if shard.removed:
        removed[mapped(folder, shard.removed, shard.removed_extent).view("<u4")] = True
    block = Block(
        [json.loads(line) for line in ids.tobytes().splitlines()],
        vectors.view("<f4").reshape(-1, dimension),
        removed,
        starts.view("<u8"),
        texts,
    )
    if {len(block.ids), len(block.vectors), len(block.starts)} != {shard.rows}:
        raise VectorIndexError(f"{folder} is damaged: files of {shard.name} differ in their rows. {ADVICE}.")
    return block
