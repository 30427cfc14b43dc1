"""What finds the candidates of an approximate search, and the names of its files.

Beside a shard there may be a file of candidates, ``<shard>.<kind>-<rows>-<CRC-32>``, which is made of the
shard's first rows and can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Approximation = Literal["float16", "int8", "binary", "hnsw", "ivf"]
"""What finds the candidates of an approximate search.

- ``float16``, ``int8``: every vector, in 2 bytes or 1 for each number;
- ``binary``: every vector, one bit for each number;
- ``hnsw``: a graph of near vectors, in one byte for each number;
- ``ivf``: the vectors of the clusters closest to the query, in one byte for each number.
"""

APPROXIMATIONS: tuple[Approximation, ...] = get_args(Approximation)


def candidates_name(shard: str, rows: int, kind: Approximation, checksum: int) -> str:
    """Name of a file of candidates, of so many rows of a shard; ``checksum`` is the CRC-32 of its bytes."""
    return f"{shard}.{kind}-{rows}-{checksum:08x}"


def is_stale(name: str, rows: Mapping[str, int]) -> bool:
    """Whether a file is one of candidates, and of no shard with the rows that it has (by its name)."""
    shard, _, rest = name.partition(".")
    kind, _, made_of = rest.partition("-")
    if kind not in APPROXIMATIONS or made_of.count("-") != 1:
        return False
    return not made_of.startswith(f"{rows.get(shard)}-")
