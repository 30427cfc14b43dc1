"""What vectors and ids must be before they are stored or searched with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from search_r3.arguments import as_list
from search_r3.errors import InvalidInputError, VectorIndexError

_UNIT_TOLERANCE = 1e-3

Vectors = NDArray[np.float32] | torch.Tensor


def checked_ids(doc_ids: Iterable[str], *, distinct: bool = True) -> list[str]:
    """Check that ids are strings that can be written, each given once; returns them in a list.

    Raises:
        InvalidInputError: They are not.
        VectorIndexError: One is given twice, and ``distinct`` is true.
    """
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


def unit_rows(vectors: object, dimension: int, ids: Sequence[str] | None) -> NDArray[np.float32]:
    """Check that vectors are finite, of norm 1 and of the right shape; returns them as float32.

    Args:
        vectors: An array, a tensor, or a list of either.
        dimension: Their width.
        ids: Of the documents, one for each; None for queries, of which there may be any number.

    Raises:
        InvalidInputError: They are not; the message names the first that is wrong.
    """
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
