"""What reaches the terminal: results on standard output, all else on standard error.

Texts, ids and paths of the user are printed as they are, never read as markup or as names of emoji.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

output = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Standard output: for tables; lines go through :func:`say`."""

messages = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Standard error: for progress bars; lines go through :func:`note`."""

_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of control characters, lone surrogates, and line and paragraph separators."""

_REORDERING = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that reverse what follows them, so that a text looks like another one."""


def say(text: str, style: str = "") -> None:
    """Print a line of results on standard output."""
    output.print(Text(printable(text), style=style))


def note(text: str) -> None:
    """Print a line for the user on standard error: what was skipped, what went wrong, what to do."""
    messages.print(Text(printable(text)))


def say_json(record: dict[str, Any]) -> None:
    """Print one JSON object as a line; in an encoding without all characters, with escapes."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    sys.stdout.write(json.dumps(record, ensure_ascii=not encoding.startswith("utf")) + "\n")


def printable(text: str) -> str:
    """Replace what could steer a terminal or hide in it; every other character stays as it is."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if c != "\n" and (unicodedata.category(c) in _HIDDEN or c in _REORDERING)
        else c
        for c in text
    )


def accept_any_encoding() -> None:
    """Let characters that the output's encoding lacks be escaped, where Python would raise an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
