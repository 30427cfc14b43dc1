"""Model cards and the Hub's files of scores, rendered from result files: no number is typed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from search_r3.data.catalogue import TASKS
from search_r3.errors import DataError
from search_r3.evaluation.results import Result
from search_r3.extras import needs_extra
from search_r3.model.thoughts import REASONINGS
from search_r3.reporting.tables import Row, collect, compare_rows, ndcg, provenance, quality_table, tasks_of

with needs_extra("eval"):
    import jinja2
    import mteb
    import yaml


@dataclass(frozen=True)
class TrainingPiece:
    """One run of which a model was made, as ``benchmarks/training_curve.py`` kept it.

    Attributes:
        name: Name of the run.
        commits: Commits that it ran at, one for each sitting, without repetitions; of a checkout with
            uncommitted changes with ``(dirty)``.
        seed: Its seed.
        steps: Optimiser steps.
        hours: Wall time; None if it was not kept.
        cores: CPU cores.
        sources: Training sets by name, with the number of examples drawn or of queries; of a distillation
            run the number of texts.
    """

    name: str
    commits: tuple[str, ...]
    seed: int
    steps: int
    hours: float | None
    cores: int
    sources: dict[str, int]


def read_training(path: Path) -> TrainingPiece:
    """Read what was kept of a run.

    Raises:
        DataError: The file is missing or has not what is needed.
    """
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        run = kept["run"][-1]
        config, environment = run["config"], run["environment"]
        sittings = [one["environment"] for one in kept["run"]]
        commits = [f"{one['commit'][:7]}{' (dirty)' if one['dirty'] else ''}" for one in sittings]
        if "teacher" in run:  # a distillation run
            sources = {f"plain texts, teacher {run['teacher']}": run["texts"]}
        else:
            sets = config["data"]["sources"] if "data" in config else config["queries"]["sets"]
            sources = {name: one.get("examples", one.get("queries")) for name, one in sets.items()}
        return TrainingPiece(
            path.stem,
            tuple(dict.fromkeys(commits)),
            config["seed"],
            max(entry["step"] for entry in kept["log"]),
            kept.get("hours"),
            environment["hardware"]["cores"],
            {name: number for name, number in sources.items() if number},
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"{path}: {error!r}; wanted what benchmarks/training_curve.py writes; run it again"
        ) from error


@dataclass(frozen=True)
class Release:
    """What a card says of the model itself.

    Attributes:
        repo: Id of the model on the Hub.
        model: Its name in the results.
        base: Id of its base on the Hub.
        parameters: Number of its weights.
        max_tokens: Where texts are cut.
        licence: The Hub's id of its licence.
        thinks: Whether its queries think unless told otherwise.
        notice: What its licence asks to be said; "" if nothing.
        direct: Whether it is a direct export, which cannot think.
        averaged: Whether its weights are the mean of those of its last two runs.
    """

    repo: str
    model: str
    base: str
    parameters: int
    max_tokens: int
    licence: str = "apache-2.0"
    thinks: bool = True
    notice: str = ""
    direct: bool = False
    averaged: bool = False


def render_card(
    template: str, release: Release, *, results: Sequence[Result], training: Sequence[TrainingPiece]
) -> str:
    """Render a model card.

    Args:
        template: Jinja2 text; ``model_cards/template.md``.
        release: The model.
        results: Of this model and of the baselines.
        training: The runs it was made by, in order; at least one.

    Raises:
        DataError: The model has no results or no training, or the results cannot be in one report.
    """
    if not training:
        raise DataError(
            "got no training run; wanted those that made the model, for its card; name their files"
        )
    rows = collect(results)
    sizes = {size: some for size, some in rows.items() if any(row.model == release.model for row in some)}
    if not sizes:
        raise DataError(f"got no result of {release.model!r}; wanted at least one; evaluate it first")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["signed"] = lambda value: f"{value:+.3f}"
    environment.filters["p"] = lambda value: "<0.0001" if value < 0.0001 else f"{value:.4f}"
    return environment.from_string(template).render(
        release=release,
        sizes=[_evidence(size, some, release) for size, some in sizes.items()],
        training=training,
    )


def eval_results(results: Sequence[Result], model: str, arm: str | None, budget: int) -> dict[str, str]:
    """The Hub's files of scores, ``.eval_results/<task>.yaml``, in the form of mteb 2.26.

    Only what anybody gets who evaluates the model as it is: through mteb, with this arm and budget, seed 0,
    and without instructions.

    Args:
        results: Any results.
        model: Whose are written.
        arm: The model's default.
        budget: The same.

    Returns:
        Text by path; nDCG@10 times 100, a task in two sizes under two ids.
    """
    files: dict[str, list[dict[str, Any]]] = {}
    for result in sorted(results, key=lambda one: (one.task, one.size)):
        harness, _, version = result.harness.partition(" ")
        asked = (result.model, result.arm, result.budget, result.seed, harness)
        thinks = arm not in ("never", None)
        if asked != (model, arm, budget if thinks else None, 0, "mteb") or result.config.get("instructions"):
            continue
        name = f"{result.task}{'Mini' if result.size == 'mini' else ''}"
        notes = f"Obtained using MTEB v{version} in {result.config['dtype']}"
        files.setdefault(f".eval_results/{result.task}.yaml", []).append(
            {
                "dataset": {"id": _dataset(result.task), "task_id": name, "revision": result.data_hash},
                "value": round(100 * ndcg(result), 5),
                "date": datetime.fromisoformat(result.environment["created"]).date().isoformat(),
                "notes": notes,
                "source": {"url": "https://github.com/embeddings-benchmark/mteb/", "name": notes},
            }
        )
    return {path: yaml.safe_dump(entries, sort_keys=False) for path, entries in files.items()}


def _dataset(task: str) -> str:
    """Id of a task's dataset on the Hub; ours are named as they would be there."""
    if task in TASKS:
        return f"search-r3/{task}"
    return str(mteb.get_task(task).metadata.dataset["path"])


def _evidence(size: str, rows: Sequence[Row], release: Release) -> dict[str, Any]:
    """What a card says about one size of the data."""
    model = release.model
    own = [row for row in rows if row.model == model]
    others = [row for row in rows if row.arm is None]
    tasks = tasks_of(own)
    comparisons = [
        {
            "arm": line.row.arm_label,
            "against": line.baseline.label if line.baseline.model != model else line.baseline.arm_label,
            "tasks": len(line.tasks),
            "comparison": line.comparison,
        }
        for line in compare_rows([*others, *own])
        if (line.task is None or len(line.row.results.keys() & line.baseline.results.keys()) == 1)
        and line.row.arm in REASONINGS
    ]
    scores: dict[str, dict[str, float]] = {}  # by task, of the model not thinking and thinking
    queries: dict[str, int] = {}
    for row in own:
        for task, result in row.results.items():
            queries[task] = len(result.per_query["ndcg_at_10"])
            if row.arm in ("never", "always"):
                of_arms = scores.setdefault(task, {})
                of_arms[row.arm] = max(of_arms.get(row.arm, 0.0), ndcg(result))
    weaker = {
        other.model: [
            task if len(arms) == 2 or not release.thinks else f"{task} (`{next(iter(arms))}` alone was run)"
            for task, arms in sorted(scores.items())
            if task in other.results and ndcg(other.results[task]) > max(arms.values())
        ]
        for other in others
    }
    return {
        "size": size,
        "tasks": len(tasks),
        "queries": sum(queries.values()),
        "table": quality_table([*others, *own]),
        "provenance": provenance([*others, *own]),
        "comparisons": comparisons,
        "weaker": {name: found for name, found in weaker.items() if found},
    }
