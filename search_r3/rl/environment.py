"""A corpus that answers rollouts with rankings while the weights that embed it move."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidInputError
from search_r3.rl.document_embeddings import DocumentRows
from search_r3.rl.drift import Drift, fit_rotation, measure_drift
from search_r3.rl.refresh import RefreshPolicy, RefreshState, Rows
from search_r3.rl.rewards import Ranking

_EXACT_GRAPH = 20_000
"""Most rows whose graph is exact: the work grows with their square."""

Encode = Callable[[list[str]], NDArray[np.float32]]
"""Embeds documents by the weights of the moment: texts to unit vectors, shape (N, D)."""

STATE = "environment.npz"
"""File of an environment's state, inside a checkpoint."""


@dataclass(frozen=True)
class EnvironmentOptions:
    """How an environment looks after its rows.

    Attributes:
        neighbours: Edges of each document in the graph; 0 builds none.
        nearest: Rows of each rollout that a policy may look at, and that count as hit.
        positives: Most rows of a query that count as its positives, best grades first.
        probe: Documents of the drift meter.
        probe_every: Steps between two measurements; 0 never measures.
        refresh_below: A full refresh follows when the probe's mean cosine is below; 0 never does that.
        corrects: Whether the rows that were not encoded again are turned along with those that were.
        seed: Decides the probe.
    """

    neighbours: int = 16
    nearest: int = 32
    positives: int = 8
    probe: int = 128
    probe_every: int = 20
    refresh_below: float = 0.0
    corrects: bool = False
    seed: int = 0


@dataclass(frozen=True)
class RefreshReport:
    """What a refresh did.

    Attributes:
        encoded: Documents encoded, those of the probe included.
        was_full: Whether every row was encoded again.
        drift: What the meter said before the refresh, if it was read.
    """

    encoded: int
    was_full: bool
    drift: Drift | None


class RetrievalEnvironment:
    """Ranks rollouts among all documents of a task, and keeps the documents' rows in step with the weights.

    A step is :meth:`refresh`, with the embeddings of the step's rollouts, then :meth:`rank`.

    Args:
        task: Corpus, queries and graded judgements, all of which can be found
            (:meth:`search_r3.data.retrieval_task.RetrievalTask.answerable`). The document with the id of a
            query is neither ranked nor learned from for that query.
        encode: Embeds documents by the weights of the moment.
        policy: Chooses what is encoded again.
        options: See there.
    """

    def __init__(
        self,
        task: RetrievalTask,
        encode: Encode,
        policy: RefreshPolicy,
        options: EnvironmentOptions | None = None,
    ) -> None:
        self.options = options or EnvironmentOptions()
        self.policy = policy
        self._encode = encode
        self._texts = list(task.corpus.values())
        row_of = {doc_id: row for row, doc_id in enumerate(task.corpus)}
        self._relevant = {
            query_id: {row_of[doc_id]: float(grade) for doc_id, grade in grades.items() if grade > 0}
            for query_id, grades in task.qrels.items()
        }
        self._same_id = {query_id: row_of[query_id] for query_id in task.queries if query_id in row_of}
        self.rows = DocumentRows(encode(self._texts))
        self.neighbours = neighbour_graph(self.rows.embeddings, self.options.neighbours)
        self._hits: NDArray[np.int64] = np.zeros(len(self.rows), dtype=np.int64)
        generator = np.random.default_rng(self.options.seed)
        size = min(self.options.probe, len(self.rows))
        self._probe: Rows = np.sort(generator.choice(len(self.rows), size, replace=False)).astype(np.int64)
        self.encoded_documents = len(self.rows)
        """Documents encoded so far, the first time included."""

    def refresh(self, query_ids: Sequence[str], embeddings: NDArray[np.float32], step: int) -> RefreshReport:
        """Encode again what the policy chooses for a batch of rollouts.

        Args:
            query_ids: Query of each rollout, B of them.
            embeddings: Their embeddings, shape (B, D).
            step: Number of the step.

        Raises:
            InvalidInputError: A query is not one of the task.
        """
        positives = self._positives(query_ids)
        nearest = self.rows.search(embeddings, self.options.nearest)
        np.add.at(self._hits, nearest[nearest >= 0], 1)
        drift, encoded, is_full = None, 0, False
        moves = self.policy.documents_move
        if moves and self.options.probe_every and step % self.options.probe_every == 0:
            fresh = self._encoded(self._probe)
            drift = measure_drift(self.rows.embeddings[self._probe], fresh, embeddings)
            encoded += len(self._probe)
            is_full = drift.cosine < self.options.refresh_below
        chosen = (
            np.arange(len(self.rows), dtype=np.int64)
            if is_full
            else self.policy.rows(
                RefreshState(step, positives, nearest, self.rows.encoded_at, self._hits, self.neighbours)
            )
        )
        encoded += len(chosen)
        self._overwrite(chosen, step)
        is_full = len(chosen) == len(self.rows)
        if is_full:
            self.neighbours = neighbour_graph(self.rows.embeddings, self.options.neighbours)
        self.encoded_documents += encoded
        return RefreshReport(encoded, is_full, drift)

    def rank(self, query_ids: Sequence[str], embeddings: NDArray[np.float32]) -> list[Ranking]:
        """Rank the relevant documents of each rollout's query among all rows, as they are.

        Raises:
            InvalidInputError: A query is not one of the task, or an embedding is not finite.
        """
        among = self._positives(query_ids) if self.policy.ranks_in_batch else None
        judged = [self._judged(query_id) for query_id in query_ids]
        left_out = [self._same_id.get(query_id) for query_id in query_ids]
        return self.rows.rankings(embeddings, judged, among, left_out)

    def contrast(
        self, query_ids: Sequence[str], embeddings: NDArray[np.float32], negatives: int
    ) -> tuple[Rows, Rows]:
        """Rows to learn from: the nearest answer of the best grade, and the nearest wrong ones.

        Returns:
            Shapes (B,) and (B, negatives); nothing relevant is among the wrong ones.
        """
        best = np.empty(len(query_ids), dtype=np.int64)
        for place, (query_id, embedding) in enumerate(zip(query_ids, embeddings, strict=True)):
            judged = self._judged(query_id)
            top = [row for row, grade in judged.items() if grade == max(judged.values())]
            best[place] = top[int(np.argmax(self.rows.embeddings[top] @ embedding))]
        wrong = np.empty((len(query_ids), negatives), dtype=np.int64)
        most = max(len(self._not_wrong(query_id)) for query_id in query_ids)
        found = self.rows.search(embeddings, negatives + most)
        for place, (query_id, near) in enumerate(zip(query_ids, found, strict=True)):
            others = near[(near >= 0) & ~np.isin(near, self._not_wrong(query_id))]
            if len(others) < negatives:
                raise InvalidInputError(
                    f"got a corpus with {len(others)} documents that do not answer {query_id!r}, wanted "
                    f"{negatives} negatives"
                )
            wrong[place] = others[:negatives]
        return best, wrong

    def is_relevant(self, query_ids: Sequence[str], rows: Rows) -> NDArray[np.bool_]:
        """Whether each of R rows answers each of B queries or has its id, shape (B, R)."""
        return np.array([np.isin(rows, self._not_wrong(query_id)) for query_id in query_ids])

    def encode_all(self) -> NDArray[np.float32]:
        """Every document by the weights of the moment, shape (N, D); the rows stay as they are."""
        return self._encode(self._texts)

    def save(self, folder: Path) -> None:
        """Write rows, their steps, the graph and the counts, atomically, into one file of ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{STATE}.part"
        with part.open("wb") as stream:
            np.savez(
                stream,
                embeddings=self.rows.embeddings,
                encoded_at=self.rows.encoded_at,
                hits=self._hits,
                neighbours=self.neighbours,
                probe=self._probe,
                counts=np.array(json.dumps({"encoded_documents": self.encoded_documents})),
            )
        part.replace(folder / STATE)

    def load(self, folder: Path) -> None:
        """Restore what :meth:`save` wrote, exactly.

        Raises:
            DataError: There is no such file, or it is of another corpus.
        """
        path = folder / STATE
        try:
            with np.load(path) as found:
                state = {name: found[name] for name in found.files}
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"Cannot read {path}: {error}.") from None
        if state["embeddings"].shape != self.rows.embeddings.shape:
            raise DataError(
                f"{path} has rows of shape {state['embeddings'].shape}, this corpus "
                f"{self.rows.embeddings.shape}: it is of another run."
            )
        self.rows = DocumentRows(state["embeddings"])
        self.rows.encoded_at[:] = state["encoded_at"]
        self._hits, self.neighbours, self._probe = state["hits"], state["neighbours"], state["probe"]
        self.encoded_documents = json.loads(str(state["counts"]))["encoded_documents"]

    def _overwrite(self, chosen: Rows, step: int) -> None:
        if not len(chosen):
            return
        before = self.rows.embeddings[chosen].copy()
        fresh = self._encoded(chosen)
        if self.options.corrects and len(chosen) < len(self.rows):
            others = np.setdiff1d(np.arange(len(self.rows), dtype=np.int64), chosen)
            self.rows.turn(fit_rotation(before, fresh), others)
        self.rows.overwrite(chosen, fresh, step)

    def _encoded(self, rows: Rows) -> NDArray[np.float32]:
        return self._encode([self._texts[row] for row in rows.tolist()])

    def _judged(self, query_id: str) -> dict[int, float]:
        try:
            return self._relevant[query_id]
        except KeyError:
            raise InvalidInputError(
                f"got the query {query_id!r}, which this environment does not have"
            ) from None

    def _not_wrong(self, query_id: str) -> list[int]:
        """Rows that are no wrong answer to a query: the relevant ones, and that of the document of its id."""
        same = self._same_id.get(query_id)
        return [*self._judged(query_id), *([] if same is None else [same])]

    def _best(self, query_id: str) -> list[int]:
        judged = self._judged(query_id)
        return sorted(judged, key=lambda row: (-judged[row], row))[: self.options.positives]

    def _positives(self, query_ids: Sequence[str]) -> Rows:
        found = {row for query_id in set(query_ids) for row in self._best(query_id)}
        return np.array(sorted(found), dtype=np.int64)


def neighbour_graph(embeddings: NDArray[np.float32], neighbours: int) -> Rows:
    """The nearest other rows of each row, best first, shape (N, min(neighbours, N - 1)).

    Exact up to 20,000 rows; above, neighbours come from an inverted file, and a row that has fewer there is
    filled up with its last one.
    """
    k = min(neighbours, len(embeddings) - 1)
    if k < 1:
        return np.empty((len(embeddings), 0), dtype=np.int64)
    if len(embeddings) <= _EXACT_GRAPH:
        found = faiss.knn(embeddings, embeddings, k + 1, metric=faiss.METRIC_INNER_PRODUCT)[1]
    else:
        found = DocumentRows(embeddings, exact_up_to=_EXACT_GRAPH).search(embeddings, k + 1)
    graph = np.empty((len(embeddings), k), dtype=np.int64)
    for row, near in enumerate(found):
        others = near[(near != row) & (near >= 0)][:k]  # a twin may stand before the row itself
        last = others[-1] if len(others) else row
        graph[row] = np.concatenate([others, np.full(k - len(others), last)])
    return graph
