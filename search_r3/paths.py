"""Where prepared models and data are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_dir() -> Path:
    """Folder for prepared models and data: ``SEARCH_R3_CACHE`` if set, else the user's cache folder."""
    return Path(os.environ.get("SEARCH_R3_CACHE") or user_cache_path("search-r3"))


def data_dir() -> Path:
    """Folder of the built data: ``SEARCH_R3_DATA`` if set, else ``data`` in :func:`cache_dir`."""
    return Path(os.environ.get("SEARCH_R3_DATA") or cache_dir() / "data")
