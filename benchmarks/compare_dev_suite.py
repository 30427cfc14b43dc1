"""Compare two results of run_dev_suite.py query by query: differences, 95% intervals, p-values.

    cd benchmarks/results/dev
    python ../../compare_dev_suite.py gemma3-270m-contrastive-terms.jsonl all-MiniLM-L6-v2.jsonl

The first file minus the second, on each task that both have and over all of these tasks' queries. The
p-values are of a paired randomisation test, and adjusted for the number of lines (Benjamini and Yekutieli).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.running import run
from search_r3.errors import DataError
from search_r3.evaluation.dev_suite import MULTIHOP_TASKS
from search_r3.reporting.significance import adjust, compare


def read(path: Path, system: str) -> dict[str, tuple[str, dict[str, float]]]:
    """Data hash and score per query of every task in a result file.

    Raises:
        DataError: The file cannot be read, or has no result of the system.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found = {
            row["task"]: (row["data_hash"], row["per_query"]) for row in rows if row.get("system") == system
        }
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: {error!r}; wanted a file that run_dev_suite.py wrote") from error
    if not found:
        raise DataError(
            f"{path} has no result of the system {system!r}; measure it with run_dev_suite.py, "
            "fused with --fused"
        )
    return found


def main(
    first: Annotated[Path, typer.Argument(help="A result file.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another one.", show_default=False)],
    system: Annotated[
        str, typer.Option(help="dense, fused or bm25: what to take of the first file.")
    ] = "dense",
    against: Annotated[
        str | None, typer.Option(help="The same of the second file [default: as --system].")
    ] = None,
) -> None:
    """Print the differences."""
    ours, theirs = read(first, system), read(second, against or system)
    tasks = [task for task in ours if task in theirs]
    if not tasks:
        raise DataError(f"Got {first} and {second} without a task in common, wanted at least one.")
    if other := [task for task in tasks if ours[task][0] != theirs[task][0]]:
        raise DataError(
            f"Got results on other data of {', '.join(other)}, wanted the same data hash; measure one again."
        )
    groups = {task: [task] for task in tasks}
    others = [task for task in tasks if task not in MULTIHOP_TASKS]
    if others != tasks:
        groups["without the multihop tasks"] = others
    groups["all"] = tasks
    compared = {
        label: compare(
            *(
                {f"{task}/{i}": s for task in some for i, s in side[task][1].items()}
                for side in (ours, theirs)
            )
        )
        for label, some in groups.items()
        if some
    }
    adjusted = adjust([one.p_value for one in compared.values()])
    print(f"{'':28}{'queries':>8}{'difference':>12}{'95% interval':>20}{'p':>9}{'adjusted':>10}")
    for (label, one), p_value in zip(compared.items(), adjusted, strict=True):
        interval = f"{one.low:+.3f} to {one.high:+.3f}"
        print(
            f"{label:28}{one.queries:>8}{one.difference:>+12.4f}{interval:>20}{one.p_value:>9.4f}{p_value:>10.4f}"
        )


if __name__ == "__main__":
    run(main)
