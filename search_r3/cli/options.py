"""Options that several commands share: one name, one meaning and one help text for each.

An option that takes several values is given several times (``--task A --task B``). A value that has to be one
of a fixed list is a ``Literal``; any other one is refused with exit code 2 and the list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from search_r3.model.thoughts import ARMS, Arm, Reasoning
from search_r3.retrieval.candidates import Approximation


def each_of(choices: Sequence[str]) -> Callable[[list[str]], list[str]]:
    """A callback that refuses any other value of a repeatable option: typer takes no list of ``Literal``."""

    def check(values: list[str]) -> list[str]:
        for value in values:
            if value not in choices:
                raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, choices))}.")
        return values

    return check


Dtype = Literal["float32", "bfloat16"]

MODEL_NAMES = "default, gemma3-270m, smollm2-135m, embedded, a folder, or a Hub id"
"""What a model is named by."""

DEFAULT_ARMS = ["never", "always"]
"""The arms that are evaluated unless others are asked for."""

DEFAULT_SETS = ["phenotypes"]
"""The sets whose queries are asked unless others are asked for."""

SourcesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE...",
        help="JSONL, CSV, TSV or text files (also packed: .gz), Parquet files, a folder of text files or of "
        "such files, or - for JSON lines from standard input.",
    ),
]
ModelArgument = Annotated[
    str | None,
    typer.Argument(help=f"{MODEL_NAMES} [default: default]."),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help=f"{MODEL_NAMES} [default: default]."),
]
NamedModelOption = Annotated[str, typer.Option("--model", "-m", help=f"{MODEL_NAMES}.")]
ReasoningOption = Annotated[
    Reasoning | None,
    typer.Option("--reasoning", help="Whether queries think [default: the model's]."),
]
ApproximateOption = Annotated[
    Approximation | None,
    typer.Option(
        help="Search a large index approximately: candidates by float16, int8, binary, hnsw or ivf, "
        "in the order of the exact scores [default: exactly]."
    ),
]
MaxReasoningTokensOption = Annotated[
    int | None,
    typer.Option(
        "--max-reasoning-tokens", min=0, help="Most tokens of thought per query [default: the model's]."
    ),
]
ReasoningTokensOption = Annotated[
    int, typer.Option("--max-reasoning-tokens", min=0, help="Most tokens of thought per query.")
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Texts per forward pass.")]
TasksOption = Annotated[
    list[str],
    typer.Option(
        "--task", "-t", help="A task of this project or of mteb, or a folder in BEIR's format; repeatable."
    ),
]
SetsOption = Annotated[
    list[str], typer.Option("--set", help="A graded or training set, or a folder; repeatable.")
]
ArmOption = Annotated[
    Arm | None,
    typer.Option(
        "--arm",
        metavar="ARM",
        help="How queries think: never, always, auto, or a control: empty, echo, random, repeat, shuffled "
        "[default: the model's].",
    ),
]
ArmsOption = Annotated[
    list[str],
    typer.Option(
        "--arm",
        metavar="ARM",
        help="never, always, auto, or a control: empty, echo, random, repeat, shuffled; repeatable.",
        callback=each_of(ARMS),
    ),
]
InstructionsOption = Annotated[
    bool, typer.Option("--instructions", help="Put the task's instruction before queries.")
]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="Precision of the model.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of what is drawn at random.")]
MultihopOption = Annotated[
    Path | None,
    typer.Option("--multihop", envvar="SEARCH_R3_MULTIHOP", help="The folder of hotpot-dev and musique-dev."),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Most queries of a task, for a quick look.")
]
OutputOption = Annotated[Path, typer.Option("--output", help="Where the results go.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue from the newest checkpoint.")]
DirectOption = Annotated[
    bool,
    typer.Option(
        "--direct",
        help="The model without thinking, in built-in modules: no trust_remote_code needed. "
        "Not of gemma3-270m.",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Fail on malformed lines instead of skipping them.")
]
IdFieldOption = Annotated[str | None, typer.Option("--id-field", help="Name of the id field.")]
TextFieldOption = Annotated[str | None, typer.Option("--text-field", help="Name of the text field.")]
