"""`search-r3 train`: the stages of training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.options import ResumeOption
from search_r3.cli.running import make_app, resumable
from search_r3.extras import require_extra

train = make_app(
    help="Train a model: distillation, the supervised stage, reinforcement learning.",
    no_args_is_help=True,
)

ConfigArgument = Annotated[Path, typer.Argument(help="TOML file of the run.", show_default=False)]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Another value for a key, as TOML: 'trainer.use_cpu = false'; repeatable.",
        show_default=False,
    ),
]


@train.command()
def distillation(config: ConfigArgument, changes: ChangesOption = None, resume: ResumeOption = False) -> None:
    """Learn direct vectors from those of a small teacher, on plain texts, before the supervised stage.

    It needs training sets (search-r3 data, or import-pairs). The run's folder gets checkpoints,
    TensorBoard logs, run.json (configuration, versions, commit, seeds, data hashes), adapter, from which
    a supervised run can start, and final, the model, whose path is printed.
    """
    _prepare("distillation")
    with resumable("continue with --resume"):
        from search_r3.training.distillation_config import read_config
        from search_r3.training.distillation_run import train as train_model

        typer.echo(train_model(read_config(config, changes or ()), resume=resume))


@train.command()
def sft(config: ConfigArgument, changes: ChangesOption = None, resume: ResumeOption = False) -> None:
    """Train a causal LM to think briefly and to embed well: the supervised stage.

    It needs training sets (search-r3 data, or import-pairs). The run's folder gets checkpoints,
    TensorBoard logs, run.json (configuration, versions, commit, seeds, data hashes), and final, the
    model, whose path is printed.
    """
    _prepare("sft")
    with resumable("continue with --resume"):
        from search_r3.training.sft_config import read_config
        from search_r3.training.sft_run import train as train_model

        typer.echo(train_model(read_config(config, changes or ()), resume=resume))


@train.command()
def grpo(config: ConfigArgument, changes: ChangesOption = None, resume: ResumeOption = False) -> None:
    """Train what to think by what the thought finds: the reinforcement-learning stage.

    It needs training sets (search-r3 data, or import-pairs). The run's folder gets checkpoints with the
    corpus index, TensorBoard logs, run.json (configuration, versions, commit, seeds, data hashes), sample
    thoughts of every evaluation, and final, the merged model, whose path is printed.
    """
    _prepare("grpo")
    with resumable("continue with --resume"):
        from search_r3.rl.grpo_config import read_config
        from search_r3.rl.grpo_run import train as train_policy

        typer.echo(train_policy(read_config(config, changes or ()), resume=resume))


def _prepare(stage: str) -> None:
    """Check for the libraries, and set what they read from the environment when they are imported."""
    require_extra(f"search-r3 train {stage}", "train", "trl", "datasets", "pydantic", "scipy")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # its rollout hook is used knowingly
