"""Keep what a training run logged, and draw it: a supervised run's losses, an RL run's rewards and health.

    python benchmarks/training_curve.py runs/smollm2-135m-sft

Writes <name>.json (the run's `run.json`, hours and log) and <name>.svg; the name is that of the run's folder.
An RL run's sample thoughts are copied too. `search-r3 report` draws what was kept again.
"""

from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.options import OutputOption
from search_r3.cli.running import run
from search_r3.reporting.plots import save
from search_r3.reporting.training_curve import keep_run, training_curve
from search_r3.training.sft_run import read_log


def main(
    runs: Annotated[list[Path], typer.Argument(help="Output folders of training runs.")],
    output: OutputOption = Path("benchmarks/results/training"),
) -> None:
    """Keep what training runs logged, and draw it."""
    for folder in runs:
        log = read_log(folder)
        paths = keep_run(folder, log, output)
        picture = paths[0].with_suffix(".svg")
        save(training_curve(log), picture)
        print(*paths, picture, sep="\n")


if __name__ == "__main__":
    run(main)
