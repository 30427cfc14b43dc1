"""Siblings and ancestors in a hierarchy."""

from search_r3.data.sources.hierarchy import Hierarchy


def test_siblings_share_a_parent_and_are_not_above_or_below():
    """Items below the same parent are siblings, unless one is an ancestor of the other."""
    hierarchy = Hierarchy(
        {"root": [], "a": ["root"], "b": ["root"], "c": ["root", "a"], "d": ["b"], "e": ["b"]}
    )
    assert hierarchy.siblings("a") == ["b"]
    assert hierarchy.siblings("b") == ["a", "c"]
    assert hierarchy.siblings("c") == ["b"]
    assert hierarchy.siblings("d") == ["e"]
    assert hierarchy.siblings("root") == []


def test_a_loop_in_the_hierarchy_ends():
    """Ancestors of items in a loop are found, once each."""
    hierarchy = Hierarchy({"a": ["b"], "b": ["a"]})
    assert hierarchy.ancestors("a") == {"a", "b"}
