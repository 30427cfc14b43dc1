"""Plots of a report: what thinking changes, quality against tokens, and quality by task.

The figures are drawn without pyplot, so that nothing global changes and no display is needed. Their
background is opaque white: they read the same on a light and on a dark page.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from search_r3.extras import needs_extra

with needs_extra("eval"):
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator

from search_r3.files import write_text

# Okabe and Ito's colours, which colour-blind readers can distinguish. Their yellow is too light on white: it
# is replaced by wine.
_COLOURS = {
    None: "#555555",
    "never": "#0072B2",
    "always": "#D55E00",
    "auto": "#009E73",
    "empty": "#56B4E9",
    "random": "#E69F00",
    "repeat": "#CC79A7",
    "echo": "#999933",
    "shuffled": "#882255",
}
_MARKERS = "osD^vPX*"
# Of lines only: circles and stars would be most of the file.
_HATCHES = ("", "///", "xxx", "\\\\\\", "+++", "---", "|||", "/")


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
        budget: Budget of a thought in tokens; None if no query thinks.
    """

    model: str
    arm: str | None
    label: str
    scores: dict[str, float]
    mean: float | None
    tokens: float | None
    budget: int | None = None


@dataclass(frozen=True)
class Difference:
    """How much an arm changes the score of ``never``, on one task or on all.

    Attributes:
        arm: The arm, which decides the colour.
        label: The arm with its budget.
        task: The task, or how all of them together are called.
        difference: Of nDCG@10, between -1 and 1.
        low: Lower end of its confidence interval.
        high: Upper end of it.
    """

    arm: str
    label: str
    task: str
    difference: float
    low: float
    high: float


def differences_by_task(differences: Sequence[Difference]) -> Figure:
    """Plot differences from ``never`` with their intervals: one panel per task, one line per arm."""
    tasks = list(dict.fromkeys(one.task for one in differences))
    labels = list(dict.fromkeys(one.label for one in differences))
    columns = min(len(tasks), 4)
    lines = -(-len(tasks) // columns)
    figure = Figure(
        figsize=(1.5 + 2.4 * columns, lines * (0.9 + 0.28 * len(labels))),
        layout="constrained",
        facecolor="white",
    )
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, task in zip(panels, tasks, strict=False):
        axes.axvline(0, color="#555555", linewidth=1)
        for one in differences:
            if one.task == task:
                axes.errorbar(
                    one.difference,
                    labels.index(one.label),
                    xerr=[[one.difference - one.low], [one.high - one.difference]],
                    fmt="o",
                    color=_COLOURS[one.arm],
                    elinewidth=2,
                )
        axes.set_title(task, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
    for axes in panels[len(tasks) :]:
        axes.set_visible(False)
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)  # the first at the top
    figure.supxlabel("nDCG@10 minus that of not thinking, 95% interval", fontsize=10)
    return figure


def quality_against_tokens(series: Sequence[Series]) -> Figure:
    """Plot mean nDCG@10 against tokens per query, one point per series.

    On the left everything, on the right the same drawn larger: the better half of the scale. A series
    without tokens (BM25) is a dashed line across, one without a mean is left out. A model's thoughts of
    several budgets are joined by a line, with the budgets beside them on the right.
    """
    shown = [one for one in series if one.mean is not None]
    height = max(5.0, 0.3 * len(shown))  # of the legend
    figure = Figure(figsize=(12, height), layout="constrained", facecolor="white")
    whole, close = figure.subplots(1, 2)
    markers = _by_model(series, _MARKERS)
    handles = []
    for axes in (whole, close):
        handles = [_point(axes, one, markers[one.model]) for one in shown]
        for model in dict.fromkeys(one.model for one in shown):
            budgets = sorted(
                (one.tokens, one.mean, one.budget)
                for one in shown
                if (one.model, one.arm) == (model, "always") and one.tokens is not None
            )
            if len(budgets) > 1:
                prices, means, numbers = zip(*budgets, strict=True)
                axes.plot(prices, means, color=_COLOURS["always"], alpha=0.4, zorder=1)
                named = list(zip(prices, means, numbers, strict=True)) if axes is close else []
                for place, (price, mean, number) in enumerate(named):
                    # Alternating above and below: budgets that change little lie close together.
                    offset = (0, 14) if place % 2 else (0, -18)
                    axes.annotate(
                        f"{number}", (price, mean), xytext=offset, textcoords="offset points", ha="center"
                    )
        axes.grid(alpha=0.3)
    whole.set_xlim(left=0)
    whole.set_ylim(bottom=0)
    best = max((one.mean for one in shown if one.mean is not None), default=0.0)
    near = [(one.tokens, one.mean) for one in shown if one.mean is not None and one.mean > 0.75 * best]
    if near:
        low, high = min(mean for _, mean in near), max(mean for _, mean in near)
        close.set_ylim(low - 0.1 * (high - low) - 0.005, high + 0.1 * (high - low) + 0.005)
        costs = [cost for cost, _ in near if cost is not None]
        if costs:
            close.set_xlim(min(costs) - 2, max(costs) + 2)
    close.set_title("the same, larger", fontsize=10)
    figure.supxlabel("tokens per query (prompt, thought, embed token)", fontsize=10)
    whole.set_ylabel("mean nDCG@10 (0 to 1)")
    figure.legend(handles=handles, loc="outside right upper", fontsize=9, labelspacing=0.8, frameon=False)
    return figure


def _point(axes: Any, one: Series, marker: str) -> Any:
    colour = _COLOURS[one.arm]
    if one.tokens is None:
        return axes.axhline(one.mean, color=colour, linestyle="--", label=one.label)
    # Hollow and larger: its position is that of `never`, by construction.
    hollow = one.arm == "empty"
    (point,) = axes.plot(
        one.tokens,
        one.mean,
        linestyle="none",
        marker=marker,
        color=colour,
        markersize=13 if hollow else 8,
        markerfacecolor="none" if hollow else colour,
        markeredgewidth=2 if hollow else 0.5,
        markeredgecolor=colour if hollow else "white",
        label=one.label,
    )
    return point


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


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file of SVG, as :func:`to_svg` gives it."""
    write_text(path, to_svg(figure))


def to_svg(figure: Figure) -> str:
    """A figure as SVG: the same text every time, with its numbers' SHA-256 as its description."""
    buffer = io.StringIO()
    # A fixed salt for the ids inside, and no date. Text stays text, which is smaller than its outlines.
    with matplotlib.rc_context({"svg.hashsalt": "search-r3", "svg.fonttype": "none"}):
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Description": f"numbers: sha256 {_digest(figure)}"}
        )
    return buffer.getvalue()


def show_the_same(one: str, other: str) -> bool:
    """Whether two pictures of :func:`to_svg` show the same.

    Of the same version of matplotlib, whether they are the same text; of different ones, whose text and paths
    differ, whether their numbers are the same.
    """
    first, second = (
        [re.findall(f"<dc:{tag}>(.*?)</dc:{tag}>", text, re.DOTALL) for tag in ("title", "description")]
        for text in (one, other)
    )
    if first[0] == second[0] or not first[1]:  # the title is matplotlib with its version
        return one == other
    return first[1] == second[1]


def _digest(figure: Figure) -> str:
    """SHA-256 of the numbers and labels of a figure, whatever it looks like."""
    shown: list[Any] = []
    every: list[Any] = figure.axes
    for axes in every:
        shown += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_locator(), FixedLocator):  # other labels are matplotlib's own choice
                shown.append([label.get_text() for label in axis.get_ticklabels()])
        shown += [[_label(line), _numbers(line.get_xydata())] for line in axes.lines]
        shown += [_numbers(patch.get_bbox().bounds) for patch in axes.patches]
        shown += [[_label(lines), *map(_numbers, lines.get_segments())] for lines in axes.collections]
        shown += [text.get_text() for text in axes.texts]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def _numbers(array: Any) -> Any:
    return np.round(np.asarray(array, dtype=float), 6).tolist()


def _label(artist: Any) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else label  # matplotlib's own


def _by_model(series: Sequence[Series], styles: Sequence[str]) -> dict[str, str]:
    """A style for every model; models that think begin with the first again, because their colours differ."""
    thinking = dict.fromkeys(one.model for one in series if one.arm is not None)
    others = dict.fromkeys(one.model for one in series if one.arm is None)
    return {
        model: style
        for models in (others, thinking)
        for model, style in zip(models, cycle(styles), strict=False)
    }
