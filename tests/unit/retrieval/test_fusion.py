"""Hybrid fusion by hand."""

import pytest

from search_r3.errors import InvalidOptionError
from search_r3.retrieval.fusion import hybrid_fusion


def test_scores_and_order_by_hand():
    """Cosines from 1 (best) to 0 (last), BM25 as a share of its best, weighted 7 to 3."""
    dense = {"q": {"a": 0.9, "b": 0.8, "c": 0.5}}
    lexical = {"q": {"c": 12.0, "b": 6.0, "d": 3.0}}
    fused = hybrid_fusion(dense, lexical)
    assert list(fused["q"].items()) == [
        ("a", pytest.approx(0.7 * 1)),
        ("b", pytest.approx(0.7 * 0.75 + 0.3 * 0.5)),  # 0.675
        ("c", pytest.approx(0.7 * 0 + 0.3 * 1)),
        ("d", pytest.approx(0.3 * 0.25)),  # as far as the last one
    ]
    assert list(hybrid_fusion(dense, lexical, k=2)["q"]) == ["a", "b"]


def test_only_the_best_hundred_set_the_scale():
    """What a corpus has besides changes nothing among the best; behind the hundredth scores are negative."""
    near = {f"n{index:03}": 1 - index / 1000 for index in range(100)}
    small = hybrid_fusion({"q": near}, {"q": {"n050": 3.0}})["q"]
    large = hybrid_fusion({"q": near | {"far": -1.0}}, {"q": {"n050": 3.0}})["q"]
    assert {doc_id: large[doc_id] for doc_id in small} == small
    assert large["far"] == pytest.approx(0.7 * (-1.0 - 0.901) / 0.099)
    absent = hybrid_fusion({"q": near | {"far": -1.0}}, {"q": {"n050": 3.0, "new": 0.3}})["q"]
    assert absent["new"] == pytest.approx(absent["far"] + 0.3 * 0.1)


def test_the_scale_of_the_cosines_does_not_matter():
    """A model whose cosines lie in a narrow band gives the same scores."""
    lexical = {"q": {"b": 2.0}}
    wide, narrow = {"a": 1.0, "b": 0.0, "c": -1.0}, {"a": 0.82, "b": 0.81, "c": 0.80}
    assert hybrid_fusion({"q": wide}, lexical)["q"] == pytest.approx(
        hybrid_fusion({"q": narrow}, lexical)["q"]
    )


def test_queries_and_ties():
    """A query that one run lacks is the other's; equal scores go by id, the last one first."""
    fused = hybrid_fusion({"q": {"a": 1.0, "b": 1.0}}, {"q": {}, "r": {"x": 2.0}})
    assert list(fused["q"].items()) == [("b", 0.7), ("a", 0.7)]
    assert fused["r"] == {"x": pytest.approx(0.3)}
    assert hybrid_fusion({"q": {}}, {"q": {}}) == {"q": {}}
    assert list(hybrid_fusion({"q": {"a": 2.0}}, {"q": {"b": 1.0}})["q"]) == ["a", "b"]
    with pytest.raises(InvalidOptionError, match="k=0"):
        hybrid_fusion({"q": {"a": 1.0}}, {}, k=0)
