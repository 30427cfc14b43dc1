"""Which documents are encoded again before a step's rollouts are ranked.

The paper (arXiv 2510.07048) speaks of a selectively refreshed graph and does not say what is refreshed when;
:class:`Selective` is our reading of it. The others are what it has to be measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class RefreshState:
    """What a policy decides by.

    Attributes:
        step: Number of the step, from 0.
        positives: Rows that answer the batch's queries, each once.
        nearest: Rows now nearest to each rollout of the batch, shape (B, M), best first.
        encoded_at: Step at which each row was encoded, shape (N,).
        hits: How often each row was among the nearest so far, shape (N,).
        neighbours: Nearest documents of each document, shape (N, K), best first.
    """

    step: int
    positives: Rows
    nearest: Rows
    encoded_at: NDArray[np.int64]
    hits: NDArray[np.int64]
    neighbours: Rows


class RefreshPolicy(Protocol):
    """Chooses rows; documents that do not move are encoded by the weights of before and are never stale."""

    @property
    def documents_move(self) -> bool:
        """Whether the weights that are trained encode documents."""

    @property
    def ranks_in_batch(self) -> bool:
        """Whether the batch's positives are all that is ranked."""

    def rows(self, state: RefreshState) -> Rows:
        """Rows to encode again, each once."""


@dataclass(frozen=True)
class Frozen:
    """Documents keep the weights that training started from: only queries learn."""

    documents_move: bool = False
    ranks_in_batch: bool = False

    def rows(self, state: RefreshState) -> Rows:
        """No row is ever stale."""
        del state
        return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class NoRefresh:
    """Documents move, and their rows are never encoded again: how bad it gets."""

    documents_move: bool = True
    ranks_in_batch: bool = False

    def rows(self, state: RefreshState) -> Rows:
        """None, whatever happens."""
        del state
        return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Full:
    """Every row, every so many steps, as ANCE (arXiv 2007.00808).

    Attributes:
        every: Steps between two refreshes; 1 keeps every row exact.
    """

    every: int = 1
    documents_move: bool = True
    ranks_in_batch: bool = False

    def rows(self, state: RefreshState) -> Rows:
        """All of them or none."""
        due = state.step % self.every == 0
        return np.arange(len(state.encoded_at) if due else 0, dtype=np.int64)


@dataclass(frozen=True)
class InBatch:
    """The batch's positives, and nothing else is ranked, as in LREM (arXiv 2510.14321)."""

    documents_move: bool = True
    ranks_in_batch: bool = True

    def rows(self, state: RefreshState) -> Rows:
        """What is ranked."""
        return state.positives


@dataclass(frozen=True)
class Selective:
    """What can change a reward: the positives, what is near to them, and what the rollouts found.

    Attributes:
        neighbours: Neighbours of each positive in the graph.
        top: Nearest rows of each rollout.
        background: Other rows, those first that are stalest times most often hit.
        fresh_for: A row encoded less than so many steps ago is left as it is, in the background too.
    """

    neighbours: int = 8
    top: int = 10
    background: int = 16
    fresh_for: int = 4
    documents_move: bool = True
    ranks_in_batch: bool = False

    def rows(self, state: RefreshState) -> Rows:
        """The chosen rows in ascending order."""
        near = state.neighbours[state.positives, : self.neighbours].ravel()
        top = state.nearest[:, : self.top].ravel()
        chosen: Rows = np.unique(np.concatenate([state.positives, near, top[top >= 0]]))
        age = state.step - state.encoded_at
        chosen = chosen[age[chosen] >= self.fresh_for]
        if not self.background:
            return chosen
        priority = age * (1 + state.hits)
        priority[chosen] = 0
        priority[age < self.fresh_for] = 0
        stalest: Rows = np.argsort(-priority, kind="stable")[: self.background]
        both: Rows = np.union1d(chosen, stalest[priority[stalest] > 0])
        return both
