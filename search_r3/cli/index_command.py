"""`search-r3 index`: embed a corpus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from search_r3.cli.console import messages, note, say
from search_r3.cli.loading import load_model, model_name
from search_r3.cli.options import (
    ApproximateOption,
    BatchSizeOption,
    IdFieldOption,
    ModelOption,
    SourcesArgument,
    StrictOption,
    TextFieldOption,
)
from search_r3.cli.reading import read_files
from search_r3.cli.running import resumable

_SHOWN = 10


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with count and time left, on standard error; gives what is told (done, in all)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=True) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def index(
    sources: SourcesArgument,
    folder: Annotated[Path, typer.Argument(help="Where the index is, or will be made.")],
    model: ModelOption = None,
    batch_size: BatchSizeOption = 16,
    strict: StrictOption = False,
    chunk: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="TOKENS",
            help="Split documents into passages of at most so many tokens; 0 splits none "
            "[default: as the index is, a new one not].",
        ),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents that are not in SOURCE.")] = False,
    approximate: ApproximateOption = None,
    id_field: IdFieldOption = None,
    text_field: TextFieldOption = None,
) -> None:
    """Embed a corpus into an index. Interrupted or repeated, it continues with what is new or changed."""
    from search_r3.retrieval.index_building import build_index

    reading = read_files(sources, strict=strict, id_field=id_field, text_field=text_field)
    documents = reading.items
    if prune and reading.unread:
        note("nothing is removed: files of documents were left out; give them by name, or move them away")
        prune = False
    if prune and reading.malformed:
        # The document of a malformed line may well be in the index; its line does not say its id for sure.
        note("nothing is removed: mend or delete the malformed lines, then run it again with --prune")
        prune = False
    loaded = load_model(model)
    started = time.monotonic()
    with resumable(), progress_bar("embedding") as on_progress:
        report = build_index(
            folder,
            loaded,
            documents,
            model_name=model_name(model),
            batch_size=batch_size,
            chunk_tokens=chunk,
            prune=prune,
            on_progress=on_progress,
        )
    if approximate is not None:
        from search_r3.retrieval.corpus_index import CorpusIndex

        with progress_bar("preparing the approximate search") as on_progress:
            CorpusIndex.load(folder, approximate=approximate, on_progress=on_progress)
    if report.dropped_tokens:
        some = list(report.dropped_tokens.items())[:_SHOWN]
        cut = ", ".join(f"{doc_id} ({tokens})" for doc_id, tokens in some)
        more = ", ..." if len(report.dropped_tokens) > len(some) else ""
        note(
            f"documents cut to the model's limit of {loaded.max_seq_length} tokens: "
            f"{len(report.dropped_tokens)}; tokens left out: {cut}{more}"
        )
    say(
        f"{folder}: {report.encoded} embedded, {report.unchanged} unchanged, {report.removed} removed "
        f"in {time.monotonic() - started:.1f} s",
    )
