"""The embeddings of a corpus, overwritten in part, each with the step at which it was encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from search_r3.errors import InvalidInputError
from search_r3.rl.rewards import Ranking

DocumentIndices = NDArray[np.int64]
"""Documents, named by their index in the corpus, from 0 to N - 1."""

_QUERIES_AT_ONCE = 16


class DocumentEmbeddings:
    """The unit vectors of N documents.

    Up to ``exact_up_to`` documents everything is exact. Above, top documents come from an inverted file (IVF)
    over the same embeddings, and a rank beyond ``depth`` is only known to be beyond it.

    Args:
        embeddings: Shape (N, D), unit vectors; copied.
        step: The step of the weights that made them.
        exact_up_to: Largest corpus that is searched exactly.
        probes: Lists of the inverted file that a search reads.
        depth: Largest rank that an inverted file gives.

    Raises:
        InvalidInputError: There is no embedding, or a value is not finite.
    """

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        step: int = 0,
        *,
        exact_up_to: int = 1_000_000,
        probes: int = 16,
        depth: int = 1000,
    ) -> None:
        self._embeddings = _checked(embeddings).copy()
        self.encoded_at: NDArray[np.int64] = np.full(len(embeddings), step, dtype=np.int64)
        """The step at which each document was encoded, shape (N,)."""
        self._depth = depth
        self._inverted_file: Any = None
        if len(embeddings) > exact_up_to:
            dimension = embeddings.shape[1]
            lists = max(1, int(4 * np.sqrt(len(embeddings))))
            self._inverted_file = faiss.IndexIVFFlat(
                faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT
            )
            self._inverted_file.train(self._embeddings)
            self._inverted_file.add(self._embeddings)
            self._inverted_file.make_direct_map()
            self._inverted_file.nprobe = min(probes, lists)

    def __len__(self) -> int:
        return len(self._embeddings)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """All embeddings, shape (N, D); read only."""
        view = self._embeddings.view()
        view.flags.writeable = False
        return view

    def overwrite(self, indices: DocumentIndices, embeddings: NDArray[np.float32], step: int) -> None:
        """Replace the embeddings of some documents, and leave every other one as it is.

        Args:
            indices: The documents, shape (R,), each once.
            embeddings: Shape (R, D).
            step: The step of the weights that made them.

        Raises:
            InvalidInputError: A document is named twice or does not exist, or the embeddings do not fit.
        """
        is_unique = len(np.unique(indices)) == len(indices)
        if not is_unique or (len(indices) and not 0 <= indices.min() <= indices.max() < len(self)):
            raise InvalidInputError(
                f"got the documents {indices.tolist()}, wanted different ones from 0 to {len(self) - 1}"
            )
        if embeddings.shape != (len(indices), self._embeddings.shape[1]):
            raise InvalidInputError(
                f"got embeddings of shape {embeddings.shape}, wanted "
                f"{(len(indices), self._embeddings.shape[1])}"
            )
        if not len(indices):
            return
        self._embeddings[indices] = _checked(embeddings)
        self.encoded_at[indices] = step
        if self._inverted_file is not None:
            self._inverted_file.update_vectors(np.ascontiguousarray(indices), self._embeddings[indices])

    def search(self, queries: NDArray[np.float32], k: int) -> DocumentIndices:
        """Find the k nearest documents of each query, best first.

        Returns:
            Shape (B, min(k, N)); -1 where an inverted file found fewer.
        """
        k = min(k, len(self))
        if self._inverted_file is not None:
            return np.asarray(self._inverted_file.search(np.ascontiguousarray(queries), k)[1], dtype=np.int64)
        found = faiss.knn(
            np.ascontiguousarray(queries), self._embeddings, k, metric=faiss.METRIC_INNER_PRODUCT
        )
        return np.asarray(found[1], dtype=np.int64)

    def rankings(
        self,
        queries: NDArray[np.float32],
        relevant: list[dict[int, float]],
        among: DocumentIndices | None = None,
        left_out: Sequence[int | None] | None = None,
    ) -> list[Ranking]:
        """Rank the relevant documents of every query.

        Args:
            queries: Embeddings, shape (B, D).
            relevant: For each, grades above 0 by the document's index.
            among: The documents that are ranked, relevant ones among them; None ranks all.
            left_out: For each query, a document that is not ranked and not relevant; None ranks all.

        Raises:
            InvalidInputError: There is not one judgement for each query, or a query has no relevant document
                among those that are ranked.
        """
        if len(queries) != len(relevant):
            raise InvalidInputError(
                f"got {len(queries)} queries and {len(relevant)} judgements, wanted one each"
            )
        _checked(queries)
        out = list(left_out or [None] * len(queries))
        if among is None and self._inverted_file is not None:
            return [self._rank_nearest(*each) for each in zip(queries, relevant, out, strict=True)]
        judged = relevant
        if among is not None:
            judged = [_renumbered(one, among) for one in relevant]
            index_in = {document: index for index, document in enumerate(among.tolist())}
            out = [None if document is None else index_in.get(document) for document in out]
        documents = self._embeddings if among is None else self._embeddings[among]
        rankings: list[Ranking] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            some = slice(start, start + _QUERIES_AT_ONCE)
            rankings += map(_rank, queries[some] @ documents.T, judged[some], out[some])
        return rankings

    def _rank_nearest(
        self, query: NDArray[np.float32], grades: dict[int, float], left_out: int | None
    ) -> Ranking:
        """Rank among the nearest documents and the relevant ones: what is beyond the depth stays there."""
        nearest = self.search(query[None], self._depth)[0]
        candidates = np.union1d(nearest[nearest >= 0], np.array(sorted(grades), dtype=np.int64))
        candidates = candidates[candidates != (-1 if left_out is None else left_out)]
        ranking = _rank(self._embeddings[candidates] @ query, _renumbered(grades, candidates))
        documents = len(self) - (left_out is not None)
        return Ranking(
            ranking.ranks, ranking.grades, ranking.similarities, ranking.best_other, documents=documents
        )


def _renumbered(grades: dict[int, float], documents: DocumentIndices) -> dict[int, float]:
    """Grades by the index in ``documents``; those of other documents are left out."""
    index_in = {document: index for index, document in enumerate(documents.tolist())}
    return {index_in[document]: grade for document, grade in grades.items() if document in index_in}


def _rank(
    similarities: NDArray[np.float32], grades: dict[int, float], left_out: int | None = None
) -> Ranking:
    if not grades:
        raise InvalidInputError("got a query without a relevant document among those that are ranked")
    if left_out is not None:
        similarities[left_out] = -np.inf
    relevant = np.array(sorted(grades), dtype=np.int64)
    own = similarities[relevant]
    # Whatever is as similar counts as before it; the document itself makes the 1 that ranks start with.
    ranks = (similarities[None] >= own[:, None]).sum(axis=1)
    others = np.delete(similarities, relevant)
    return Ranking(
        ranks=ranks.astype(np.int64),
        grades=np.array([grades[document] for document in relevant.tolist()], dtype=np.float64),
        similarities=own,
        best_other=float(others.max()) if len(others) else -np.inf,
        documents=len(similarities) - (left_out is not None),
    )


def _checked(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    if embeddings.ndim != 2 or not len(embeddings) or not np.isfinite(embeddings).all():
        raise InvalidInputError(
            f"got embeddings of shape {embeddings.shape}, wanted finite ones of shape (N, D), N at least 1"
        )
    return np.asarray(embeddings, dtype=np.float32)
