"""Where a result was measured: code, hardware and versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_VERSIONED = ("torch", "transformers", "sentence-transformers", "mteb", "beir", "bm25s", "search-r3")


def describe_environment() -> dict[str, Any]:
    """Describe code, hardware and versions, so that a number can be traced and measured again.

    Returns:
        ``commit`` and ``dirty`` of the checkout that this package runs from (both None outside of one; result
        files do not make it dirty), ``hardware`` (``cpu``, ``cores``, ``torch_threads``, ``memory_gib``),
        ``versions`` of Python and of the installed libraries that matter, and ``created`` (UTC).
    """
    # Here, because reading result files must not take the seconds that torch needs to load.
    import torch

    installed = {distribution.name: distribution.version for distribution in metadata.distributions()}
    versions = {name: installed[name] for name in _VERSIONED if name in installed}
    hardware = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_gib": _memory_gib(),
    }
    return {
        **_checkout(),
        "hardware": hardware,
        "versions": {"python": platform.python_version(), **versions},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def checkout_folder() -> Path | None:
    """The top folder of the git checkout that this package runs from; None outside of one."""
    package = Path(__file__).resolve().parent
    top = _git(package, "rev-parse", "--show-toplevel")
    # An installed package may lie in an environment inside of some other checkout, whose commit says nothing.
    return Path(top) if top is not None and Path(top) / package.name == package else None


def _checkout() -> dict[str, Any]:
    top = checkout_folder()
    if top is None:
        return {"commit": None, "dirty": None}
    # Without the results, or the first one of a run would make the checkout dirty for the second.
    changes = _git(top, "status", "--porcelain", "--", ".", ":(exclude)benchmarks/results")
    return {"commit": _git(top, "rev-parse", "HEAD"), "dirty": None if changes is None else changes != ""}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or no checkout
    return run.stdout.strip()


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    named = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return named[1] if named else platform.processor()


def _memory_gib() -> float | None:
    if not hasattr(os, "sysconf"):
        return None  # Windows
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
