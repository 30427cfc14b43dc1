"""A report as files: tables in Markdown, plots in SVG, and all of it on one page of HTML.

It is made in memory, to be written or to be compared with what is there. The same result files give the same
text with the same version of matplotlib.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from search_r3.errors import DataError
from search_r3.evaluation.results import Result
from search_r3.reporting.page import Plot, render_page
from search_r3.reporting.plots import (
    Difference,
    Series,
    differences_by_task,
    quality_against_tokens,
    quality_by_task,
    show_the_same,
    to_svg,
)
from search_r3.reporting.refresh_plot import reward_error_against_cost
from search_r3.reporting.tables import (
    Row,
    collect,
    compare_rows,
    ndcg,
    render,
    tasks_of,
    tokens,
    without_sweep,
)
from search_r3.reporting.training_curve import training_curve


@dataclass(frozen=True)
class _Drawn:
    """A plot of the report: the part of the page that shows it, how to read it, and its SVG."""

    group: str
    note: str
    svg: str


def render_report(results: Sequence[Result], folder: Path, before: str | None = None) -> dict[str, str]:
    r"""Make all files of a report.

    Args:
        results: What the tables and plots show.
        folder: Of the report. What it holds already is shown too: logs of training runs (training/\*.json),
            comparisons of refresh policies (refresh/\*.json) and queries (queries.json).
        before: Name of the model that the others were trained from, to compare them with it.

    Returns:
        Text by path under the folder: report.md and report.html; for every size of the data
        differences-<size>-<model>.svg and quality-by-task-<size>.svg, and quality-against-tokens-<size>.svg
        where two systems have a result on every task; for every log training/<name>.svg; for every comparison
        of refresh policies refresh/<name>.svg.

    Raises:
        DataError: The results cannot be in one report, or a file in the folder is damaged.
    """
    tables = render(results, before)
    drawn = (
        _of_results(collect(results)) | _of_training(folder / "training") | _of_refresh(folder / "refresh")
    )
    path = folder / "queries.json"
    page = render_page(
        page_template(),
        report=tables,
        plots=[Plot(one.group, _title(name), one.note, one.svg) for name, one in drawn.items()],
        shown=_read(path) if path.exists() else None,
    )
    plots = {name: one.svg for name, one in drawn.items()}
    return {"report.md": tables, "report.html": page, **plots}


def page_template() -> str:
    """The Jinja2 template of the page."""
    return (resources.files("search_r3.reporting") / "page.html").read_text(encoding="utf-8")


def write_files(files: Mapping[Path, str]) -> None:
    """Write the files of a report."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def out_of_date(files: Mapping[Path, str], required: set[Path]) -> list[Path]:
    """The files that are not what they would be if they were written now.

    Args:
        files: Text by path. Pictures may differ in what depends on the version of matplotlib.
        required: Those that are out of date if they are missing; others may be.
    """
    return [path for path, text in files.items() if not _is_current(path, text, path in required)]


def _is_current(path: Path, text: str, is_required: bool) -> bool:
    if not path.exists():
        return not is_required
    found = path.read_text(encoding="utf-8")
    return show_the_same(found, text) if path.suffix == ".svg" else found == text


def _of_results(sizes: Mapping[str, list[Row]]) -> dict[str, _Drawn]:
    """The plots of every size, by their file: differences first, then quality, as the page shows them."""
    differences: dict[str, _Drawn] = {}
    quality: dict[str, _Drawn] = {}
    for size, rows in sizes.items():
        usual = without_sweep(rows)
        for model, found in differences_of(usual).items():
            differences[f"differences-{size}-{model.replace('/', '-')}.svg"] = _Drawn(
                "differences",
                "Every arm against not thinking, task by task.",
                to_svg(differences_by_task(found)),
            )
        series = series_of(rows)
        if sum(one.mean is not None and one.tokens is not None for one in series) > 1:
            quality[f"quality-against-tokens-{size}.svg"] = _Drawn(
                "tokens",
                "Further left is cheaper, further up is better.",
                to_svg(quality_against_tokens(series)),
            )
        plain = [one for one in series_of(usual) if one.arm in (None, "never", "always")]
        quality[f"quality-by-task-{size}.svg"] = _Drawn(
            "tokens",
            "Each model without thinking and with thinking, and the baselines.",
            to_svg(quality_by_task(plain or series)),
        )
    return differences | dict(sorted(quality.items()))


def _of_training(folder: Path) -> dict[str, _Drawn]:
    """The curves of all logs in a folder, the earliest run first."""
    note = "What the run logged, and its score on the dev split."
    kept = {path.stem: data for path in sorted(folder.glob("*.json")) if "log" in (data := _read(path))}
    started = sorted(kept, key=lambda name: str(kept[name]["run"][0]["environment"]["created"]))
    return {
        f"training/{name}.svg": _Drawn("training", note, to_svg(training_curve(kept[name]["log"])))
        for name in started
    }


def _of_refresh(folder: Path) -> dict[str, _Drawn]:
    """The plots of all comparisons of refresh policies in a folder."""
    note = "Documents encoded per step, and the error of the rewards compared with a full refresh."
    return {
        f"refresh/{path.stem}.svg": _Drawn(
            "refresh", note, to_svg(reward_error_against_cost(_read(path)["results"]))
        )
        for path in sorted(folder.glob("*.json"))
    }


def series_of(rows: Sequence[Row]) -> list[Series]:
    """What the plots of quality show of each row."""
    tasks = tasks_of(rows)
    return [
        Series(
            row.model,
            row.arm,
            row.label,
            scores={task: ndcg(result) for task, result in row.results.items()},
            mean=row.mean(tasks, ndcg),
            tokens=row.mean(tasks, tokens),
            budget=row.budget,
        )
        for row in rows
    ]


def differences_of(rows: Sequence[Row]) -> dict[str, list[Difference]]:
    """What the arms of every model change compared with its ``never``, all queries together first."""
    found: dict[str, list[Difference]] = {}
    lines = [line for line in compare_rows(rows) if line.baseline.arm == "never"]
    for line in sorted(lines, key=lambda line: line.task is not None):
        one = line.comparison
        found.setdefault(line.row.model, []).append(
            Difference(
                str(line.row.arm),
                line.row.arm_label,
                line.task or "all queries",
                one.difference,
                one.low,
                one.high,
            )
        )
    return found


def _title(name: str) -> str:
    return Path(name).stem.replace("-", " ")


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; wanted JSON; write it again, or take the file away") from error
    return data
