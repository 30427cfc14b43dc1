"""What `search-r3 doctor` looks at: versions, the speed of each dtype and thread count, golden vectors."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from importlib import metadata

import torch
from packaging.requirements import Requirement


@dataclass(frozen=True)
class Dependency:
    """An installed (or missing) package that this one depends on.

    Attributes:
        name: Distribution name.
        wanted: Version specifier from our own metadata.
        installed: Installed version, None if there is none.
        optional: Whether only an extra needs it.
    """

    name: str
    wanted: str
    installed: str | None
    optional: bool

    @property
    def fits(self) -> bool:
        """Whether the installed version satisfies the specifier (a missing optional package does)."""
        if self.installed is None:
            return self.optional
        return Requirement(f"{self.name}{self.wanted}").specifier.contains(self.installed, prereleases=True)


@dataclass(frozen=True)
class Speed:
    """Milliseconds of one layer-sized matrix product (median of 5) in a dtype with a number of threads."""

    dtype: str
    threads: int
    milliseconds: float


def dependencies() -> list[Dependency]:
    """Every dependency of this distribution, each once, required ones first."""
    found = set()
    for line in metadata.requires("search-r3") or []:
        requirement = Requirement(line)
        if requirement.name == "search-r3":
            continue  # an extra that takes in others
        try:
            installed: str | None = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            installed = None
        optional = requirement.marker is not None and "extra" in str(requirement.marker)
        found.add(Dependency(requirement.name, str(requirement.specifier), installed, optional))
    return sorted(found, key=lambda package: (package.optional, package.name))


def speeds(hidden_size: int, intermediate_size: int) -> list[Speed]:
    """Time the model's own feed-forward shape in float32 and bfloat16, with one thread and with all.

    The thread count of the process is restored afterwards.
    """
    before = torch.get_num_threads()
    # macOS and Windows cannot tell which processors a process may use.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = []
    try:
        for threads in sorted({1, usable}):
            torch.set_num_threads(threads)
            for dtype in (torch.float32, torch.bfloat16):
                left = torch.randn(512, hidden_size).to(dtype)
                right = torch.randn(hidden_size, intermediate_size).to(dtype)
                times = []
                for _ in range(6):
                    start = time.perf_counter()
                    for _ in range(4):
                        left @ right
                    times.append((time.perf_counter() - start) * 250)
                found.append(Speed(str(dtype).removeprefix("torch."), threads, statistics.median(times[1:])))
    finally:
        torch.set_num_threads(before)
    return found
