"""Embedding a batch in pieces of about equally long rows, so that padding costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def embed_in_pieces(model: Any, column: dict[str, torch.Tensor], most_tokens: int) -> torch.Tensor:
    """Embed the rows of a batch.

    Args:
        model: A Search-R3 model in training mode.
        column: ``input_ids`` and ``attention_mask`` (B, L), left padded.
        most_tokens: Tokens of a piece, padding included; a longer row is a piece of its own.

    Returns:
        Shape (B, D), in the order of the rows.
    """
    lengths = column["attention_mask"].sum(dim=1)
    order = lengths.argsort(stable=True)
    vectors = []
    for rows in pieces(order, lengths, most_tokens):
        longest = int(lengths[rows].max())
        piece = {key: column[key][rows, -longest:] for key in ("input_ids", "attention_mask")}
        vectors.append(model(piece)["sentence_embedding"])
    return torch.cat(vectors)[order.argsort()]


def pieces(order: torch.Tensor, lengths: torch.Tensor, most_tokens: int) -> Iterator[torch.Tensor]:
    """Cut rows, sorted by length, into runs of at most so many padded tokens (or of one row)."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * int(lengths[order[end]]) > most_tokens:
            yield order[start:end]
            start = end
