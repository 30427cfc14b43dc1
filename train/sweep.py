"""Train a run several times, each time with one thing changed, and say what each gave on the dev split.

    python train/sweep.py train/configs/smollm2-135m/sweep.toml

The file is a run's, with a table [points] beside: a name, and the keys that are different there. Each point's
run lies in a folder of its own under `output`; finished points are kept as long as their configuration is the
same, one that was interrupted goes on.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from search_r3.cli.options import OutputOption
from search_r3.cli.running import resumable, run
from search_r3.errors import InvalidOptionError
from search_r3.provenance import describe_environment
from search_r3.training.sft_config import TrainingConfig
from search_r3.training.sft_run import read_log, train

MEASURE = "_ndcg_at_10"


def main(
    sweep: Annotated[Path, typer.Argument(help="TOML file of the sweep.", show_default=False)],
    output: OutputOption = Path("benchmarks/results/training/sweep.json"),
) -> None:
    """Run the points that are missing; the table is written after each."""
    rows = {}
    with resumable():
        for name, config in read_points(sweep).items():
            rows[name] = run_point(config)
            write_table(output, sweep, rows)
            print(
                f"{name:24}" + "".join(f"{key} {value:.4f}  " for key, value in rows[name].items()),
                flush=True,
            )
    print(output)


def write_table(path: Path, sweep: Path, scores: dict[str, dict[str, float]]) -> None:
    """Write what is known so far."""
    table = {"sweep": sweep.read_text(encoding="utf-8"), "scores": scores}
    table["environment"] = describe_environment()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def run_point(config: TrainingConfig) -> dict[str, float]:
    """Train a point, unless it is finished.

    Returns:
        Its scores on the dev split, by arm.

    Raises:
        InvalidOptionError: The point's folder holds another run.
    """
    done = config.output / "scores.json"
    if done.exists():
        found = json.loads(done.read_text(encoding="utf-8"))
        if found["config"] != json.loads(config.model_dump_json()):
            raise InvalidOptionError(
                f"{done} is of another configuration: remove the folder, or choose another output."
            )
        kept: dict[str, float] = found["scores"]
        return kept
    final = train(config, resume=True)
    # The scores are what a sweep is for: 540 MB of weights per point are not.
    shutil.rmtree(final)
    facts = {"config": json.loads(config.model_dump_json()), "scores": scores(config.output)}
    part = done.with_suffix(".part")
    part.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    part.replace(done)
    result: dict[str, float] = facts["scores"]
    return result


def read_points(path: Path) -> dict[str, TrainingConfig]:
    """Read the configuration of every point.

    Raises:
        InvalidOptionError: The file is not a sweep, or a point is not a configuration of a run.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidOptionError(f"Cannot read {path}: {error}.") from None
    points = found.pop("points", None)
    if not points:
        raise InvalidOptionError(f"{path} has no [points], wanted at least one.")
    configs = {}
    for name, changes in points.items():
        try:
            config = TrainingConfig.model_validate(changed(found, changes))
        except ValidationError as error:
            raise InvalidOptionError(f"The point {name} of {path} is not a configuration: {error}") from None
        configs[name] = config.model_copy(update={"output": config.output / name})
    return configs


def changed(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with some of them changed, table by table."""
    result = dict(settings)
    for key, value in changes.items():
        is_table = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = changed(result[key], value) if is_table else value
    return result


def scores(output: Path) -> dict[str, float]:
    """The last scores on the dev split, by arm."""
    last = [entry for entry in read_log(output) if any(key.startswith("eval_") for key in entry)][-1]
    return {
        key.removeprefix("eval_").removesuffix(MEASURE): value
        for key, value in last.items()
        if key.startswith("eval_") and key.endswith(MEASURE)
    }


if __name__ == "__main__":
    run(main)
