"""`search-r3 index`: embed a corpus."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from search_r3.cli.loading import load_model, messages, model_name, output
from search_r3.cli.options import (
    BatchSizeOption,
    IdFieldOption,
    ModelOption,
    SourceArgument,
    StrictOption,
    TextFieldOption,
)
from search_r3.cli.reading import read_file
from search_r3.cli.running import resumable


def progress_bar() -> Progress:
    """A bar with count and time left, on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=messages,
        transient=True,
    )


def index(
    source: SourceArgument,
    folder: Annotated[Path, typer.Argument(help="Where the index is, or will be made.")],
    model: ModelOption = None,
    batch_size: BatchSizeOption = 16,
    strict: StrictOption = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents that are not in SOURCE.")] = False,
    id_field: IdFieldOption = None,
    text_field: TextFieldOption = None,
) -> None:
    """Embed a corpus into an index. Interrupted or repeated, it continues with what is new or changed."""
    from search_r3.retrieval.corpus_index import build_index

    documents = read_file(source, strict=strict, id_field=id_field, text_field=text_field)
    loaded = load_model(model)
    started = time.monotonic()
    with resumable(), progress_bar() as progress:
        task = progress.add_task("embedding", total=len(documents))
        report = build_index(
            folder,
            loaded,
            documents,
            model_name=model_name(model),
            batch_size=batch_size,
            prune=prune,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    output.print(
        f"{folder}: {report.encoded} embedded, {report.unchanged} unchanged, {report.removed} removed "
        f"in {time.monotonic() - started:.1f} s",
        markup=False,
    )
