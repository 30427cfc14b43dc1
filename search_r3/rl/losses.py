"""The contrastive part of the second stage's loss, as a function of tensors."""

from __future__ import annotations

import torch
from torch.nn import functional


def info_nce(
    queries: torch.Tensor,
    documents: torch.Tensor,
    targets: torch.Tensor,
    excluded: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """InfoNCE: cross entropy of each query's target among all documents.

    Args:
        queries: Unit vectors, shape (B, D).
        documents: Unit vectors, shape (N, D).
        targets: Index of each query's target document, shape (B,), from 0 to N - 1.
        excluded: Documents to leave out of each query's softmax, because they are relevant too; bool, shape
            (B, N). A query's target always stays.
        temperature: Divides the similarities, above 0.

    Returns:
        The mean over queries, a scalar.
    """
    scores = queries @ documents.T / temperature
    is_target = functional.one_hot(targets, len(documents)).bool()
    return functional.cross_entropy(scores.masked_fill(excluded & ~is_target, -torch.inf), targets)
