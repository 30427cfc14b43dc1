"""Options of transformers' trainer that both stages take unless a configuration says otherwise."""

from __future__ import annotations

from typing import Any


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
