"""The packages that the data is built from, each pinned by version and SHA-256."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from search_r3.packages import Package


@cache
def pinned_packages() -> dict[str, Package]:
    """Every pinned package by name, as ``packages.toml`` beside this file lists them."""
    table = tomllib.loads(files("search_r3.data").joinpath("packages.toml").read_text(encoding="utf-8"))
    packages = [Package(**{**entry, "keep": tuple(entry["keep"])}) for entry in table["package"]]
    return {package.name: package for package in packages}
