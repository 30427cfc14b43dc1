"""What a checkout of the project shows of its results: README's table, the model cards, and some pictures."""

from __future__ import annotations

import runpy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from search_r3.errors import DataError
from search_r3.evaluation.results import Result
from search_r3.model.default import SHIPPED
from search_r3.model.embedded_bases import GEMMA3
from search_r3.reporting.card import Release, read_training, render_card
from search_r3.reporting.tables import DASH, collect, ndcg, provenance, tasks_of, tokens, without_sweep

MODELS = {
    "search-r3-gemma3-270m": (
        "gemma3-270m-distillation",
        "gemma3-270m-contrastive",
        "gemma3-270m-contrastive-terms",
        "gemma3-270m-contrastive-domains",
    ),
    "search-r3-smollm2-135m": ("smollm2-135m-sft", "smollm2-135m-own-thoughts", "smollm2-135m-abstracts"),
}
"""The trained models by their names in results, the default one first, and the runs that made them."""

_DEFAULT, _THINKING = MODELS

AVERAGED = {_DEFAULT}
"""The models that are the mean of their last two runs."""

PICTURES = (
    "quality-against-tokens-mini.svg",
    f"differences-mini-{_THINKING}.svg",
    "quality-by-task-mini.svg",
    f"training/{MODELS[_THINKING][-1]}.svg",
    "refresh/refresh.svg",
)
"""The plots of the report that README and the documentation show; they are kept in docs/assets."""

NOTICES = {"gemma": GEMMA3.notice}
"""What a licence asks to be said, by its id on the Hub."""

BEGIN, END = "<!-- results: benchmarks/report.py -->", "<!-- end of results -->"

_ROWS = (
    ("**default model**", _DEFAULT, "never"),
    ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2", None),
    ("BM25", "bm25", None),
)


def require_project(root: Path) -> None:
    """Refuse a folder that is not a checkout of the project.

    Raises:
        DataError: The folder lacks something that is read or written here; the message names it.
    """
    readme = root / "README.md"
    needed = [readme, root / "model_cards" / "template.md", root / "benchmarks" / "search_r3_models.py"]
    training = root / "benchmarks" / "results" / "training"
    needed += [training / f"{piece}.json" for pieces in MODELS.values() for piece in pieces]
    missing = [str(path.relative_to(root)) for path in needed if not path.is_file()]
    if not missing:
        text = readme.read_text(encoding="utf-8")
        missing = [f"{marker} in README.md" for marker in (BEGIN, END) if marker not in text]
    if missing:
        raise DataError(
            f"got {root}, which has no {', no '.join(missing)}; wanted a checkout of the project; run the "
            "command in its folder, or without --project"
        )


def render_project(
    root: Path, results: Sequence[Result], report: Mapping[str, str] | None = None
) -> dict[Path, str]:
    """Render README, the models' cards, and the pictures that README and the documentation show.

    Args:
        root: Folder of the checkout.
        results: All of the project.
        report: Files of the report, of which some pictures are copied; None leaves them out.

    Returns:
        Text by path.

    Raises:
        DataError: The folder is not a checkout of the project, or the results lack something.
    """
    require_project(root)
    head, _, rest = (root / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    template = (root / "model_cards" / "template.md").read_text(encoding="utf-8")
    training = root / "benchmarks" / "results" / "training"
    # The weights and limits of a model are those of its entry for mteb; a test compares it with the model.
    entries = runpy.run_path(str(root / "benchmarks" / "search_r3_models.py"))
    cards = {}
    for model, pieces in MODELS.items():
        entry = entries[model.replace("-", "_")]
        release = Release(
            entry.name,
            model,
            entry.adapted_from,
            entry.n_parameters,
            int(entry.max_tokens),
            licence=entry.license,
            thinks=SHIPPED[model.removeprefix("search-r3-")].reasoning != "never",
            notice=NOTICES.get(entry.license, ""),
            averaged=model in AVERAGED,
        )
        runs = [read_training(training / f"{piece}.json") for piece in pieces]
        card = render_card(template, release, results=results, training=runs)
        cards[root / "model_cards" / f"{model}.md"] = card
    pictures = {} if report is None else _pictures(root, report)
    return {
        root / "README.md": f"{head}{BEGIN}\n{summary_table(results)}\n{END}{tail}",
        **cards,
        **pictures,
    }


def summary_table(results: Sequence[Result]) -> str:
    """README's table: the default model and the baselines on the full tasks that all of them have.

    Raises:
        DataError: A row of the table is missing, or there is no task that all have.
    """
    rows = without_sweep(collect(results).get("full", []))
    used = []
    for _, model, arm in _ROWS:
        found = [row for row in rows if (row.model, row.arm) == (model, arm)]
        if len(found) != 1:
            raise DataError(
                f"got {len(found)} rows of {model} {arm} on the full tasks; wanted one for README"
            )
        used += found
    tasks = [task for task in tasks_of(used) if all(task in row.results for row in used)]
    if not tasks:
        raise DataError("got no full task that all rows of README's table have; wanted one or more")
    lines = []
    for (label, _, _), row in zip(_ROWS, used, strict=True):
        quality, cost = row.mean(tasks, ndcg), row.mean(tasks, tokens)
        score = f"**{quality:.3f}**" if label.startswith("**") else f"{quality:.3f}"
        lines.append(f"| {label} | {score} | {DASH if cost is None else f'{cost:.0f}'} |")
    queries = sum(len(used[0].results[task].per_query["ndcg_at_10"]) for task in tasks)
    head = f"| mean of {len(tasks)} real tasks, {queries:,} queries | nDCG@10 | tokens per query |"
    lines = [head, "|---|---|---|", *lines]
    shown = [replace(row, results={task: row.results[task] for task in tasks}) for row in rows if row in used]
    return "\n".join([*lines, "", f"<sub>`benchmarks/run_mteb.py`. {provenance(shown)}</sub>"])


def _pictures(root: Path, report: Mapping[str, str]) -> dict[Path, str]:
    missing = [name for name in PICTURES if name not in report]
    if missing:
        raise DataError(
            f"got a report without {', '.join(missing)}; wanted it for the documentation; report the "
            "project's own results: --runs benchmarks/results/runs --output benchmarks/results"
        )
    return {root / "docs" / "assets" / Path(name).name: report[name] for name in PICTURES}
