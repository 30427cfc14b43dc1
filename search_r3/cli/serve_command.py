"""`search-r3 serve`: the model behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from search_r3.cli.console import say
from search_r3.cli.index_command import progress_bar
from search_r3.cli.options import MODEL_NAMES, ApproximateOption, Dtype


def serve(
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help=f"{MODEL_NAMES} [default: that of the index, or default]."),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            help="An index of `search-r3 index` [default: that of the demo, of a model of the package]."
        ),
    ] = None,
    approximate: ApproximateOption = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [default: 127.0.0.1, this machine alone].")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port [default: 8080].")] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file with a key in each line; requests need one of them.")
    ] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="Precision [default: as saved].")] = None,
    thought_cache: Annotated[
        Path | None, typer.Option(help="A file that keeps thoughts [default: memory alone].")
    ] = None,
) -> None:
    """Serve embeddings as OpenAI's API does, a search, and a page that shows both.

    Every setting can also be an environment variable, SEARCH_R3_SERVER_MODEL and so on. An option counts for
    more. SIGTERM and Ctrl+C stop the server after the open requests are answered.
    """
    from search_r3.extras import needs_extra

    with needs_extra("serve"):
        from search_r3.server.serving import serve as run
        from search_r3.server.settings import read_settings

    given: dict[str, Any] = {
        "model": model,
        "index": index,
        "approximate": approximate,
        "host": host,
        "port": port,
        "api_key_file": api_key_file,
        "dtype": dtype,
        "thought_cache": thought_cache,
    }
    settings = read_settings({name: value for name, value in given.items() if value is not None})
    run(settings, say, progress_bar)
