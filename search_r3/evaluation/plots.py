"""Plots of a report: quality against tokens, and quality by task.

The figures are drawn without pyplot, so that nothing global changes and no display is needed. Their
background is opaque white: they read the same on a light and on a dark page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart. Their yellow is too light on white: wine
# stands in for it.
_COLOURS = {
    None: "#555555",
    "never": "#0072B2",
    "always": "#D55E00",
    "auto": "#009E73",
    "empty": "#56B4E9",
    "random": "#E69F00",
    "repeat": "#CC79A7",
    "shuffled": "#882255",
}
_MARKERS = "osD^vPX*"
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo", "***")


@dataclass(frozen=True)
class Series:
    """A model in one arm and one budget.

    Attributes:
        model: Name of the model; it decides the marker and the hatching.
        arm: The arm, which decides the colour; None for a model that does not think.
        label: What the legend says.
        scores: nDCG@10 by task, between 0 and 1; tasks that were not run are not in it.
        mean: Mean nDCG@10 over all tasks; None if it lacks a task.
        tokens: Tokens per query; None for a model without tokens, or if it lacks a task.
    """

    model: str
    arm: str | None
    label: str
    scores: dict[str, float]
    mean: float | None
    tokens: float | None


def quality_against_tokens(series: Sequence[Series]) -> Figure:
    """Plot mean nDCG@10 against tokens per query, one point per series.

    A series without tokens (BM25) is a dashed line across, one without a mean is left out.
    """
    figure = Figure(figsize=(9, 5), layout="constrained", facecolor="white")
    axes = figure.subplots()
    markers = _by_model(series, _MARKERS)
    handles = []
    for one in series:
        if one.mean is None:
            continue
        colour = _COLOURS[one.arm]
        if one.tokens is None:
            handles.append(axes.axhline(one.mean, color=colour, linestyle="--", label=one.label))
            continue
        # Hollow and larger: it has the same place as `never`, by construction.
        hollow = one.arm == "empty"
        handles += axes.plot(
            one.tokens,
            one.mean,
            linestyle="none",
            marker=markers[one.model],
            color=colour,
            markersize=13 if hollow else 8,
            markerfacecolor="none" if hollow else colour,
            markeredgewidth=2 if hollow else 0.5,
            markeredgecolor=colour if hollow else "white",
            label=one.label,
        )
    axes.set(xlabel="tokens per query (prompt, thought, embed token)", ylabel="mean nDCG@10 (0 to 1)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(handles=handles, loc="outside right upper", fontsize=9, labelspacing=0.8, frameon=False)
    return figure


def quality_by_task(series: Sequence[Series]) -> Figure:
    """Plot nDCG@10 by task as bars, one bar per series; a task that was not run has a gap."""
    tasks = sorted({task for one in series for task in one.scores})
    width = 0.85 / len(series)
    # Wide enough for bars of 0.1 inch.
    figure = Figure(
        figsize=(max(8.0, 3 + 0.12 * len(tasks) * len(series)), 5), layout="constrained", facecolor="white"
    )
    axes = figure.subplots()
    hatches = _by_model(series, _HATCHES)
    for place, one in enumerate(series):
        present = [number for number, task in enumerate(tasks) if task in one.scores]
        axes.bar(
            [number + (place - (len(series) - 1) / 2) * width for number in present],
            [one.scores[tasks[number]] for number in present],
            width=width,
            color=_COLOURS[one.arm],
            hatch=hatches[one.model],
            edgecolor="white",
            linewidth=0.5,
            label=one.label,
        )
    axes.set(xlabel="task", ylabel="nDCG@10 (0 to 1)")
    axes.set_xticks(range(len(tasks)), tasks, rotation=20, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(tasks) - 0.5)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside right upper", fontsize=9, labelspacing=0.8, frameon=False)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as SVG and PNG, the same bytes every time.

    Args:
        figure: The figure.
        stem: Path of the files without their endings.

    Returns:
        Both files.
    """
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png")]
    # A fixed salt for the ids inside, and no date.
    with matplotlib.rc_context({"svg.hashsalt": "search-r3"}):
        figure.savefig(paths[0], metadata={"Date": None})
    figure.savefig(paths[1], dpi=150)
    return paths


def _by_model(series: Sequence[Series], styles: Sequence[str]) -> dict[str, str]:
    """A style for every model; models that think begin with the first again, because their colours differ."""
    thinking = dict.fromkeys(one.model for one in series if one.arm is not None)
    others = dict.fromkeys(one.model for one in series if one.arm is None)
    return {
        model: style
        for models in (others, thinking)
        for model, style in zip(models, cycle(styles), strict=False)
    }
