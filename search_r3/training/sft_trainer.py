"""sentence-transformers' trainer with our batches, and with progress in tokens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.sentence_transformer.losses import EmbedDistillLoss
from torch.utils.data import BatchSampler

from search_r3.model.adapter import ADAPTER_FILES
from search_r3.model.sentence_transformer import SearchR3
from search_r3.training.batches import TokenBudgetBatchSampler
from search_r3.training.lora import load_adapter_weights, without_input_casts

PROJECTION = "distillation_projection.safetensors"
"""The map from the model's space to the teacher's, inside a checkpoint."""


class SupervisedTrainer(SentenceTransformerTrainer):
    """``SentenceTransformerTrainer`` for Search-R3.

    Logs ``tokens_per_second`` and ``hours_left`` beside the parts of the loss.

    Args:
        *args: As for the base class.
        sampler: Makes the batches.
        distillation: The part of the loss that has trained weights of its own; None if there is none.
        **kwargs: As for the base class.
    """

    def __init__(
        self,
        *args: Any,
        sampler: TokenBudgetBatchSampler,
        distillation: EmbedDistillLoss | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sampler = sampler
        self._distillation = distillation
        self._tokens = 0
        self._started: tuple[float, int] | None = None  # time and step at which this process began to train

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> BatchSampler:
        """Return the sampler given to the constructor."""
        return self._sampler

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add none: it would sample the rows as texts. The project's cards are made from result files."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Count the tokens, then compute the loss."""
        if self._started is None:
            self._started = (time.monotonic(), self.state.global_step)
        self._tokens += sum(int(inputs[key].sum()) for key in inputs if key.endswith("_attention_mask"))
        return super().compute_loss(model, inputs, *args, **kwargs)

    def training_step(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Forward and backward pass; what the backward pass computes again has no casts either."""
        with without_input_casts(model, active=self.args.bf16 or self.args.fp16):
            return super().training_step(model, *args, **kwargs)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the speed to a step's log."""
        if "loss" in logs and self._started is not None:
            began, first = self._started
            seconds = time.monotonic() - began
            steps = max(1, self.state.global_step - first)
            left = seconds / steps * (self.state.max_steps - self.state.global_step)
            logs = {
                **logs,
                "tokens_per_second": round(self._tokens / seconds, 1),
                "hours_left": round(left / 3600, 3),
            }
        super().log(logs, *args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save on the main process: transformers asks all, and those that do not write fail on adapters."""
        if self.args.should_save or self.is_fsdp_enabled:
            super()._save(output_dir, state_dict)
            if self._distillation is not None:
                folder = Path(str(output_dir or self.args.output_dir))
                self._distillation.save_projection(folder / PROJECTION)

    def _load_best_model(self) -> None:
        """Load the best checkpoint; the base class would go on with the last one if that failed."""
        best = self.state.best_model_checkpoint
        if best is not None:
            self._load_from_checkpoint(best)

    def _load_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:
        """Read a checkpoint's weights into the model, and those of the loss.

        The base class would load a second model with its base; an adapter needs only its own file.
        """
        folder = Path(checkpoint_path)
        if self._distillation is not None:
            self._distillation.load_projection(folder / PROJECTION)
        if (folder / ADAPTER_FILES[0]).is_file():
            load_adapter_weights(cast(SearchR3, self.model), folder)
        else:
            super()._load_from_checkpoint(checkpoint_path)
