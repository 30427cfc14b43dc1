"""Keep what a training run logged, and draw it: a supervised run's losses, an RL run's rewards and health.

    python benchmarks/training_curve.py runs/smollm2-135m-sft
    python benchmarks/training_curve.py benchmarks/results/training/smollm2-135m-sft.json    # draws it again

Writes <name>.json (the run's `run.json`, hours and log), <name>.svg and <name>.png into
benchmarks/results/training; the name is that of the run's folder. An RL run's sample thoughts are copied too.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search_r3.errors import SearchR3Error
from search_r3.reporting.plots import save
from search_r3.training.run_folder import read_log

PANELS = {
    "reward": ("reward/thinking", "reward/direct"),
    "gain over the direct exit": ("reward/retrieval_gain", "reward/best_gain"),
    "nDCG@10 on the dev split": ("eval_always_ndcg_at_10", "eval_never_ndcg_at_10", "eval_auto_ndcg_at_10"),
    "tokens of a thought": ("thought/length",),
    "share of rollouts": ("thought/embed_token", "thought/skipped", "thought/budget"),
    "share": ("thought/repeated", "thought/copied", "eval_thought_distinct", "groups/dead"),
    "perplexity under the first policy": ("eval_thought_perplexity",),
    "documents encoded in a step": ("documents/encoded",),
    "age of a document's row in steps": ("documents/age",),
    "cosine": ("drift/cosine", "drift/top10_overlap", "documents/mean_cosine"),
}
"""What an RL run's panels show, by their vertical axes."""

PARTS = ("contrastive", "distillation", "next_token", "kl", "triplet")
MEASURE = "_ndcg_at_10"


def main() -> None:
    """Read the runs that the command line names, write their files, print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, help="output folders of training runs, or what was kept of them"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/training"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        for folder in arguments.runs:
            if folder.suffix == ".json":
                kept = json.loads(folder.read_text(encoding="utf-8"))
                print("\n".join(map(str, save(drawn(kept["log"]), arguments.output / folder.stem))))
                continue
            log = read_log(folder)
            facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            run = {"run": facts, "hours": hours(folder), "log": log}
            stem = arguments.output / folder.resolve().name
            stem.with_suffix(".json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
            print("\n".join(map(str, [stem.with_suffix(".json"), *save(drawn(log), stem)])))
            for sample in sorted((folder / "thoughts").glob("step-*.jsonl")):
                target = stem.with_name(f"{stem.name}-thoughts-{sample.name}")
                target.write_text(sample.read_text(encoding="utf-8"), encoding="utf-8")
                print(target)
    except (SearchR3Error, OSError) as error:
        sys.exit(f"error: {error}")


def hours(folder: Path) -> float | None:
    """Wall time in hours from the first to the last entry of every sitting; None without TensorBoard logs."""
    total = None
    for path in sorted((folder / "runs").rglob("events.out.tfevents.*")):
        events = EventAccumulator(str(path)).Reload()
        times = [event.wall_time for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
        if times:
            total = (total or 0.0) + max(times) - events.FirstEventTimestamp()
    return None if total is None else round(total / 3600, 2)


def drawn(log: list[dict[str, float]]) -> Figure:
    """The figure of a log, by the kind of the run."""
    return health(log) if any("reward/thinking" in entry for entry in log) else curve(log)


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
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def health(log: list[dict[str, float]]) -> Figure:
    """Draw everything that says how an RL run does, one panel for each kind of number."""
    figure = Figure(figsize=(12, 12), layout="constrained", facecolor="white")
    panels = figure.subplots(len(PANELS) // 2, 2, sharex=True)
    for axes, (label, names) in zip(panels.flat, PANELS.items(), strict=True):
        for name in names:
            points = [(entry["step"], entry[name]) for entry in log if entry.get(name) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o" if len(points) < 20 else "", label=name)
        axes.set(ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    for axes in panels[-1]:
        axes.set(xlabel="step")
    return figure


if __name__ == "__main__":
    main()
