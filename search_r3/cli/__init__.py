"""The `search-r3` command."""

from search_r3.cli.app import main

__all__ = ["main"]
