"""Questions in two hops out of glosses, by hand."""

import pytest

from search_r3.data.sources import wordnet_bridges as module
from search_r3.data.sources.wordnet import Synset
from search_r3.data.sources.wordnet_bridges import wordnet_bridges

SEA = "an arm of the Mediterranean between Italy and the islands of Corsica and Sardinia"


def synset(key, lemma, gloss, *above, pos="n", more=()):
    return Synset(pos + key, pos, (lemma, *more), gloss, (), tuple(f"n{one}" for one in above))


SYNSETS = (
    synset("1", "river", "a large natural stream of water"),
    synset("2", "sea", "a division of an ocean"),
    synset(
        "3",
        "Tiber",
        "a river of central Italy; flows through Rome to the Tyrrhenian Sea",
        "1",
        more=("Tevere",),
    ),
    synset("4", "Tyrrhenian Sea", SEA, "2"),
    synset("5", "Black Sea", "a sea between Europe and Asia", "2"),
    synset("6", "Po", "a river that flows eastward across Italy", "1"),
)


@pytest.fixture(autouse=True)
def nothing_is_held_out(monkeypatch):
    monkeypatch.setattr(module, "_is_held_out", lambda name: name == "Held Out")


def found(*more):
    return {bridge.key: bridge for bridge in wordnet_bridges([*SYNSETS, *more])}


def test_a_question_by_hand():
    """A's gloss without the name, or the kind of B; A's gloss as passage; B's gloss and its sisters."""
    assert set(found()) == {"wordnet-n3/Tyrrhenian Sea"}
    bridge = found()["wordnet-n3/Tyrrhenian Sea"]
    assert (bridge.about, bridge.name) == ("Tiber", "Tyrrhenian Sea")
    assert "Tyrrhenian" not in bridge.question and "Tiber" in bridge.question
    assert SYNSETS[2].gloss in bridge.passage and "Tiber" in bridge.passage
    assert bridge.target == f"Tyrrhenian Sea: {SEA}"
    assert bridge.others == ("Black Sea: a sea between Europe and Asia",)
    assert (bridge.article_key, bridge.target_key) == ("wordnet-n3", "wordnet-n4")


def test_questions_and_passages_are_of_several_forms():
    """Half of the questions give the kind alone; some passages have other rivers in them."""
    rivers = [
        synset(
            str(100 + n), f"Stream number {n}", f"the river {n} that flows to the Tyrrhenian Sea at last", "1"
        )
        for n in range(12)
    ]
    bridges = found(*rivers).values()
    assert len(bridges) == module._MOST_QUESTIONS  # one of thirteen is left out
    kinds = [bridge for bridge in bridges if "flows" not in bridge.question]
    assert 2 <= len(kinds) <= 10 and all("sea" in bridge.question for bridge in kinds)
    assert len({bridge.question.replace(bridge.about, "") for bridge in kinds}) > 1
    longer = [bridge for bridge in bridges if bridge.passage.count("river") > 2]
    assert longer and all(f"{bridge.about}: " in bridge.passage for bridge in longer)


@pytest.mark.parametrize(
    "more",
    [
        synset("9", "Tyrrhenian Sea", "another sea of this name", "2"),  # which one is meant?
        synset("9", "Tyrrhenian Sea", "of that sea", pos="a"),
    ],
)
def test_a_name_of_several_meanings_makes_no_question(more):
    assert not found(more)


@pytest.mark.parametrize(
    "one",
    [
        synset("9", "coast", "the Tyrrhenian Sea coast"),  # too short
        synset("9", "Greater Tyrrhenian Sea", "all waters around the Tyrrhenian Sea and Sicily"),
        synset("9", "arm", "a part of the Tyrrhenian Sea that reaches into land"),  # B's gloss mentions A
        synset("9", "coast", "land that lies along the Lower Tyrrhenian Sea"),
        synset("9", "Held Out", "a place that lies along the Tyrrhenian Sea"),
    ],
)
def test_what_makes_no_question(one):
    """Short glosses, names within names, answers that mention A, parts of longer names, held-out names."""
    assert "wordnet-n9/Tyrrhenian Sea" not in found(one)
    assert "wordnet-n9/Tyrrhenian Sea" in found(
        synset("9", "coast", "land that lies along the Tyrrhenian Sea")
    )
