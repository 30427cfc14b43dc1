"""Does training data hold what a model is evaluated on?

A training text leaks if its normalised words are those of an evaluation query or document, or if both are
13 words long or longer and share 13 words in a row. Of a text that lists terms, set apart by commas or
semicolons, each term of two words and more is looked at too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

GRAM = 13
"""Words in a row that count as copied, as in the decontamination of GPT-3's evaluations."""

# Soft hyphens, zero-width characters and byte order marks.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_WORD = re.compile(r"[^\W_]+")


def normalise(text: str) -> list[str]:
    """The words of a text: compatibility forms folded, lower case, without accents and punctuation."""
    if text.isascii():
        return _WORD.findall(text.lower())
    plain = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)).casefold()
    return _WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))


_KEPT_ANSWERS = 200_000
"""Answers that are kept: a source repeats its texts as negatives, and millions of texts would fill memory."""


class LeakCheck:
    """Tells whether a text is, or quotes, an evaluation text.

    Args:
        texts: Every query and document of every evaluation task.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._word_ids: dict[str, int] = {}
        self._whole: set[str] = set()
        grams = []
        for text in texts:
            words = normalise(text)
            if words:
                self._whole.add(" ".join(words))
                grams.append(self._grams(words))
        self._known = np.unique(np.concatenate(grams)) if grams else np.zeros(0, dtype=np.uint64)
        self._answers: dict[str, bool] = {}

    def leaks(self, text: str) -> bool:
        """Whether the text must not be trained on."""
        if text not in self._answers:
            if len(self._answers) >= _KEPT_ANSWERS:
                self._answers.clear()
            words = normalise(text)
            self._answers[text] = (
                " ".join(words) in self._whole or self._quotes(words) or self._lists(text, words)
            )
        return self._answers[text]

    def _lists(self, text: str, words: list[str]) -> bool:
        if len(words) >= GRAM:
            return False  # prose
        terms = (normalise(term) for term in re.split("[,;]", text))
        return any(len(term) > 1 and " ".join(term) in self._whole for term in terms)

    def _quotes(self, words: list[str]) -> bool:
        grams = self._grams(words)
        if not len(grams) or not len(self._known):
            return False
        indices = np.minimum(np.searchsorted(self._known, grams), len(self._known) - 1)
        return bool((self._known[indices] == grams).any())

    def _grams(self, words: list[str]) -> NDArray[np.uint64]:
        """A 64-bit hash of every run of 13 words; chance agreement is about 1 in 10,000 for all data here."""
        if len(words) < GRAM:
            return np.zeros(0, dtype=np.uint64)
        ids = np.array(
            [self._word_ids.setdefault(word, len(self._word_ids)) for word in words], dtype=np.uint64
        )
        mixed = _mix(ids)
        total = np.zeros(len(words) - GRAM + 1, dtype=np.uint64)
        for index in range(GRAM):  # multiplication and addition wrap around, as is wanted of a hash
            total = total * np.uint64(0x9E3779B97F4A7C15) + mixed[index : index + len(total)]
        return _mix(total)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits of 64-bit values (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
