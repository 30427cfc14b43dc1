"""Measure the runtime's contract on a real model: exactness, determinism, cost of the read-out.

    python benchmarks/run_contract.py --output benchmarks/results/contract-smollm2-135m.json

About 20 minutes on two cores for SmolLM2-135M, untrained. The queries are docstring summaries of the
Python standard library. Figures:

- parity: largest difference between a vector read on the live cache and one plain full pass (batch 1, no
  padding, untouched transformers model) over the same tokens;
- direct: largest difference of direct embeddings and replayed thoughts over random batch compositions;
- greedy: share of thoughts that are identical at batch 1 and 32, per dtype;
- read-out cost: time of thinking and embedding over time of transformers' `generate` alone for the same
  tokens (the thought and the embed token), in alternation, prompts and batch the same.
"""

from __future__ import annotations

import json
import platform
import random
import statistics
import subprocess
import time
from importlib import metadata
from typing import Annotated, Any

import numpy as np
import torch
import typer
from tqdm import tqdm
from transformers import AutoModelForCausalLM

from search_r3 import SearchR3, Thought, fingerprint
from search_r3.cli.options import NamedModelOption, OutputOption
from search_r3.cli.running import run
from search_r3.demo.stdlib_corpus import collect_functions
from search_r3.files import write_text
from search_r3.model.default import EMBEDDED_MODELS

SEED = 0


def queries(count: int) -> list[str]:
    """Docstring summaries of the standard library, the first `count`."""
    return [function.summary for function in collect_functions() if function.summary][:count]


def parity(model: SearchR3, folder: str, texts: list[str]) -> float:
    """Largest difference between the read-out and one plain full pass."""
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype).eval()
    encoding = model.encode_query_with_thoughts(texts, batch_size=8)
    limit = model.max_seq_length
    assert limit is not None  # every prepared model has one
    worst = 0.0
    for text, thought, vector in zip(texts, encoding.thoughts, encoding.embeddings, strict=True):
        sequence = model.reasoning_module.prompt_encoder.encode_query(text, thought=thought, max_tokens=limit)
        with torch.inference_mode():
            states = reference(torch.tensor([sequence.token_ids]), output_hidden_states=True).hidden_states[
                -1
            ]
        expected = torch.nn.functional.normalize(states[0, -1].float(), dim=0).numpy()
        worst = max(worst, float(np.abs(expected - vector).max()))
    return worst


def composition_difference(model: SearchR3, texts: list[str], thoughts: list[Thought]) -> dict[str, float]:
    """Largest difference from the vectors at batch 1, over 200 random batches."""
    rng = random.Random(SEED)
    documents = model.encode_document(texts, batch_size=1)
    replayed = model.encode_query_with_thoughts(texts, thoughts=thoughts, batch_size=1).embeddings
    worst = {"documents": 0.0, "replayed": 0.0}
    for _ in tqdm(range(200), desc="batch compositions"):
        rows = rng.sample(range(len(texts)), rng.randint(2, 8))
        some = [texts[row] for row in rows]
        got = model.encode_document(some, batch_size=len(rows))
        worst["documents"] = max(worst["documents"], float(np.abs(got - documents[rows]).max()))
        got = model.encode_query_with_thoughts(
            some, thoughts=[thoughts[row] for row in rows], batch_size=len(rows)
        ).embeddings
        worst["replayed"] = max(worst["replayed"], float(np.abs(got - replayed[rows]).max()))
    return worst


def greedy_agreement(model: SearchR3, texts: list[str]) -> dict[str, float]:
    """Thoughts at batch 1 against batch 32."""
    alone = model.encode_query_with_thoughts(texts, batch_size=1, show_progress_bar=True)
    together = model.encode_query_with_thoughts(texts, batch_size=32, show_progress_bar=True)
    same = sum(a.token_ids == b.token_ids for a, b in zip(alone.thoughts, together.thoughts, strict=True))
    cosines = (alone.embeddings * together.embeddings).sum(axis=1)
    return {"identical": same, "of": len(texts), "worst_cosine": float(cosines.min())}


def read_out_cost(model: SearchR3, texts: list[str], batch_size: int, rounds: int) -> dict[str, float]:
    """Ratio of our time (thought and embedding) to `generate`'s (as many tokens, no embedding)."""
    module = model.reasoning_module
    language_model: Any = module.model
    budget = module.max_reasoning_tokens
    # Queries whose thought ends by the budget, so that both sides run for the same number of steps.
    full = [
        text
        for text, thought in zip(
            texts, model.encode_query_with_thoughts(texts, batch_size=32).thoughts, strict=True
        )
        if thought.ending == "budget"
    ]
    batch = full[:batch_size]
    features = module.preprocess(batch, task="query")
    prompt, mask = features["input_ids"][:, :-1], features["attention_mask"][:, :-1]

    def ours() -> None:
        module(dict(features), reasoning="always", max_reasoning_tokens=budget)

    def bare() -> None:
        language_model.generate(
            prompt,
            attention_mask=mask,
            max_new_tokens=budget + 1,
            min_new_tokens=budget + 1,
            do_sample=False,
            use_cache=True,
            suppress_tokens=sorted(module.prompt_encoder.structural_ids),  # the embed token among them
        )

    ratios, times = [], []
    with torch.inference_mode():
        ours()
        bare()
        for _ in range(rounds):
            start = time.perf_counter()
            ours()
            middle = time.perf_counter()
            bare()
            end = time.perf_counter()
            ratios.append((middle - start) / (end - middle))
            times.append(middle - start)
    return {
        "batch_size": len(batch),
        "tokens": budget,
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "seconds_median": statistics.median(times),
    }


def main(
    output: OutputOption,
    model: NamedModelOption = "smollm2-135m-base",
    prompts: Annotated[int, typer.Option(min=1, help="Prompts for the greedy comparison.")] = 256,
    read_out_only: Annotated[
        bool, typer.Option("--read-out-only", help="Measure the cost of the read-out alone.")
    ] = False,
) -> None:
    """Measure everything and write one JSON file."""
    folder = str(EMBEDDED_MODELS[model]()) if model in EMBEDDED_MODELS else model
    texts = queries(prompts)

    whole = SearchR3(folder, device="cpu", local_files_only=True)
    results: dict[str, object] = {
        "model": fingerprint(whole),
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "versions": {
            name: metadata.version(name) for name in ("torch", "transformers", "sentence-transformers")
        },
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "seed": SEED,
        "max_reasoning_tokens": whole.reasoning_module.max_reasoning_tokens,
    }
    results["read_out_cost"] = [read_out_cost(whole, texts[:64], size, rounds=7) for size in (1, 16)]
    if not read_out_only:
        results["parity_max_abs"] = parity(whole, folder, texts[:64])
        few = texts[:48]
        thoughts = whole.encode_query_with_thoughts(few).thoughts
        results["compositions_max_abs"] = composition_difference(whole, few, thoughts)
        results["greedy_float32"] = greedy_agreement(whole, texts)
        half = SearchR3(folder, device="cpu", local_files_only=True, model_kwargs={"dtype": torch.bfloat16})
        results["greedy_bfloat16"] = greedy_agreement(half, texts)
        single, double = half.encode_document(few), whole.encode_document(few)
        results["bfloat16_worst_cosine_to_float32"] = float((single * double).sum(axis=1).min())
    write_text(output, json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    run(main)
