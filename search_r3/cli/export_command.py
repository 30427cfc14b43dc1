"""`search-r3 export`: a model's folder for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.console import say
from search_r3.cli.loading import load_model
from search_r3.cli.options import DirectOption, ModelOption


def export(
    target: Annotated[Path, typer.Argument(help="The folder to write; it must not exist yet.")],
    model: ModelOption = None,
    direct: DirectOption = False,
    card: Annotated[
        Path | None, typer.Option(help="A model card to put in as README.md.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Write a model with the code it needs and checksums, to load where search-r3 is not installed."""
    from search_r3.model.release import stage_release

    texts = {} if card is None else {"README.md": card.read_text(encoding="utf-8")}
    folder = stage_release(load_model(model), target, texts, direct=direct)
    say(f"{folder}: {sum(path.is_file() for path in folder.rglob('*'))} files")
