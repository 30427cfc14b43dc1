"""Write the report of an evaluation: tables in Markdown, plots in SVG and PNG, and all of it on one page.

    python benchmarks/report.py --runs benchmarks/results/runs --output benchmarks/results
    python benchmarks/report.py --project            # also README's table and the model card
    python benchmarks/report.py --project --check    # writes nothing; fails if a text is out of date

Reads every result file under the folder of runs, and what lies beside it: training curves (training), refresh
policies (refresh) and queries (queries.json). Writes report.md, report.html and, for every size of the data,
differences-<size>-<model>, quality-by-task-<size>, and quality-against-tokens-<size> where two systems have
a result on every task. The same result files give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from pathlib import Path

from search_r3.errors import DataError, SearchR3Error
from search_r3.evaluation.results import Result, read_results
from search_r3.files import write_text
from search_r3.reporting.card import Release, read_training, render_card
from search_r3.reporting.page import Plot, render_page
from search_r3.reporting.plots import (
    Difference,
    Series,
    differences_by_task,
    quality_against_tokens,
    quality_by_task,
    save,
)
from search_r3.reporting.tables import (
    DASH,
    Row,
    collect,
    compare_rows,
    ndcg,
    provenance,
    render,
    tasks_of,
    tokens,
    without_sweep,
)

ROOT = Path(__file__).resolve().parents[1]
MODEL = "search-r3-smollm2-135m"
"""The default model's name in results."""

PIECES = ("smollm2-135m-sft", "smollm2-135m-own-thoughts", "smollm2-135m-abstracts")
"""The runs that made it, in order."""

BEGIN, END = "<!-- results: benchmarks/report.py -->", "<!-- end of results -->"
SUMMARY_HEAD = "nDCG@10, mean of six real tasks (each 100 queries, 1,000 documents)"
SUMMARY = (
    ("**default model, not thinking**", MODEL, "never"),
    ("**default model, thinking**", MODEL, "always"),
    ("its control: another query's thought", MODEL, "shuffled"),
    ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2", None),
    ("BM25", "bm25", None),
    ("the same LLM before training", "smollm2-135m", "never"),
)
PLOTS = (
    ("differences", "differences-*.svg", "The arms against not thinking, task by task"),
    ("tokens", "quality-against-tokens-*.svg", "Further left is cheaper, further up is better"),
    ("tokens", "quality-by-task-*.svg", "Not thinking, thinking, and what they are set against"),
    ("training", "training/*.svg", "What the run logged, and its score on the dev split"),
    (
        "refresh",
        "refresh/*.svg",
        "Documents encoded again, and how wrong the rewards are against a full refresh",
    ),
)
"""Part of the page, files in the order of their names (of runs: of their dates), and what they show."""


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
            budget=row.budget,
        )
        for row in rows
    ]


def differences_of(rows: list[Row]) -> dict[str, list[Difference]]:
    """What the thoughts of every model change against its `never`, the pooled tasks first."""
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


def draw(sizes: dict[str, list[Row]], output: Path) -> list[Path]:
    """Draw the plots of every size."""
    plots = []
    for size, rows in sizes.items():
        usual = without_sweep(rows)
        for model, differences in differences_of(usual).items():
            figure = differences_by_task(differences)
            plots += save(figure, output / f"differences-{size}-{model.replace('/', '-')}")
        series = series_of(rows)
        if sum(one.mean is not None and one.tokens is not None for one in series) > 1:
            plots += save(quality_against_tokens(series), output / f"quality-against-tokens-{size}")
        plain = [one for one in series_of(usual) if one.arm in (None, "never", "always")]
        plots += save(quality_by_task(plain or series), output / f"quality-by-task-{size}")
    return plots


def page(text: str, output: Path, drawn: list[Path]) -> str:
    """The page: tables, what was drawn of them, the plots of training and refresh runs, the queries."""
    plots = []
    for group, pattern, note in PLOTS:
        found = [path for path in output.glob(pattern) if path.parent != output or path in drawn]
        for path in sorted(found, key=lambda path: (started(path), path.name)):
            title = path.stem.replace("-", " ")
            plots.append(Plot(group, title, f"{note}.", path.read_text(encoding="utf-8")))
    path = output / "queries.json"
    shown = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    template = (ROOT / "benchmarks" / "page.html").read_text(encoding="utf-8")
    return render_page(template, report=text, plots=plots, shown=shown)


def started(plot: Path) -> str:
    """When the training run of a plot began; empty for a plot of anything else."""
    path = plot.with_suffix(".json")
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return str(kept["run"][0]["environment"]["created"]) if "run" in kept else ""


def summary_table(results: list[Result]) -> str:
    """README's table: the default model, a control, and what it is set against, on the mini tasks."""
    rows = without_sweep(collect(results)["mini"])
    lines = [f"| {SUMMARY_HEAD} | nDCG@10 | tokens per query |", "|---|---|---|"]
    for label, model, arm in SUMMARY:
        found = [row for row in rows if (row.model, row.arm) == (model, arm)]
        if len(found) != 1:
            raise DataError(
                f"got {len(found)} rows of {model} {arm} on the mini tasks; wanted one for README"
            )
        tasks = tasks_of(rows)
        quality, cost = found[0].mean(tasks, ndcg), found[0].mean(tasks, tokens)
        if quality is None:
            raise DataError(f"got no mean of {model} {arm}; wanted a result on every mini task for README")
        score = f"**{quality:.3f}**" if label.startswith("**") else f"{quality:.3f}"
        lines.append(f"| {label} | {score} | {DASH if cost is None else f'{cost:.0f}'} |")
    used = [row for row in rows if (row.model, row.arm) in {(model, arm) for _, model, arm in SUMMARY}]
    return "\n".join([*lines, "", f"<sub>`benchmarks/run_mteb.py`. {provenance(used)}</sub>"])


def project_texts(results: list[Result]) -> dict[Path, str]:
    """README and the model card, with the numbers of the results."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise DataError(f"got a README.md without {BEGIN} and {END}; wanted both around its table")
    template = (ROOT / "model_cards" / "template.md").read_text(encoding="utf-8")
    training = ROOT / "benchmarks" / "results" / "training"
    # Of the weights and limits the entry for mteb says the same, and a test holds it to the model.
    entry = runpy.run_path(str(ROOT / "benchmarks" / "search_r3_models.py"))["search_r3_smollm2_135m"]
    release = Release(entry.name, MODEL, entry.adapted_from, entry.n_parameters, int(entry.max_tokens))
    pieces = [read_training(training / f"{name}.json") for name in PIECES]
    card = render_card(template, release, results=results, training=pieces)
    return {
        ROOT / "README.md": f"{head}{BEGIN}\n{summary_table(results)}\n{END}{tail}",
        ROOT / "model_cards" / f"{MODEL}.md": card,
    }


def main() -> None:
    """Read the results, write or check what is made of them, print the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/results/runs"), help="result files")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder to write to")
    parser.add_argument(
        "--before", metavar="MODEL", help="the model that the others were trained from: compare them with it"
    )
    parser.add_argument("--project", action="store_true", help="also README's table and the model card")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a text is out of date")
    arguments = parser.parse_args()

    try:
        results = read_results(arguments.runs)
        texts = {arguments.output / "report.md": render(results, arguments.before)}
        if arguments.project:
            texts |= project_texts(results)
    except SearchR3Error as error:
        sys.exit(f"error: {error}")
    if arguments.check:
        stale = [
            str(path)
            for path, text in texts.items()
            if not path.exists() or path.read_text(encoding="utf-8") != text
        ]
        sys.exit(f"out of date: {', '.join(stale)}; run without --check" if stale else 0)

    arguments.output.mkdir(parents=True, exist_ok=True)
    plots = draw(collect(results), arguments.output)
    report = texts[arguments.output / "report.md"]
    texts[arguments.output / "report.html"] = page(report, arguments.output, plots)
    for path, text in texts.items():
        write_text(path, text)
    print("\n".join(str(path) for path in [*texts, *plots]))


if __name__ == "__main__":
    main()
