"""The training set and the test of questions in two hops: what each has, and that no article is in both."""

import pytest

from search_r3.data.bridge_sets import (
    DOCUMENTS,
    QUERIES,
    bridge_pairs,
    bridge_task,
    bridge_thoughts,
    is_held_out,
)
from search_r3.data.sources.bridges import Bridge
from search_r3.errors import DataError


def bridge(number, *, name="Lisp", target=None, others=("one", "two", "three", "four")):
    target = number if target is None else target
    return Bridge(
        f"a{number}/{name}", f"a{number}", f"A{number}", f"question {number}", f"passage {number}", name,
        f"target {target}", f"t{target}", others,
    )  # fmt: skip


MANY = [bridge(number) for number in range(2000)]


def test_pairs_by_hand():
    """The article asked about is the first hard negative; others that it names follow."""
    [pair] = bridge_pairs("set", [bridge(7)])
    assert (pair.query, pair.positive, pair.source) == ("question 7", "target 7", "set")
    assert pair.negatives == ("passage 7", "one", "two", "three")
    assert (pair.query_id, pair.doc_id) == ("a7/Lisp", "t7")


def test_thoughts_by_hand():
    """The name about the passage, for each; for about a quarter also nothing, about another article."""
    records = bridge_thoughts("set", MANY)
    named = [record for record in records if record.thought]
    assert [(one.query_id, one.thought, one.evidence) for one in named] == [
        (one.key, "Lisp", (one.passage,)) for one in MANY
    ]
    skipped = [record for record in records if not record.thought]
    assert {record.evidence for record in skipped} == {("one",)}
    assert 400 < len(skipped) < 600
    assert all(record.helps and record.origin == "bridge" for record in records)
    assert all(record.thought for record in bridge_thoughts("set", [bridge(n, others=()) for n in range(50)]))


def test_a_sixth_of_the_articles_is_held_out():
    held = [one for one in MANY if is_held_out(one)]
    assert len(held) / len(MANY) == pytest.approx(1 / 6, abs=0.04)
    assert {is_held_out(bridge(3, name=name)) for name in ("Lisp", "Zilog", "ROM")} == {is_held_out(MANY[3])}


def test_the_task():
    """One question for each article and answer, with a proper name; all passages are in the corpus."""
    bridges = [*MANY, *(bridge(number, name="compiler") for number in range(2000, 2100))]
    bridges += [bridge(3000 + number, target=number) for number in range(100)]
    task = bridge_task(bridges)
    assert (len(task.queries), len(task.corpus)) == (QUERIES, DOCUMENTS)
    answers = [next(iter(grades)) for grades in task.qrels.values()]
    assert len(set(answers)) == QUERIES
    assert not any("compiler" in key for key in task.queries)
    for key, grades in task.qrels.items():
        assert key.split("/")[0] in task.corpus and set(grades) <= set(task.corpus)
    assert bridge_task(bridges[::-1]).data_hash() == task.data_hash()


def test_too_few_questions_or_a_text_twice_are_errors():
    with pytest.raises(DataError, match="Got 299 questions in two hops, wanted 300"):
        bridge_task(MANY[:299])
    twice = [*MANY, bridge(5000, target=5000)]
    twice = [Bridge(**{**vars(one), "passage": "the same"}) for one in twice]
    with pytest.raises(DataError, match="documents twice"):
        bridge_task(twice)
