"""`search-r3 mine`: hard negatives, mined with the model that is trained."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from search_r3.cli.console import note, say
from search_r3.cli.options import BatchSizeOption, DtypeOption, NamedModelOption, OutputOption
from search_r3.cli.running import resumable
from search_r3.extras import needs_extra


def mine(
    sources: Annotated[list[str], typer.Option("--source", help="A training set; repeatable.")],
    output: OutputOption,
    model: NamedModelOption = "default",
    pairs: Annotated[
        int, typer.Option(min=10, help="Most pairs of a source; negatives come from among them.")
    ] = 2000,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=8, help="Texts are cut here.")] = 96,
    batch_size: BatchSizeOption = 64,
    dtype: DtypeOption = "float32",
) -> None:
    """Mine hard negatives for training sets: documents that the model takes for the right one.

    The folder gets a file for each source, which a supervised run reads by `negatives` in its [data]. What is
    there is not mined again, so an interrupted command continues.
    """
    with needs_extra("eval"):
        import datasets  # noqa: F401 - mining needs it: look now, and not after the model is loaded
    with resumable():
        from search_r3.model.default import load_model
        from search_r3.training.negative_mining import mine_sources

        started = time.monotonic()
        mine_sources(
            load_model(model, dtype=dtype),
            sources,
            output,
            pairs=pairs,
            max_tokens=max_tokens,
            batch_size=batch_size,
            on_step=lambda step: note(f"{time.monotonic() - started:6.0f} s  {step}"),
        )
    say(f"in {output}")
