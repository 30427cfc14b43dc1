"""Where prepared models and data are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from search_r3.errors import InvalidOptionError


def cache_dir() -> Path:
    """Folder for prepared models and data: ``SEARCH_R3_CACHE`` if set, else the user's cache folder.

    A ``~`` in the variable is the home folder, as in a shell.

    Raises:
        InvalidOptionError: There is no home folder: HOME is not set and the system does not know the user.
    """
    try:
        return _from_environment("SEARCH_R3_CACHE") or user_cache_path("search-r3")
    except RuntimeError:  # of platformdirs and pathlib
        raise _no_home("SEARCH_R3_CACHE") from None


def data_dir() -> Path:
    """Folder of the built data: ``SEARCH_R3_DATA`` if set, else ``data`` in :func:`cache_dir`."""
    try:
        return _from_environment("SEARCH_R3_DATA") or cache_dir() / "data"
    except RuntimeError:
        raise _no_home("SEARCH_R3_DATA") from None


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value).expanduser() if value else None


def _no_home(name: str) -> InvalidOptionError:
    return InvalidOptionError(
        "Got no home folder (HOME is not set, and the system does not know this user), wanted a folder to "
        f"keep models and data in. Set {name} to one that can be written to."
    )
