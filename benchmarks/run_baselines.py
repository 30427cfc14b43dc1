"""Score all baselines on all tasks of one size; what has a result file already is not scored again.

    python benchmarks/run_baselines.py --size mini

BM25, all-MiniLM-L6-v2, the untrained embedded LLM (not thinking and thinking), and its LLM mean-pooled. The
mini size takes about 50 minutes on two cores; run `search-r3 data` first. Then: search-r3 report
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, cast

import datasets
import torch
import typer
from transformers.utils import logging as transformers_logging

from search_r3 import SearchR3, embedded_base_folder
from search_r3.cli.options import DEFAULT_ARMS, ArmsOption, DtypeOption, OutputOption, each_of
from search_r3.cli.running import run
from search_r3.data.catalogue import TASKS, Size, expected_hash
from search_r3.data.minilm import minilm_folder
from search_r3.evaluation.baselines import load_minilm, mean_pooled
from search_r3.evaluation.results import read_results, result_paths, write_result
from search_r3.evaluation.runner import benchmark_task, run_arms
from search_r3.evaluation.system import System
from search_r3.model.thoughts import Arm
from search_r3.paths import cache_dir, data_dir

SYSTEMS = ["bm25", "all-MiniLM-L6-v2", "smollm2-135m", "smollm2-135m-mean-pooled"]


def load(name: str, dtype: torch.dtype) -> System:
    """Load one baseline."""
    if name == "bm25":
        return System(name, None)
    if name == "all-MiniLM-L6-v2":
        return System(name, load_minilm(minilm_folder(data_dir() / "packages")))
    folder = embedded_base_folder("smollm2-135m")
    model = SearchR3(folder, local_files_only=True) if name == "smollm2-135m" else mean_pooled(folder)
    return System(name, model.to(dtype), batch_size=16)


def missing(
    name: str, arms: list[Arm | None], size: Size, dtype: str, output: Path
) -> Iterator[tuple[str, list[Arm | None]]]:
    """Yield the tasks that lack a result of some arm, with these arms."""
    found = read_results(output) if result_paths(output) else []
    for task in TASKS:
        done = {
            result.arm
            for result in found
            if (result.task, result.size, result.model) == (task, size, name)
            and result.data_hash == expected_hash(task, size)
            and result.config.get("dtype", dtype) == dtype
        }
        if left := [arm for arm in arms if arm not in done]:
            yield task, left


def main(
    size: Annotated[Size, typer.Option(help="Size of the tasks.")] = "mini",
    systems: Annotated[
        list[str], typer.Option("--system", help="A baseline; repeatable.", callback=each_of(SYSTEMS))
    ] = SYSTEMS,
    arms: ArmsOption = DEFAULT_ARMS,
    dtype: DtypeOption = "float32",
    output: OutputOption = Path("benchmarks/results/runs"),
) -> None:
    """Score all baselines on all tasks of one size; what has a result file already is not scored again.

    The arms are those of smollm2-135m, the precision is that of the two baselines made of it.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    logging.getLogger("mteb").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="mteb")
    for name in systems:
        wanted = cast("list[Arm | None]", arms if name == "smollm2-135m" else [None])
        precision = dtype if name.startswith("smollm2") else "float32"
        left = list(missing(name, wanted, size, precision, output))
        if not left:
            continue
        system = load(name, getattr(torch, precision))
        for task, some in left:
            own_name = task + ("Mini" if size == "mini" else "")
            for result in run_arms("mteb", system, some, benchmark_task(own_name), cache_dir() / "mteb"):
                write_result(result, output)
                print(
                    f"{own_name:20}{name:26}{result.arm or '-':8}nDCG@10 {result.mean('ndcg_at_10'):.3f}  "
                    f"{result.seconds['total']:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    run(main)
