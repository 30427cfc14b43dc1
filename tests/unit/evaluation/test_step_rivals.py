"""What rivals of thinking find in a second step: scores and ranks by hand over a corpus of words."""

import numpy as np
import pytest

from search_r3.evaluation.step_rivals import (
    BM25Retriever,
    first_pass,
    mention_bonus,
    passage_appended,
    rocchio,
    soft_centroid,
)
from search_r3.retrieval.bm25 import bm25_run
from search_r3.retrieval.corpus_search import IndexRetriever
from search_r3.retrieval.steps import join_rankings
from search_r3.retrieval.vector_index import VectorIndex

CORPUS = {
    "Song": "Song: it was written by Kepler",
    "Kepler": "Kepler: born in Weil",
    "Rome": "Rome: a town of songs",
}
AXES = {"Song": [1.0, 0.0, 0.0], "Kepler": [0.0, 1.0, 0.0], "Rome": [0.0, 0.0, 1.0]}
VECTORS = {key: np.array(value, dtype=np.float32) for key, value in AXES.items()}
QUERY = np.array([0.8, 0.0, 0.6], dtype=np.float32)


def encode(texts):
    """Every text is the query's vector, but for those with a passage behind: these are Kepler's."""
    return np.array([VECTORS["Kepler"] if "written" in text else QUERY for text in texts])


@pytest.fixture
def retriever():
    index = VectorIndex(3, fingerprint="")
    index.add(list(VECTORS), np.array(list(VECTORS.values())))
    return IndexRetriever(index, CORPUS)


@pytest.fixture
def first(retriever):
    return first_pass(["who wrote it, and where was he born", "town"], encode, retriever)


def ids(hits):
    return [hit.doc_id for hit in hits]


def test_the_first_pass_is_one_search(first):
    assert [ids(hits) for hits in first.hits] == [["Song", "Rome", "Kepler"]] * 2
    assert [hit.score for hit in first.hits[0]] == pytest.approx([0.8, 0.6, 0.0])


def test_passages_are_appended_and_joined(first, retriever):
    """One search with each passage; the ranking is that of both steps with equal weight."""
    asked = []

    def watched(texts):
        asked.append(list(texts))
        return encode(texts)

    found = passage_appended(first, watched, retriever, read=1)
    assert asked == [[f"{query} {CORPUS['Song']}" for query in first.queries]]
    [second] = retriever.retrieve([""], VECTORS["Kepler"][None], 100)
    for hits in found:
        wanted = join_rankings([first.hits[0], second], [1, 1], 100, "best")
        assert [(hit.doc_id, hit.score) for hit in hits] == [(hit.doc_id, hit.score) for hit in wanted]
    assert ids(second)[0] == "Kepler"


def test_a_long_passage_is_appended_in_part(retriever):
    """Sixty words of it."""
    corpus = {"long": " ".join(str(n) for n in range(100))}
    texts = []

    def watched(given):
        texts.extend(given)
        return np.array([VECTORS["Song"]] * len(given))

    index = VectorIndex(3, fingerprint="")
    index.add(["long"], VECTORS["Song"][None])
    store = IndexRetriever(index, corpus)
    passage_appended(first_pass(["q"], watched, store), watched, store, read=3)
    assert texts == ["q", "q " + " ".join(str(n) for n in range(60))]


def test_rocchio_moves_towards_the_mean(first, retriever):
    """(0.8, 0, 0.6) + 1 * (0.5, 0, 0.5) is (1.3, 0, 1.1), of unit length."""
    [hits, _] = rocchio(first, VECTORS, retriever, read=2, weight=1.0)
    length = np.hypot(1.3, 1.1)
    assert ids(hits)[:2] == ["Song", "Rome"]
    assert [hit.score for hit in hits] == pytest.approx([1.3 / length, 1.1 / length, 0.0], abs=1e-6)


def test_the_soft_centroid_weighs_by_cosine(first, retriever):
    """Of Song at 0.8 and Rome at 0.6 with temperature 0.2, the softmax gives Song e / (1 + e)."""
    [hits, _] = soft_centroid(first, VECTORS, retriever, read=2, weight=1.0, temperature=0.2)
    share = np.e / (1 + np.e)
    moved = np.array([0.8 + share, 0.6 + 1 - share])
    assert [hit.score for hit in hits][:2] == pytest.approx(moved / np.linalg.norm(moved), abs=1e-6)


def test_what_is_mentioned_is_lifted(first):
    """Kepler stands in the first document; Song and Rome are mentioned by no other one."""
    titles = {"Song": "Song", "Kepler": "Kepler", "Rome": ""}
    [hits, _] = mention_bonus(first, titles, read=1, bonus=0.5)
    assert ids(hits) == ["Kepler", "Song", "Rome"]
    assert [hit.score for hit in hits] == pytest.approx([1 / 63 + 0.5, 1 / 61, 1 / 62])
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [ids(row) for row in mention_bonus(first, titles, read=1, bonus=0.0)] == [
        ids(h) for h in first.hits
    ]


def test_a_title_within_a_word_is_no_mention(first):
    """Of C in "CPU" nothing follows."""
    [hits, _] = mention_bonus(first, {"Kepler": "Kep", "Rome": "it was"}, read=1, bonus=0.5)
    assert ids(hits) == ["Rome", "Song", "Kepler"]


def test_bm25_is_a_retriever():
    """It gives BM25's documents, scores and texts, and none to a query without a word of theirs."""
    found = BM25Retriever(CORPUS).retrieve(["kepler weil", "nothing"], np.zeros((2, 3)), 2)
    wanted = bm25_run(CORPUS, {"q": "kepler weil"}, k=2)["q"]
    assert [(hit.doc_id, hit.score, hit.text) for hit in found[0]] == [
        (doc_id, score, CORPUS[doc_id]) for doc_id, score in wanted.items()
    ]
    assert found[1] == []


def test_a_query_that_found_nothing_stays_without(retriever):
    """No passage to append, no document to move towards."""
    store = BM25Retriever(CORPUS)
    first = first_pass(["kepler", "nothing"], encode, store)
    assert first.hits[1] == []
    assert passage_appended(first, encode, store, read=2)[1] == []
    assert ids(rocchio(first, VECTORS, retriever, read=2, weight=1.0)[1]) == ["Song", "Rome", "Kepler"]
    assert mention_bonus(first, {}, read=2, bonus=1.0)[1] == []
