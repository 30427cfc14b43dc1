"""A corpus that answers rollouts with rankings while the weights that embed it move."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidInputError
from search_r3.files import atomic_path
from search_r3.rl.document_embeddings import DocumentEmbeddings, DocumentIndices
from search_r3.rl.drift import Drift, measure_drift
from search_r3.rl.refresh import RefreshPolicy, RefreshState
from search_r3.rl.rewards import Ranking
from search_r3.training.run_config import Section

_EXACT_GRAPH = 20_000
"""Most documents whose graph is exact: the work grows with the square of their number."""

Encode = Callable[[list[str]], NDArray[np.float32]]
"""Embeds documents by the weights of the moment: texts to unit vectors, shape (N, D)."""

STATE = "environment.npz"
"""File of an environment's state, inside a checkpoint."""


class EnvironmentOptions(Section):
    """How an environment keeps its document embeddings up to date.

    Attributes:
        neighbours: Edges of each document in the graph; 0 builds none.
        nearest: Nearest documents of each rollout that a policy gets, and that count as hits.
        positives: Most documents of a query that a policy gets as its positives, best grades first.
        probe: Documents on which drift is measured.
        probe_every: Steps between two measurements; 0 never measures.
        refresh_below: Mean cosine of the probe below which everything is encoded again; 0 never does that.
    """

    neighbours: int = Field(default=16, ge=0)
    nearest: int = Field(default=32, ge=1)
    positives: int = Field(default=8, ge=1)
    probe: int = Field(default=128, ge=10)
    probe_every: int = Field(default=20, ge=0)
    refresh_below: float = Field(default=0.0, ge=0, le=1)


@dataclass(frozen=True)
class RefreshReport:
    """What a refresh did.

    Attributes:
        encoded: Documents encoded, those of the probe included.
        was_full: Whether every document was encoded again.
        drift: The drift before the refresh; None if it was not measured.
    """

    encoded: int
    was_full: bool
    drift: Drift | None


class RetrievalEnvironment:
    """Ranks rollouts among all documents of a task, and keeps their embeddings in step with the weights.

    A step is :meth:`refresh`, with the embeddings of the step's rollouts, then :meth:`rank`.

    Args:
        task: Corpus, queries and graded judgements, all of which can be found
            (:meth:`search_r3.data.retrieval_task.RetrievalTask.answerable`). The document with the id of a
            query is neither ranked nor learned from for that query.
        encode: Embeds documents by the weights of the moment.
        policy: Chooses what is encoded again.
        options: How the embeddings are kept up to date; the defaults if None.
        seed: Decides the probe.
    """

    def __init__(
        self,
        task: RetrievalTask,
        encode: Encode,
        policy: RefreshPolicy,
        options: EnvironmentOptions | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.options = options or EnvironmentOptions()
        self.policy = policy
        self._encode = encode
        self._texts = list(task.corpus.values())
        index_of = {doc_id: index for index, doc_id in enumerate(task.corpus)}
        self._relevant = {
            query_id: {index_of[doc_id]: float(grade) for doc_id, grade in grades.items() if grade > 0}
            for query_id, grades in task.qrels.items()
        }
        self._same_id = {query_id: index_of[query_id] for query_id in task.queries if query_id in index_of}
        self.documents = DocumentEmbeddings(encode(self._texts))
        self.neighbours = neighbour_graph(self.documents.embeddings, self.options.neighbours)
        count = len(self.documents)
        self._hits: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        chosen = np.random.default_rng(seed).choice(count, min(self.options.probe, count), replace=False)
        self._probe: DocumentIndices = np.sort(chosen).astype(np.int64)
        self.encoded_documents = count
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
        nearest = self.documents.search(embeddings, self.options.nearest)
        np.add.at(self._hits, nearest[nearest >= 0], 1)
        drift, encoded, is_full = None, 0, False
        moves = self.policy.documents_move
        if moves and self.options.probe_every and step % self.options.probe_every == 0:
            fresh = self._encoded(self._probe)
            drift = measure_drift(self.documents.embeddings[self._probe], fresh, embeddings)
            encoded += len(self._probe)
            is_full = drift.cosine < self.options.refresh_below
        chosen: DocumentIndices = np.arange(len(self.documents), dtype=np.int64)
        if not is_full:
            encoded_at = self.documents.encoded_at
            chosen = self.policy.choose(
                RefreshState(step, positives, nearest, encoded_at, self._hits, self.neighbours)
            )
        encoded += len(chosen)
        if len(chosen):
            self.documents.overwrite(chosen, self._encoded(chosen), step)
        is_full = len(chosen) == len(self.documents)
        if is_full:
            self.neighbours = neighbour_graph(self.documents.embeddings, self.options.neighbours)
        self.encoded_documents += encoded
        return RefreshReport(encoded, is_full, drift)

    def rank(self, query_ids: Sequence[str], embeddings: NDArray[np.float32]) -> list[Ranking]:
        """Rank the relevant documents of each rollout's query among all embeddings, as they are.

        Raises:
            InvalidInputError: A query is not one of the task, or an embedding is not finite.
        """
        among = self._positives(query_ids) if self.policy.ranks_in_batch else None
        judged = [self._judged(query_id) for query_id in query_ids]
        left_out = [self._same_id.get(query_id) for query_id in query_ids]
        return self.documents.rankings(embeddings, judged, among, left_out)

    def contrast(
        self, query_ids: Sequence[str], embeddings: NDArray[np.float32], negatives: int
    ) -> tuple[DocumentIndices, DocumentIndices]:
        """Choose documents to learn from: the nearest positive of the best grade, and hard negatives.

        Returns:
            Shapes (B,) and (B, negatives). The negatives are the nearest documents that are not relevant.

        Raises:
            InvalidInputError: A query is not one of the task, or the corpus has too few negatives for it.
        """
        best = np.empty(len(query_ids), dtype=np.int64)
        for index, (query_id, embedding) in enumerate(zip(query_ids, embeddings, strict=True)):
            judged = self._judged(query_id)
            top = [document for document, grade in judged.items() if grade == max(judged.values())]
            best[index] = top[int(np.argmax(self.documents.embeddings[top] @ embedding))]
        wrong = np.empty((len(query_ids), negatives), dtype=np.int64)
        most = max(len(self._not_wrong(query_id)) for query_id in query_ids)
        found = self.documents.search(embeddings, negatives + most)
        for index, (query_id, near) in enumerate(zip(query_ids, found, strict=True)):
            others = near[(near >= 0) & ~np.isin(near, self._not_wrong(query_id))]
            if len(others) < negatives:
                raise InvalidInputError(
                    f"got a corpus with {len(others)} documents that do not answer {query_id!r}, wanted "
                    f"{negatives} negatives"
                )
            wrong[index] = others[:negatives]
        return best, wrong

    def is_relevant(self, query_ids: Sequence[str], documents: DocumentIndices) -> NDArray[np.bool_]:
        """Whether each of R documents is relevant for each of B queries or has its id, shape (B, R)."""
        return np.array([np.isin(documents, self._not_wrong(query_id)) for query_id in query_ids])

    def encode_all(self) -> NDArray[np.float32]:
        """Encode every document by the weights of the moment, shape (N, D); what is kept stays as it is."""
        return self._encode(self._texts)

    def save(self, folder: Path) -> None:
        """Write embeddings, steps, graph and counts into one file of ``folder``, whole or not at all."""
        with atomic_path(folder / STATE) as part:
            np.savez(
                part,
                embeddings=self.documents.embeddings,
                encoded_at=self.documents.encoded_at,
                hits=self._hits,
                neighbours=self.neighbours,
                probe=self._probe,
                counts=np.array(json.dumps({"encoded_documents": self.encoded_documents})),
            )

    def load(self, folder: Path) -> None:
        """Restore what :meth:`save` wrote, exactly.

        Raises:
            DataError: There is no such file, or it is of another corpus.
        """
        path = folder / STATE
        try:
            with np.load(path) as found:
                state = {name: found[name] for name in found.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"Cannot read {path}: {error}.") from None
        if state["embeddings"].shape != self.documents.embeddings.shape:
            raise DataError(
                f"{path} has embeddings of shape {state['embeddings'].shape}, this corpus "
                f"{self.documents.embeddings.shape}: it is of another run."
            )
        self.documents = DocumentEmbeddings(state["embeddings"])
        self.documents.encoded_at[:] = state["encoded_at"]
        self._hits, self.neighbours, self._probe = state["hits"], state["neighbours"], state["probe"]
        self.encoded_documents = json.loads(str(state["counts"]))["encoded_documents"]

    def _encoded(self, documents: DocumentIndices) -> NDArray[np.float32]:
        return self._encode([self._texts[index] for index in documents.tolist()])

    def _judged(self, query_id: str) -> dict[int, float]:
        try:
            return self._relevant[query_id]
        except KeyError:
            raise InvalidInputError(
                f"got the query {query_id!r}, which this environment does not have"
            ) from None

    def _not_wrong(self, query_id: str) -> list[int]:
        """Documents that are no negatives of a query: the relevant ones, and the one that has its id."""
        same = self._same_id.get(query_id)
        return [*self._judged(query_id), *([] if same is None else [same])]

    def _best(self, query_id: str) -> list[int]:
        judged = self._judged(query_id)
        return sorted(judged, key=lambda index: (-judged[index], index))[: self.options.positives]

    def _positives(self, query_ids: Sequence[str]) -> DocumentIndices:
        found = {index for query_id in set(query_ids) for index in self._best(query_id)}
        return np.array(sorted(found), dtype=np.int64)


def neighbour_graph(embeddings: NDArray[np.float32], neighbours: int) -> DocumentIndices:
    """Find the nearest other documents of each document, best first, shape (N, min(neighbours, N - 1)).

    Exact up to 20,000 documents. Above, neighbours come from an inverted file (IVF); where it finds
    fewer, the last one is repeated.
    """
    k = min(neighbours, len(embeddings) - 1)
    if k < 1:
        return np.empty((len(embeddings), 0), dtype=np.int64)
    if len(embeddings) <= _EXACT_GRAPH:
        found = faiss.knn(embeddings, embeddings, k + 1, metric=faiss.METRIC_INNER_PRODUCT)[1]
    else:
        found = DocumentEmbeddings(embeddings, exact_up_to=_EXACT_GRAPH).search(embeddings, k + 1)
    graph = np.empty((len(embeddings), k), dtype=np.int64)
    for index, near in enumerate(found):
        others = near[(near != index) & (near >= 0)][
            :k
        ]  # an equal document may rank before the document itself
        last = others[-1] if len(others) else index
        graph[index] = np.concatenate([others, np.full(k - len(others), last)])
    return graph
