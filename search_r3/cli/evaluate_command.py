"""`search-r3 evaluate`: the arms of a model on tasks, with per-query scores in result files."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from search_r3.cli.options import (
    DEFAULT_ARMS,
    MODEL_NAMES,
    ArmsOption,
    BatchSizeOption,
    DtypeOption,
    InstructionsOption,
    MaxReasoningTokensOption,
    SeedOption,
    TasksOption,
)
from search_r3.evaluation.results import Harness
from search_r3.extras import needs_extra, require_extra

if TYPE_CHECKING:
    from search_r3.evaluation.results import Result
    from search_r3.model.thoughts import Arm

_OUTPUTS = {"mteb": Path("benchmarks/results/runs"), "beir": Path("benchmarks/results/beir")}
"""Where the results of a harness go by default: those of the other have the same file names."""


def evaluate(
    tasks: TasksOption,
    model: Annotated[str, typer.Option("--model", "-m", help=f"bm25, {MODEL_NAMES}.")] = "default",
    mean_pooled: Annotated[
        bool, typer.Option("--mean-pooled", help="The folder's LLM as it is: mean pooling, no template.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in results [default: that of the folder].")
    ] = None,
    arms: ArmsOption = DEFAULT_ARMS,
    max_reasoning_tokens: MaxReasoningTokensOption = None,
    instructions: InstructionsOption = False,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Also join every run with BM25's.")] = False,
    batch_size: BatchSizeOption = 16,
    seed: SeedOption = 0,
    dtype: DtypeOption = "float32",
    harness: Annotated[
        Harness, typer.Option("--harness", help="Who searches and measures; the scores agree to 4 decimals.")
    ] = "mteb",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="Where the result files go [default: benchmarks/results/runs; with --harness beir "
            "benchmarks/results/beir].",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of mteb's own result files and of document vectors [default: in the cache folder]."
        ),
    ] = None,
) -> None:
    """Evaluate a model with mteb or BEIR: one result file per task and arm, with per-query scores.

    The arms are of a model that thinks; others are evaluated once. The control arms random, repeat and
    shuffled use the thoughts that the arm always has in the same call. A result file's name does not say
    whether instructions were used: give runs with --instructions an --output of their own. A task of mteb
    needs the Hugging Face Hub; of a multilingual one the English part is evaluated.
    """
    _prepare()
    from search_r3.evaluation.results import write_result
    from search_r3.evaluation.runner import benchmark_task, run_arms
    from search_r3.evaluation.system import load_system, thinks
    from search_r3.paths import cache_dir

    system = load_system(
        model,
        name=name,
        is_mean_pooled=mean_pooled,
        dtype=dtype,
        max_reasoning_tokens=max_reasoning_tokens,
        instructions=instructions,
        seed=seed,
        batch_size=batch_size,
        show_progress_bar=sys.stderr.isatty(),
    )
    wanted = cast("list[Arm | None]", arms if thinks(system) else [None])
    for task in [benchmark_task(one) for one in tasks]:
        for result in run_arms(harness, system, wanted, task, cache or cache_dir() / "mteb", hybrid=hybrid):
            path = write_result(result, output or _OUTPUTS[harness])
            typer.echo(_line(task.metadata.name, result, path))


def _prepare() -> None:
    """Check for the libraries, and silence what they say about their own affairs."""
    require_extra("search-r3 evaluate", "eval", "mteb", "beir", "datasets")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with needs_extra("eval"):
        import datasets
    from transformers.utils import logging as transformers_logging

    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    for library in ("mteb", "beir", "sentence_transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="mteb")


def _line(task: str, result: Result, path: Path) -> str:
    tokens = "-" if result.tokens_per_query is None else f"{result.tokens_per_query:.1f}"
    return (
        f"{task:22}{result.model:30}{result.arm or '-':10}nDCG@10 {result.mean('ndcg_at_10'):.4f}  "
        f"{tokens} tokens/query  {result.seconds['total']:.0f} s  {path}"
    )
