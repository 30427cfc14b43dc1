"""Result files: one per task, model, arm and budget, with where and how it was measured.

The scores of the single queries are kept, not their mean only: comparing two arms needs them in pairs.

A file is JSON Lines. The first line is an object: the fields of :class:`Result`, where ``per_query`` lists
the names of the measures, and ``queries``, the number of queries. Every further line is one query: its id,
then its score in each measure, in the order of that list.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from search_r3.errors import DataError, InvalidInputError
from search_r3.files import write_text
from search_r3.json_lines import UnreadableLine, json_lines
from search_r3.model.thoughts import Thought

Harness = Literal["mteb", "beir"]
"""The library that evaluates."""

SCHEMA_VERSION = 2

_ARMS_WITHOUT_THOUGHT = (None, "never", "empty")


@dataclass(frozen=True)
class ThoughtStatistics:
    """How the queries of one task thought. The four shares are between 0 and 1 and sum to 1.

    Attributes:
        mean_tokens: Mean tokens of a thought, the embed token not counted; one that was skipped counts 0.
        median_tokens: Median of the same.
        max_tokens: Most of the same.
        finished: Share of thoughts that the model ended itself.
        budget: Share that the budget cut.
        skipped: Share of queries that did not think.
        given: Share of thoughts that were supplied (control arms).
    """

    mean_tokens: float
    median_tokens: float
    max_tokens: int
    finished: float
    budget: float
    skipped: float
    given: float

    @classmethod
    def of(cls, thoughts: Sequence[Thought]) -> ThoughtStatistics:
        """Summarise the thoughts of all queries of one task.

        Raises:
            InvalidInputError: There are none.
        """
        if not thoughts:
            raise InvalidInputError("got no thoughts; wanted one for every query; pass all of them")
        lengths = [thought.length for thought in thoughts]
        endings = [thought.ending for thought in thoughts]
        return cls(
            mean_tokens=statistics.fmean(lengths),
            median_tokens=float(statistics.median(lengths)),
            max_tokens=max(lengths),
            finished=endings.count("embed_token") / len(endings),
            budget=endings.count("budget") / len(endings),
            skipped=endings.count("skipped") / len(endings),
            given=endings.count("given") / len(endings),
        )


@dataclass(frozen=True)
class Result:
    """One model (in one arm) on one task.

    Attributes:
        task: Name of the task.
        size: Size of the task's data, such as ``mini`` or ``full``.
        data_hash: Hash of the task's data.
        harness: What evaluated, with its version: ``mteb 2.26.24``, ``beir 2.2.0``.
        model: Name of the model, the same in all its results.
        fingerprint: Fingerprint of the model's weights and settings; None for one that has none (BM25).
        arm: How the queries thought; None for a model that does not think (BM25, MiniLM).
        config: What the run was asked for, JSON values only. A thinking arm has its budget, in tokens, under
            ``max_reasoning_tokens``.
        seed: Seed of everything random in the run.
        per_query: For every measure (``ndcg_at_10``, ``recall_at_100``, ``reciprocal_rank``) and query id the
            value, between 0 and 1; the same queries for all measures.
        thoughts: How the queries thought; None for a model that does not think.
        tokens_per_query: Mean number of tokens that the model read or wrote for a query: prompt, thought and
            embed token; None for a model without tokens (BM25).
        seconds: Wall time in seconds: ``documents``, ``queries``, ``total``.
        environment: What ``environment.describe_environment`` returned.
        schema_version: Version of the file's format.

    Raises:
        DataError: The scores are not of the form above, a number is negative, infinite or NaN, or a thinking
            arm has no budget.
    """

    task: str
    size: str
    data_hash: str
    harness: str
    model: str
    fingerprint: str | None
    arm: str | None
    config: dict[str, Any]
    seed: int
    per_query: dict[str, dict[str, float]]
    thoughts: ThoughtStatistics | None
    tokens_per_query: float | None
    seconds: dict[str, float]
    environment: dict[str, Any]
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _check_scores(self.per_query)
        thoughts = {} if self.thoughts is None else asdict(self.thoughts)
        numbers = {**thoughts, **self.seconds, "tokens_per_query": self.tokens_per_query or 0.0}
        for name, value in numbers.items():
            if not _is_number(value) or value < 0:
                raise DataError(f"got {name}={value!r}; wanted a finite number, 0 or more; measure again")
        if self.arm not in _ARMS_WITHOUT_THOUGHT and not isinstance(self.budget, int):
            raise DataError(
                f"got the arm {self.arm!r} with max_reasoning_tokens={self.budget!r} in its config; "
                "wanted the budget in tokens; put it there"
            )

    @property
    def budget(self) -> int | None:
        """Budget of a thought in tokens; None if no query thinks in this arm."""
        return None if self.arm in _ARMS_WITHOUT_THOUGHT else self.config.get("max_reasoning_tokens")

    def mean(self, measure: str) -> float:
        """Mean of a measure over the queries, between 0 and 1.

        Raises:
            InvalidInputError: The result does not have this measure.
        """
        if measure not in self.per_query:
            raise InvalidInputError(
                f"got the measure {measure!r}; wanted one of {', '.join(sorted(self.per_query))}",
                item=measure,
            )
        return statistics.fmean(self.per_query[measure].values())


def write_result(result: Result, folder: Path) -> Path:
    """Write a result to its own file, ``<task>/<model>--<arm>--<budget>--<size>.jsonl``, whole or not at all.

    The arm of a model that does not think is ``none``; the budget is left out where no query thinks; a seed
    other than 0 follows at the end. Measured numbers are rounded to 6 decimals. An earlier result of the same
    run is replaced.

    Returns:
        The file.

    Raises:
        DataError: The file is there already and holds another run: one of another harness, in another dtype,
            or with instructions where this one has none.
        TypeError: The config or the environment holds something that JSON does not have.
        ValueError: The same, for a number that is infinite or NaN.
    """
    data = asdict(result)
    for name in ("per_query", "thoughts", "tokens_per_query", "seconds"):
        data[name] = _rounded(data[name])
    scores: dict[str, dict[str, float]] = data["per_query"]
    measures = sorted(scores)
    query_ids = sorted(scores[measures[0]])
    facts = {**data, "per_query": measures, "queries": len(query_ids)}
    queries = [[query_id, *(scores[measure][query_id] for measure in measures)] for query_id in query_ids]
    text = "\n".join(
        json.dumps(line, separators=(",", ":"), sort_keys=True, allow_nan=False, ensure_ascii=False)
        for line in (facts, *queries)
    )
    parts = [result.model, result.arm or "none"]
    parts += [] if result.budget is None else [str(result.budget)]
    parts += [result.size, f"seed{result.seed}"] if result.seed else [result.size]
    path = folder / _safe(result.task) / ("--".join(map(_safe, parts)) + ".jsonl")
    if path.exists() and _identity(read_result(path)) != _identity(result):
        raise DataError(
            f"{path}: got a result of another run, {_identity(read_result(path))}; wanted one of "
            f"{_identity(result)} to replace; write to another folder or delete it"
        )
    write_text(path, text + "\n")
    return path


def read_result(path: Path) -> Result:
    """Read a result file.

    Raises:
        DataError: It is missing, malformed or of another version of the format.
    """
    place = str(path)
    try:
        lines = json_lines(path, allow_nan=False)
        number, first = next(lines, (1, UnreadableLine("got an empty file", "")))
        place = f"{path}, line {number}"
        facts = _facts(first)
        scores: dict[str, dict[str, float]] = {measure: {} for measure in facts["per_query"]}
        queries = facts.pop("queries")
        for number, line in lines:
            place = f"{path}, line {number}"
            _add_query(line, scores)
        place = str(path)
        found = len(next(iter(scores.values()), ()))
        if found != queries:
            raise DataError(f"got {found} queries where the first line says {queries}")
        return Result(**{**facts, "per_query": scores})
    except (OSError, ValueError, TypeError) as error:
        # DataError is a ValueError too: whatever is wrong, the message has to name the file.
        raise DataError(
            f"{place}: {error}; wanted a result file as write_result of this version writes it; "
            "run the evaluation again, or take the file away"
        ) from error


def result_paths(folder: Path) -> list[Path]:
    """The result files under a folder, in order, without hidden ones: a killed writer may leave these."""
    return sorted(folder.rglob("[!.]*.jsonl"))


def read_results(folder: Path) -> list[Result]:
    """Read all result files under a folder, ordered by path.

    Raises:
        DataError: A file cannot be read, there is none, or one is of the format before: JSON, not JSON Lines.
    """
    if old := sorted(folder.rglob("[!.]*.json")):
        raise DataError(
            f"{old[0]}: got a JSON file among results ({len(old)} in all); wanted JSON Lines (.jsonl), which "
            "this version writes; run the evaluation again, or take the file away"
        )
    paths = result_paths(folder)
    if not paths:
        raise DataError(
            f"{folder}: got no result file; wanted at least one; run an evaluation, or correct the folder"
        )
    return [read_result(path) for path in paths]


def _facts(data: Any) -> dict[str, Any]:
    """The first line of a file, checked, with the names of the measures in place of the scores."""
    if isinstance(data, UnreadableLine):
        raise DataError(data.reason)
    if not isinstance(data, dict):
        raise DataError("got JSON that is not an object")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(f"got schema version {version!r}, wanted {SCHEMA_VERSION}")
    names = {"queries", *(field.name for field in fields(Result))}
    if data.keys() != names:
        raise DataError(f"got missing or unknown fields: {', '.join(sorted(data.keys() ^ names))}")
    measures = data["per_query"]
    if not isinstance(measures, list) or not all(isinstance(measure, str) for measure in measures):
        raise DataError(f"got per_query={measures!r}, wanted a list of the names of measures")
    if data["thoughts"] is not None:
        data["thoughts"] = ThoughtStatistics(**data["thoughts"])
    return data


def _add_query(data: Any, scores: Mapping[str, dict[str, float]]) -> None:
    """Check a further line of a file, and add its scores."""
    if isinstance(data, UnreadableLine):
        raise DataError(data.reason)
    if not isinstance(data, list) or len(data) != 1 + len(scores) or not isinstance(data[0], str):
        raise DataError(f"got {str(data)[:80]}, wanted a query's id and its {', '.join(scores)}")
    query_id, *values = data
    for (measure, known), value in zip(scores.items(), values, strict=True):
        if query_id in known:
            raise DataError(f"got the query {query_id!r} a second time")
        _check_score(measure, query_id, value)
        known[query_id] = value


def _check_scores(per_query: Mapping[str, Mapping[str, float]]) -> None:
    if not per_query or not all(per_query.values()):
        raise DataError("got scores without a query; wanted at least one for every measure")
    first, *others = per_query
    for other in others:
        odd = sorted(per_query[first].keys() ^ per_query[other].keys())
        if odd:
            raise DataError(
                f"got different queries for {first} and {other}, such as {odd[0]!r} ({len(odd)} in all); "
                "wanted the same for all; measure every query with all of them"
            )
    for measure, scores in per_query.items():
        for query_id, score in scores.items():
            _check_score(measure, query_id, score)


def _check_score(measure: str, query_id: str, score: object) -> None:
    if not isinstance(score, (int, float)) or not 0 <= score <= 1:  # NaN is not either
        raise DataError(
            f"got {measure}={score!r} for query {query_id!r}; wanted a number between 0 and 1; "
            "look for the cause in the scoring"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _identity(result: Result) -> tuple[object, ...]:
    harness = result.harness.split(" ")[0]
    asked = {key: result.config.get(key) for key in ("dtype", "instructions")}
    return (result.task, result.size, harness, result.model, result.arm, result.budget, result.seed, asked)


def _safe(name: str) -> str:
    """A name that every common file system takes: plain letters, no dot at either end, not too long."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80].strip("._") or "_"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 6) if isinstance(value, float) else value
