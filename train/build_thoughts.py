"""Build thoughts for the supervised stage, keep what each is worth, and report.

    python train/build_thoughts.py --origins terms --sources phenotypes wordnet code --queries 4000 \
        --output runs/thoughts.parquet
    python train/build_thoughts.py --origins self --model runs/sft/final --samples 4 --sources phenotypes ...
    python train/build_thoughts.py --origins teacher --model /path/to/a/larger/base --four-part-prompt ...

`self` and `teacher` let a model think (one that prepare_base or training has made); `terms` takes salient
words of the positive. Thoughts that do not help the reference scorer (all-MiniLM-L6-v2, or --scorer) are kept
with their loss: training reads them without teaching them, and teaches queries that nothing helps to skip
thinking. What the output file has already, by source and origin, is kept and not built again: an interrupted
command goes on, and origins can be added one by one. The file's metadata says of each how it was made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
from pathlib import Path

import sentence_transformers
import torch
from tqdm import tqdm

from search_r3 import SearchR3
from search_r3.data.minilm import minilm_folder
from search_r3.data.pairs import TrainingPair, read_pairs
from search_r3.errors import SearchR3Error
from search_r3.model.default import EMBEDDED_MODELS, load_model
from search_r3.model.prepare import assemble
from search_r3.model.template import render_chat_template
from search_r3.paths import data_dir
from search_r3.provenance import describe_environment
from search_r3.training.thought_filter import ThoughtFilter
from search_r3.training.thought_records import (
    Origin,
    ThoughtRecord,
    read_provenance,
    read_thoughts,
    write_thoughts,
)
from search_r3.training.thought_sources import SalientTerms, sample_thoughts


def main() -> None:
    """Build, report, write."""
    arguments = parse()
    try:
        is_there = arguments.output.exists()
        records = read_thoughts(arguments.output) if is_there else []
        provenance = read_provenance(arguments.output) if is_there else {}
        made = {
            "arguments": {key: str(value) for key, value in vars(arguments).items()},
            "environment": describe_environment(),
        }
        scorer = load_scorer(arguments.scorer)
        model = None
        if set(arguments.origins) != {"terms"}:
            model = load_model(arguments.model)
            if arguments.four_part_prompt:
                model = with_four_part_prompt(model, arguments.model)
            model.to(getattr(torch, arguments.dtype))
        for source in tqdm(arguments.sources, desc="sources"):
            known = {record.origin for record in records if record.source == source}
            if left := [origin for origin in arguments.origins if origin not in known]:
                records += build(source, left, arguments, scorer, model)
                provenance |= {f"{source} {origin}": json.dumps(made) for origin in left}
                write_thoughts(records, arguments.output, provenance)  # what is there so far is kept
        report(records)
    except SearchR3Error as error:
        sys.exit(f"error: {error}")


def load_scorer(name: str) -> sentence_transformers.SentenceTransformer:
    """The reference scorer: all-MiniLM-L6-v2 out of its package, or any other embedder."""
    if name == "minilm":
        folder = str(minilm_folder(data_dir() / "packages"))
        scorer = sentence_transformers.SentenceTransformer(folder, local_files_only=True)
    else:
        scorer = load_model(name)
    scorer.max_seq_length = 96
    return scorer


def with_four_part_prompt(model: SearchR3, name: str) -> SearchR3:
    """The same LLM, asked with its chat template and the paper's prompt instead of its saved template."""
    template = render_chat_template(model.tokenizer.apply_chat_template)
    return assemble(EMBEDDED_MODELS[name]() if name in EMBEDDED_MODELS else name, template=template)


def build(
    source: str,
    origins: list[Origin],
    arguments: argparse.Namespace,
    scorer: sentence_transformers.SentenceTransformer,
    model: SearchR3 | None,
) -> list[ThoughtRecord]:
    """Build the thoughts of one training set."""
    every = read_pairs(data_dir() / "training" / f"{source}.parquet")
    # By a hash, so that the sample is spread over the source and does not depend on its order.
    chosen = sorted(every, key=lambda pair: hashlib.sha256(pair.query_id.encode()).digest())
    chosen = chosen[arguments.skip : arguments.skip + arguments.queries]
    judge = ThoughtFilter(chosen, scorer)
    records: list[ThoughtRecord] = []
    for origin in origins:
        records += judge.records(chosen, thoughts_of(origin, every, chosen, arguments, model), origin)
    return records


def thoughts_of(
    origin: Origin,
    every: list[TrainingPair],
    chosen: list[TrainingPair],
    arguments: argparse.Namespace,
    model: SearchR3 | None,
) -> list[list[tuple[str, bool]]]:
    """The thoughts of one origin about the chosen pairs, and whether each came to its own end."""
    if origin == "terms":
        terms = SalientTerms(pair.positive for pair in every)
        found = [terms.thought(pair.query, pair.positive) for pair in chosen]
        return [[(thought, True)] if thought else [] for thought in found]
    assert model is not None
    return sample_thoughts(
        model,
        [pair.query for pair in chosen],
        samples=arguments.samples,
        temperature=arguments.temperature,
        max_reasoning_tokens=arguments.max_reasoning_tokens,
        seed=arguments.seed,
        batch_size=arguments.batch_size,
        show_progress_bar=True,
    )


def report(records: list[ThoughtRecord]) -> None:
    """Print the acceptance rate and the mean gain, per source and origin."""
    print(f"{'source':20}{'origin':10}{'thoughts':>9}{'help':>7}{'mean gain':>11}{'of those that help':>20}")
    for source, origin in sorted({(record.source, record.origin) for record in records}):
        some = [record for record in records if (record.source, record.origin) == (source, origin)]
        helping = [record.gain for record in some if record.helps]
        mean = statistics.fmean(record.gain for record in some)
        best = statistics.fmean(helping) if helping else 0.0
        print(
            f"{source:20}{origin:10}{len(some):9,}{len(helping) / len(some):7.1%}{mean:+11.3f}{best:+20.3f}"
        )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", nargs="+", required=True, help="training sets")
    parser.add_argument("--origins", nargs="+", choices=["self", "teacher", "terms"], default=["terms"])
    parser.add_argument("--model", default="embedded", help="who thinks, for `self` and `teacher`")
    parser.add_argument(
        "--scorer", default="minilm", help="who judges what a thought is worth: minilm, or as --model"
    )
    parser.add_argument("--queries", type=int, default=2000, help="most queries of a source")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many queries of a source first")
    parser.add_argument("--samples", type=int, default=4, help="thoughts per query, the first one greedy")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--max-reasoning-tokens", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--four-part-prompt",
        action="store_true",
        help="ask the model with its chat template and the paper's four-part prompt, not as it was saved",
    )
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
