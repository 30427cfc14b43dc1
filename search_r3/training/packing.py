"""Embedding a batch with little padding: texts stand behind each other in rows, and do not see each other.

Short texts of different lengths waste half of a batch on padding. In pieces of about equal length a batch
needs several passes, of matrices too small to be fast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from search_r3.errors import ModelError

ROW_TOKENS = 128
"""Tokens of a row, or those of the longest text. Plain attention compares all tokens of a row with each
other, so a row is no longer than is needed for texts to fill it."""


def embed_packed(model: Any, column: dict[str, torch.Tensor]) -> torch.Tensor:
    """Embed the rows of a batch, packed, or padded where that is fewer tokens.

    Args:
        model: A Search-R3 model in training mode.
        column: ``input_ids`` and ``attention_mask`` (B, L), left padded.

    Returns:
        Unit vectors, shape (B, D), in the order of the batch.

    Raises:
        ModelError: The batch is not left padded, or the model's attention cannot keep packed texts apart.
    """
    input_ids, mask = column["input_ids"], column["attention_mask"]
    if not mask[:, -1].all():
        raise ModelError("Got a batch that is padded on the right, wanted padding on the left.")
    lengths: list[int] = mask.sum(dim=1).tolist()
    rows = pack(lengths, max(ROW_TOKENS, *lengths))
    width = max(sum(lengths[text] for text in row) for row in rows)
    if len(rows) * width >= input_ids.numel():
        padded: torch.Tensor = model({"input_ids": input_ids, "attention_mask": mask})["sentence_embedding"]
        return padded
    places, positions, ends = _layout(rows, lengths, width, input_ids.shape[1])
    device = input_ids.device
    packed = torch.cat([input_ids.flatten(), input_ids.new_zeros(1)])[places.to(device)]
    inputs = {
        "input_ids": packed,
        "attention_mask": torch.ones_like(packed),
        "position_ids": positions.to(device),
    }
    states: torch.Tensor = model(inputs)["token_embeddings"]
    return functional.normalize(states.flatten(0, 1)[ends.to(states.device)], dim=1)


def pack(lengths: list[int], capacity: int) -> list[list[int]]:
    """Divide texts into rows, the longest first, each into the first row that it fits into.

    Args:
        lengths: Tokens of each text.
        capacity: Tokens of a row, at least those of the longest text.

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


def _layout(
    rows: list[list[int]], lengths: list[int], width: int, padded: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where each token comes from in the flat padded batch, its position, and where each text ends.

    What is left of a row counts as a text of its own, made of the token behind the flat batch.
    """
    places, positions, ends = [], [], [0] * len(lengths)
    for index, row in enumerate(rows):
        place: list[int] = []
        position: list[int] = []
        for text in row:
            end = (text + 1) * padded
            place += range(end - lengths[text], end)
            position += range(lengths[text])
            ends[text] = index * width + len(place) - 1
        left = width - len(place)
        places.append(place + [padded * len(lengths)] * left)
        positions.append(position + list(range(left)))
    return torch.tensor(places), torch.tensor(positions), torch.tensor(ends)
