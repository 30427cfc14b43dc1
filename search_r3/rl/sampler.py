"""TRL's order of queries, made to depend on the epoch alone."""

from __future__ import annotations

from typing import Any

from trl.trainer.utils import RepeatSampler


class EpochSampler(RepeatSampler):
    """Shuffles by (seed, epoch), so that a resumed run goes on in the order of the whole one.

    TRL's own draws every epoch from one generator, which a resumed run would begin anew.

    Args:
        *args: As for TRL's ``RepeatSampler``.
        **kwargs: As for TRL's ``RepeatSampler``; ``seed`` is an integer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer when an epoch begins."""
        self.generator.manual_seed(hash((self.seed, epoch)) & (2**63 - 1))
