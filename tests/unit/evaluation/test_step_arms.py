"""Arms of the second step on the tiny model: what each reads and thinks, and what it finds."""

from dataclasses import replace

import numpy as np
import pytest

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.evaluation.step_arms import STEP_ARMS, StepArms
from search_r3.evaluation.step_rivals import first_pass
from search_r3.retrieval.corpus_search import IndexRetriever
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.steps import search_in_steps
from search_r3.retrieval.vector_index import VectorIndex

CORPUS = {"a": "red sea", "b": "a star in the sky", "c": "copy a folder", "d": "sort a list"}
QUERIES = ["how do I copy a folder", "sea", "sky and star"]


@pytest.fixture
def store(tiny):
    index = VectorIndex(tiny.get_embedding_dimension(), fingerprint="")
    index.add(list(CORPUS), tiny.encode_document(list(CORPUS.values())))
    return IndexRetriever(index, CORPUS)


@pytest.fixture
def arms(tiny, store):
    first = first_pass(QUERIES, lambda texts: tiny.encode_query(texts, reasoning="never"), store)
    return StepArms(tiny, store, first, read=2, max_reasoning_tokens=4)


@pytest.fixture
def watched(tiny, monkeypatch):
    """What the model was asked to embed."""
    calls = []
    encode = tiny.encode_query_with_thoughts

    def watch(queries, **options):
        calls.append((list(queries), options))
        return encode(queries, **options)

    monkeypatch.setattr(tiny, "encode_query_with_thoughts", watch)
    return calls


@pytest.mark.parametrize(("arm", "reasoning"), [("own", "always"), ("auto", "auto"), ("empty", "never")])
@pytest.mark.parametrize("together", [False, True])
def test_own_and_empty_are_the_search_in_steps(tiny, store, arms, arm, reasoning, together):
    """The same hits and scores as the search that users have."""
    arms = StepArms(tiny, store, arms._first, read=2, together=together, max_reasoning_tokens=4)
    wanted = search_in_steps(
        tiny, store, QUERIES, 100, read=2, together=together, reasoning=reasoning, max_reasoning_tokens=4
    )
    found = arms.hits(arm)
    assert [[hit.doc_id for hit in hits] for hits in found] == [
        [hit.doc_id for hit in one.hits] for one in wanted
    ]
    scores = [[hit.score for hit in hits] for hits in found]
    assert scores == [pytest.approx([hit.score for hit in one.hits]) for one in wanted]


def test_what_stands_in_the_place_of_the_thought(tiny, arms, watched):
    """The query; as many tokens as the own thought has; a thought of another query."""
    own = arms.own().thoughts
    rows = [query for query, _ in arms._rows]
    assert rows == [0, 0, 1, 1, 2, 2]
    encoder = tiny.reasoning_module.prompt_encoder
    given = {}
    for arm in ("echo", "random", "repeat", "shuffled"):
        arms.hits(arm)
        queries, options = watched[-1]
        assert queries == [QUERIES[query] for query in rows]
        assert options["evidence"] == [[hit.text for hit in group] for _, group in arms._rows]
        given[arm] = options["thoughts"]
    assert given["echo"] == [QUERIES[query] for query in rows]
    lengths = [thought.length for thought in own]
    assert [len(ids) for ids in given["random"]] == [len(ids) for ids in given["repeat"]] == lengths
    assert [ids[:2] for ids in given["repeat"]] == [encoder.encode_text(QUERIES[q])[:2] for q in rows]
    for row, thought in zip(rows, given["shuffled"], strict=True):
        assert any(thought is other for other, query in zip(own, rows, strict=True) if query != row)


def test_other_evidence_is_that_of_another_query(arms, watched):
    """Passages change their query, and the model thinks about them."""
    arms.hits("other_evidence")
    _, options = watched[-1]
    assert options["reasoning"] == "always" and "thoughts" not in options
    groups = [[hit.text for hit in group] for _, group in arms._rows]
    own = [groups[place : place + 2] for place in (0, 2, 4)]
    pairs = [options["evidence"][place : place + 2] for place in (0, 2, 4)]
    assert sorted(pairs) == sorted(own)
    assert all(pair in own[:n] + own[n + 1 :] for n, pair in enumerate(pairs))


def test_the_oracle_names_what_is_not_read(arms, watched):
    """The title of a relevant document that the query has not read, in all of its rows."""
    titles = {"a": "The Sea", "b": "The Star", "c": "", "d": "Sorting"}
    relevant = [{"a", "b"}, {"c"}, set(CORPUS)]
    arms.hits("oracle", titles=titles, relevant=relevant)
    _, options = watched[-1]
    read = {q: {hit.doc_id for query, group in arms._rows if query == q for hit in group} for q in range(3)}
    for (query, _), name in zip(arms._rows, options["thoughts"], strict=True):
        wanted = sorted(relevant[query] - read[query] - {"c"})
        assert name == (titles[wanted[0]] if wanted else "")
    assert len(set(options["thoughts"])) > 1
    with pytest.raises(InvalidInputError, match="oracle without titles"):
        arms.hits("oracle")


def test_own_thoughts_are_made_once(arms, watched):
    """Three arms that need them think one time; the others are replays."""
    for arm in ("own", "random", "shuffled"):
        arms.hits(arm)
    arms.thought_tokens("always")
    assert [options.get("reasoning") for _, options in watched] == ["always", None, None]


def test_a_skipped_thought_is_no_search(arms, monkeypatch):
    """A query that skips all of its thoughts keeps its first ranking; tokens are counted by query."""
    endings = ["skipped", "skipped", "embed_token", "skipped", "budget", "embed_token"]
    lengths = [0, 0, 2, 0, 4, 1]
    own = arms.own("auto")
    thoughts = [
        replace(one, ending=ending, token_ids=(5,) * length)
        for one, ending, length in zip(own.thoughts, endings, lengths, strict=True)
    ]
    monkeypatch.setitem(arms._made, "auto", replace(own, thoughts=thoughts))
    asked = []
    retrieve = arms._retriever.retrieve
    monkeypatch.setattr(
        arms._retriever, "retrieve", lambda texts, *rest: asked.extend(texts) or retrieve(texts, *rest)
    )
    found = arms.hits("auto")
    assert len(asked) == 3
    assert [hit.doc_id for hit in found[0]] == [hit.doc_id for hit in arms._first.hits[0]]
    assert arms.thought_tokens("auto") == [0, 2, 5]


def test_wrong_arms_and_single_queries_are_refused(tiny, store, arms):
    with pytest.raises(InvalidOptionError, match="Got the arm 'never', wanted one of empty, own, auto, echo"):
        arms.hits("never")
    first = first_pass(["alone"], lambda texts: tiny.encode_query(texts, reasoning="never"), store)
    alone = StepArms(tiny, store, first, read=1)
    for arm in ("shuffled", "other_evidence"):
        with pytest.raises(InvalidInputError, match="no other query has any to give"):
            alone.hits(arm)
    assert set(STEP_ARMS) == {
        "empty", "own", "auto", "echo", "random", "repeat", "shuffled", "other_evidence", "oracle"
    }  # fmt: skip
    assert np.isfinite([hit.score for hit in alone.hits("own")[0]]).all()


def test_what_the_thoughts_name(tiny, store, arms, monkeypatch):
    """A title of a relevant document that was not read, in one of a query's thoughts, in any case."""
    read = {"how do I copy a folder": "ab", "sea": "ab", "sky and star": "cd"}
    hits = [[CorpusHit(i, 1.0, rank, CORPUS[i]) for rank, i in enumerate(ids, 1)] for ids in read.values()]
    arms = StepArms(tiny, store, replace(arms._first, hits=hits), read=2, max_reasoning_tokens=4)
    written = ["find", "the red SEA", "red sea", "", "sky", "star"]
    thoughts = [replace(one, text=text) for one, text in zip(arms.own().thoughts, written, strict=True)]
    monkeypatch.setitem(arms._made, "always", replace(arms.own(), thoughts=thoughts))
    titles = {"a": "Sun", "b": "", "c": "Red Sea", "d": "Sky"}
    assert arms.named(titles, [{"a", "c"}, {"a", "b"}, {"a", "d"}]) == [True, None, False]
