"""Search in steps: what is read and searched, how rankings are joined, when it stops; values by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from search_r3 import CorpusIndex, Document, build_index
from search_r3.errors import InvalidOptionError
from search_r3.model.thoughts import Thought
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.steps import StepSearch, join_rankings, join_steps, search_in_steps

CORPUS = {
    "song": "the song was written by kepler",
    "decoy": "the author of some other song was born in rome",
    "life": "kepler was born in weil",
    "sea": "the red sea",
}
QUERY = "the town of birth of the author of the song"


def hits(*pairs):
    return [CorpusHit(doc_id, score, rank, doc_id.upper()) for rank, (doc_id, score) in enumerate(pairs, 1)]


class WordModel:
    """A vector is the set of known words of query and thought; a thought is the last word of each passage."""

    def __init__(self, skips=()):
        self.skips = skips  # thoughts that it rather skips
        self.calls = []

    def encode_query_with_thoughts(self, queries, *, evidence=None, reasoning, **options):
        evidence = [()] * len(queries) if evidence is None else evidence
        self.calls.append((list(queries), [list(one) for one in evidence], reasoning, options))
        thoughts = []
        for passages in evidence:
            text = " ".join(passage.split()[-1] for passage in passages)
            if reasoning == "never" or (reasoning == "auto" and text in self.skips):
                thoughts.append(Thought("", (), "skipped"))
            else:
                thoughts.append(Thought(text, (1,), "embed_token"))
        vectors = np.array([vector(f"{q} {t.text}") for q, t in zip(queries, thoughts, strict=True)])
        return SimpleNamespace(embeddings=vectors, thoughts=thoughts)


WORDS = sorted({word for text in CORPUS.values() for word in text.split()})


def vector(text):
    return np.array([float(word in text.split()) for word in WORDS], dtype=np.float32)


class WordStore:
    """Scores are numbers of words in common; equal ones in the order of the corpus."""

    def __init__(self, corpus=CORPUS):
        self.corpus, self.asked = corpus, []

    def retrieve(self, queries, vectors, k):
        self.asked.append(list(queries))
        found = []
        for row in vectors:
            scores = {doc_id: float(row @ vector(text)) for doc_id, text in self.corpus.items()}
            best = sorted(scores, key=lambda doc_id: -scores[doc_id])[:k]
            found.append([CorpusHit(i, scores[i], n, self.corpus[i]) for n, i in enumerate(best, 1)])
        return found


def test_only_reading_finds_the_answer():
    """The query names nothing of the answer; a passage that it finds does."""
    model, store = WordModel(), WordStore()
    [found] = search_in_steps(model, store, [QUERY], 3, steps=2, read=1)
    first, second = found.steps
    # Words in common with the query: the, of, author, song; of the passages "decoy" has all but "the" twice.
    assert [(hit.doc_id, hit.score) for hit in first[0].hits] == [
        ("decoy", 4), ("song", 2), ("sea", 1), ("life", 0)
    ]  # fmt: skip
    assert (second[0].read, second[0].thought.text) == (("decoy",), "rome")
    [found] = search_in_steps(model, store, [QUERY], 4, steps=2, read=2)
    assert [one.read for one in found.steps[1]] == [("decoy",), ("song",)]
    assert found.steps[1][1].thought.text == "kepler"
    by_id = {hit.doc_id: hit.score for hit in found.steps[1][1].hits}
    assert by_id == {"decoy": 4, "song": 3, "sea": 1, "life": 1}
    assert store.asked[-1] == [f"{QUERY} rome", f"{QUERY} kepler"]
    assert model.calls[-1][1] == [[CORPUS["decoy"]], [CORPUS["song"]]]


def test_all_passages_together():
    """One thought about both, one search."""
    model, store = WordModel(), WordStore()
    [found] = search_in_steps(model, store, [QUERY], 4, steps=2, read=2, together=True)
    [search] = found.steps[1]
    assert (search.read, search.thought.text) == (("decoy", "song"), "rome kepler")
    assert store.asked[-1] == [f"{QUERY} rome kepler"]


def test_a_passage_is_read_once_until_none_is_left():
    """Two passages a step, of a corpus of four: the third step reads the rest, a fourth has nothing."""
    [found] = search_in_steps(WordModel(), WordStore(), [QUERY], 4, steps=9, read=2)
    read = [[doc_id for search in searches for doc_id in search.read] for searches in found.steps]
    assert [len(one) for one in read] == [0, 2, 2]
    assert sorted(read[1] + read[2]) == sorted(CORPUS)


def test_the_model_stops_by_skipping():
    """auto: no search for a skipped thought; a query without a new search is done, others go on."""
    model, store = WordModel(skips=("rome", "kepler")), WordStore()
    queries = [QUERY, "the red sea"]
    found = search_in_steps(model, store, queries, 2, steps=3, read=2, reasoning="auto")
    assert [len(one.steps) for one in found] == [2, 3]
    assert [(one.thought.ending, one.hits) for one in found[0].steps[1]] == [("skipped", [])] * 2
    assert [hit.doc_id for hit in found[0].hits] == ["decoy", "song"]  # of the first step alone
    # "the red sea" reads "sea" first, whose thought is no skipped one, and "song" or "decoy", which is.
    assert [one.thought.text for one in found[1].steps[1]] == ["sea", ""]
    assert store.asked[1] == ["the red sea sea"]
    always = search_in_steps(model, store, queries, 2, steps=3, read=2, reasoning="always")
    assert [len(one.steps) for one in always] == [3, 3]


def test_reading_without_a_thought_is_the_control():
    """never: the search after reading is made, with an empty thought."""
    model, store = WordModel(), WordStore()
    [found] = search_in_steps(model, store, [QUERY], 2, steps=2, read=1, reasoning="never")
    assert [call[2] for call in model.calls] == ["never", "never"]
    assert found.steps[1][0].thought.text == "" and found.steps[1][0].hits
    assert store.asked[-1] == [QUERY]


def test_all_queries_take_a_step_at_once():
    """A hundred queries in two steps are two calls of the model and two of the store."""
    model, store = WordModel(), WordStore()
    queries = [QUERY, "the red sea"] * 50
    found = search_in_steps(model, store, queries, 2, steps=2, read=2)
    assert len(model.calls) == len(store.asked) == 2
    assert len(model.calls[1][0]) == 200
    assert found[0] == found[98] and found[1] == found[99]
    assert search_in_steps(model, store, [], 2, steps=2) == []


def test_ranks_are_joined_by_hand():
    """1/61 + w/62 and so on; equal sums in the order of the rankings; texts come along."""
    rankings = [hits(("a", 0.9), ("b", 0.8)), hits(("b", 0.7), ("c", 0.1))]
    found = join_rankings(rankings, [1, 0.5], 2, "ranks")
    assert [(hit.doc_id, hit.rank, hit.text) for hit in found] == [("b", 1, "B"), ("a", 2, "A")]
    assert [hit.score for hit in found] == pytest.approx([1 / 62 + 0.5 / 61, 1 / 61])
    tied = join_rankings([hits(("a", 1), ("b", 0)), hits(("b", 1), ("a", 0))], [1, 1], 9, "ranks")
    assert [hit.doc_id for hit in tied] == ["a", "b"]
    assert join_rankings(rankings[:1], [0.5], 1, "ranks") == rankings[0][:1]


def test_best_ranks_are_joined_by_hand():
    """1 / best rank, whatever the weights; equal ones in the order of the rankings."""
    rankings = [hits(("a", 0.9), ("b", 0.8), ("c", 0.7)), hits(("d", 0.7), ("b", 0.6), ("e", 0.1))]
    found = join_rankings(rankings, [1, 0.1], 4, "best")
    assert [(hit.doc_id, hit.score) for hit in found] == [("a", 1), ("d", 1), ("b", 0.5), ("c", 1 / 3)]
    assert [(hit.rank, hit.text) for hit in found] == [(1, "A"), (2, "D"), (3, "B"), (4, "C")]


def test_scores_are_joined_by_hand():
    """Standardised: of 3 and 1 they are 1 and -1; who is missing has the lowest; equal scores are all 0."""
    rankings = [hits(("a", 3), ("b", 1)), hits(("c", 30), ("b", 10)), hits(("d", 5))]
    found = join_rankings(rankings, [1, 0.5, 7], 9, "scores")
    assert {hit.doc_id: hit.score for hit in found} == {"a": 0.5, "b": -1.5, "c": -0.5, "d": -1.5}
    assert [hit.doc_id for hit in found] == ["a", "c", "b", "d"]


def test_every_step_counts_the_same():
    """Two searches of a step count half each; one that was not made does not count."""
    none = Thought("", (), "skipped")
    first = [StepSearch((), none, hits(("a", 1)))]
    second = [
        StepSearch(("a",), none, hits(("b", 1))),
        StepSearch(("b",), none, hits(("b", 1))),
        StepSearch(("c",), none, []),
    ]
    found = join_steps([first, second], 9, "ranks")
    assert {hit.doc_id: hit.score for hit in found} == pytest.approx({"a": 1 / 61, "b": 1 / 61})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "Got steps=0, wanted an integer of 1 or more"),
        ({"read": 1.5}, "Got read=1.5"),
        ({"joining": "votes"}, "Got joining='votes', wanted 'best', 'ranks' or 'scores'"),
    ],
)
def test_options_that_are_none(options, message):
    with pytest.raises(InvalidOptionError, match=message):
        search_in_steps(WordModel(), WordStore(), [QUERY], 2, **options)


@pytest.mark.parametrize("hybrid", [False, True])
def test_an_index_is_searched_in_steps(tiny, tmp_path, hybrid):
    """The same as by hand, with the real model: search, read, think, search with query and thought, join."""
    build_index(tmp_path / "index", tiny, [Document(*item) for item in CORPUS.items()])
    index = CorpusIndex.load(tmp_path / "index")
    options = {"max_reasoning_tokens": 3, "hybrid": hybrid}
    queries = [QUERY, "red"]
    found = index.search_with_thoughts(queries, 3, tiny, steps=2, read=1, **options)
    retriever = index.retriever(hybrid=hybrid)
    for query, one in zip(queries, found, strict=True):
        direct = tiny.encode_query([query], reasoning="never")
        [first] = retriever.retrieve([query], direct, 100)
        assert [(hit.doc_id, hit.rank) for hit in one.steps[0][0].hits] == [(h.doc_id, h.rank) for h in first]
        encoding = tiny.encode_query_with_thoughts(
            [query], evidence=[[first[0].text]], reasoning="always", max_reasoning_tokens=3
        )
        [search] = one.steps[1]
        assert (search.read, search.thought) == ((first[0].doc_id,), encoding.thoughts[0])
        text = f"{query} {encoding.thoughts[0].text}".strip()
        [second] = retriever.retrieve([text], encoding.embeddings, 100)
        assert [hit.doc_id for hit in search.hits] == [hit.doc_id for hit in second]
        wanted = join_rankings([first, second], [1, 1], 3, "best")
        assert [(hit.doc_id, hit.rank, hit.text) for hit in one.hits] == [
            (hit.doc_id, hit.rank, hit.text) for hit in wanted
        ]
        assert one.thought == encoding.thoughts[0] and one.direct is None
    assert index.search(queries, 3, tiny, steps=2, read=1, **options) == [one.hits for one in found]
    with pytest.raises(InvalidOptionError, match="Got explain with hybrid=False and steps=2"):
        index.search_with_thoughts("red", 3, tiny, steps=2, explain=True)
