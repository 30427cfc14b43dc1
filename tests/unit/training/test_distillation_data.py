"""Texts of a distillation run: shares of the sources, roles, sequences."""

from collections import Counter

import pytest
import torch

from search_r3.data.pairs import TrainingPair, pairs_hash, write_pairs
from search_r3.data.text_pool import write_pool
from search_r3.errors import DataError
from search_r3.files import file_sha256
from search_r3.training.batches import TokenBudgetBatchSampler
from search_r3.training.distillation_config import TextConfig
from search_r3.training.distillation_data import RoleText, TextEncoder, draw_texts, load_pool


def pool(**sizes):
    return {source: [f"{source} text number {n}" for n in range(size)] for source, size in sizes.items()}


@pytest.mark.parametrize(("power", "wanted"), [(1, (90, 10)), (0, (50, 50)), (0.5, (75, 25))])
def test_shares_follow_the_power_of_the_sizes(power, wanted):
    """900 and 100 texts: 9 to 1, 1 to 1, and 3 to 1."""
    drawn = draw_texts(pool(large=900, small=100), TextConfig(texts=100, source_power=power), 0)
    counts = Counter(text.text.split()[0] for text in drawn)
    assert (counts["large"], counts["small"]) == wanted


def test_a_source_is_gone_through_before_a_text_comes_again():
    """25 draws of 10 texts: each of them twice or three times; another seed gives another order."""
    config = TextConfig(texts=25)
    drawn = [text.text for text in draw_texts(pool(one=10), config, 0)]
    assert sorted(Counter(drawn).values()) == [2] * 5 + [3] * 5
    assert len(set(drawn[:10])) == len(set(drawn[10:20])) == 10
    assert drawn == [text.text for text in draw_texts(pool(one=10), config, 0)]
    assert drawn != [text.text for text in draw_texts(pool(one=10), config, 1)]


def test_batches_of_one_source_if_asked_for(tiny):
    """A text's shape is of its source's group then, and of one group for all otherwise."""
    for one_source, groups in ((True, {"one", "two"}), (False, {"texts"})):
        config = TextConfig(texts=8, batch_rows=4, batch_tokens=384, one_source=one_source)
        texts = draw_texts(pool(one=10, two=10), config, 0)
        assert Counter(text.source for text in texts) == {"one": 4, "two": 4}
        encoder = TextEncoder(tiny[0], config, lambda texts: torch.ones(len(texts), 3))
        shapes = [encoder.shape(text) for text in texts]
        assert {shape.group for shape in shapes} == groups
        # Of one length, so that a source's short and long texts are in one batch.
        assert ({shape.tokens for shape in shapes} == {config.max_tokens}) == one_source


def test_a_source_gives_whole_batches(tiny):
    """Shares 3 to 1 of 36 texts in batches of 4: 28 and 8; each batch is full and of one source."""
    config = TextConfig(texts=36, batch_rows=5, batch_tokens=4 * 16, max_tokens=16, one_source=True)
    texts = draw_texts(pool(large=900, small=100), config, 0)
    assert Counter(text.source for text in texts) == {"large": 28, "small": 8}
    encoder = TextEncoder(tiny[0], config, lambda texts: torch.ones(len(texts), 3))
    sampler = TokenBudgetBatchSampler(
        [encoder.shape(text) for text in texts], batch_tokens=config.batch_tokens, batch_rows=5
    )
    batches = [[texts[index] for index in batch] for batch in sampler]
    assert [len(batch) for batch in batches] == [4] * 9
    assert all(len({text.source for text in batch}) == 1 for batch in batches)


def test_a_text_does_not_meet_itself(tiny):
    """Four draws of two texts: their copies are in different batches."""
    config = TextConfig(texts=4, batch_rows=4, batch_tokens=384, one_source=True)
    texts = draw_texts(pool(one=2), config, 0)
    encoder = TextEncoder(tiny[0], config, lambda texts: torch.ones(len(texts), 3))
    sampler = TokenBudgetBatchSampler([encoder.shape(text) for text in texts], batch_tokens=384, batch_rows=4)
    assert [len({texts[index].text for index in batch}) for batch in sampler] == [2, 2]


def test_long_texts_are_documents():
    """Of short texts about the given share are queries; of texts above the limit none."""
    texts = {"short": ["two words"] * 1000, "long": [" ".join(["word"] * 25)] * 1000}
    drawn = draw_texts(texts, TextConfig(texts=2000, query_share=0.3, source_power=1), 0)
    queries = [text for text in drawn if text.role == "query"]
    assert all(text.text == "two words" for text in queries)
    assert 250 < len(queries) < 350


def test_sequences_are_the_runtimes(tiny):
    """Queries without a thought and documents as `preprocess` makes them, and the teacher's vectors."""
    encoder = TextEncoder(tiny[0], TextConfig(texts=2), lambda texts: torch.ones(len(texts), 3))
    texts = [RoleText("red apple", "query", "a"), RoleText("the blue sea", "document", "b")]
    batch = encoder([text.to_row() for text in texts])
    found = [
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch["text_input_ids"], batch["text_attention_mask"], strict=True)
    ]
    query = tiny[0].preprocess([("red apple", ())], task="query")["input_ids"][0].tolist()
    document = tiny[0].preprocess(["the blue sea"], task="document")["input_ids"][0].tolist()
    assert found == [query, document]
    assert [encoder.shape(text).tokens for text in texts] == [len(query), len(document)]
    assert batch["text_teacher"].tolist() == [[1.0] * 3] * 2


def test_texts_of_some_training_sets(tmp_path, monkeypatch):
    """Queries, positives and negatives once each, if long enough; without sources the whole pool."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path))
    sets = {
        "a": [TrainingPair("what is the first", "the first answer", ("a wrong answer",), "a", "1", "1")],
        "b": [TrainingPair("What is the FIRST", "the second answer", ("too short",), "b", "1", "1")],
    }
    for name, pairs in sets.items():
        write_pairs(pairs, tmp_path / "training" / f"{name}.parquet")
    pool, hashes = load_pool(TextConfig(texts=2, sources=("a", "b")))
    assert pool == {
        "a": ["what is the first", "the first answer", "a wrong answer"],
        "b": ["the second answer"],
    }
    assert hashes == {name: pairs_hash(pairs) for name, pairs in sets.items()}
    with pytest.raises(DataError, match=r"There is no training set .*absent"):
        load_pool(TextConfig(texts=2, sources=("absent",)))
    with pytest.raises(DataError, match="training set a adds no text"):
        load_pool(TextConfig(texts=2, sources=("a", "a")))
    write_pool({"all": ["another text"]}, tmp_path / "texts.parquet")
    assert load_pool(TextConfig(texts=2)) == (
        {"all": ["another text"]},
        {"texts": file_sha256(tmp_path / "texts.parquet")},
    )
