"""TF-IDF vectors of texts: what they share in words, names and numbers above all, as a second teacher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

TERM_FEATURES = 2**14
"""Character 4-grams are hashed to so many features: of a passage's 250, one in 65 meets another."""


class TermVectors:
    """Turns texts into unit TF-IDF vectors of the character 4-grams in their words.

    A small embedder hardly tells one name from another, and the letters of a text do. 4-grams match the forms
    of a word, and a word within a longer one. Their frequencies are damped by the logarithm; inverse document
    frequencies are scikit-learn's, over the texts of the source.

    Args:
        texts: Texts by source, at least one of each, from which the frequencies are counted.
    """

    def __init__(self, texts: Mapping[str, Iterable[str]]) -> None:
        self._counts = HashingVectorizer(
            n_features=TERM_FEATURES, analyzer="char_wb", ngram_range=(4, 4), norm=None, alternate_sign=False
        )
        self._weights = {
            source: TfidfTransformer(sublinear_tf=True).fit(self._counts.transform(own))
            for source, own in texts.items()
        }

    def __call__(self, texts: list[str], source: str) -> torch.Tensor:
        """Embed texts of a source.

        Returns:
            Shape (texts, :data:`TERM_FEATURES`), of length 1; zeros for a text without letters.

        Raises:
            KeyError: There were no texts of this source.
        """
        weighted = self._weights[source].transform(self._counts.transform(texts))
        return torch.from_numpy(weighted.toarray()).float()
