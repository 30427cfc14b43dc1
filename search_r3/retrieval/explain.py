"""What a thought changed: the ranking with it beside the ranking without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thoughts import Thought
from search_r3.retrieval.vector_index import SearchHit, VectorIndex


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
    hits: list[SearchHit]
    direct: DirectView | None = None


def explain(
    model: SearchR3,
    index: VectorIndex,
    fingerprint: str,
    queries: Sequence[str],
    encoding: QueryEncoding,
    k: int,
) -> list[Explanation]:
    """Compare each encoded query with its own direct exit.

    Args:
        model: The model that made ``encoding``.
        index: Documents to rank.
        fingerprint: The model's identity.
        queries: The texts of ``encoding``.
        encoding: The queries embedded after their thoughts.
        k: Hits per query.
    """
    direct = model.encode_query(list(queries), reasoning="never", normalize_embeddings=True)
    found = index.search(encoding.embeddings, k, fingerprint=fingerprint)
    without = index.search(direct, len(index), fingerprint=fingerprint)
    explanations = []
    for row, thought in enumerate(encoding.thoughts):
        rank = {hit.doc_id: hit.rank for hit in without[row]}
        cosine = float(encoding.embeddings[row] @ direct[row])
        explanations.append(
            Explanation(thought, found[row], DirectView(cosine, [rank[hit.doc_id] for hit in found[row]]))
        )
    return explanations
