"""Searching a corpus with texts: hits with their texts, the thoughts, the steps, what a thought changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from search_r3.arguments import as_integer
from search_r3.errors import InvalidOptionError
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thought_cache import ThoughtCache, encode_with
from search_r3.model.thoughts import Reasoning, Thought
from search_r3.retrieval.bm25 import BM25Index
from search_r3.retrieval.fusion import FUSION_DEPTH, hybrid_fusion
from search_r3.retrieval.hits import CorpusHit, SearchHit
from search_r3.retrieval.steps import Joining, StepSearch, search_in_steps
from search_r3.retrieval.stored_vectors import StoredVectors
from search_r3.retrieval.vector_index import VectorIndex


@dataclass(frozen=True)
class DirectView:
    """The same query without thinking.

    Attributes:
        cosine: Similarity of the vectors with and without the thought.
        ranks: Rank (from 1) that each hit of the thinking query has without thinking.
    """

    cosine: float
    ranks: list[int]


@dataclass(frozen=True)
class Explanation:
    """What one query found, and how.

    Attributes:
        thought: What was thought; of several steps the first thought of the last one.
        hits: The documents, best first.
        direct: The view without the thought, if it was asked for.
        steps: The searches of each step; none of a search in one step.
    """

    thought: Thought
    hits: list[CorpusHit]
    direct: DirectView | None = None
    steps: list[list[StepSearch]] = field(default_factory=list)


class SearchOptions(TypedDict, total=False):
    """How queries are searched for.

    Attributes:
        reasoning: ``always``, ``never`` or ``auto``; None means the model's default, and in several steps it
            means ``always``. ``auto`` lets the model stop: :func:`search_r3.retrieval.steps.search_in_steps`.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        batch_size: Queries per forward pass [32].
        hybrid: Join each ranking with BM25's, after which scores are no cosines [False].
        steps: Searches one after another: from the second on, the query reads what was found and thinks [1].
        read: Passages that a query reads in a step [3].
        together: Read them together and think once, instead of a thought for each [False].
        joining: How the steps are joined: by the ``best`` rank, by ``ranks`` or by ``scores`` [best].
        cache: Keeps thoughts, so that a query that comes again need not think [none].
    """

    reasoning: Reasoning | None
    max_reasoning_tokens: int | None
    batch_size: int
    hybrid: bool
    steps: int
    read: int
    together: bool
    joining: Joining
    cache: ThoughtCache | None


class IndexRetriever:
    """Finds the documents of a vector index, by their vectors or by these and BM25.

    Args:
        vectors: The documents' vectors.
        texts: Their texts by id; more than the documents of ``vectors`` do no harm.
        bm25: Joined with each ranking over the texts of the queries; None for the vectors alone.
    """

    def __init__(
        self, vectors: VectorIndex | StoredVectors, texts: Mapping[str, str], bm25: BM25Index | None = None
    ) -> None:
        self.vectors, self._texts, self._bm25 = vectors, texts, bm25

    @property
    def is_hybrid(self) -> bool:
        """Whether rankings are joined with BM25's."""
        return self._bm25 is not None

    def retrieve(self, queries: Sequence[str], vectors: NDArray[np.float32], k: int) -> list[list[CorpusHit]]:
        """Find the best ``k`` documents for each query; see :class:`search_r3.retrieval.steps.Retriever`."""
        depth = k if self._bm25 is None else max(k, FUSION_DEPTH)
        found = self.vectors.search(vectors, depth, fingerprint=self.vectors.fingerprint)
        if self._bm25 is not None:
            found = _fuse_with_bm25(self._bm25, queries, found, k)
        return [
            [CorpusHit(hit.doc_id, hit.score, hit.rank, self._texts[hit.doc_id]) for hit in row]
            for row in found
        ]


def search_corpus(
    model: SearchR3,
    retriever: IndexRetriever,
    queries: Sequence[str],
    k: int,
    *,
    explain: bool = False,
    reasoning: Reasoning | None = None,
    max_reasoning_tokens: int | None = None,
    batch_size: int = 32,
    steps: int = 1,
    read: int = 3,
    together: bool = False,
    joining: Joining = "best",
    cache: ThoughtCache | None = None,
    on_thought: Callable[[str], None] | None = None,
) -> list[Explanation]:
    """Search with the model that made the vectors.

    Args:
        model: Must be the model of the documents' vectors; the caller checks it.
        retriever: Finds the documents.
        queries: Q texts.
        k: Hits per query.
        explain: Compare each query with its own direct exit; not together with BM25 or several steps.
        reasoning: This and the other arguments: see :class:`SearchOptions`.
        max_reasoning_tokens: See there.
        batch_size: See there.
        steps: See there.
        read: See there.
        together: See there.
        joining: See there.
        cache: See there; it must be of this model.
        on_thought: Told a single query's thought so far after each of its tokens, in a search of one step.

    Raises:
        InvalidInputError: If a query cannot be embedded; the message gives its index.
        InvalidOptionError: If an option is not valid.
        ModelError: If the model does not think.
    """
    asked = as_integer(k, 1)
    if asked is None:
        raise InvalidOptionError(f"Got k={k!r}, wanted an integer of 1 or more.")
    if explain and (retriever.is_hybrid or steps != 1):
        raise InvalidOptionError(
            f"Got explain with hybrid={retriever.is_hybrid} and steps={steps}, wanted hybrid=False and "
            "steps=1: explain is about one ranking of the vectors alone."
        )
    if steps != 1:
        stepped = search_in_steps(
            model,
            retriever,
            queries,
            asked,
            steps=steps,
            read=read,
            together=together,
            joining=joining,
            reasoning=reasoning or "always",
            max_reasoning_tokens=max_reasoning_tokens,
            batch_size=batch_size,
            cache=cache,
        )
        return [Explanation(one.steps[-1][0].thought, one.hits, steps=one.steps) for one in stepped]
    listening = {} if on_thought is None else {"on_thought": on_thought}
    encoding = encode_with(cache, model)(
        queries,
        batch_size=batch_size,
        reasoning=reasoning,
        max_reasoning_tokens=max_reasoning_tokens,
        **listening,
    )
    hits = retriever.retrieve(queries, encoding.embeddings, asked)
    views = (
        _direct_views(model, retriever.vectors, queries, encoding, hits) if explain else [None] * len(queries)
    )
    return [Explanation(*parts) for parts in zip(encoding.thoughts, hits, views, strict=True)]


def _direct_views(
    model: SearchR3,
    vectors: VectorIndex | StoredVectors,
    queries: Sequence[str],
    encoding: QueryEncoding,
    found: Sequence[Sequence[SearchHit]],
) -> list[DirectView]:
    """Compare each encoded query, and the hits it found, with its own direct exit."""
    direct = model.encode_query(list(queries), reasoning="never", normalize_embeddings=True)
    ranks = vectors.ranks(direct, [[hit.doc_id for hit in hits] for hits in found])
    return [
        DirectView(float(with_thought @ without), row)
        for with_thought, without, row in zip(encoding.embeddings, direct, ranks, strict=True)
    ]


def _fuse_with_bm25(
    bm25: BM25Index, queries: Sequence[str], found: list[list[SearchHit]], k: int
) -> list[list[SearchHit]]:
    """Join the hits of every query with BM25's; a hit's score is then that of :func:`hybrid_fusion`."""
    numbers = [str(number) for number in range(len(queries))]
    dense = {
        number: {hit.doc_id: hit.score for hit in hits} for number, hits in zip(numbers, found, strict=True)
    }
    lexical = bm25.search(dict(zip(numbers, queries, strict=True)), k=max(k, FUSION_DEPTH))
    fused = hybrid_fusion(dense, lexical, k=k)
    return [
        [SearchHit(doc_id, score, rank) for rank, (doc_id, score) in enumerate(fused[number].items(), 1)]
        for number in numbers
    ]
