"""Saying what was cut from the texts of a batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

from search_r3.errors import TruncationError, TruncationWarning
from search_r3.model.prompt_encoder import EncodedText, EvidenceLimits

OnTruncation = Literal["warn", "error", "ignore"]
"""What happens when a text, or the evidence of a query, does not fit."""


def report_truncation(
    inputs: Sequence[Any],
    encoded: Sequence[EncodedText],
    action: OnTruncation,
    limit: int,
    limits: EvidenceLimits,
) -> None:
    """Warn of the tokens that were cut from texts, and of evidence that was not read, each in one warning.

    Args:
        inputs: What was encoded.
        encoded: What came out, in the same order.
        action: Warn, raise an error, or do nothing.
        limit: The limit of template, text and evidence in tokens.
        limits: The limits of evidence.

    Raises:
        TruncationError: Something was cut and ``action`` is "error"; it names the first such input.
    """
    if action == "ignore":
        return
    read = (
        f"max_passage_tokens={limits.passage_tokens}, max_evidence_tokens={limits.evidence_tokens} or "
        f"max_seq_length={limit}"
    )
    for what, counts, advice in (
        (
            f"cut at their end to {limit} tokens",
            [item.dropped_tokens for item in encoded],
            f"over the limit of {limit}. Shorten or split the text",
        ),
        (
            f"given more evidence than fits into {read}",
            [item.dropped_evidence_tokens for item in encoded],
            f"of evidence over {read}. Give less evidence",
        ),
    ):
        cut = [(index, count) for index, count in enumerate(counts) if count]
        if not cut:
            continue
        index, dropped = cut[0]
        if action == "error":
            raise TruncationError(
                f"{dropped} tokens {advice}, or pass on_truncation='warn'.",
                inputs[index],
                f"Input {index} of this batch",
            )
        shown = ", ".join(str(count) for _, count in cut[:10]) + (", ..." if len(cut) > 10 else "")
        warnings.warn(
            f"{len(cut)} of {len(encoded)} texts were {what}; tokens dropped: {shown}.",
            TruncationWarning,
            stacklevel=3,
        )
