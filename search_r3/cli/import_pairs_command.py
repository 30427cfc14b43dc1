"""`search-r3 import-pairs`: a training set of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_pairs(
    pairs: Annotated[
        Path, typer.Argument(help="JSONL file, or folder in BEIR's format.", show_default=False)
    ],
    source: Annotated[str, typer.Option("--source", help="Name of the training set.")],
    positives: Annotated[
        int | None, typer.Option(min=1, help="Most pairs of one query of a folder [default: all].")
    ] = None,
) -> None:
    """Make a training set out of a JSONL file of pairs, or of a folder in BEIR's format.

    A line is {"query": ..., "positive": ...}, and may have "negatives" (a list of texts), a "query_id" and a
    "doc_id". In a folder, every query and relevant document of qrels/train.tsv is a pair. The set is stored
    where search-r3 data stores its own, and is named in a run's [data.sources].
    """
    from search_r3.data import pair_import

    target, made = pair_import.import_pairs(pairs, source, positives)
    negatives = sum(bool(pair.negatives) for pair in made)
    typer.echo(f"{target}: {len(made):,} pairs, {negatives:,} with negatives")
