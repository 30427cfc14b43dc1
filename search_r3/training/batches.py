"""Batches of one source each, bounded in padded tokens, of texts about equally long."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sentence_transformers.base.sampler import DefaultBatchSampler

_BUCKET_BATCHES = 16
"""Examples are sorted by length within buckets of so many batches: long enough to save padding, short enough
that the batches of an epoch differ from those of the next."""


@dataclass(frozen=True)
class ExampleShape:
    """What a batch must know of an example.

    Attributes:
        group: Examples of different groups never share a batch.
        query_tokens: Length of the query's sequence, its thought included.
        document_tokens: Lengths of the documents' sequences, the positive first.
        keys: No two examples of a batch share a key: a duplicate would be a false negative.
        negatives: Keys of the hard negatives; none is a key of another example of the batch, whose answer
            would count as wrong for itself too.
        thought_tokens: Length of the thought.
    """

    group: str
    query_tokens: int
    document_tokens: tuple[int, ...]
    keys: frozenset[str]
    negatives: frozenset[str] = frozenset()
    thought_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of all its sequences."""
        return self.query_tokens + sum(self.document_tokens)


class TokenBudgetBatchSampler(DefaultBatchSampler):
    """Yields lists of example indices, the same ones for the same (seed, epoch).

    With several processes, every process gets a batch of the same number of examples of the same group at
    the same step, because in-batch negatives are gathered across processes.

    Args:
        shapes: One per example.
        batch_tokens: Most tokens of a process's batch, padding included. An example too long to be with
            another is left out: alone it has no in-batch negatives.
        batch_rows: Most examples of a process's batch.
        processes: Number of processes.
        seed: Seed of the order.
    """

    def __init__(
        self,
        shapes: Sequence[ExampleShape],
        *,
        batch_tokens: int,
        batch_rows: int,
        processes: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(range(len(shapes)), batch_size=batch_rows, drop_last=True, seed=seed)
        # accelerate deals batches out to processes, and would throw away all that do not have this size.
        self.batch_size = None  # type: ignore[assignment]
        self._batch_rows = batch_rows
        self._shapes = shapes
        self._batch_tokens = batch_tokens
        self._processes = processes
        self._epochs: dict[int, list[list[int]]] = {}

    def __len__(self) -> int:
        return len(self._batches())

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._batches()

    def _batches(self) -> list[list[int]]:
        if self.epoch not in self._epochs:
            self._epochs = {self.epoch: self._made(random.Random(f"{self.seed} {self.epoch}"))}
        return self._epochs[self.epoch]

    def _made(self, generator: random.Random) -> list[list[int]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for index, shape in enumerate(self._shapes):
            groups[shape.group].append(index)
        together: list[list[int]] = []
        for name in sorted(groups):
            order = groups[name]
            generator.shuffle(order)
            bucket = _BUCKET_BATCHES * self._batch_rows * self._processes
            for start in range(0, len(order), bucket):
                # By the query's length first: the documents are sorted again when they are embedded.
                near = sorted(order[start : start + bucket], key=self._length)
                together += self._cut(near)
        generator.shuffle(together)
        return [part for rows in together for part in self._split(rows)]

    def _length(self, index: int) -> tuple[int, int]:
        # Without the thought, or those that think and those that do not would be in batches of their own.
        shape = self._shapes[index]
        return shape.query_tokens - shape.thought_tokens, shape.tokens - shape.thought_tokens

    def _cut(self, indices: list[int]) -> list[list[int]]:
        """Cut a sorted row of examples into batches for all processes; what no batch can take is left out."""
        batches: list[list[int]] = []
        while len(indices) >= 2 * self._processes:
            batch: list[int] = []
            left: list[int] = []
            keys: set[str] = set()
            negatives: set[str] = set()
            is_full = False
            for index in indices:
                shape = self._shapes[index]
                if (
                    is_full
                    or not keys.isdisjoint(shape.keys | shape.negatives)
                    or not negatives.isdisjoint(shape.keys)
                ):
                    left.append(index)
                elif batch and not self._fits([*batch, index]):
                    is_full = True  # the next ones are most likely longer still
                    left.append(index)
                else:
                    batch.append(index)
                    keys |= shape.keys
                    negatives |= shape.negatives
            whole = len(batch) - len(batch) % self._processes
            if whole >= 2 * self._processes:  # an example alone has no in-batch negatives
                batches.append(batch[:whole])
                left = batch[whole:] + left
            indices = left
        return batches

    def _fits(self, indices: list[int]) -> bool:
        rows = -(-len(indices) // self._processes)
        shapes = [self._shapes[index] for index in indices]
        columns = [
            [shape.query_tokens for shape in shapes],
            *zip(*(shape.document_tokens for shape in shapes), strict=True),
        ]
        return (
            rows <= self._batch_rows and rows * sum(max(column) for column in columns) <= self._batch_tokens
        )

    def _split(self, rows: list[int]) -> list[list[int]]:
        """Deal a batch out to the processes, the short and the long ones evenly."""
        return [rows[process :: self._processes] for process in range(self._processes)]
