"""Where the thoughts that are trained on come from. It needs nothing, so that every command may import it."""

from __future__ import annotations

from typing import Literal, get_args

Writer = Literal["self", "teacher", "terms"]
"""Who writes thoughts: the model, a larger local model, or nobody: the salient terms of the positive."""

WRITERS: tuple[Writer, ...] = get_args(Writer)

Origin = Literal[Writer, "bridge"]
"""Where a thought comes from: a writer, or a cross reference, whose name is the thought about a passage."""

ORIGINS: tuple[Origin, ...] = (*WRITERS, "bridge")
