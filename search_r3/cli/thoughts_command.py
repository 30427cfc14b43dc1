"""`search-r3 thoughts`: thoughts for the supervised stage, each with what it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from search_r3.cli.options import (
    BatchSizeOption,
    DtypeOption,
    NamedModelOption,
    OutputOption,
    ReasoningTokensOption,
    SeedOption,
    each_of,
)
from search_r3.cli.running import resumable
from search_r3.data.thought_origin import WRITERS

if TYPE_CHECKING:
    from search_r3.data.thought_origin import Writer

DEFAULT_ORIGINS = ["terms"]


def thoughts(
    sources: Annotated[list[str], typer.Option("--source", help="A training set; repeatable.")],
    output: OutputOption,
    origins: Annotated[
        list[str],
        typer.Option(
            "--origin",
            metavar="ORIGIN",
            help="Who writes the thoughts: self, teacher (a model), or terms (no model); repeatable.",
            callback=each_of(WRITERS),
        ),
    ] = DEFAULT_ORIGINS,
    model: NamedModelOption = "smollm2-135m-base",
    scorer: Annotated[
        str, typer.Option(help="Who judges what a thought is worth: minilm, or as --model.")
    ] = "minilm",
    queries: Annotated[int, typer.Option(min=1, help="Most queries of a source.")] = 2000,
    skip: Annotated[int, typer.Option(min=0, help="Queries of a source that are left out first.")] = 0,
    samples: Annotated[int, typer.Option(min=1, help="Thoughts per query, the first one greedy.")] = 4,
    temperature: Annotated[float, typer.Option(min=0, help="Sampling temperature of the others.")] = 0.8,
    max_reasoning_tokens: ReasoningTokensOption = 16,
    batch_size: BatchSizeOption = 16,
    dtype: DtypeOption = "float32",
    seed: SeedOption = 0,
    four_part_prompt: Annotated[
        bool,
        typer.Option(
            "--four-part-prompt",
            help="Ask the model with its chat template and the paper's prompt, not as it was saved.",
        ),
    ] = False,
) -> None:
    """Build thoughts about training queries, keep what each is worth, and report.

    With the origins self and teacher --model thinks. With terms a thought is made of salient words of the
    positive. A thought that does not help the scorer is kept with its loss: training does not teach it, and
    teaches queries that nothing helps not to think. What the output file has already, by source and origin,
    is not built again; so an interrupted command continues, and origins can be added one by one. The file's
    metadata says how each was made.
    """
    with resumable():
        from search_r3.training.thought_building import ThoughtOptions, build_thoughts, summary

        records = build_thoughts(
            ThoughtOptions(
                sources=sources,
                origins=cast("list[Writer]", origins),
                model=model,
                scorer=scorer,
                queries=queries,
                skip=skip,
                samples=samples,
                temperature=temperature,
                max_reasoning_tokens=max_reasoning_tokens,
                batch_size=batch_size,
                dtype=dtype,
                seed=seed,
                four_part_prompt=four_part_prompt,
                output=output,
            )
        )
        for line in summary(records):
            typer.echo(line)
