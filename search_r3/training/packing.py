"""Embedding a batch without padding: its texts stand behind each other in rows, and do not see each other.

Short texts of different lengths waste half of a batch on padding. In pieces of about equal length a batch
needs several passes, of matrices too small to be fast.
"""

from __future__ import annotations

from typing import Any

import torch

ROW_TOKENS = 128
"""Tokens of a row, unless a text is longer. Plain attention compares all tokens of a row with each other, so
a row is no longer than is needed for texts to fill it."""


def embed_packed(model: Any, column: dict[str, torch.Tensor]) -> torch.Tensor:
    """Embed the rows of a batch.

    Args:
        model: A Search-R3 model in training mode.
        column: ``input_ids`` and ``attention_mask`` (B, L), left padded.

    Returns:
        Shape (B, D), in the order of the batch: last hidden states at the embed tokens, not normalised.
    """
    input_ids, mask = column["input_ids"], column["attention_mask"]
    lengths: list[int] = mask.sum(dim=1).tolist()
    rows = pack(lengths, ROW_TOKENS)
    width = max(sum(lengths[text] for text in row) for row in rows)
    packed = input_ids.new_zeros(len(rows), width)
    # What is left of a row counts as a text of its own: it starts at 0 like all others.
    positions = torch.arange(width, device=input_ids.device).repeat(len(rows), 1)
    where: list[tuple[int, int]] = [(0, 0)] * len(lengths)
    for index, row in enumerate(rows):
        start = 0
        for text in row:
            end = start + lengths[text]
            packed[index, start:end] = input_ids[text, -lengths[text] :]
            positions[index, start:] -= positions[index, start].item()
            where[text] = (index, end - 1)
            start = end
        if start < width:
            positions[index, start:] -= positions[index, start].item()
    inputs = {"input_ids": packed, "attention_mask": torch.ones_like(packed), "position_ids": positions}
    states: torch.Tensor = model(inputs)["token_embeddings"]
    places = torch.tensor(where, device=states.device)
    return states[places[:, 0], places[:, 1]]


def pack(lengths: list[int], capacity: int) -> list[list[int]]:
    """Divide texts into rows, the longest first, each into the first row that it fits into.

    Args:
        lengths: Tokens of each text.
        capacity: Tokens of a row; a longer text has a row of its own.

    Returns:
        The indices of each row's texts.
    """
    rows: list[list[int]] = []
    free: list[int] = []
    for text in sorted(range(len(lengths)), key=lambda text: (-lengths[text], text)):
        for index, left in enumerate(free):
            if lengths[text] <= left:
                rows[index].append(text)
                free[index] -= lengths[text]
                break
        else:
            rows.append([text])
            free.append(capacity - lengths[text])
    return rows
