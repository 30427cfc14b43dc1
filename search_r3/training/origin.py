"""Who writes the thoughts that are trained on."""

from __future__ import annotations

from typing import Literal, get_args

Origin = Literal["self", "teacher", "terms"]
"""The model itself, a larger local model, or nobody: the salient terms of the positive."""

ORIGINS: tuple[Origin, ...] = get_args(Origin)
