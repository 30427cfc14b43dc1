"""Questions in two hops out of articles without links, by hand."""

import pytest

from search_r3.data.sources.wiki_bridges import wiki_bridges

ASIDE = "It is a place with a long and well documented history."
ARTICLES = {
    "Ada Lovelace": "Ada Lovelace was a mathematician who wrote programs for the engine of Charles Babbage. "
    "She lived for most of her life in London.",
    "Charles Babbage": "An English engineer who designed a mechanical computer.",
    "London": "London is the capital of England and of the United Kingdom.",
    "England": ASIDE,
}


def found(articles=ARTICLES, **more):
    return {bridge.key: bridge for bridge in wiki_bridges({**articles, **more})}


def test_a_question_by_hand():
    """The sentence without the title; the passage that has it; the article on it; what else it names."""
    bridge = found()["wiki-Ada Lovelace/Charles Babbage"]
    assert "Babbage" not in bridge.question and "Ada Lovelace" in bridge.question
    assert "wrote programs for the engine of" in bridge.question
    assert bridge.passage == f"Ada Lovelace: {ARTICLES['Ada Lovelace']}"
    assert (bridge.name, bridge.about) == ("Charles Babbage", "Ada Lovelace")
    assert bridge.target == "Charles Babbage: An English engineer who designed a mechanical computer."
    assert bridge.others == (f"London: {ARTICLES['London']}",)
    assert set(found()) == {
        "wiki-Ada Lovelace/Charles Babbage", "wiki-Ada Lovelace/London", "wiki-London/England",
    }  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"London": "London is where Ada Lovelace lived."},  # a search finds it at once
        {"London": "Lovelace and others lived in this city for many years."},
        {
            "London": ARTICLES["London"],
            "Ada Lovelace": "She lived for all of her short life in Greater London.",
        },
        {"Ada Lovelace": "She lived for all of her short life in London Bridge Road."},
        {"Ada Lovelace": "London was the city in which she lived for all of her life."},  # is it a name?
        {"Ada Lovelace": "She lived in London."},  # too short a question
        {"Ada Lovelace": "She lived for all of her short life near Londonderry."},
        {
            "Ada Lovelace": f"{'word ' * 52}and she lived for all of her short life in London."
        },  # cut before it
        {"Ada Lovelace": f"{'She wrote. ' * 25}She lived for all of her short life in London, they say."},
    ],
)
def test_what_makes_no_question(changed):
    """Answers that mention A, names that are parts of others, cut sentences."""
    assert "wiki-Ada Lovelace/London" not in found(**changed)


def test_the_longest_title_counts():
    """A title within a longer one is not named."""
    keys = found(**{"Charles": ASIDE, "Babbage": ASIDE})
    assert "wiki-Ada Lovelace/Charles Babbage" in keys
    assert not {"wiki-Ada Lovelace/Charles", "wiki-Ada Lovelace/Babbage"} & set(keys)
