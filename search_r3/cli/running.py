"""Running a command: what a user can cause becomes one line and an exit code, for commands and scripts alike.

Exit codes: 0 done; 1 the input, the model or the index is at fault (the message says which); 2 wrong usage;
130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from search_r3.cli.console import accept_any_encoding, note
from search_r3.errors import InvalidOptionError, SearchR3Error


def make_app(**options: Any) -> typer.Typer:
    """A typer application with plain help texts and without decorated tracebacks."""
    return typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, **options)


def run_app(app: typer.Typer) -> None:
    """Run an application on the command line's arguments; ends the process with an exit code."""
    accept_any_encoding()
    try:
        app()
    except (SearchR3Error, OSError) as error:
        note(f"error: {error}")
        sys.exit(2 if isinstance(error, InvalidOptionError) else 1)


def run(command: Callable[..., None], **defaults: Any) -> None:
    """Run one command as a script.

    Args:
        command: The function of the command; its parameters are the script's arguments and options.
        **defaults: Defaults of the script that differ from the command's, by the name of the parameter.
    """
    app = make_app(add_completion=False)
    app.command(context_settings={"default_map": defaults})(command)
    run_app(app)


@contextmanager
def resumable(advice: str = "run the same command to continue") -> Iterator[None]:
    """Say how to continue when the user interrupts, and end with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"interrupted; {advice}")
        raise typer.Exit(130) from None
