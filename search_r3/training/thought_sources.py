"""Where thoughts to train on come from, and what none of them may do: quote the answer.

- ``self``: the model's own; several per query. As it was saved, or asked with the paper's four-part prompt.
- ``teacher``: the same from a larger local model, prepared as a base.
- ``terms``: salient words of the positive that the query lacks, as a cold start for models too small to write
  anything useful (keyword thoughts after LREM, arXiv 2510.14321).

No source sees the positive but ``terms``, which takes single words out of it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from search_r3.model.sentence_transformer import SearchR3

QUOTED_WORDS = 8
"""Words in a row that count as a quotation of the positive, if the positive is longer than that."""

_WORD = re.compile(r"[^\W\d_]{2,}(?:[-'][^\W\d_]{2,})*")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TOO_COMMON = 0.05
"""Words in more than this share of a source's documents say nothing about one of them."""
_TOO_RARE = 3
"""Words in fewer documents of a source cannot be learnt: nothing leads from the query to them."""


def words(text: str) -> list[str]:
    """Words of two letters and more, in order; identifiers of code are taken apart."""
    return _WORD.findall(_CAMEL.sub(" ", text.replace("_", " ")))


class SalientTerms:
    """Finds the words by which a document differs from its query and from the other documents.

    Args:
        documents: The documents of one source.
        most_words: Most words of a thought.
    """

    def __init__(self, documents: Iterable[str], most_words: int = 8) -> None:
        counts: Counter[str] = Counter()
        number = 0
        for document in documents:
            number += 1
            counts.update({word.casefold() for word in words(document)})
        self._number = number
        self._counts = counts
        self._most_words = most_words

    def thought(self, query: str, positive: str) -> str:
        """Return what a short thought could add to a query; empty if the query has it all.

        Of a positive that is a term (or several, the first one counts) the term itself, whole: naming it is
        what a query that describes it needs. Of a passage the salient words, in its order.
        """
        asked = {_stem(word) for word in words(query)}
        if len(words(positive)) <= self._most_words:
            term = re.split("[,;]", positive)[0].strip()
            return term if any(_stem(word) not in asked for word in words(term)) else ""
        occurrences = Counter(word.casefold() for word in words(positive))
        spelling: dict[str, str] = {}
        for word in words(positive):
            spelling.setdefault(word.casefold(), word)
        worth = {
            word: (1 + math.log(times)) * self._rarity(word)
            for word, times in occurrences.items()
            if _stem(word) not in asked and self._rarity(word) > 0
        }
        best = sorted(worth, key=lambda word: (-worth[word], word))[: self._most_words]
        return " ".join(spelling[word] for word in spelling if word in best)

    def _rarity(self, word: str) -> float:
        found = self._counts[word]
        if not _TOO_RARE <= found <= _TOO_COMMON * self._number:
            return 0.0
        return math.log(self._number / found)


def _stem(word: str) -> str:
    """A crude stem: enough to tell that a query has a word already."""
    return word.casefold()[:5]


def quotes(thought: str, positive: str) -> bool:
    """Whether a thought holds ``QUOTED_WORDS`` words of a longer positive in a row."""
    wanted, inside = ([word.casefold() for word in words(text)] for text in (thought, positive))
    if len(inside) <= QUOTED_WORDS:
        return False  # a term, not a passage: naming it is the point
    runs = {tuple(inside[index : index + QUOTED_WORDS]) for index in range(len(inside) - QUOTED_WORDS + 1)}
    return any(
        tuple(wanted[index : index + QUOTED_WORDS]) in runs for index in range(len(wanted) - QUOTED_WORDS + 1)
    )


def sample_thoughts(
    model: SearchR3,
    queries: Sequence[str],
    *,
    samples: int,
    temperature: float,
    max_reasoning_tokens: int,
    seed: int = 0,
    batch_size: int = 16,
    show_progress_bar: bool = False,
) -> list[list[tuple[str, bool]]]:
    """Let a model think several times about every query.

    Args:
        model: The model itself, or a larger teacher.
        queries: Q texts.
        samples: Thoughts per query; the first one is greedy.
        temperature: Of the others.
        max_reasoning_tokens: Longest thought.
        seed: Seed of the samples.
        batch_size: Queries per pass.
        show_progress_bar: Whether to show progress.

    Returns:
        For every query its different thoughts, without empty ones, and whether each came to its own end.
    """
    found: list[dict[str, bool]] = [{} for _ in queries]
    for number in range(samples):
        encoded = model.encode_query_with_thoughts(
            queries,
            reasoning="always",
            temperature=temperature if number else 0.0,
            seed=seed + number,
            max_reasoning_tokens=max_reasoning_tokens,
            batch_size=batch_size,
            on_truncation="ignore",
            show_progress_bar=show_progress_bar,
        )
        for thoughts, thought in zip(found, encoded.thoughts, strict=True):
            if text := thought.text.strip():
                thoughts[text] = thought.ending == "embed_token"
    return [list(thoughts.items()) for thoughts in found]
