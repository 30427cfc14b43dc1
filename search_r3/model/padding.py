"""Rows of tokens to tensors and back, and one seed per row."""

from __future__ import annotations

import hashlib

import torch


def left_pad(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack rows of tokens, the padding before them.

    Returns:
        Token ids and attention mask, both of shape (B, L). The padding is token 0: the mask hides it.
    """
    width = max(len(row) for row in rows)
    input_ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    attention_mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return input_ids, attention_mask


def right_pad(rows: list[list[int]], value: int) -> torch.Tensor:
    """Stack rows of tokens, ``value`` after them; shape (B, L)."""
    width = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (width - len(row)) for row in rows], dtype=torch.long)


def to_left_padding(
    input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move padding on either side to the left; both tensors keep their shape (B, L)."""
    order = attention_mask.argsort(dim=1, stable=True)  # padding first, the tokens in their order
    return input_ids.gather(1, order), attention_mask.gather(1, order)


def to_right_padding(
    states: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Move padding on either side to the right, in hidden states (B, L, H), ids and mask (B, L)."""
    order = (1 - attention_mask).argsort(dim=1, stable=True)  # the tokens in their order, then the padding
    by_row = order[:, :, None].expand_as(states)
    return states.gather(1, by_row), input_ids.gather(1, order), attention_mask.gather(1, order)


def crop(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop leading columns that are padding in every row."""
    start = int(attention_mask.argmax(dim=1).min())
    return input_ids[:, start:], attention_mask[:, start:]


def seeds(seed: int, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> list[int]:
    """One seed per row from (seed, tokens), so that a row's samples depend on nothing else in its batch."""
    rows = [row[mask.bool()].tolist() for row, mask in zip(input_ids, attention_mask, strict=True)]
    digests = [hashlib.sha256(repr((seed, row)).encode()).digest() for row in rows]
    return [int.from_bytes(digest[:8], "big") >> 1 for digest in digests]
