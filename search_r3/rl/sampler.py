"""TRL's order of queries, made to depend on the epoch alone."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from search_r3.extras import needs_extra

with needs_extra("train"):
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


class EpochOrder(TrainerCallback):
    """Tells the sampler the epoch: what skips batches after a resume does not pass it on.

    Args:
        sampler: The sampler.
    """

    def __init__(self, sampler: EpochSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set it."""
        del args, control, kwargs
        self._sampler.set_epoch(int(state.epoch))
