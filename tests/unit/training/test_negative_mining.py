"""Mined negatives: what is written, what a run reads, what is not done twice and what is refused."""

import json

import pytest

from search_r3.data.pairs import TrainingPair, read_pairs, write_pairs
from search_r3.errors import DataError, InvalidOptionError
from search_r3.training import negative_mining
from search_r3.training.negative_mining import mine_sources, read_mined
from search_r3.training.sft_config import DataConfig
from search_r3.training.training_data import load_training_data

WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A training set of 60 pairs; every other one has a negative of its own."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    pairs = [
        TrainingPair(
            f"{WORDS[n % 12]} {n}",
            f"{WORDS[(n + n // 12) % 12]} {WORDS[n % 12]} {n}",
            ("given",) if n % 2 else (),
            "words",
            f"q{n}",
            f"d{n}",
        )
        for n in range(60)
    ]
    write_pairs(pairs, tmp_path / "data" / "training" / "words.parquet")
    return tmp_path


def mine(model, built, *, pairs=40, sources=("words",)):
    steps = []
    mine_sources(
        model, sources, built / "mined", pairs=pairs, max_tokens=32, batch_size=8, on_step=steps.append
    )
    return steps


def test_negatives_are_wrong_documents_of_the_sample(fresh_tiny, built):
    """40 of the 60 pairs; negatives are others' positives, then the given ones; queries do not think."""
    mine(fresh_tiny, built)
    found = read_mined(built / "mined", "words")
    every = {pair.query_id: pair for pair in read_pairs(built / "data" / "training" / "words.parquet")}
    assert len(found) == 40 and {pair.query_id for pair in found} < set(every)
    positives = {pair.positive for pair in found}
    mined = 0
    for pair in found:
        own = every[pair.query_id]
        assert (pair.query, pair.positive, pair.doc_id) == (own.query, own.positive, own.doc_id)
        new = [text for text in pair.negatives if text != "given"]
        assert pair.negatives == (*new, *own.negatives)
        assert set(new) <= positives - {pair.positive}
        mined += bool(new)
    assert mined > 20
    notes = json.loads((built / "mined" / "mined.json").read_text())
    assert notes["sources"]["words"]["pairs"] == 40
    assert fresh_tiny[0].reasoning == "never"


def test_negatives_are_the_nearest(fresh_tiny, built):
    """They are ranked by the direct vectors, and none is nearer than 95% of the positive's similarity."""
    mine(fresh_tiny, built, pairs=60)
    found = read_mined(built / "mined", "words")
    documents = fresh_tiny.encode_document([pair.positive for pair in found])
    row = {pair.positive: number for number, pair in enumerate(found)}
    queries = fresh_tiny.encode_query([pair.query for pair in found], reasoning="never")
    for query, pair in zip(queries, found, strict=True):
        scores = documents @ query
        mined = [scores[row[text]] for text in pair.negatives if text != "given"]
        assert mined == sorted(mined, reverse=True)
        assert all(score < 0.95 * scores[row[pair.positive]] + 1e-4 for score in mined)


def test_what_is_there_is_not_mined_again(fresh_tiny, built, monkeypatch):
    """A second call does nothing; a call that wants other negatives in the same folder is refused."""
    assert "with negatives" in mine(fresh_tiny, built)[0]
    monkeypatch.setattr(negative_mining, "mine_negatives", lambda *args, **options: pytest.fail("again"))
    assert mine(fresh_tiny, built) == ["words: mined before"]
    with pytest.raises(InvalidOptionError, match="mined with another pairs"):
        mine(fresh_tiny, built, pairs=30)


def test_a_run_trains_on_the_mined_pairs_alone(fresh_tiny, built):
    """But for those of the dev split, which is that of a run without them."""
    mine(fresh_tiny, built)
    shared = {"sources": {"words": {"examples": 50, "negatives": 1}}, "dev_queries": 5, "dev_documents": 20}
    plain = load_training_data(DataConfig.model_validate(shared), 0)
    found = load_training_data(DataConfig.model_validate({**shared, "negatives": built / "mined"}), 0)
    assert found.dev["words"].data_hash() == plain.dev["words"].data_hash()
    mined = {pair.query: pair.negatives for pair in read_mined(built / "mined", "words")}
    asked = {example.query for example in found.examples}
    assert asked == set(mined) - set(found.dev["words"].queries.values())
    assert {example.negatives for example in found.examples} <= {some[:1] for some in mined.values()}
    assert set(found.hashes) == {"words", "words, mined"} and set(plain.hashes) == {"words"}


def test_what_is_not_there(fresh_tiny, built):
    """A source without a training set, and a folder without mined negatives, are named."""
    with pytest.raises(DataError, match=r"no training set .*others"):
        mine(fresh_tiny, built, sources=("others",))
    with pytest.raises(DataError, match="search-r3 mine"):
        read_mined(built / "nowhere", "words")
    mine(fresh_tiny, built)
    assert read_mined(built / "mined", "others") is None
