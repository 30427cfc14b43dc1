"""`search-r3 publish`: a model on the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from search_r3.cli.options import DirectOption, NamedModelOption
from search_r3.extras import require_extra


def publish(
    repo: Annotated[str, typer.Argument(help="org/name on the Hub.", show_default=False)],
    name: Annotated[str, typer.Option(help="The model's name in the results.")],
    training: Annotated[
        list[Path],
        typer.Option(help="What is kept of a training run that made the model (JSON); repeatable."),
    ],
    model: NamedModelOption,
    base: Annotated[str, typer.Option(help="The model's base on the Hub.", show_default=False)],
    results: Annotated[Path, typer.Option(help="Folder of result files.")] = Path("benchmarks/results/runs"),
    template: Annotated[Path, typer.Option(help="Template of the model card.")] = Path(
        "model_cards/template.md"
    ),
    direct: DirectOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be uploaded.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Upload as a pull request.")] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private if it does not exist yet.")
    ] = False,
) -> None:
    """Publish a model on the Hugging Face Hub: weights, code, card, scores, licence and checksums.

    Run it in the top folder of a checkout of this project; the LICENSE there is published too. It refuses a
    checkout with uncommitted changes, and a model that the results are not of. If nothing has changed since
    the last time, nothing is committed; --create-pr opens a pull request each time. The token is that of
    "hf auth login" or HF_TOKEN.
    """
    require_extra("search-r3 publish", "eval", "mteb")
    from search_r3.model.release import sha256_of_files
    from search_r3.reporting.publishing import Publication, stage_publication, upload

    publication = Publication(
        repo=repo,
        name=name,
        model=model,
        base=base,
        results=results,
        training=training,
        template=template,
        licence=Path("LICENSE"),
        direct=direct,
    )
    with tempfile.TemporaryDirectory() as parent:
        folder = stage_publication(publication, Path(parent) / "release")
        for file, digest in sha256_of_files(folder).items():
            typer.echo(f"{(folder / file).stat().st_size:>12,}  {digest[:12]}  {file}")
        if dry_run:
            typer.echo(f"would go to {repo}; nothing was uploaded")
        else:
            typer.echo(upload(folder, repo, name, create_pr=create_pr, private=private))
