"""Evaluate a model with mteb, every arm with its per-query scores in a file of its own.

    python benchmarks/run_mteb.py --model default --tasks WikiTriviaMini CodeDocMini --arms never always
    python benchmarks/run_mteb.py --model bm25 --tasks WikiTriviaMini SciFact

Tasks are this project's (`search-r3 data` builds them) or any retrieval task of mteb (needs the Hugging Face
Hub), the English part of it. What the arm `always` thinks about a task is what the control arms of the same
call (random, repeat, shuffled) work with. Instructions are not part of a result file's name: give runs with
them another --output.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

import datasets
import torch
from transformers.utils import logging as transformers_logging

from search_r3 import SearchR3
from search_r3.errors import InvalidOptionError, SearchR3Error
from search_r3.evaluation.baselines import mean_pooled
from search_r3.evaluation.results import write_result
from search_r3.evaluation.runner import Harness, benchmark_task, run_arms
from search_r3.evaluation.system import System
from search_r3.model.default import EMBEDDED_MODELS
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.model.thoughts import ARMS, Arm
from search_r3.paths import cache_dir


def main(harness: Harness, output: Path) -> None:
    """Evaluate what the command line names in one harness."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    for library in ("mteb", "beir", "sentence_transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="mteb")
    arguments = parse(harness, output)
    try:
        system, arms = load(arguments)
        for task in [benchmark_task(name) for name in arguments.tasks]:
            for result in run_arms(harness, system, arms, task, arguments.cache, hybrid=arguments.hybrid):
                path = write_result(result, arguments.output)
                tokens = "-" if result.tokens_per_query is None else f"{result.tokens_per_query:.1f}"
                print(
                    f"{task.metadata.name:22}{result.model:30}{result.arm or '-':10}"
                    f"nDCG@10 {result.mean('ndcg_at_10'):.4f}  {tokens} tokens/query  "
                    f"{result.seconds['total']:.0f} s  {path}",
                    flush=True,
                )
    except (SearchR3Error, OSError) as error:
        sys.exit(f"error: {error}")


def parse(harness: Harness, output: Path) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=f"Evaluate a model with {harness}.")
    parser.add_argument("--model", required=True, help="folder, Hub id, 'default', 'embedded' or 'bm25'")
    parser.add_argument(
        "--mean-pooled", action="store_true", help="the folder's LLM as it is: mean pooling, no template"
    )
    parser.add_argument("--name", help="name of the model in results [default: that of the folder]")
    parser.add_argument("--tasks", nargs="+", required=True, metavar="TASK")
    parser.add_argument(
        "--arms", nargs="+", choices=ARMS, default=["never", "always"], help="for a model that thinks"
    )
    parser.add_argument("--max-reasoning-tokens", type=int, help="budget of a thought [default: the model's]")
    parser.add_argument(
        "--instructions", action="store_true", help="put the task's instruction before queries"
    )
    parser.add_argument(
        "--hybrid", action="store_true", help="also join every run with BM25's by reciprocal rank fusion"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0, help="of the arms that draw")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--output", type=Path, default=output)
    parser.add_argument(
        "--cache",
        type=Path,
        default=cache_dir() / "mteb",
        help="mteb's own result files, and document vectors that the arms share",
    )
    return parser.parse_args()


def load(arguments: argparse.Namespace) -> tuple[System, list[Arm | None]]:
    """Load the model; one that does not think has the arm None."""
    if arguments.model == "bm25":
        return System(arguments.name or "bm25", None), [None]
    is_embedded = arguments.model in EMBEDDED_MODELS
    folder = EMBEDDED_MODELS[arguments.model]() if is_embedded else Path(arguments.model)
    name = arguments.name or (Path(arguments.model).resolve().name if folder.is_dir() else arguments.model)
    if arguments.mean_pooled:
        if not folder.is_dir():
            raise InvalidOptionError(
                f"Got --mean-pooled for {arguments.model}, wanted a prepared model folder."
            )
        model, name = mean_pooled(folder), f"{name}-mean-pooled"
    else:
        model = SearchR3(
            str(folder) if folder.is_dir() else arguments.model, local_files_only=folder.is_dir()
        )
    model.to(getattr(torch, arguments.dtype))
    thinks = isinstance(model[0], ReasoningTransformer)
    system = System(
        name,
        model,
        max_reasoning_tokens=arguments.max_reasoning_tokens,
        instructions=arguments.instructions,
        seed=arguments.seed,
        batch_size=arguments.batch_size,
        show_progress_bar=sys.stderr.isatty(),
    )
    return system, list(arguments.arms) if thinks else [None]


if __name__ == "__main__":
    main("mteb", Path("benchmarks/results/runs"))
