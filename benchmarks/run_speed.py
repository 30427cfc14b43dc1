"""Measure speed and memory: documents per second, milliseconds of one query, and the size of the weights.

    python benchmarks/run_speed.py --model gemma3-270m --model smollm2-135m --model all-MiniLM-L6-v2

The texts are those of the demo: docstrings of the standard library, and summaries as queries. Every model is
loaded in float32 and in bfloat16. Leave the machine alone meanwhile. Writes speed.json.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from search_r3.cli.options import OutputOption
from search_r3.cli.running import run
from search_r3.data.minilm import minilm_folder
from search_r3.demo.stdlib_corpus import demo_task
from search_r3.files import write_text
from search_r3.model.default import load_model
from search_r3.paths import data_dir
from search_r3.provenance import describe_environment

MINILM = "all-MiniLM-L6-v2"
DTYPES = ["float32", "bfloat16"]


def measure(model: Any, documents: list[str], queries: list[str], batch_size: int) -> dict[str, Any]:
    """Time one model; a model that thinks is timed without a thought and with its own.

    Returns:
        ``weights_mb`` (10^6 bytes), ``documents_per_second`` and ``tokens_per_second`` (padding not counted),
        ``query_ms`` (median over the queries, one at a time) and, if the model thinks, ``thinking_query_ms``.
    """
    thinks = bool(getattr(model, "thinks", False))
    model.encode_document(documents[:2])
    started = time.perf_counter()
    model.encode_document(documents, batch_size=batch_size, show_progress_bar=False)
    seconds = time.perf_counter() - started
    tokens = sum(len(model.tokenizer(text)["input_ids"]) for text in documents)
    found = {
        "weights_mb": round(sum(one.numel() * one.element_size() for one in model.parameters()) / 1e6, 1),
        "documents_per_second": round(len(documents) / seconds, 1),
        "tokens_per_second": round(tokens / seconds),
        "query_ms": _median_ms(queries, lambda query: model.encode_query([query], **_direct(thinks))),
    }
    if thinks and model.reasoning_module.reasoning != "never":
        found["thinking_query_ms"] = _median_ms(queries, lambda query: model.encode_query([query]))
    return found


def _direct(thinks: bool) -> dict[str, str]:
    return {"reasoning": "never"} if thinks else {}


def _median_ms(queries: list[str], encode: Callable[[str], Any]) -> float:
    encode(queries[0])
    times = []
    for query in queries:
        started = time.perf_counter()
        encode(query)
        times.append(time.perf_counter() - started)
    return round(1000 * statistics.median(times), 1)


def main(
    models: Annotated[
        list[str], typer.Option("--model", "-m", help=f"{MINILM}, default, a folder or a Hub id; repeatable.")
    ],
    dtypes: Annotated[list[str], typer.Option("--dtype", help="float32 or bfloat16; repeatable.")] = DTYPES,
    documents: Annotated[int, typer.Option(min=2, help="Most documents.")] = 200,
    queries: Annotated[int, typer.Option(min=1, help="Most queries.")] = 40,
    batch_size: Annotated[int, typer.Option(min=1, help="Documents per forward pass.")] = 32,
    output: OutputOption = Path("benchmarks/results"),
) -> None:
    """Measure, print and write."""
    task = demo_task()
    texts, asked = list(task.corpus.values())[:documents], list(task.queries.values())[:queries]
    rows: list[dict[str, Any]] = []
    for name in models:
        folder = minilm_folder(data_dir() / "packages") if name == MINILM else name
        for dtype in dtypes:
            model = load_model(folder, dtype=dtype)
            rows.append({"model": name, "dtype": dtype, **measure(model, texts, asked, batch_size)})
            print(json.dumps(rows[-1]), flush=True)
    head = {"documents": len(texts), "queries": len(asked), "batch_size": batch_size}
    report = {**head, "environment": describe_environment(), "rows": rows}
    write_text(output / "speed.json", json.dumps(report, indent=2) + "\n")
    print(f"in {output / 'speed.json'}")


if __name__ == "__main__":
    run(main)
