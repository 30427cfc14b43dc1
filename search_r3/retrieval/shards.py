"""The files of an index: shards that only grow, and a manifest that says how far each of them counts.

A shard is four files. ``<name>.vectors`` has float32 numbers, ``<name>.ids`` and ``<name>.texts`` a JSON
string in each line, ``<name>.starts`` the place in bytes at which each text begins, as uint64; all of them
little-endian. Rows are appended, and nothing that was written is changed. Rows that do not count any more are
listed in a file of their own. ``manifest.json`` names all of these with sizes and checksums, and is replaced
atomically. So a reader of any manifest sees one consistent state, and what a killed writer appended is beyond
every size.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_r3.errors import VectorIndexError
from search_r3.files import bytes_sha256, write_bytes

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
SUFFIXES = (".vectors", ".ids", ".texts", ".starts")
"""Of the files of a shard."""

ADVICE = "restore it, or remove the folder and build it again"


@dataclass(frozen=True)
class Extent:
    """How far a file counts: its first ``size`` bytes, whose CRC-32 is ``checksum``."""

    size: int = 0
    checksum: int = 0

    def longer(self, data: bytes) -> Extent:
        """With these bytes appended."""
        return Extent(self.size + len(data), zlib.crc32(data, self.checksum))


@dataclass(frozen=True)
class Shard:
    """One shard.

    Attributes:
        name: Of its files, without a suffix; never used again.
        rows: Rows appended, those that were removed included.
        files: Extent of each file, by suffix.
        removed: Name of the file with the numbers of removed rows, as uint32; empty if there are none.
        removed_extent: Extent of that file.
    """

    name: str
    rows: int
    files: dict[str, Extent]
    removed: str = ""
    removed_extent: Extent = Extent()

    @classmethod
    def empty(cls, name: str) -> Shard:
        """A shard without rows."""
        return cls(name, 0, dict.fromkeys(SUFFIXES, Extent()))

    @property
    def file_names(self) -> set[str]:
        """All of its files."""
        return {self.name + suffix for suffix in SUFFIXES} | ({self.removed} if self.removed else set())


@dataclass(frozen=True)
class Manifest:
    """What an index consists of.

    Attributes:
        model: What to load the model by; empty if it had no name.
        fingerprint: Identity of the model.
        dimension: Width of the vectors.
        generation: Number of manifests written before this one.
        chunk_tokens: Most tokens of a passage that documents are split into; 0 if they are not split.
        shards: The shards, in the order of the rows.
    """

    model: str
    fingerprint: str
    dimension: int
    generation: int = 0
    shards: tuple[Shard, ...] = ()
    chunk_tokens: int = 0

    @property
    def identity(self) -> str:
        """Hash of all that it says, and so of every byte that counts: 64 hexadecimal digits."""
        return bytes_sha256(json.dumps(asdict(self)).encode())


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an index.

    Raises:
        FileNotFoundError: There is none.
        VectorIndexError: It is damaged, or of another format.
    """
    content = (folder / MANIFEST).read_bytes()
    try:
        body = json.loads(content)
        version = body["format_version"]
        if version == FORMAT_VERSION:
            if content != _signed(body):
                raise ValueError(f"{MANIFEST} does not match its own sha256")
            shards = tuple(_shard(one) for one in body["shards"])
            return Manifest(
                body["model"],
                body["fingerprint"],
                body["dimension"],
                body["generation"],
                shards,
                body.get("chunk_tokens", 0),  # not in what was written before there were passages
            )
    except (ValueError, KeyError, TypeError) as error:
        raise VectorIndexError(f"{folder} is damaged ({error}): {ADVICE}.") from None
    raise VectorIndexError(
        f"Got {folder}, an index of format {version!r}; wanted format {FORMAT_VERSION} or older. Use the "
        "version of search-r3 that wrote it, or remove the folder and build the index again."
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make this the state of the index, atomically and durably; what it names must be on the disk."""
    write_bytes(folder / MANIFEST, _signed({"format_version": FORMAT_VERSION, **asdict(manifest)}))


def mapped(folder: Path, name: str, extent: Extent) -> NDArray[np.uint8]:
    """Map the bytes of a file that count, after checking them.

    Raises:
        FileNotFoundError: There is no such file.
        VectorIndexError: It is shorter, or has other bytes.
    """
    path = folder / name
    if path.stat().st_size < extent.size:
        raise VectorIndexError(f"{path} is damaged: it has less than {extent.size} bytes. {ADVICE}.")
    if not extent.size:
        return np.zeros(0, dtype=np.uint8)
    found: Any = np.memmap(path, dtype=np.uint8, mode="r", shape=(extent.size,))
    if zlib.crc32(found) != extent.checksum:
        raise VectorIndexError(f"{path} is damaged: it does not match its checksum. {ADVICE}.")
    mapped_bytes: NDArray[np.uint8] = found
    return mapped_bytes


def append_rows(folder: Path, shard: Shard, ids: list[str], texts: list[str], vectors: bytes) -> Shard:
    """Write rows behind those of a shard that count; they count once a manifest names the result.

    Args:
        folder: Of the index.
        shard: The shard.
        ids: Document ids.
        texts: A text for each.
        vectors: Their vectors, float32 and little-endian, one after the other.

    Returns:
        The shard with them. Its files are not synchronised with the disk yet.
    """
    lines = [_line(text) for text in texts]
    starts = shard.files[".texts"].size + np.cumsum([0, *map(len, lines[:-1])])
    data = {
        ".vectors": vectors,
        ".ids": b"".join(map(_line, ids)),
        ".texts": b"".join(lines),
        ".starts": starts.astype("<u8").tobytes(),
    }
    files = {}
    for suffix, extent in shard.files.items():
        path = folder / (shard.name + suffix)
        path.touch()
        with path.open("r+b") as stream:
            stream.truncate(extent.size)  # a killed writer may have left more
            stream.seek(extent.size)
            stream.write(data[suffix])
        files[suffix] = extent.longer(data[suffix])
    return replace(shard, rows=shard.rows + len(ids), files=files)


def _line(text: str) -> bytes:
    # A lone surrogate stands as three bytes, as in Python's own reading of JSON.
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _shard(body: dict[str, Any]) -> Shard:
    files = {suffix: Extent(**body["files"][suffix]) for suffix in SUFFIXES}
    return Shard(body["name"], body["rows"], files, body["removed"], Extent(**body["removed_extent"]))


def _signed(body: dict[str, Any]) -> bytes:
    """The only valid manifest with these fields: "sha256" is that of itself left empty."""
    sha256 = bytes_sha256(json.dumps({**body, "sha256": ""}).encode())
    return (json.dumps({**body, "sha256": sha256}, indent=1) + "\n").encode()
