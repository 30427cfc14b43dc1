"""Searching a corpus with texts: hits with their texts, the thoughts, and what a thought changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from search_r3.arguments import as_integer
from search_r3.errors import InvalidOptionError
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thoughts import Reasoning, Thought
from search_r3.retrieval.bm25 import bm25_run
from search_r3.retrieval.fusion import FUSION_DEPTH, reciprocal_rank_fusion
from search_r3.retrieval.vector_index import SearchHit, VectorIndex


@dataclass(frozen=True)
class CorpusHit(SearchHit):
    """A document found in a corpus: a :class:`SearchHit` with the text that was embedded."""

    text: str


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
    """One query's thought and hits, and the view without the thought if it was asked for."""

    thought: Thought
    hits: list[CorpusHit]
    direct: DirectView | None = None


class SearchOptions(TypedDict, total=False):
    """How queries are searched for.

    Attributes:
        reasoning: ``always``, ``never`` or ``auto``; None means the model's default.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        batch_size: Queries per forward pass [32].
        hybrid: Join each ranking with BM25's by reciprocal rank fusion, whose scores are no cosines [False].
    """

    reasoning: Reasoning | None
    max_reasoning_tokens: int | None
    batch_size: int
    hybrid: bool


def search_corpus(
    model: SearchR3,
    vectors: VectorIndex,
    texts: Mapping[str, str],
    queries: Sequence[str],
    k: int,
    *,
    explain: bool = False,
    reasoning: Reasoning | None = None,
    max_reasoning_tokens: int | None = None,
    batch_size: int = 32,
    hybrid: bool = False,
) -> list[Explanation]:
    """Search with the model that made the vectors.

    Args:
        model: Must be the model of ``vectors``; the caller checks it.
        vectors: The documents.
        texts: The text of every document, by its id.
        queries: Q texts.
        k: Hits per query.
        explain: Compare each query with its own direct exit; not together with ``hybrid``.
        reasoning: This and the other arguments: see :class:`SearchOptions`.
        max_reasoning_tokens: See there.
        batch_size: See there.
        hybrid: See there.

    Raises:
        InvalidInputError: If a query cannot be embedded; the message gives its index.
        InvalidOptionError: If an option is not valid.
        ModelError: If the model does not think.
    """
    asked = as_integer(k, 1)
    if asked is None:
        raise InvalidOptionError(f"Got k={k!r}, wanted an integer of 1 or more.")
    if explain and hybrid:
        raise InvalidOptionError(
            "Got explain and hybrid, wanted one of them: explain is about the ranking of the vectors alone."
        )
    encoding = model.encode_query_with_thoughts(
        queries, batch_size=batch_size, reasoning=reasoning, max_reasoning_tokens=max_reasoning_tokens
    )
    depth = max(asked, FUSION_DEPTH) if hybrid else asked
    found = vectors.search(encoding.embeddings, depth, fingerprint=vectors.fingerprint)
    if hybrid:
        # A prune that was interrupted leaves texts without vectors: they are not in the index any more.
        indexed = {doc_id: texts[doc_id] for doc_id in vectors.doc_ids}
        found = _fuse_with_bm25(queries, indexed, found, asked)
    hits = [[CorpusHit(hit.doc_id, hit.score, hit.rank, texts[hit.doc_id]) for hit in row] for row in found]
    views = _direct_views(model, vectors, queries, encoding, found) if explain else [None] * len(queries)
    return [Explanation(*parts) for parts in zip(encoding.thoughts, hits, views, strict=True)]


def _direct_views(
    model: SearchR3,
    vectors: VectorIndex,
    queries: Sequence[str],
    encoding: QueryEncoding,
    found: list[list[SearchHit]],
) -> list[DirectView]:
    """Compare each encoded query, and the hits it found, with its own direct exit."""
    direct = model.encode_query(list(queries), reasoning="never", normalize_embeddings=True)
    without = vectors.search(direct, max(1, len(vectors)), fingerprint=vectors.fingerprint)
    views = []
    for row, hits in enumerate(found):
        rank = {hit.doc_id: hit.rank for hit in without[row]}
        cosine = float(encoding.embeddings[row] @ direct[row])
        views.append(DirectView(cosine, [rank[hit.doc_id] for hit in hits]))
    return views


def _fuse_with_bm25(
    queries: Sequence[str], corpus: dict[str, str], found: list[list[SearchHit]], k: int
) -> list[list[SearchHit]]:
    """Join the hits of every query with BM25's; a hit's score is then that of reciprocal rank fusion."""
    numbers = [str(number) for number in range(len(queries))]
    dense = {
        number: {hit.doc_id: -float(hit.rank) for hit in hits}
        for number, hits in zip(numbers, found, strict=True)
    }
    lexical = bm25_run(corpus, dict(zip(numbers, queries, strict=True)), k=max(k, FUSION_DEPTH))
    fused = reciprocal_rank_fusion(dense, lexical, k=k)
    return [
        [SearchHit(doc_id, score, rank) for rank, (doc_id, score) in enumerate(fused[number].items(), 1)]
        for number in numbers
    ]
