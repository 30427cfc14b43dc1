"""Tables of a report: from result files to Markdown.

1. Results are grouped into rows (a model, its arm, budget and seed) for every size of the data; results that
   cannot be in one table are refused.
2. One table of quality per size: nDCG@10 by task, their mean, and what it costs.
3. One table of paired comparisons per size: every arm against ``never`` of the same model, and every control
   arm against ``always``, for each task and pooled.

Every table is followed by the sources of its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from search_r3.errors import DataError
from search_r3.evaluation.results import Result
from search_r3.model.thoughts import ARMS, CONTROL_ARMS, REASONINGS
from search_r3.reporting.significance import Comparison, adjust, compare

MEASURE = "ndcg_at_10"
DASH = "\N{EN DASH}"


_NOTES = f"""\
nDCG@10: linear gain, discount log2(rank + 1), mean over the queries; best of a column in bold. Every task \
has the same weight in the mean and in the costs, which a row that lacks a task does not have ({DASH}). \
tokens/query: prompt, thought and embed token; finished: share of thoughts that the model ended itself; \
s/query: wall time of the queries.

Comparisons: difference of nDCG@10 over the same queries, 95% BCa bootstrap interval, two-sided paired \
randomisation test, Benjamini-Yekutieli adjustment over all comparisons of this report. *Pooled* takes all \
queries of all tasks, each query of the same weight: large tasks count for more, so it is not the \
difference of the means."""


@dataclass(frozen=True)
class Row:
    """One line of a table: a model in one arm, over the tasks of one size.

    Attributes:
        model: Name of the model.
        arm: How its queries thought; None for a model that does not think.
        budget: Budget of a thought in tokens; None if no query thinks.
        seed: Seed of the runs.
        results: Result by task; a task that was not run is not in it.
    """

    model: str
    arm: str | None
    budget: int | None
    seed: int
    results: dict[str, Result]

    @property
    def arm_label(self) -> str:
        """The arm, with its budget, and its seed if that is not 0; a dash for a model that does not think."""
        budget = "" if self.budget is None else f"@{self.budget}"
        seed = f" seed {self.seed}" if self.seed else ""
        return f"{self.arm or DASH}{budget}{seed}"

    @property
    def label(self) -> str:
        """Model and arm."""
        return self.model if self.arm is None else f"{self.model} {self.arm_label}"

    def mean(self, tasks: Iterable[str], value: Callable[[Result], float | None]) -> float | None:
        """Mean over tasks, each of the same weight; None unless every task has a value.

        A mean over other tasks than the row above has would look comparable, and would not be.
        """
        values = [value(self.results[task]) if task in self.results else None for task in tasks]
        present = [number for number in values if number is not None]
        return sum(present) / len(present) if present and len(present) == len(values) else None


@dataclass(frozen=True)
class ComparisonRow:
    """One line of the table of comparisons: ``row`` minus ``baseline`` on a task (None: pooled)."""

    row: Row
    baseline: Row
    task: str | None
    comparison: Comparison

    @property
    def tasks(self) -> list[str]:
        """The tasks that it is about: those that both rows have, if it is pooled."""
        return [self.task] if self.task else sorted(self.row.results.keys() & self.baseline.results.keys())


def collect(results: Sequence[Result]) -> dict[str, list[Row]]:
    """Group results into the rows of every size.

    Returns:
        Rows by size. Models that do not think come first, then by name, arm, budget and seed.

    Raises:
        DataError: Two results are of the same row and task, a size has results of mteb and of BEIR (which
            differ where a query is a document too), a task has several data hashes in one size, or a model
            has several fingerprints, versions of the harness, or results with and without instructions.
    """
    hashes: dict[tuple[str, str], str] = {}
    fingerprints: dict[str, str | None] = {}
    settings: dict[str, str] = {}
    harnesses: dict[str, str] = {}
    rows: dict[str, dict[tuple[object, ...], Row]] = {}
    for result in results:
        task = (result.size, result.task)
        _check_one("data hashes", task, hashes.setdefault(task, result.data_hash), result.data_hash)
        first = fingerprints.setdefault(result.model, result.fingerprint)
        _check_one("fingerprints", result.model, first, result.fingerprint)
        harness = result.harness.partition(" ")[0]
        _check_one("harnesses", f"size {result.size}", harnesses.setdefault(result.size, harness), harness)
        used = f"{result.harness}, instructions: {bool(result.config.get('instructions'))}"
        _check_one("settings", result.model, settings.setdefault(result.model, used), used)
        key = (result.model, result.arm, result.budget, result.seed)
        new = Row(result.model, result.arm, result.budget, result.seed, {})
        row = rows.setdefault(result.size, {}).setdefault(key, new)
        if result.task in row.results:
            raise DataError(
                f"got two results of {row.label} on {result.task} ({row.results[result.task].harness} and "
                f"{result.harness}); wanted one; report them from two folders"
            )
        row.results[result.task] = result
    return {size: sorted(rows[size].values(), key=_row_order) for size in sorted(rows)}


def without_sweep(rows: Sequence[Row]) -> list[Row]:
    """Leave out thoughts of budgets that no other arm of the model has: they are for the plot of budgets."""
    arms = [row for row in rows if row.arm != "always" and row.budget is not None]
    kept = {(row.model, row.budget) for row in arms}
    swept = {row.model for row in arms}
    return [
        row
        for row in rows
        if row.arm != "always" or row.model not in swept or (row.model, row.budget) in kept
    ]


def tasks_of(rows: Iterable[Row]) -> list[str]:
    """Names of all tasks that a row has, in alphabetical order."""
    return sorted({task for row in rows for task in row.results})


def tokens(result: Result) -> float | None:
    """Mean tokens that the model read or wrote for a query; None for a model without tokens."""
    return result.tokens_per_query


def ndcg(result: Result) -> float:
    """Mean nDCG@10 over the queries, between 0 and 1."""
    return result.mean(MEASURE)


def quality_table(rows: Sequence[Row]) -> str:
    """Table of the rows of one size: nDCG@10 by task with the best in bold, and the cost."""
    tasks = tasks_of(rows)
    scores = [[row.mean([task], ndcg) for task in tasks] + [row.mean(tasks, ndcg)] for row in rows]
    # The best as it is shown: of two numbers that look alike, not one alone is bold.
    columns = zip(*scores, strict=True)
    best = [max((_number(score) for score in column if score is not None), default="") for column in columns]
    head = ["model", "arm", *tasks, "mean", "tokens/query", "thought tokens", "finished", "s/query"]
    lines = []
    for row, line in zip(rows, scores, strict=True):
        shown = [_number(score) for score in line]
        cells = [f"**{cell}**" if cell == top else cell for cell, top in zip(shown, best, strict=True)]
        lines.append([row.model, row.arm_label, *cells, *_cost_cells(row, tasks)])
    return _markdown(head, lines, left=2)


def compare_rows(rows: Sequence[Row], before: str | None = None) -> list[ComparisonRow]:
    """Compare every arm with ``never``, and every control arm with ``always`` of the same budget.

    Both of the same model, and of the same seed where there is one. Each task that both have, and, if there
    are several, all their queries together, each of the same weight. ``empty`` is left out: it is ``never``
    by construction. What thinks by itself is also compared with every model that does not think, over all
    queries together: single tasks would be many more comparisons, and the correction would drown all of them.

    Args:
        rows: Of one size.
        before: Name of a model from which others were trained: ``never``, ``always`` and ``auto`` of every
            other model are also compared with the same of it.
    """
    found = []
    for row in rows:
        for other in rows if row.arm in REASONINGS else ():
            tasks = sorted(row.results.keys() & other.results.keys())
            if other.arm is None and tasks:
                comparison = compare(_queries(row, tasks), _queries(other, tasks))
                found.append(ComparisonRow(row, other, tasks[0] if len(tasks) == 1 else None, comparison))
        for baseline in [*_baselines(row, rows), *_same_of(before, row, rows)]:
            tasks = sorted(row.results.keys() & baseline.results.keys())
            groups = [[task] for task in tasks] + ([tasks] if len(tasks) > 1 else [])
            for group in groups:
                comparison = compare(_queries(row, group), _queries(baseline, group))
                found.append(ComparisonRow(row, baseline, group[0] if len(group) == 1 else None, comparison))
    return found


def comparison_table(rows: Sequence[ComparisonRow], adjusted: Sequence[float]) -> str:
    """Table of comparisons with their adjusted p-values, one for each."""
    head = ["model", "arm", "against", "task", "difference", "95% CI", "p", "adjusted p", "wins/ties/losses"]
    lines = []
    for line, p_adjusted in zip(rows, adjusted, strict=True):
        found = line.comparison
        lines.append(
            [
                line.row.model,
                line.row.arm_label,
                line.baseline.arm_label if line.baseline.model == line.row.model else line.baseline.label,
                line.task or f"*pooled, {len(line.tasks)} tasks*",
                _signed(found.difference),
                f"[{_signed(found.low)}, {_signed(found.high)}]",
                _p(found.p_value),
                _p(p_adjusted),
                f"{found.wins}/{found.ties}/{found.losses}",
            ]
        )
    return _markdown(head, lines, left=4)


def provenance(rows: Iterable[Row]) -> str:
    """One paragraph: commits, seeds, data, harness, precision and hardware of all results of the rows."""
    results = [result for row in rows for result in row.results.values()]
    environments = [result.environment for result in results]
    commits = sorted({str(environment.get("commit") or "unknown")[:7] for environment in environments})
    dirty = sum(bool(environment.get("dirty")) for environment in environments)
    data = sorted({f"{result.task} {result.data_hash[:8]}" for result in results})
    machines = [environment.get("hardware", {}) for environment in environments]
    precisions = sorted(
        {f"{one.model} {one.config['dtype']}" for one in results if one.config.get("dtype") is not None}
    )
    hardware = sorted({f"{one.get('cpu', 'unknown')} x {one.get('cores', '?')}" for one in machines})
    parts = [
        f"From {len(results)} result files",
        f"commits: {', '.join(commits)}",
        f"{dirty} of them from a dirty checkout" if dirty else "none from a dirty checkout",
        f"seeds: {', '.join(str(seed) for seed in sorted({result.seed for result in results}))}",
        f"data: {', '.join(data)}",
        f"harness: {', '.join(sorted({result.harness for result in results}))}",
        f"precision: {', '.join(precisions)}" if precisions else "precision: unknown",
        f"hardware: {', '.join(hardware)}",
    ]
    return "; ".join(parts) + "."


def render(results: Sequence[Result], before: str | None = None) -> str:
    """Render the whole report as Markdown.

    Args:
        results: Of any models, tasks and sizes.
        before: As in :func:`compare_rows`.

    Raises:
        DataError: The results cannot be in one report (:func:`collect` says when), or there are none of
            ``before``.
    """
    sizes = collect(results)
    names = sorted({result.model for result in results})
    if before is not None and before not in names:
        raise DataError(f"got no results of {before!r} to compare with; wanted one of {', '.join(names)}")
    comparisons = {size: compare_rows(rows, before) for size, rows in sizes.items()}
    against = {(one.baseline.model, one.row.model) for lines in comparisons.values() for one in lines}
    if before is not None and not any(first == before != other for first, other in against):
        raise DataError(
            f"got nothing to compare with {before!r}: wanted results of another model in the same arm, "
            "budget and seed, on a task that both have"
        )
    every = [line for lines in comparisons.values() for line in lines]
    adjusted = iter(adjust([line.comparison.p_value for line in every]))
    parts = ["# Evaluation", _NOTES]
    for size, rows in sizes.items():
        parts += [f"## Quality, size {size}", quality_table(rows), provenance(rows)]
        lines = comparisons[size]
        if lines:
            table = comparison_table(lines, [next(adjusted) for _ in lines])
            compared = [row for row in rows if any(row is line.row or row is line.baseline for line in lines)]
            parts += [f"## Comparisons, size {size}", table, provenance(compared)]
    return "\n\n".join(parts) + "\n"


def _check_one(what: str, owner: object, first: str | None, other: str | None) -> None:
    if first != other:
        raise DataError(
            f"got different {what} for {owner}: {first} and {other}; wanted one; measure again what is "
            "outdated, or report it from another folder"
        )


def _row_order(row: Row) -> tuple[object, ...]:
    arm = -1 if row.arm is None else ARMS.index(row.arm)
    return (row.arm is not None, row.model, arm, row.budget or 0, row.seed)


def _baselines(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Rows to compare a row with."""
    if row.arm in (None, "never", "empty"):
        return []
    arms = ("never", "always") if row.arm in (*CONTROL_ARMS, "echo") else ("never",)
    found = []
    for arm in arms:
        of_arm = [other for other in rows if other.model == row.model and other.arm == arm]
        if row.budget is not None and arm == "always":
            of_arm = [other for other in of_arm if other.budget == row.budget]
        # Greedy thoughts do not depend on a seed, so one run of a baseline may serve several seeds.
        found += [other for other in of_arm if other.seed == row.seed] or of_arm
    return found


def _same_of(before: str | None, row: Row, rows: Sequence[Row]) -> list[Row]:
    """The row of the model before training that a row of another model can be compared with."""
    if before in (None, row.model) or row.arm not in REASONINGS:
        return []
    wanted = (before, row.arm, row.budget, row.seed)
    return [other for other in rows if (other.model, other.arm, other.budget, other.seed) == wanted]


def _queries(row: Row, tasks: Iterable[str]) -> dict[str, float]:
    """Scores of all queries of some tasks; the task is part of the name, because ids repeat across tasks."""
    return {
        f"{task}/{query_id}": score
        for task in tasks
        for query_id, score in row.results[task].per_query[MEASURE].items()
    }


def _cost_cells(row: Row, tasks: Sequence[str]) -> list[str]:
    return [
        _number(row.mean(tasks, tokens), 1),
        _number(row.mean(tasks, _thought_tokens), 1),
        _number(row.mean(tasks, _finished), 2),
        _number(row.mean(tasks, _seconds_per_query), 3),
    ]


def _thought_tokens(result: Result) -> float | None:
    return None if result.thoughts is None or result.budget is None else result.thoughts.mean_tokens


def _finished(result: Result) -> float | None:
    # A thought that was supplied was ended by nobody: 0 would say that the budget cut it.
    if result.thoughts is None or result.budget is None or result.thoughts.given > 0:
        return None
    return result.thoughts.finished


def _seconds_per_query(result: Result) -> float | None:
    # Reading a thought that was supplied says nothing about the cost of having one.
    if result.thoughts is not None and result.thoughts.given > 0:
        return None
    seconds = result.seconds.get("queries")
    return None if seconds is None else seconds / len(result.per_query[MEASURE])


def _number(value: float | None, digits: int = 3) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # + 0.0 makes -0.0 positive


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]], *, left: int) -> str:
    """Markdown table, the first ``left`` columns to the left, the others to the right."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))
