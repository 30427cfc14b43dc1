"""Assembles the commands and turns the errors a user can cause into one line and an exit code.

Exit codes: 0 done; 1 the input, the model or the index is at fault (the message says which); 2 wrong usage;
130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from search_r3.cli.data_command import data
from search_r3.cli.demo_command import demo
from search_r3.cli.embed_command import embed
from search_r3.cli.export_command import export
from search_r3.cli.index_command import index
from search_r3.cli.inspect_command import doctor, info
from search_r3.cli.mteb_command import mteb
from search_r3.cli.search_command import search
from search_r3.errors import InvalidOptionError, SearchR3Error

app = typer.Typer(
    name="search-r3",
    help="An embedding model that thinks before it embeds: index, search, embed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="demo")(demo)
app.command(name="index")(index)
app.command(name="search")(search)
app.command(name="embed")(embed)
app.command(name="export")(export)
app.command(name="info")(info)
app.command(name="doctor")(doctor)
app.command(name="data")(data)
app.command(name="mteb")(mteb)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except (SearchR3Error, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2 if isinstance(error, InvalidOptionError) else 1)
