"""Write docs/command-line.md from the commands themselves.

python docs/make_cli_page.py
"""

from __future__ import annotations

from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from search_r3.cli.app import app

PAGE = Path(__file__).parent / "command-line.md"


def render() -> str:
    """The page: every command with its arguments and options, by typer's own generator."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="search-r3")
    body = get_docs_for_click(obj=command, ctx=context, name="search-r3", title="Command line")
    return f"{body.strip()}\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
