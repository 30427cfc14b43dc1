"""The demo on the tiny model, with few documents: what it asks and scores if the model thinks or does not."""

import pytest

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.demo import stdlib_demo
from search_r3.retrieval.corpus_index import CorpusIndex

TASK = RetrievalTask(
    queries={"q": "copy a folder", "r": "sort a list"},
    corpus={"a": "copy a directory tree", "b": "sort the items of a list", "c": "red sea"},
    qrels={"q": {"a": 1}, "r": {"b": 1}},
)


@pytest.fixture
def index(fresh_tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(stdlib_demo, "demo_task", lambda: TASK)
    index, task = stdlib_demo.build_demo_index(
        fresh_tiny, tmp_path / "index", lambda done, total: None, name="my-model"
    )
    assert task is TASK
    assert CorpusIndex.load(tmp_path / "index").model == "my-model"
    return index


@pytest.mark.parametrize(
    ("reasoning", "arms"),
    [("always", ["BM25", "no thinking", "thinking"]), ("never", ["BM25", "no thinking"])],
)
def test_thinking_is_shown_of_a_model_that_thinks(fresh_tiny, index, reasoning, arms):
    """Its answers are compared with those without a thought, and thinking is an arm of its own."""
    fresh_tiny[0].reasoning = reasoning
    answers = stdlib_demo.ask(fresh_tiny, index, k=2)
    assert len(answers) == len(stdlib_demo.QUESTIONS)
    for answer in answers:
        assert (answer.direct is not None) == (answer.thought.length > 0) == (reasoning == "always")
    scores = stdlib_demo.score(fresh_tiny, index, TASK)
    assert [score.arm for score in scores] == arms
    assert scores[0].ndcg_at_10 == 1.0  # BM25: the words are the same
    for score in scores:
        assert 0 <= score.ndcg_at_10 <= 1 and (score.tokens_per_query > 0) == (score.arm == "thinking")
