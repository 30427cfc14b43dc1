"""Train a run several times, each time with one thing changed, and say what each gave on the dev tasks.

    python train/sweep.py train/configs/smollm2-135m/sweep.toml
    python train/sweep.py train/configs/smollm2-135m/sweep-distillation.toml --stage distillation

The file is a run's, with a table [points] beside: a name, and the keys that are different there. Each point's
run lies in a folder of its own under `output`; finished points are kept as long as their configuration is the
same, one that was interrupted goes on.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from search_r3.cli.running import resumable, run
from search_r3.errors import InvalidOptionError
from search_r3.files import write_text
from search_r3.provenance import describe_environment
from search_r3.training import distillation_run, sft_run
from search_r3.training.distillation_config import DistillationConfig
from search_r3.training.run_config import changed
from search_r3.training.run_folder import read_log
from search_r3.training.sft_config import TrainingConfig

MEASURE = "_ndcg_at_10"

Config = TrainingConfig | DistillationConfig


def main(
    sweep: Annotated[Path, typer.Argument(help="TOML file of the sweep.", show_default=False)],
    stage: Annotated[Literal["sft", "distillation"], typer.Option(help="Which stage's runs.")] = "sft",
    output: Annotated[
        Path | None, typer.Option(help="Where the table goes [default: <the file's name>.json].")
    ] = None,
) -> None:
    """Run the points that are missing; the table is written after each."""
    rows = {}
    output = output or Path("benchmarks/results/training") / f"{sweep.stem}.json"
    kind = DistillationConfig if stage == "distillation" else TrainingConfig
    with resumable():
        for name, config in read_points(sweep, kind).items():
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
    write_text(path, json.dumps(table, indent=1) + "\n")


def run_point(config: Config) -> dict[str, float]:
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
    if isinstance(config, DistillationConfig):
        final = distillation_run.train(config, resume=True)
    else:
        final = sft_run.train(config, resume=True)
    # The scores are what a sweep is for: 540 MB of weights per point are not.
    shutil.rmtree(final)
    facts = {"config": json.loads(config.model_dump_json()), "scores": scores(config.output)}
    write_text(done, json.dumps(facts, indent=1) + "\n")
    result: dict[str, float] = facts["scores"]
    return result


def read_points(path: Path, kind: type[Config] = TrainingConfig) -> dict[str, Config]:
    """Read the configuration of every point.

    Args:
        path: The file of the sweep.
        kind: What a run of its stage is configured by.

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
    configs: dict[str, Config] = {}
    for name, changes in points.items():
        try:
            config = kind.model_validate(changed(found, changes))
        except ValidationError as error:
            raise InvalidOptionError(f"The point {name} of {path} is not a configuration: {error}") from None
        configs[name] = config.model_copy(update={"output": config.output / name})
    return configs


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
