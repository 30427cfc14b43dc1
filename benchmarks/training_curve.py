"""Keep what a training run logged, and draw it: the parts of its loss, and its scores on the dev split.

    python benchmarks/training_curve.py runs/smollm2-135m-sft

Writes <name>.json (the run's `run.json` and its log), <name>.svg and <name>.png into
benchmarks/results/training; the name is that of the run's folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from search_r3.errors import SearchR3Error
from search_r3.evaluation.plots import save
from search_r3.training.run import read_log

PARTS = ("contrastive", "distillation", "next_token", "kl", "triplet")
MEASURE = "_ndcg_at_10"


def main() -> None:
    """Read the runs that the command line names, write their files, print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="output folders of training runs")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/training"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        for folder in arguments.runs:
            log = read_log(folder)
            run = {"run": json.loads((folder / "run.json").read_text(encoding="utf-8")), "log": log}
            stem = arguments.output / folder.resolve().name
            stem.with_suffix(".json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
            print("\n".join(map(str, [stem.with_suffix(".json"), *save(curve(log), stem)])))
    except (SearchR3Error, OSError) as error:
        sys.exit(f"error: {error}")


def curve(log: list[dict[str, float]]) -> Figure:
    """Draw the parts of the loss above, the dev scores of every arm below."""
    figure = Figure(figsize=(8, 7), layout="constrained", facecolor="white")
    losses, scores = figure.subplots(2, sharex=True)
    for part in PARTS:
        if points := [(entry["step"], entry[part]) for entry in log if part in entry]:
            losses.plot(*zip(*points, strict=True), label=part)
    losses.set(ylabel="part of the loss, weighted")
    arms = sorted(
        {key for entry in log for key in entry if key.startswith("eval_") and key.endswith(MEASURE)}
    )
    for key in arms:
        points = [(entry["step"], entry[key]) for entry in log if key in entry]
        label = key.removeprefix("eval_").removesuffix(MEASURE)
        scores.plot(*zip(*points, strict=True), marker="o", label=label)
    scores.set(xlabel="step", ylabel="nDCG@10 on the dev split (0 to 1)")
    losses.set_ylim(bottom=0)
    scores.set_ylim(0, 1)
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
