"""What a training run logged: kept in one file, and drawn.

A supervised run's figure has its losses and dev scores; an RL run's has its rewards and its thoughts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from search_r3.extras import needs_extra

with needs_extra("eval"):
    from matplotlib.figure import Figure

from search_r3.files import write_bytes, write_text
from search_r3.reporting.compact import compact_json

_PANELS = {
    "reward": ("reward/thinking", "reward/direct"),
    "gain over not thinking": ("reward/retrieval_gain", "reward/best_gain"),
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

_PARTS = ("contrastive", "distillation", "next_token", "kl", "triplet")
_MEASURE = "_ndcg_at_10"


def keep_run(folder: Path, log: Sequence[dict[str, float]], output: Path) -> list[Path]:
    """Keep what a run logged, under the name of its folder.

    Args:
        folder: Output folder of the run, with its ``run.json``.
        log: What it logged, as :func:`search_r3.training.run_folder.read_log` gives it.
        output: Folder to write to.

    Returns:
        The files: ``<name>.json`` (facts, hours and log of the run), and a copy of each sample of an RL run's
        thoughts.

    Raises:
        OSError: ``run.json`` is missing.
        ValueError: It is not JSON.
    """
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    path = output / f"{folder.resolve().name}.json"
    write_text(path, compact_json({"run": facts, "hours": _hours(folder), "log": log}))
    paths = [path]
    for sample in sorted((folder / "thoughts").glob("step-*.jsonl")):
        target = output / f"{path.stem}-thoughts-{sample.name}"
        write_bytes(target, sample.read_bytes())
        paths.append(target)
    return paths


def training_curve(log: Sequence[dict[str, float]]) -> Figure:
    """The figure of a log: of a supervised run or of an RL run, whichever it is."""
    return _health(log) if any("reward/thinking" in entry for entry in log) else _supervised_curve(log)


def _supervised_curve(log: Sequence[dict[str, float]]) -> Figure:
    """The parts of the loss above, the dev scores of every arm below."""
    figure = Figure(figsize=(8, 7), layout="constrained", facecolor="white")
    losses, scores = figure.subplots(2, sharex=True)
    for part in _PARTS:
        if points := [(entry["step"], entry[part]) for entry in log if part in entry]:
            losses.plot(*zip(*points, strict=True), label=part)
    losses.set(ylabel="part of the loss, weighted")
    arms = sorted(
        {key for entry in log for key in entry if key.startswith("eval_") and key.endswith(_MEASURE)}
    )
    for key in arms:
        points = [(entry["step"], entry[key]) for entry in log if key in entry]
        label = key.removeprefix("eval_").removesuffix(_MEASURE)
        scores.plot(*zip(*points, strict=True), marker="o", label=label)
    scores.set(xlabel="step", ylabel="nDCG@10 on the dev split (0 to 1)")
    losses.set_ylim(bottom=0)
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False)
    return figure


def _health(log: Sequence[dict[str, float]]) -> Figure:
    """Everything that an RL run logs about itself, one panel for each kind of number."""
    figure = Figure(figsize=(12, 12), layout="constrained", facecolor="white")
    panels = figure.subplots(len(_PANELS) // 2, 2, sharex=True)
    for axes, (label, names) in zip(panels.flat, _PANELS.items(), strict=True):
        for name in names:
            points = [(entry["step"], entry[name]) for entry in log if entry.get(name) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o" if len(points) < 20 else "", label=name)
        axes.set(ylabel=label)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
    for axes in panels[-1]:
        axes.set(xlabel="step")
    return figure


def _hours(folder: Path) -> float | None:
    """Wall time in hours from the first to the last entry of every sitting; None without TensorBoard logs."""
    # Here, because drawing a log needs no TensorBoard.
    with needs_extra("train"):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    total = None
    for path in sorted((folder / "runs").rglob("events.out.tfevents.*")):
        events = EventAccumulator(str(path)).Reload()
        times = [event.wall_time for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
        if times:
            total = (total or 0.0) + max(times) - events.FirstEventTimestamp()
    return None if total is None else round(total / 3600, 2)
