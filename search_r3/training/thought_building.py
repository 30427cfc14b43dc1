"""Builds thoughts for the supervised stage, and keeps with each what it is worth."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sentence_transformers
import torch
from tqdm import tqdm

from search_r3.data.minilm import minilm_folder
from search_r3.data.pairs import TrainingPair, read_training_set
from search_r3.data.thought_origin import Writer
from search_r3.data.thought_records import (
    ThoughtRecord,
    read_provenance,
    read_thoughts,
    write_thoughts,
)
from search_r3.model.default import EMBEDDED_MODELS, load_model
from search_r3.model.prepare import assemble
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.template import render_chat_template
from search_r3.paths import data_dir
from search_r3.provenance import describe_environment
from search_r3.training.thought_filter import ThoughtFilter
from search_r3.training.thought_sources import SalientTerms, sample_thoughts


@dataclass(frozen=True)
class ThoughtOptions:
    """Which thoughts are built, and how.

    Attributes:
        sources: Names of training sets.
        origins: Who writes the thoughts.
        model: Who thinks, for ``self`` and ``teacher``: ``default``, ``embedded``, a folder, or a Hub id.
        scorer: Who judges what a thought is worth: ``minilm`` (all-MiniLM-L6-v2), or as ``model``.
        queries: Most queries of a source.
        skip: Queries of a source that are left out first.
        samples: Thoughts per query, the first one greedy.
        temperature: Sampling temperature of the others.
        max_reasoning_tokens: Longest thought.
        batch_size: Texts per forward pass.
        dtype: Precision of the model, ``float32`` or ``bfloat16``.
        seed: Seed of the samples.
        four_part_prompt: Whether the model is asked with its chat template and the paper's four-part prompt,
            not with the template that it was saved with.
        output: The file of thoughts.
    """

    sources: list[str]
    origins: list[Writer]
    model: str
    scorer: str
    queries: int
    skip: int
    samples: int
    temperature: float
    max_reasoning_tokens: int
    batch_size: int
    dtype: str
    seed: int
    four_part_prompt: bool
    output: Path


def build_thoughts(options: ThoughtOptions) -> list[ThoughtRecord]:
    """Build what the output file does not have yet, by source and origin; it is written after each source.

    Returns:
        All that the file holds.

    Raises:
        DataError: A training set or the output file cannot be read.
    """
    is_there = options.output.exists()
    records = read_thoughts(options.output) if is_there else []
    provenance = read_provenance(options.output) if is_there else {}
    made = {
        "arguments": {key: str(value) for key, value in vars(options).items()},
        "environment": describe_environment(),
    }
    scorer = _load_scorer(options.scorer)
    model = _load_thinker(options) if set(options.origins) != {"terms"} else None
    for source in tqdm(options.sources, desc="sources"):
        known = {record.origin for record in records if record.source == source}
        if left := [origin for origin in options.origins if origin not in known]:
            records += _thoughts_of_source(source, left, options, scorer, model)
            provenance |= {f"{source} {origin}": json.dumps(made) for origin in left}
            write_thoughts(records, options.output, provenance)  # what is there so far is kept
    return records


def summary(records: list[ThoughtRecord]) -> Iterator[str]:
    """A table in lines: the share of thoughts that help and the mean gain, per source and origin."""
    yield f"{'source':20}{'origin':10}{'thoughts':>9}{'help':>7}{'mean gain':>11}{'of those that help':>20}"
    for source, origin in sorted({(record.source, record.origin) for record in records}):
        some = [record for record in records if (record.source, record.origin) == (source, origin)]
        helping = [record.gain for record in some if record.helps]
        mean = statistics.fmean(record.gain for record in some)
        best = statistics.fmean(helping) if helping else 0.0
        yield (
            f"{source:20}{origin:10}{len(some):9,}{len(helping) / len(some):7.1%}{mean:+11.3f}{best:+20.3f}"
        )


def _load_scorer(name: str) -> sentence_transformers.SentenceTransformer:
    """The reference scorer: all-MiniLM-L6-v2 out of its package, or any other embedder."""
    scorer: sentence_transformers.SentenceTransformer
    if name == "minilm":
        folder = str(minilm_folder(data_dir() / "packages"))
        scorer = sentence_transformers.SentenceTransformer(folder, local_files_only=True)
    else:
        scorer = load_model(name)
    scorer.max_seq_length = 96
    return scorer


def _load_thinker(options: ThoughtOptions) -> SearchR3:
    model = load_model(options.model)
    if options.four_part_prompt:
        # The same LLM, asked with its chat template and the paper's prompt instead of its saved template.
        template = render_chat_template(model.tokenizer.apply_chat_template)
        is_embedded = options.model in EMBEDDED_MODELS
        folder = EMBEDDED_MODELS[options.model]() if is_embedded else options.model
        model = assemble(folder, template=template)
    return model.to(getattr(torch, options.dtype))


def _thoughts_of_source(
    source: str,
    origins: list[Writer],
    options: ThoughtOptions,
    scorer: sentence_transformers.SentenceTransformer,
    model: SearchR3 | None,
) -> list[ThoughtRecord]:
    every = read_training_set(source)
    # By a hash, so that the sample is spread over the source and does not depend on its order.
    chosen = sorted(every, key=lambda pair: hashlib.sha256(pair.query_id.encode()).digest())
    chosen = chosen[options.skip : options.skip + options.queries]
    judge = ThoughtFilter(chosen, scorer)
    records: list[ThoughtRecord] = []
    for origin in origins:
        records += judge.records(chosen, _thoughts_of_origin(origin, every, chosen, options, model), origin)
    return records


def _thoughts_of_origin(
    origin: Writer,
    every: list[TrainingPair],
    chosen: list[TrainingPair],
    options: ThoughtOptions,
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
        samples=options.samples,
        temperature=options.temperature,
        max_reasoning_tokens=options.max_reasoning_tokens,
        seed=options.seed,
        batch_size=options.batch_size,
        show_progress_bar=True,
    )
