"""What a training set is: how its pairs are made, and under which licence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.parsed import Sources
from search_r3.data.thought_records import ThoughtRecord


@dataclass(frozen=True)
class TrainingSet:
    """How to make one set of pairs.

    Attributes:
        description: From what to what.
        licence: Licence of the texts.
        make: Makes the pairs, with the negatives that the source's structure gives.
        mined: Whether a sample of the pairs gets mined negatives, for want of such a structure.
        thoughts: Makes the thoughts that the set comes with, about its queries.
        unpinned: A file it is made of that has no pin; its hash is noted in the manifest.
    """

    description: str
    licence: str
    make: Callable[[Sources], list[TrainingPair]]
    mined: bool = False
    thoughts: Callable[[Sources], list[ThoughtRecord]] | None = None
    unpinned: Callable[[Sources], Path] | None = None
