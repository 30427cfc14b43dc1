"""Write the report of an evaluation: tables in Markdown, plots in SVG and PNG.

    python benchmarks/report.py --runs benchmarks/results/runs --output benchmarks/results

Reads every result file under the folder of runs. Writes report.md and, for every size of the data,
quality-against-tokens-<size> and quality-by-task-<size>. The same result files give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from search_r3.errors import SearchR3Error
from search_r3.evaluation.plots import Series, quality_against_tokens, quality_by_task, save
from search_r3.evaluation.report import Row, collect, ndcg, render, tasks_of, tokens
from search_r3.evaluation.results import read_results


def series_of(rows: list[Row]) -> list[Series]:
    """What the plots show of each row."""
    tasks = tasks_of(rows)
    return [
        Series(
            row.model,
            row.arm,
            row.label,
            scores={task: ndcg(result) for task, result in row.results.items()},
            mean=row.mean(tasks, ndcg),
            tokens=row.mean(tasks, tokens),
        )
        for row in rows
    ]


def main() -> None:
    """Read the results, write tables and plots, print the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/results/runs"), help="result files")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder to write to")
    arguments = parser.parse_args()

    try:
        results = read_results(arguments.runs)
        text = render(results)
    except SearchR3Error as error:
        sys.exit(f"error: {error}")

    arguments.output.mkdir(parents=True, exist_ok=True)
    tables = arguments.output / "report.md"
    tables.write_text(text, encoding="utf-8")
    written = [tables]
    for size, rows in collect(results).items():
        series = series_of(rows)
        written += save(quality_against_tokens(series), arguments.output / f"quality-against-tokens-{size}")
        written += save(quality_by_task(series), arguments.output / f"quality-by-task-{size}")
    print("\n".join(str(path) for path in written))


if __name__ == "__main__":
    main()
