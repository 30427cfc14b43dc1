"""Search in steps: search, read what was found, think about it, search again, and join the rankings.

The first search is made without a thought. In every later step a query reads passages that were found before
and not read yet, thinks, and searches with the vector after the thought. The query may be given more than one
thought in a step: one for each passage, or one for all of them. It works over any store that finds documents
with their texts (:class:`Retriever`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from search_r3.arguments import as_integer
from search_r3.errors import InvalidOptionError
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thought_cache import ThoughtCache, encode_with
from search_r3.model.thoughts import Reasoning, Thought
from search_r3.retrieval.hits import CorpusHit

SEARCH_DEPTH = 100
"""Documents that each search of a step finds, at least; the rankings are joined over them."""

RANK_CONSTANT = 60
"""The constant of reciprocal rank fusion that its authors chose (Cormack and others, SIGIR 2009)."""

Joining = Literal["best", "ranks", "scores"]
"""How the rankings of the steps are joined; see :func:`join_rankings`."""


class Retriever(Protocol):
    """A store of documents, of vectors that the model made."""

    def retrieve(self, queries: Sequence[str], vectors: NDArray[np.float32], k: int) -> list[list[CorpusHit]]:
        """Find at most ``k`` documents for each query, best first.

        Args:
            queries: Q texts, each with the thought after it; for stores that look at words as well.
            vectors: Their embeddings, unit vectors of shape (Q, D).
            k: Most documents of a query.
        """


@dataclass(frozen=True)
class StepSearch:
    """One search.

    Attributes:
        read: Ids of the passages that were read before it, in their order; none in the first step.
        thought: What was thought about them.
        hits: What it found, best first; none if the model skipped the thought and so did not search.
    """

    read: tuple[str, ...]
    thought: Thought
    hits: list[CorpusHit]


@dataclass(frozen=True)
class SteppedSearch:
    """All searches of a query.

    Attributes:
        steps: The searches of each step. The first step has one.
        hits: The joined ranking.
    """

    steps: list[list[StepSearch]]
    hits: list[CorpusHit]


def search_in_steps(
    model: SearchR3,
    retriever: Retriever,
    queries: Sequence[str],
    k: int,
    *,
    steps: int = 2,
    read: int = 3,
    together: bool = False,
    joining: Joining = "best",
    reasoning: Reasoning = "always",
    max_reasoning_tokens: int | None = None,
    prompt: str | None = None,
    batch_size: int = 32,
    cache: ThoughtCache | None = None,
) -> list[SteppedSearch]:
    """Search for every query in steps.

    All queries take a step at once: each step embeds them in batches and asks the retriever one time.

    Args:
        model: The model that made the retriever's vectors.
        retriever: The documents.
        queries: Q texts.
        k: Documents in a joined ranking.
        steps: Searches one after another, 1 or more; 1 reads nothing.
        read: Passages that a query reads in a step: the best so far that it has not read.
        together: Read them together and think once, instead of a thought for each.
        joining: See :func:`join_rankings`.
        reasoning: ``always`` thinks about what was read. ``auto`` lets the model skip a thought, and then
            there is no search for it; a query without a new search is done. ``never`` searches after reading
            without a thought, which is the control that thinking is compared with.
        max_reasoning_tokens: Budget of a thought; None means the model's default.
        prompt: An instruction before every query; None means the model's own prompt.
        batch_size: Queries per forward pass.
        cache: Keeps the model's thoughts; None thinks anew.

    Raises:
        InvalidInputError: A query cannot be embedded; the message gives its index.
        InvalidOptionError: An option is not valid.
        ModelError: The model does not think.
    """
    for name, value in (("k", k), ("steps", steps), ("read", read)):
        if as_integer(value, 1) is None:
            raise InvalidOptionError(f"Got {name}={value!r}, wanted an integer of 1 or more.")
    if joining not in get_args(Joining):
        raise InvalidOptionError(f"Got joining={joining!r}, wanted 'best', 'ranks' or 'scores'.")
    depth = max(k, SEARCH_DEPTH)
    encode = encode_with(cache, model)
    encoding = encode(queries, reasoning="never", prompt=prompt, batch_size=batch_size)
    found = retriever.retrieve(queries, encoding.embeddings, depth)
    taken: list[list[list[StepSearch]]] = [
        [[StepSearch((), thought, hits)]] for thought, hits in zip(encoding.thoughts, found, strict=True)
    ]
    open_queries = list(range(len(queries)))
    for _ in range(steps - 1):
        wanted = []  # (query, passages): what is read now
        for query in open_queries:
            passages = _unread(taken[query], read, depth, joining)
            groups = [passages] if together else [[passage] for passage in passages]
            wanted += [(query, group) for group in groups if group]
        if not wanted:
            break
        asked = [queries[query] for query, _ in wanted]
        encoding = encode(
            asked,
            evidence=[[hit.text for hit in group] for _, group in wanted],
            reasoning=reasoning,
            max_reasoning_tokens=max_reasoning_tokens,
            prompt=prompt,
            on_truncation="ignore",  # a passage is read as far as the model's limits let it
            batch_size=batch_size,
        )
        searched = [
            number
            for number, thought in enumerate(encoding.thoughts)
            if reasoning != "auto" or thought.ending != "skipped"
        ]
        texts = [" ".join([asked[number], encoding.thoughts[number].text]).strip() for number in searched]
        new = retriever.retrieve(texts, encoding.embeddings[searched], depth) if searched else []
        hits = dict(zip(searched, new, strict=True))
        made: dict[int, list[StepSearch]] = {}
        for number, ((query, group), thought) in enumerate(zip(wanted, encoding.thoughts, strict=True)):
            ids = tuple(hit.doc_id for hit in group)
            made.setdefault(query, []).append(StepSearch(ids, thought, hits.get(number, [])))
        for query, searches in made.items():
            taken[query].append(searches)
        open_queries = [query for query, searches in made.items() if any(one.hits for one in searches)]
    return [SteppedSearch(one, join_steps(one, k, joining)) for one in taken]


def join_steps(steps: Sequence[Sequence[StepSearch]], k: int, joining: Joining) -> list[CorpusHit]:
    """Join the searches of a query: every step counts the same, and in a step every search that was made."""
    rankings, weights = [], []
    for searches in steps:
        made = [search.hits for search in searches if search.hits]
        rankings += made
        weights += [1 / len(made) for _ in made]
    return join_rankings(rankings, weights, k, joining)


def join_rankings(
    rankings: Sequence[Sequence[CorpusHit]], weights: Sequence[float], k: int, joining: Joining
) -> list[CorpusHit]:
    """Join rankings of one query.

    Args:
        rankings: Hits, best first.
        weights: What each ranking counts.
        k: Most documents to keep.
        joining: ``best`` gives 1 / the best rank in any ranking, whatever the weights: a search that finds
            what the others do not know is believed. ``ranks`` sums weight / (60 + rank), as reciprocal rank
            fusion does. ``scores`` sums weight times the score's distance from its ranking's mean in standard
            deviations; a document that a ranking lacks gets the lowest score of that ranking.

    Returns:
        The documents, best first, with the joined scores; equal ones in the order of the rankings. A single
        ranking keeps its own scores.
    """
    if len(rankings) == 1:
        return list(rankings[0][:k])
    texts: dict[str, str] = {}
    for ranking in rankings:
        for hit in ranking:
            texts.setdefault(hit.doc_id, hit.text)
    scores = dict.fromkeys(texts, 0.0)
    for ranking, weight in zip(rankings, weights, strict=True):
        if joining == "scores":
            standard = _standardised(ranking)
            lowest = min(standard.values(), default=0.0)
            for doc_id in scores:
                scores[doc_id] += weight * standard.get(doc_id, lowest)
            continue
        for hit in ranking:
            if joining == "best":
                scores[hit.doc_id] = max(scores[hit.doc_id], 1 / hit.rank)
            else:
                scores[hit.doc_id] += weight / (RANK_CONSTANT + hit.rank)
    best = sorted(scores, key=lambda doc_id: -scores[doc_id])[:k]
    return [CorpusHit(doc_id, scores[doc_id], rank, texts[doc_id]) for rank, doc_id in enumerate(best, 1)]


def _standardised(ranking: Sequence[CorpusHit]) -> dict[str, float]:
    """Scores by document as distances from their mean, in standard deviations; all 0 if they are equal."""
    if not ranking:
        return {}
    values = np.array([hit.score for hit in ranking])
    spread = float(values.std()) or 1.0
    return {hit.doc_id: (hit.score - float(values.mean())) / spread for hit in ranking}


def _unread(
    steps: Sequence[Sequence[StepSearch]], count: int, depth: int, joining: Joining
) -> list[CorpusHit]:
    """The best documents so far that the query has not read."""
    read = {doc_id for searches in steps for search in searches for doc_id in search.read}
    return [hit for hit in join_steps(steps, depth, joining) if hit.doc_id not in read][:count]
