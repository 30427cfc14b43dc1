"""Reciprocal rank fusion by hand."""

import pytest

from search_r3.errors import InvalidOptionError
from search_r3.retrieval.fusion import reciprocal_rank_fusion


def test_scores_and_order_by_hand():
    """Only ranks count; what one run lacks gets the other's share alone."""
    dense = {"q": {"a": 0.9, "b": 0.8, "c": -0.7}}
    lexical = {"q": {"c": 12.0, "b": 3.0}}
    fused = reciprocal_rank_fusion(dense, lexical)
    assert list(fused["q"].items()) == [
        ("c", pytest.approx(1 / 63 + 1 / 61)),  # 0.03227
        ("b", pytest.approx(1 / 62 + 1 / 62)),  # 0.03226
        ("a", pytest.approx(1 / 61)),
    ]
    assert list(reciprocal_rank_fusion(dense, lexical, k=2)["q"]) == ["c", "b"]


def test_queries_and_ties():
    """A query that one run lacks is the other's; equal scores go by id, the last one first."""
    fused = reciprocal_rank_fusion({"q": {"a": 1.0, "b": 1.0}}, {"q": {}, "r": {"x": 2.0}})
    assert list(fused["q"]) == ["b", "a"] and list(fused["r"]) == ["x"]
    assert reciprocal_rank_fusion({"q": {}}, {"q": {}}) == {"q": {}}
    assert list(reciprocal_rank_fusion({"q": {"a": 2.0}}, {"q": {"b": 1.0}})["q"]) == ["b", "a"]
    with pytest.raises(InvalidOptionError, match="k=0"):
        reciprocal_rank_fusion({"q": {"a": 1.0}}, k=0)
