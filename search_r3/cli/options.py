"""Options that several commands share: one name, one meaning and one help text for each.

An option that takes several values is given several times (``--task A --task B``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="default, embedded, a model folder, or a Hub id [default: default]."),
]
ReasoningOption = Annotated[
    str | None, typer.Option("--reasoning", help="always, never or auto [default: the model's].")
]
MaxReasoningTokensOption = Annotated[
    int | None,
    typer.Option(
        "--max-reasoning-tokens", min=0, help="Most tokens of thought per query [default: the model's]."
    ),
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Texts per forward pass.")]
TasksOption = Annotated[
    list[str],
    typer.Option(
        "--task", "-t", help="A task of this project or of mteb, or a folder in BEIR's format; repeatable."
    ),
]
ArmsOption = Annotated[
    list[str],
    typer.Option(
        "--arm",
        help="never, always, auto, or a control: empty, random, repeat, shuffled; repeatable.",
    ),
]
DtypeOption = Annotated[str, typer.Option("--dtype", help="float32 or bfloat16.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of what is drawn at random.")]
OutputOption = Annotated[Path, typer.Option("--output", help="Where the results go.")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Fail on malformed lines instead of skipping them.")
]
IdFieldOption = Annotated[str | None, typer.Option("--id-field", help="Name of the id field.")]
TextFieldOption = Annotated[str | None, typer.Option("--text-field", help="Name of the text field.")]
