"""A reinforcement-learning run from its configuration to a merged model, resumable at every checkpoint."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from search_r3.extras import needs_extra

with needs_extra("train"):
    from trl.trainer.grpo_config import GRPOConfig

from search_r3.errors import InvalidOptionError
from search_r3.files import write_text
from search_r3.model.adapter import ADAPTER_FILES
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.provenance import describe_environment
from search_r3.rl.dev_evaluation import PolicyEvaluator, StopOnDecay
from search_r3.rl.environment import STATE
from search_r3.rl.grpo_config import RLConfig
from search_r3.rl.grpo_trainer import RetrievalGRPOTrainer
from search_r3.rl.queries import load_queries
from search_r3.training.dev_split import DevEvaluator
from search_r3.training.final_model import reasoning_after, save_merged
from search_r3.training.run_folder import (
    ADAPTER,
    FINAL,
    checkpoint_to_resume,
    trainer_files,
    write_run_metadata,
)
from search_r3.training.trainer_options import trainer_options

STOPPED = "stopped.txt"
"""Says why a run ended early, inside its output."""


def train(config: RLConfig, *, resume: bool = False) -> Path:
    """Train, and write the merged model.

    Args:
        config: The run.
        resume: Go on from the newest checkpoint in the output folder, if there is one.

    Returns:
        Folder of the merged model. Beside it: ``run.json``, checkpoints with the environment's state,
        TensorBoard logs, and ``thoughts``, samples at every evaluation.

    Raises:
        DataError: The data is missing or damaged.
        InvalidOptionError: The run cannot be had as configured, or the output folder holds another run.
    """
    output = config.output
    if (output / STOPPED).is_file():
        raise InvalidOptionError(
            f"{output} holds a run that stopped because its thoughts decayed: choose another output."
        )
    data = load_queries(config.queries, config.seed)
    arguments = _arguments(config, has_dev=bool(data.dev))
    checkpoint = checkpoint_to_resume(output, checkpoint_files(arguments), resume=resume)
    model = load_model(config.model.base)
    facts = {
        "config": json.loads(config.model_dump_json()),
        "base_fingerprint": fingerprint(model),
        "data_hashes": data.hashes,
        "queries": len(data.task.queries),
        "documents": len(data.task.corpus),
        "processes": arguments.world_size,
        "environment": describe_environment(),
    }
    if arguments.process_index == 0:
        write_run_metadata(output, facts)
    module = model.reasoning_module
    if config.queries.reads and module.reading is not None:
        raise InvalidOptionError(
            "Got queries that read, and a base with a reading adapter, which is off in training. Take the "
            "base that the adapter was trained on."
        )
    module.max_reasoning_tokens = config.rollouts.max_thought_tokens
    module.model.to(getattr(torch, config.model.dtype))
    limits = config.queries.evidence_limits if config.queries.reads else None
    if limits is not None:
        module.evidence_limits = limits
    stop = StopOnDecay(config.health, _measure(config))
    trainer = RetrievalGRPOTrainer(
        model, data.task, config, arguments, evidence=data.evidence, callbacks=[stop]
    )
    if data.dev:
        trainer.evaluator = PolicyEvaluator(
            DevEvaluator(
                data.dev,
                config.evaluation_arms,
                max_reasoning_tokens=config.rollouts.max_thought_tokens,
                max_query_tokens=config.queries.max_query_tokens,
                max_document_tokens=config.queries.max_document_tokens,
                evidence=data.dev_evidence,
            ),
            config,
            trainer.start_policy,
        )
    trainer.train(resume_from_checkpoint=checkpoint)
    if stop.reason and arguments.process_index == 0:
        write_text(output / STOPPED, f"{stop.reason}\n")
    if stop.reason and trainer.state.best_model_checkpoint is None:
        raise InvalidOptionError(
            f"The thoughts decayed before the first good evaluation ({stop.reason}): there is no model to "
            "keep. Lower the learning rate, or raise beta or contrastive.weight."
        )
    if worse := worse_than_start(trainer.state.log_history, _measure(config), trainer.state.best_metric):
        warnings.warn(worse, stacklevel=2)
    if arguments.process_index == 0:
        policy: Any = trainer.accelerator.unwrap_model(trainer.model)
        policy.save_pretrained(str(output / ADAPTER))
        reasoning = reasoning_after(module.reasoning, thoughts=True)
        save_merged(
            config.model.base,
            output,
            config.rollouts.max_thought_tokens,
            reasoning=reasoning,
            evidence=limits,
        )
    return output / FINAL


def worse_than_start(log: Sequence[dict[str, float]], measure: str, best: float | None) -> str | None:
    """Say so if no checkpoint is as good as what the run began with; None otherwise, or if that is not known.

    Args:
        log: The trainer's; the start is in it with ``eval_on_start = true`` in [trainer].
        measure: Name of the score that chooses the checkpoint.
        best: The best checkpoint's.
    """
    start = next((entry[measure] for entry in log if entry["step"] == 0 and measure in entry), None)
    if start is None or best is None or best >= start:
        return None
    return (
        f"The best checkpoint has {measure} = {best:.4f}, the start had {start:.4f}: training has made it "
        f"worse. {FINAL!r} is that checkpoint; keep the model that the run started from."
    )


def checkpoint_files(arguments: GRPOConfig) -> tuple[str, ...]:
    """What a whole checkpoint of this stage has beside the trainer's state."""
    return (*trainer_files(arguments), *ADAPTER_FILES, STATE)


def _arguments(config: RLConfig, *, has_dev: bool) -> GRPOConfig:
    options: dict[str, Any] = {
        **trainer_options(_measure(config) if has_dev else None),
        "learning_rate": 2e-5,
        "epsilon_high": 0.28,
        "logging_steps": 5,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": 5,
    }
    try:
        arguments = GRPOConfig(
            **{**options, **config.trainer},
            output_dir=str(config.output),
            seed=config.seed,
            data_seed=config.seed,
            num_generations=config.rollouts.group,
            temperature=config.rollouts.temperature,
            max_completion_length=config.rollouts.max_thought_tokens + 1,
            per_device_eval_batch_size=config.rollouts.group,  # TRL checks it; our evaluation has no rollouts
        )
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"[trainer] is not usable: {error}") from error
    generation = (arguments.steps_per_generation or 1) * arguments.num_iterations
    if arguments.save_steps * arguments.gradient_accumulation_steps % generation:
        raise InvalidOptionError(
            f"Got save_steps={arguments.save_steps}, at which rollouts are half used ({generation} passes "
            "for each generation): a resumed run would sample them again. Save at a multiple."
        )
    return arguments


def _measure(config: RLConfig) -> str:
    return f"eval_{config.evaluation_arms[0]}_ndcg_at_10"
