"""`search-r3 report`: tables, plots and a page, out of result files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.console import note, say
from search_r3.cli.options import OutputOption


def report(
    runs: Annotated[Path, typer.Option("--runs", help="Folder of result files.")] = Path(
        "benchmarks/results/runs"
    ),
    output: OutputOption = Path("benchmarks/results"),
    before: Annotated[
        str | None,
        typer.Option(
            "--before",
            metavar="MODEL",
            help="The model before training: compare the others with it.",
        ),
    ] = None,
    project: Annotated[
        bool,
        typer.Option(
            "--project", help="Also this project's README, model card and pictures; in a checkout of it."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file is out of date.")
    ] = False,
) -> None:
    """Make a report of result files: tables with significance, plots, and one page with all of it."""
    from search_r3.evaluation.results import read_results
    from search_r3.reporting.project import render_project, require_project
    from search_r3.reporting.report import out_of_date, render_report, write_files

    root = Path.cwd()
    if project:
        require_project(root)
    results = read_results(runs)
    rendered = render_report(results, output, before)
    files = {output / name: text for name, text in rendered.items()}
    required = {output / "report.md"}
    if project:
        texts = render_project(root, results, rendered)
        files |= texts
        required |= texts.keys()
    if check:
        stale = out_of_date(files, required)
        if stale:
            note(f"out of date: {', '.join(map(str, stale))}; run without --check")
            raise typer.Exit(1)
        return
    write_files(files)
    for path in files:
        say(str(path))
