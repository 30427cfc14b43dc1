"""How a batch's documents are compared with a query: false negatives masked, and a teacher's soft targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from sentence_transformers.util import cos_sim
from torch.nn import functional

Similarity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Queries (B, D) and documents (N, D) to similarities (B, N)."""


def masked_similarity(margin: float) -> Similarity:
    """A similarity that takes likely false negatives out of the softmax, after Qwen3-Embedding and GIST.

    A document more similar to a query than the query's own positive by over ``margin`` is likely relevant
    too, and gets the similarity minus infinity.

    Args:
        margin: A difference of cosines, 0 or more. Qwen3-Embedding (arXiv 2506.05176) uses 0.1.

    Returns:
        Queries (B, D) and documents (N, D), the positives of all processes first, to similarities (B, N).
    """

    def similarity(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        scores = cos_sim(queries, documents)
        initialised = torch.distributed.is_available() and torch.distributed.is_initialized()
        offset = torch.distributed.get_rank() * len(queries) if initialised else 0
        rows = torch.arange(len(queries), device=scores.device)
        positives = scores[rows, rows + offset, None]
        return scores.masked_fill((scores > positives + margin).detach(), -torch.inf)

    return similarity


def ranking_divergence(logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student) of the distributions over the documents, the mean over the queries.

    Soft targets give a likely false negative the weight that the teacher gives it, where InfoNCE pushes it
    away.

    Args:
        logits: The student's similarities over its temperature, shape (B, N).
        teacher_logits: The teacher's, over its own, shape (B, N).
    """
    return functional.kl_div(
        logits.log_softmax(dim=1),
        teacher_logits.log_softmax(dim=1),
        reduction="batchmean",
        log_target=True,
    )


def ranks_first(scores: torch.Tensor, positives: torch.Tensor) -> torch.Tensor:
    """Whether a teacher ranks each query's positive above all other documents, or level with the best.

    Args:
        scores: Of all documents, shape (B, N).
        positives: Position of each query's positive among them, shape (B,).

    Returns:
        Booleans of shape (B,).
    """
    own = scores.gather(1, positives[:, None])[:, 0]
    return own >= scores.amax(dim=1)
