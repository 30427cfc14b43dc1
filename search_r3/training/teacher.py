"""The teacher to distil from: a small embedder that comes out of a package registry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sentence_transformers
import torch

from search_r3.data.minilm import minilm_folder
from search_r3.paths import data_dir

EncodeWithTeacher = Callable[[list[str]], torch.Tensor]
"""Texts to the teacher's vectors, shape (texts, its dimension)."""


def load_teacher(max_tokens: int) -> tuple[EncodeWithTeacher, int]:
    """Load all-MiniLM-L6-v2.

    Args:
        max_tokens: Tokens that the teacher reads of a text. It should read no further than the student, who
            could not learn what stands behind.

    Returns:
        The function that embeds texts, and the dimension of its vectors.

    Raises:
        DataError: Its package cannot be had.
    """
    teacher = sentence_transformers.SentenceTransformer(
        str(minilm_folder(data_dir() / "packages")), local_files_only=True
    )
    teacher.max_seq_length = min(teacher.max_seq_length or max_tokens, max_tokens)

    def encode(texts: list[str]) -> torch.Tensor:
        return torch.from_numpy(np.asarray(teacher.encode(texts, show_progress_bar=False)))

    return encode, teacher.get_embedding_dimension() or 0
