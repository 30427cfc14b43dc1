"""The teacher to distil from: a small embedder that comes out of a package registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sentence_transformers
import torch
from sentence_transformers.sentence_transformer.losses import EmbedDistillLoss

from search_r3.data.minilm import minilm_folder
from search_r3.model.sentence_transformer import SearchR3
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


def teacher_distance(model: SearchR3, dimension: int, *, processes: int) -> EmbedDistillLoss:
    """Make the distance to the teacher's vectors, after a linear map that is trained with the model.

    Args:
        model: The student.
        dimension: Of the teacher's vectors.
        processes: Number of processes; with several, the map's gradients are averaged over them. The wrapper
            around the model does not know of them.
    """
    distance = EmbedDistillLoss(model, projection_dim=dimension)
    projection: Any = distance.projection
    if processes > 1:
        for weights in projection.parameters():
            weights.register_hook(_mean_gradient)
    return distance


def _mean_gradient(gradient: torch.Tensor) -> torch.Tensor:
    gradient = gradient.clone()
    torch.distributed.all_reduce(gradient)
    return gradient / torch.distributed.get_world_size()
