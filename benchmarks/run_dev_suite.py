"""Measure a model, or BM25, on the dev suite: small tasks outside of the training sets' domains.

    python benchmarks/run_dev_suite.py --model default --fused

Queries do not think. Run `search-r3 data` first. The suite chooses recipes and checkpoints, so no
result on it is reported as the quality of a model. Writes <name>.jsonl into benchmarks/results/dev.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.options import LimitOption, MultihopOption, OutputOption
from search_r3.cli.running import run
from search_r3.data.dev_tasks import DEV_TASKS
from search_r3.data.minilm import minilm_folder
from search_r3.evaluation.dev_suite import (
    BRIDGE_TASKS,
    MULTIHOP_TASKS,
    NAMES_TASK,
    DevResult,
    load_dev_suite,
    measure_dev,
    result_lines,
)
from search_r3.files import write_lines
from search_r3.model.default import load_model
from search_r3.paths import data_dir
from search_r3.provenance import describe_environment

MINILM = "all-MiniLM-L6-v2"
_TASKS = (*DEV_TASKS, *MULTIHOP_TASKS, NAMES_TASK, *BRIDGE_TASKS)


def main(
    model: Annotated[
        str, typer.Option("--model", "-m", help=f"bm25, {MINILM}, default, embedded, a folder or a Hub id.")
    ] = "default",
    name: Annotated[str | None, typer.Option(help="Name of the result [default: that of the model].")] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", help=f"A task; repeatable: {', '.join(_TASKS)}."),
    ] = None,
    fused: Annotated[
        bool, typer.Option("--fused", help="Measure the model joined with BM25 as well.")
    ] = False,
    multihop: MultihopOption = None,
    limit: LimitOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per forward pass.")] = 32,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16 [default: as saved].")] = None,
    output: OutputOption = Path("benchmarks/results/dev"),
) -> None:
    """Measure, print and write."""
    environment = describe_environment()
    suite = load_dev_suite(tasks or None, multihop=multihop, limit=limit)
    folder = minilm_folder(data_dir() / "packages") if model == MINILM else model
    loaded = None if model == "bm25" else load_model(folder, dtype=dtype)
    results: list[DevResult] = []
    for result in measure_dev(loaded, suite, fused=fused, batch_size=batch_size):
        results.append(result)
        print(f"{result.task:24}{result.system:8}{result.ndcg_at_10:.3f}  {result.seconds:.0f} s", flush=True)
    own_name = (
        name or Path(model).resolve().name if Path(model).is_dir() else name or model.replace("/", "--")
    )
    path = output / f"{own_name}.jsonl"
    write_lines(path, result_lines(results, model=own_name, limit=limit, environment=environment))
    for system in dict.fromkeys(result.system for result in results):
        scores = [result.ndcg_at_10 for result in results if result.system == system]
        print(f"{'mean':24}{system:8}{sum(scores) / len(scores):.3f}")
    print(f"in {path}")


if __name__ == "__main__":
    run(main)
