"""`search-r3 mine`: hard negatives, mined with the model that is trained."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.console import note, say
from search_r3.cli.options import BatchSizeOption, DtypeOption, NamedModelOption, OutputOption
from search_r3.cli.running import resumable
from search_r3.errors import InvalidOptionError
from search_r3.extras import needs_extra


def mine(
    output: OutputOption,
    sources: Annotated[
        list[str] | None, typer.Option("--source", help="A training set; repeatable.", show_default=False)
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file of a supervised run: its sources.", show_default=False),
    ] = None,
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
    if bool(sources) == bool(config):
        raise InvalidOptionError(
            f"Got {len(sources or [])} --source and {'a' if config else 'no'} --config, wanted either: name "
            "the training sets, or the file of the run that will read the negatives."
        )
    with needs_extra("eval"):
        import datasets  # noqa: F401 - mining needs it: look now, and not after the model is loaded
    with resumable():
        from search_r3.model.default import load_model
        from search_r3.training.negative_mining import mine_sources
        from search_r3.training.sft_config import read_config

        started = time.monotonic()
        mine_sources(
            load_model(model, dtype=dtype),
            sources or (list(read_config(config).data.sources) if config else []),
            output,
            pairs=pairs,
            max_tokens=max_tokens,
            batch_size=batch_size,
            on_step=lambda step: note(f"{time.monotonic() - started:6.0f} s  {step}"),
        )
    say(f"in {output}")
