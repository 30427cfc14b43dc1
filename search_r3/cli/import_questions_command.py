"""`search-r3 import-questions`: questions that take several passages, for training and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search_r3.errors import InvalidOptionError


def import_questions(
    questions: Annotated[
        Path, typer.Argument(help="File of HotpotQA, 2WikiMultihopQA or MuSiQue.", show_default=False)
    ],
    source: Annotated[
        str | None, typer.Option("--source", help="Name of the training set to make.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder to write, a task in BEIR's format.", show_default=False)
    ] = None,
) -> None:
    """Make a training set of questions in several hops, or a task to evaluate on.

    The training set has a query for each passage that names another one, with that name as its thought. The
    task has all passages of all questions as its corpus. A line of a JSONL file of your own has a question,
    and two lists of passages, hops and others; a passage has a title and a text.
    """
    from search_r3.data import question_import
    from search_r3.data.beir import write_beir

    if (source is None) == (folder is None):
        raise InvalidOptionError(
            f"Got {'neither' if source is None else 'both'} of --source and --folder, wanted one: what is "
            "trained on cannot be evaluated on."
        )
    if folder is not None:
        found = question_import.question_task(question_import.read_questions(questions))
        write_beir(found, folder)
        typer.echo(f"{folder}: {len(found.queries):,} questions, {len(found.corpus):,} passages")
    if source is not None:
        target, pairs, thoughts = question_import.import_questions(questions, source)
        typer.echo(f"{target}: {len(pairs):,} pairs, {len(thoughts):,} thoughts")
