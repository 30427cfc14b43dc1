"""Arms: the ways a query can think, and controls that show whether it is the thought's content that helps.

``never``, ``always`` and ``auto`` are the model's own. The control arms replay a thought that the model did
not write for the query, through the same forward pass:

- ``empty``: no thought at all. The embedding of a query is a pure function of (text, thought), so in this
  runtime it equals ``never`` by construction; the arm exists to show that replaying costs nothing.
- ``echo``: the whole query once more, whatever the own thought is. Reading a text twice can help by itself.
- ``random``: as many tokens as the query's own thought has, drawn uniformly from those a thought may hold.
- ``repeat``: the query's own tokens, echoed to the length of its own thought.
- ``shuffled``: the thought of another query.

If ``echo``, ``random`` or ``repeat`` gain as much as ``always``, extra computation is what helps; if
``shuffled`` does, the style of the thoughts is; else it is what they say. After LREM (arXiv 2510.14321),
which probes empty, random and repeated thoughts.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import Any

from search_r3.arguments import as_integer, checked_list
from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thoughts import ARMS, REASONINGS, Arm, Thought
from search_r3.model.truncation import OnTruncation


def encode_arm(
    model: SearchR3,
    queries: Iterable[str],
    arm: Arm,
    *,
    max_reasoning_tokens: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    prompt: str | None = None,
    own_thoughts: Sequence[Thought] | None = None,
    evidence: Sequence[Sequence[str]] | None = None,
    on_truncation: OnTruncation | None = None,
    show_progress_bar: bool = False,
) -> QueryEncoding:
    """Embed queries in one arm.

    Args:
        model: A Search-R3 model.
        queries: Q texts.
        arm: How they think.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        seed: Seed of ``random`` and ``shuffled``.
        batch_size: Queries per forward pass.
        prompt: An instruction to put before every query.
        own_thoughts: The thoughts of the ``always`` arm, one per query, for the control arms; None generates
            them first. Other arms ignore them.
        evidence: The passages that each query reads before it thinks, in every arm; None reads none.
        on_truncation: What happens if a query is cut; None means the model's default.
        show_progress_bar: Whether to show progress.

    Returns:
        The embeddings, with the thoughts as they were read: those of a control arm end in ``given``.

    Raises:
        InvalidInputError: If there is one query only and the arm is ``shuffled``; if the numbers of queries
            and own thoughts differ; or if a query cannot be embedded.
        InvalidOptionError: If there is no such arm, or an option is not valid.
        ModelError: If the model does not think.
    """
    if arm not in ARMS:
        raise InvalidOptionError(f"Got the arm {arm!r}, wanted one of {', '.join(ARMS)}.")
    if (number := as_integer(seed, -math.inf)) is None:
        raise InvalidOptionError(f"Got seed={seed!r}, wanted an integer.")
    queries = checked_list(queries, "queries")
    shared: dict[str, Any] = {
        "batch_size": batch_size,
        "prompt": prompt,
        "evidence": evidence,
        "on_truncation": on_truncation,
        "show_progress_bar": show_progress_bar,
    }
    if arm in REASONINGS:
        return model.encode_query_with_thoughts(
            queries, reasoning=arm, max_reasoning_tokens=max_reasoning_tokens, **shared
        )
    if arm == "empty":
        return model.encode_query_with_thoughts(queries, thoughts=[()] * len(queries), **shared)
    if arm == "echo":
        return model.encode_query_with_thoughts(queries, thoughts=_echoes(model, queries), **shared)
    if arm == "shuffled" and len(queries) == 1:
        raise InvalidInputError(
            "got one query in the arm 'shuffled', wanted two or more: no other query has a thought to give."
        )
    if own_thoughts is None:
        own_thoughts = model.encode_query_with_thoughts(
            queries, reasoning="always", max_reasoning_tokens=max_reasoning_tokens, **shared
        ).thoughts
    if len(own_thoughts) != len(queries):
        raise InvalidInputError(
            f"got {len(own_thoughts)} own thoughts for {len(queries)} queries, wanted one each."
        )
    given = given_thoughts(model, queries, arm, own_thoughts, number)
    return model.encode_query_with_thoughts(queries, thoughts=given, **shared)


def _echoes(model: SearchR3, queries: Sequence[str]) -> list[list[int]]:
    """The tokens of each query, as far as it is read."""
    module = model.reasoning_module
    echoes: list[list[int]] = []
    for query in queries:
        try:
            encoded = module.prompt_encoder.encode_query(query, max_tokens=module.limit)
        except InvalidInputError:
            echoes.append([])  # embedding it gives the error, with its index
            continue
        start, end = encoded.text_span
        echoes.append(encoded.token_ids[start:end])
    return echoes


def given_thoughts(
    model: SearchR3, queries: Sequence[str], arm: Arm, own: Sequence[Thought], seed: int
) -> list[list[int]]:
    """Token ids that take the place of each query's own thought in a control arm.

    Args:
        model: A Search-R3 model.
        queries: Q texts.
        arm: ``random``, ``repeat`` or ``shuffled``.
        own: The thoughts of the ``always`` arm, one per query.
        seed: Seed of ``random`` and ``shuffled``.
    """
    encoder = model.reasoning_module.prompt_encoder
    if arm == "shuffled":
        return [list(own[donor].token_ids) for donor in _donors(queries, own, seed)]
    if arm == "repeat":
        # A query without a token (an empty one) has nothing to repeat.
        return [
            list(islice(cycle(encoder.encode_text(query)), thought.length))
            for query, thought in zip(queries, own, strict=True)
        ]
    allowed = encoder.allowed_thought_ids(encoder.vocabulary_size)
    allowed[encoder.embed_token_id] = False  # it would end the thought
    ids: list[int] = allowed.nonzero().flatten().tolist()
    return [
        random.Random(f"{seed} {query}").choices(ids, k=thought.length)
        for query, thought in zip(queries, own, strict=True)
    ]


def _donors(queries: Sequence[str], own: Sequence[Thought], seed: int) -> list[int]:
    """For every query, the index of the one whose thought it gets: another, if possible with another thought.

    Equal thoughts are laid side by side in a shuffled row, and the row is rotated by the size of its largest
    group: that moves every query out of its own group, unless one group is more than half of all.
    """
    generator = random.Random(seed)
    # By text first, so that the order in which a harness happens to pass its queries does not matter.
    row = sorted(range(len(queries)), key=lambda index: queries[index])
    generator.shuffle(row)
    first_seen = {own[index].token_ids: rank for rank, index in reversed(list(enumerate(row)))}
    row.sort(key=lambda index: first_seen[own[index].token_ids])
    sizes = Counter(thought.token_ids for thought in own)
    shift = max(sizes.values(), default=0)
    if shift == len(row):  # all thoughts are equal
        shift = 1
    donors = [0] * len(row)
    for rank, index in enumerate(row):
        donors[index] = row[(rank + shift) % len(row)]
    return donors
