"""`search-r3 demo`: the main job on the embedded default model."""

from __future__ import annotations

import time

from rich.table import Table

from search_r3.cli.console import messages, output, say
from search_r3.cli.index_command import progress_bar
from search_r3.cli.loading import load_model, model_name
from search_r3.cli.options import ModelOption
from search_r3.cli.running import resumable
from search_r3.cli.search_command import result_of, show


def demo(model: ModelOption = None) -> None:
    """Search the Python standard library on this machine: index it, ask questions, score the answers."""
    from search_r3.demo import stdlib_demo

    started = time.monotonic()
    loaded = load_model(model)
    folder = stdlib_demo.demo_folder(loaded)
    with resumable():
        with progress_bar("embedding the standard library") as on_progress:
            index, task = stdlib_demo.build_demo_index(loaded, folder, on_progress, name=model_name(model))
        say(
            f"{len(index.vectors)} functions of the Python standard library, indexed in {folder}",
        )

        with messages.status("Answering five questions"):
            explanations = stdlib_demo.ask(loaded, index)
        for question, explanation in zip(stdlib_demo.QUESTIONS, explanations, strict=True):
            show(result_of(question, question, index.texts, explanation))

        with messages.status(f"Scoring {len(task.queries)} labelled queries"):
            scores = stdlib_demo.score(loaded, index, task)
    table = Table(title=f"\n{len(task.queries)} held-out docstring summaries, {len(task.corpus)} documents")
    for heading in ("arm", "nDCG@10", "thought tokens per query"):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for arm in scores:
        table.add_row(arm.arm, f"{arm.ndcg_at_10:.3f}", f"{arm.tokens_per_query:.1f}")
    output.print(table)
    if loaded.notice:
        say(loaded.notice.splitlines()[0])
    say(f"{time.monotonic() - started:.0f} s")
