"""Rivals of thinking in two steps: what a second search gains without a thought.

Each starts from the first pass that it is given. The passage-appended search follows multi-hop dense
retrieval (arXiv 2009.12756), without its training. Rocchio's feedback (1971) and the soft centroid move the
query's vector towards the documents found, and search anew without joining. The mention bonus lifts documents
whose title stands in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search_r3.data.sources.bridges import mentions
from search_r3.model.thoughts import Thought
from search_r3.retrieval.bm25 import BM25Index
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.steps import RANK_CONSTANT, SEARCH_DEPTH, Joining, Retriever, StepSearch, join_steps

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""Embeds queries: unit vectors, shape (Q, D)."""

Hits = list[list[CorpusHit]]
"""For each query the documents found, best first."""

PASSAGE_WORDS = 60
"""Words of a passage that are appended to a query: about as many as a model reads as evidence."""

_NOTHING = Thought("", (), "skipped")


class BM25Retriever:
    """BM25 as a retriever: the vectors are not looked at.

    Args:
        texts: Document texts by id.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)
        self._index = BM25Index(self._texts)

    def retrieve(self, queries: Sequence[str], vectors: Vectors, k: int) -> Hits:
        """See :class:`search_r3.retrieval.steps.Retriever`; those without a common word are left out."""
        found = self._index.search({str(number): query for number, query in enumerate(queries)}, k=k)
        return [
            [
                CorpusHit(doc_id, score, rank, self._texts[doc_id])
                for rank, (doc_id, score) in enumerate(scores.items(), start=1)
            ]
            for scores in found.values()
        ]


@dataclass(frozen=True)
class FirstPass:
    """What every second step starts from.

    Attributes:
        queries: Q texts.
        vectors: Their vectors without a thought, shape (Q, D).
        hits: What they found.
    """

    queries: list[str]
    vectors: Vectors
    hits: Hits


def first_pass(queries: Sequence[str], encode: Encode, retriever: Retriever) -> FirstPass:
    """Search once, without a thought."""
    vectors = encode(queries)
    return FirstPass(list(queries), vectors, retriever.retrieve(queries, vectors, SEARCH_DEPTH))


def passage_appended(
    first: FirstPass, encode: Encode, retriever: Retriever, read: int, joining: Joining = "best"
) -> Hits:
    """Search again with the query and each of the ``read`` best passages behind it, and join."""
    rows = [(query, hit) for query, hits in enumerate(first.hits) for hit in hits[:read]]
    texts = [f"{first.queries[query]} {' '.join(hit.text.split()[:PASSAGE_WORDS])}" for query, hit in rows]
    found = retriever.retrieve(texts, encode(texts), SEARCH_DEPTH) if texts else []
    second: list[list[StepSearch]] = [[] for _ in first.queries]
    for (query, hit), hits in zip(rows, found, strict=True):
        second[query].append(StepSearch((hit.doc_id,), _NOTHING, hits))
    return joined(first, second, joining)


def rocchio(
    first: FirstPass, documents: Mapping[str, Vectors], retriever: Retriever, read: int, weight: float
) -> Hits:
    """Search again with (query + weight * mean of the ``read`` best documents), of unit length."""
    means = [
        np.mean([documents[hit.doc_id] for hit in hits[:read]], axis=0) if hits else np.zeros_like(vector)
        for vector, hits in zip(first.vectors, first.hits, strict=True)
    ]
    return _moved(first, np.array(means), retriever, weight)


def soft_centroid(
    first: FirstPass,
    documents: Mapping[str, Vectors],
    retriever: Retriever,
    read: int,
    weight: float,
    temperature: float = 0.05,
) -> Hits:
    """As :func:`rocchio`, the documents weighted by the softmax of their cosines with the query."""
    means = []
    for vector, hits in zip(first.vectors, first.hits, strict=True):
        if not hits:
            means.append(np.zeros_like(vector))
            continue
        near = np.array([documents[hit.doc_id] for hit in hits[:read]])
        scores = near @ vector / temperature
        shares = np.exp(scores - scores.max())
        means.append((shares / shares.sum()) @ near)
    return _moved(first, np.array(means), retriever, weight)


def mention_bonus(first: FirstPass, titles: Mapping[str, str], read: int, bonus: float) -> Hits:
    """Lift documents whose title stands in another of the ``read`` best documents.

    Args:
        first: The first pass.
        titles: Document titles by id; "" mentions nothing.
        read: Documents in which titles are looked for.
        bonus: What is added to 1 / (60 + rank).
    """
    result = []
    for hits in first.hits:
        scores = {}
        for hit in hits:
            title = titles.get(hit.doc_id, "")
            mentioned = title and any(
                mentions(other.text, title) for other in hits[:read] if other.doc_id != hit.doc_id
            )
            scores[hit.doc_id] = 1 / (RANK_CONSTANT + hit.rank) + (bonus if mentioned else 0.0)
        best = sorted(hits, key=lambda hit: -scores[hit.doc_id])
        result.append(
            [replace(hit, score=scores[hit.doc_id], rank=rank) for rank, hit in enumerate(best, start=1)]
        )
    return result


def joined(first: FirstPass, second: Sequence[Sequence[StepSearch]], joining: Joining = "best") -> Hits:
    """Join the first pass with the searches of a second step, as a search in steps does."""
    return [
        join_steps([[StepSearch((), _NOTHING, hits)], searches], SEARCH_DEPTH, joining)
        for hits, searches in zip(first.hits, second, strict=True)
    ]


def _moved(first: FirstPass, towards: Vectors, retriever: Retriever, weight: float) -> Hits:
    vectors = first.vectors + weight * towards
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return retriever.retrieve(first.queries, vectors.astype(np.float32), SEARCH_DEPTH)
