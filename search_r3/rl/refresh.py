"""Policies: which documents are encoded again before a step's rollouts are ranked.

The paper (arXiv 2510.07048) speaks of a selectively refreshed graph and does not say what is refreshed when;
:class:`Selective` is our reading of it. The other policies are baselines for it.

A policy is a table of a run's file: its fields are the options. Documents are named by their index in the
corpus, from 0 to N - 1.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from search_r3.rl.document_embeddings import DocumentIndices
from search_r3.training.run_config import Section


@dataclass(frozen=True)
class RefreshState:
    """What a policy decides by.

    Attributes:
        step: Number of the step, from 0.
        positives: Documents that are relevant for the batch's queries, each once.
        nearest: Documents nearest to each rollout of the batch, shape (B, M), best first.
        encoded_at: Step at which each document was encoded, shape (N,).
        hits: How often each document was among the nearest so far, shape (N,).
        neighbours: Nearest documents of each document, shape (N, K), best first.
    """

    step: int
    positives: DocumentIndices
    nearest: DocumentIndices
    encoded_at: NDArray[np.int64]
    hits: NDArray[np.int64]
    neighbours: DocumentIndices


class RefreshPolicy(Section):
    """Chooses documents to encode again.

    Attributes:
        documents_move: Whether the weights that are trained encode documents. If not, the weights that
            training started from do, and no embedding is ever stale.
        ranks_in_batch: Whether only the batch's positives are ranked.
    """

    documents_move: ClassVar[bool] = True
    ranks_in_batch: ClassVar[bool] = False

    @abstractmethod
    def choose(self, state: RefreshState) -> DocumentIndices:
        """Choose the documents to encode again, each once, shape (R,)."""


class Frozen(RefreshPolicy):
    """Documents keep the weights that training started from: only queries learn."""

    policy: Literal["frozen"] = "frozen"
    documents_move: ClassVar[bool] = False

    def choose(self, state: RefreshState) -> DocumentIndices:
        """Choose none: no embedding is ever stale."""
        del state
        return np.empty(0, dtype=np.int64)


class NoRefresh(RefreshPolicy):
    """Documents move, and are never encoded again: the lower bound of quality and cost."""

    policy: Literal["none"] = "none"

    def choose(self, state: RefreshState) -> DocumentIndices:
        """Choose none, however stale the embeddings are."""
        del state
        return np.empty(0, dtype=np.int64)


class Full(RefreshPolicy):
    """Every document, every so many steps, as ANCE (arXiv 2007.00808).

    Attributes:
        every: Steps between two refreshes; 1 keeps every embedding exact.
    """

    policy: Literal["full"] = "full"
    every: int = Field(default=1, ge=1)

    def choose(self, state: RefreshState) -> DocumentIndices:
        """Choose all or none."""
        due = state.step % self.every == 0
        return np.arange(len(state.encoded_at) if due else 0, dtype=np.int64)


class InBatch(RefreshPolicy):
    """The batch's positives, and nothing else is ranked, as in LREM (arXiv 2510.14321)."""

    policy: Literal["in_batch"] = "in_batch"
    ranks_in_batch: ClassVar[bool] = True

    def choose(self, state: RefreshState) -> DocumentIndices:
        """Choose what is ranked."""
        return state.positives


class Selective(RefreshPolicy):
    """What can change a reward: the positives, their neighbours, and the nearest of the rollouts.

    Attributes:
        neighbours: Neighbours of each positive in the graph.
        top: Nearest documents of each rollout.
        background: Other documents, by staleness times number of hits, largest first.
        fresh_for: A document encoded less than so many steps ago is left as it is, in the background too.
    """

    policy: Literal["selective"] = "selective"
    neighbours: int = Field(default=8, ge=0)
    top: int = Field(default=10, ge=0)
    background: int = Field(default=16, ge=0)
    fresh_for: int = Field(default=4, ge=0)

    def choose(self, state: RefreshState) -> DocumentIndices:
        """Choose, in ascending order."""
        near = state.neighbours[state.positives, : self.neighbours].ravel()
        top = state.nearest[:, : self.top].ravel()
        chosen: DocumentIndices = np.unique(np.concatenate([state.positives, near, top[top >= 0]]))
        age = state.step - state.encoded_at
        chosen = chosen[age[chosen] >= self.fresh_for]
        if not self.background:
            return chosen
        priority = age * (1 + state.hits)
        priority[chosen] = 0
        priority[age < self.fresh_for] = 0
        stalest: DocumentIndices = np.argsort(-priority, kind="stable")[: self.background]
        both: DocumentIndices = np.union1d(chosen, stalest[priority[stalest] > 0])
        return both
