"""Options of transformers' trainer that both stages take unless a configuration says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformerTrainingArguments

from search_r3.errors import InvalidOptionError


def trainer_options(measure: str | None) -> dict[str, Any]:
    """Give the defaults for saving, logging and choosing the best checkpoint.

    Args:
        measure: Name of the score that chooses the checkpoint; None if nothing is measured.
    """
    options: dict[str, Any] = {"save_steps": 100, "save_total_limit": 2, "report_to": "tensorboard"}
    if measure is not None:
        options |= {
            "eval_strategy": "steps",
            "eval_steps": 100,
            "load_best_model_at_end": True,
            "metric_for_best_model": measure,
            "greater_is_better": True,
        }
    return options


def trainer_arguments(
    chosen: dict[str, Any], *, output: Path, seed: int, batch_rows: int, measure: str | None
) -> SentenceTransformerTrainingArguments:
    """Make the arguments of sentence-transformers' trainer.

    Args:
        chosen: The configuration's table ``[trainer]``; it has the last word but for what follows.
        output: The run's folder.
        seed: Of every draw.
        batch_rows: Most rows of a batch.
        measure: As for :func:`trainer_options`.

    Raises:
        InvalidOptionError: The trainer does not take them.
    """
    options: dict[str, Any] = {
        **trainer_options(measure),
        "logging_steps": 10,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.05,
    }
    try:
        return SentenceTransformerTrainingArguments(
            **{**options, **chosen},
            output_dir=str(output),
            seed=seed,
            data_seed=seed,
            per_device_train_batch_size=batch_rows,
            dataloader_drop_last=True,
        )
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"[trainer] is not usable: {error}") from error
