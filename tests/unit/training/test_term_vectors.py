"""Term vectors: lengths, what is shared, and what is rare, by hand."""

import math

import pytest
import torch

from search_r3.training.term_vectors import TERM_FEATURES, TermVectors


def test_rare_letters_count_for_more_by_hand():
    """Words of four letters each, weighted by idf = ln(4 / (1 + n)) + 1 when n of three texts have them."""
    # char_wb pads a word with a space on each side: "fish" has " fis", "fish" and "ish ".
    vectors = TermVectors({"animals": ["fish", "fish frog", "fish newt"]})
    fish, both = vectors(["fish", "fish frog"], "animals")
    common, rare = math.log(4 / 4) + 1, math.log(4 / 2) + 1
    assert fish.norm().item() == pytest.approx(1)
    assert fish @ both == pytest.approx(common / math.hypot(common, rare), abs=1e-5)


def test_forms_of_a_word_and_names_meet():
    """A plural is near its singular; a name is nearer to itself than to another of its kind."""
    vectors = TermVectors({"cities": ["Baltimore in Maryland", "Bradford in Yorkshire", "ports", "a port"]})
    query, own, other = vectors(["the ports of Baltimore", "port Baltimore", "port Bradford"], "cities")
    assert query @ own > query @ other > 0


def test_every_source_has_its_own_frequencies():
    """The same two texts share more where their common word is rare."""
    texts = ["city of Rome", "city of Oslo"]
    vectors = TermVectors({"cities": [*texts, "city of Bern"], "words": [*texts, "apple", "sea", "sun"]})
    cities, words = vectors(texts, "cities"), vectors(texts, "words")
    assert cities[0] @ cities[1] < words[0] @ words[1]
    with pytest.raises(KeyError):
        vectors(texts, "names")


def test_text_without_letters_is_zero():
    """Its similarity with everything is 0, and not undefined."""
    vectors = TermVectors({"one": ["sun"]})(["", " "], "one")
    assert vectors.shape == (2, TERM_FEATURES) and vectors.dtype == torch.float32
    assert not vectors.any()
