"""A thought: what the model wrote between a query and its embed token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Reasoning = Literal["always", "never", "auto"]
"""Whether a query thinks: always, never, or as the model's first token decides (embed token: no)."""

REASONINGS: tuple[Reasoning, ...] = get_args(Reasoning)

Arm = Literal["never", "always", "auto", "empty", "echo", "random", "repeat", "shuffled"]
"""How queries think during an evaluation; :mod:`search_r3.evaluation.arms` says what each arm is."""

ARMS: tuple[Arm, ...] = get_args(Arm)

CONTROL_ARMS: tuple[Arm, ...] = ("random", "repeat", "shuffled")
"""The arms that need each query's own thought."""

Ending = Literal["embed_token", "budget", "skipped", "given"]
"""How a thought ended.

- ``embed_token``: the model emitted the embed token after at least one token of thought.
- ``budget``: the budget was spent and the token was appended (a budget of 0 included).
- ``skipped``: there was no thinking: ``reasoning="never"``, or in ``auto`` the model's first token was the
  embed token.
- ``given``: the caller supplied the thought; it was replayed, not generated.
"""

ENDINGS: tuple[Ending, ...] = get_args(Ending)


@dataclass(frozen=True)
class Thought:
    """One thought, enough to replay it exactly.

    Attributes:
        text: The thought, decoded.
        token_ids: Its tokens, without the embed token; never a special token. Replaying uses these, because
            decoding and encoding again may give other tokens for the same text.
        ending: How it ended.
    """

    text: str
    token_ids: tuple[int, ...]
    ending: Ending

    @property
    def length(self) -> int:
        """Number of tokens, the embed token not counted."""
        return len(self.token_ids)
