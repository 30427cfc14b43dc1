"""The plot of refresh policies: how wrong their rewards are, and how many documents they encode for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from matplotlib.figure import Figure


def reward_error_against_cost(results: Sequence[dict[str, Any]]) -> Figure:
    """Plot the reward's error against documents encoded per step, one panel for each size of the corpus.

    Args:
        results: Rows of ``benchmarks/run_refresh.py``: one for each policy and size.
    """
    sizes = sorted({row["documents"] for row in results})
    figure = Figure(figsize=(2 + 4.5 * len(sizes), 4.5), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    for axes, size in zip(panels, sizes, strict=True):
        rows = [row for row in results if row["documents"] == size]
        for row, marker in zip(rows, cycle("os^DhvP*<X"), strict=False):
            axes.plot(
                row["encoded_per_step"], row["mean_absolute"], marker, markersize=9, label=row["policy"]
            )
        axes.axhline(0.01, color="#555555", linestyle=":")
        axes.axvline(0.05 * size, color="#555555", linestyle=":")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(-0.5, 2 * max(row["encoded_per_step"] for row in rows))
        axes.set_yscale("log")
        axes.set(title=f"{size:,} documents ({rows[0]['drift']} drift)", xlabel="documents encoded per step")
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="mean absolute error of the reward")
    figure.legend(
        *panels[-1].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8
    )
    return figure
