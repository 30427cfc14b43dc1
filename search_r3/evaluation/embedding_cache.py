"""Document vectors kept on disk, chunk by chunk: arms share them, and an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from search_r3.files import atomic_path

_CHUNK = 256


def cached_vectors(
    folder: Path,
    identity: str,
    texts: Sequence[str],
    encode: Callable[[list[str]], NDArray[np.float32]],
    *,
    show_progress_bar: bool = False,
) -> NDArray[np.float32]:
    """Encode texts in chunks of 256, reading those chunks that were encoded before.

    A chunk is kept under the hash of the identity and its texts: another model, limit or text has another
    name, so that nothing stale can be read.

    Args:
        folder: Where chunks are kept.
        identity: All that decides a vector besides the text: model fingerprint, role, options.
        texts: N texts.
        encode: Gives the vectors of some texts, in their order.
        show_progress_bar: Whether to show the chunks on standard error.

    Returns:
        The vectors, shape (N, D), float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [list(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)]
    vectors = []
    for chunk in tqdm(chunks, desc="documents", unit="chunk", disable=not show_progress_bar):
        key = hashlib.sha256(json.dumps([identity, chunk]).encode()).hexdigest()
        path = folder / f"{key[:40]}.npy"
        if not path.is_file():
            encoded = np.asarray(encode(chunk), dtype=np.float32)
            if len(encoded) != len(chunk):
                raise ValueError(f"Got {len(encoded)} vectors for {len(chunk)} texts, wanted one each.")
            with atomic_path(path) as part:
                np.save(part, encoded, allow_pickle=False)
        vectors.append(np.load(path, allow_pickle=False))
    return np.concatenate(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)
