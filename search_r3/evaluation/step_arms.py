"""Arms of a search in two steps: what a thought about the passages gains, and controls for it.

Only ``own`` against ``empty`` is a gain of thinking: both read the same passages and search again. The others
put something else in the place of the thought, or of the passages:

- ``empty``: no thought, so the passages alone move the vector;
- ``own``: the model's own thought;
- ``auto``: the model's own thought, unless it skips it, and then there is no search for these passages;
- ``echo``: the query once more;
- ``random``, ``repeat``: as in :mod:`search_r3.evaluation.arms`;
- ``shuffled``: the thought that another query had about its passages;
- ``other_evidence``: the passages of another query, and the model's own thought about them;
- ``oracle``: the title of a relevant document that the query has not read; nothing if it has read all.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.evaluation.arms import given_thoughts
from search_r3.evaluation.step_rivals import FirstPass, Hits, joined
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thoughts import Reasoning, Thought
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.steps import SEARCH_DEPTH, Joining, Retriever, StepSearch

StepArm = Literal["empty", "own", "auto", "echo", "random", "repeat", "shuffled", "other_evidence", "oracle"]

STEP_ARMS: tuple[StepArm, ...] = get_args(StepArm)


class StepArms:
    """The second step of every arm after one first pass; own thoughts are made once.

    Args:
        model: A Search-R3 model.
        retriever: The documents.
        first: The first pass.
        read: Passages that each query reads.
        together: Read them together and think once, instead of a thought for each.
        joining: See :func:`search_r3.retrieval.steps.join_rankings`.
        max_reasoning_tokens: Budget of a thought; None means the model's default.
        seed: Seed of ``random``, ``shuffled`` and ``other_evidence``.
        batch_size: Queries per forward pass.
    """

    def __init__(
        self,
        model: SearchR3,
        retriever: Retriever,
        first: FirstPass,
        *,
        read: int,
        together: bool = False,
        joining: Joining = "best",
        max_reasoning_tokens: int | None = None,
        seed: int = 0,
        batch_size: int = 32,
    ) -> None:
        self._model, self._retriever, self._first = model, retriever, first
        self._seed, self._joining = seed, joining
        self._options: dict[str, Any] = {"batch_size": batch_size, "on_truncation": "ignore"}
        self._budget = max_reasoning_tokens
        # (query, passages) in the order of the queries
        self._rows: list[tuple[int, list[CorpusHit]]] = []
        for query, hits in enumerate(first.hits):
            passages = hits[:read]
            groups = [passages] if together else [[passage] for passage in passages]
            self._rows += [(query, group) for group in groups if group]
        self._made: dict[Reasoning, QueryEncoding] = {}

    def hits(
        self,
        arm: StepArm,
        *,
        titles: Mapping[str, str] | None = None,
        relevant: Sequence[set[str]] | None = None,
    ) -> Hits:
        """Take the second step in one arm, and join it with the first.

        Args:
            arm: What takes the place of the thought.
            titles: Document titles by id, for ``oracle``.
            relevant: For each query the ids of its relevant documents, for ``oracle``.

        Raises:
            InvalidInputError: ``oracle`` lacks titles or relevant documents, or ``shuffled`` or
                ``other_evidence`` another query.
            InvalidOptionError: There is no such arm.
        """
        encoding = self._encoded(arm, titles, relevant)
        made = [
            number
            for number, thought in enumerate(encoding.thoughts)
            if arm != "auto" or thought.ending != "skipped"
        ]
        texts = [
            f"{self._first.queries[self._rows[number][0]]} {encoding.thoughts[number].text}".strip()
            for number in made
        ]
        found = self._retriever.retrieve(texts, encoding.embeddings[made], SEARCH_DEPTH) if made else []
        second: list[list[StepSearch]] = [[] for _ in self._first.queries]
        for number, hits in zip(made, found, strict=True):
            query, group = self._rows[number]
            read = tuple(hit.doc_id for hit in group)
            second[query].append(StepSearch(read, encoding.thoughts[number], hits))
        return joined(self._first, second, self._joining)

    def own(self, reasoning: Reasoning = "always") -> QueryEncoding:
        """The model's own thoughts about every group of passages, and the vectors after them; made once."""
        if reasoning not in self._made:
            self._made[reasoning] = self._encode(self._evidence(), reasoning=reasoning)
        return self._made[reasoning]

    def thought_tokens(self, reasoning: Reasoning) -> list[int]:
        """Tokens that each query thinks, of all of its thoughts."""
        tokens = [0] * len(self._first.queries)
        for (query, _), thought in zip(self._rows, self.own(reasoning).thoughts, strict=True):
            tokens[query] += thought.length
        return tokens

    def named(self, titles: Mapping[str, str], relevant: Sequence[set[str]]) -> list[bool | None]:
        """For every query, whether an own thought has the title of a relevant document that was not read.

        None for a query that has read all of its relevant documents with a title. Case does not matter.
        """
        thoughts: dict[int, list[str]] = {}
        for (query, _), thought in zip(self._rows, self.own().thoughts, strict=True):
            thoughts.setdefault(query, []).append(thought.text.casefold())
        return [
            any(titles[doc_id].casefold() in thought for doc_id in ids for thought in thoughts.get(query, ()))
            if ids
            else None
            for query, ids in enumerate(self._unread(titles, relevant))
        ]

    def _unread(self, titles: Mapping[str, str], relevant: Sequence[set[str]]) -> list[list[str]]:
        """For every query its relevant documents that it has not read and that have a title, in order."""
        read: dict[int, set[str]] = {}
        for query, group in self._rows:
            read.setdefault(query, set()).update(hit.doc_id for hit in group)
        return [
            sorted(doc_id for doc_id in ids - read.get(query, set()) if titles.get(doc_id))
            for query, ids in enumerate(relevant)
        ]

    def _encoded(
        self,
        arm: StepArm,
        titles: Mapping[str, str] | None,
        relevant: Sequence[set[str]] | None,
    ) -> QueryEncoding:
        if arm not in STEP_ARMS:
            raise InvalidOptionError(f"Got the arm {arm!r}, wanted one of {', '.join(STEP_ARMS)}.")
        if arm == "own" or arm == "auto":  # narrows the type below
            return self.own("always" if arm == "own" else "auto")
        if arm == "empty":
            return self._encode(self._evidence(), thoughts=[()] * len(self._rows))
        if arm == "other_evidence":
            evidence = self._evidence()
            return self._encode([evidence[donor] for donor in self._donors()], reasoning="always")
        if arm == "oracle":
            thoughts: Sequence[Any] = self._names(titles, relevant)
        elif arm == "echo":
            thoughts = [self._first.queries[query] for query, _ in self._rows]
        elif arm == "shuffled":
            own = self.own().thoughts
            thoughts = [own[donor] for donor in self._donors()]
        else:
            asked = [self._first.queries[query] for query, _ in self._rows]
            thoughts = given_thoughts(self._model, asked, arm, self.own().thoughts, self._seed)
        found = self._encode(self._evidence(), thoughts=thoughts)
        return found

    def _encode(self, evidence: list[list[str]], **options: Any) -> QueryEncoding:
        if "thoughts" not in options:
            options["max_reasoning_tokens"] = self._budget
        return self._model.encode_query_with_thoughts(
            [self._first.queries[query] for query, _ in self._rows],
            evidence=evidence,
            **options,
            **self._options,
        )

    def _evidence(self) -> list[list[str]]:
        return [[hit.text for hit in group] for _, group in self._rows]

    def _donors(self) -> list[int]:
        """For every row one of another query, drawn by the seed; queries are rotated in a shuffled order."""
        by_query: dict[int, list[int]] = {}
        for row, (query, _) in enumerate(self._rows):
            by_query.setdefault(query, []).append(row)
        order = list(by_query)
        if len(order) < 2:
            raise InvalidInputError(
                f"got {len(order)} queries with passages, wanted two or more: no other query has any to give."
            )
        random.Random(self._seed).shuffle(order)
        donors = [0] * len(self._rows)
        for query, donor in zip(order, [*order[1:], order[0]], strict=True):
            theirs = by_query[donor]
            for place, row in enumerate(by_query[query]):
                donors[row] = theirs[place % len(theirs)]
        return donors

    def _names(
        self, titles: Mapping[str, str] | None, relevant: Sequence[set[str]] | None
    ) -> list[str | Thought]:
        if titles is None or relevant is None:
            raise InvalidInputError("got the arm oracle without titles or relevant documents, wanted both.")
        unread = self._unread(titles, relevant)
        return [titles[unread[query][0]] if unread[query] else "" for query, _ in self._rows]
