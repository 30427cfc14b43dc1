"""The pool of texts: what is worth distilling, once, by source."""

import os

import pytest

from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.data.text_pool import POOL_FILE, build_pool, pool_texts, read_pool, unique_texts, write_pool
from search_r3.errors import DataError


def test_texts_of_pairs():
    """Query, positive and negatives; fewer than twelve characters are nothing; 100 words are enough."""
    long = " ".join(["word"] * 130)
    pair = TrainingPair("a query of words", long, ("too short", "twelve  letter"), "s", "q", "d")
    assert list(pool_texts([pair])) == ["a query of words", " ".join(["word"] * 100), "twelve letter"]


def test_a_text_is_kept_once_whatever_its_case():
    """Also across sources, by the digests that are handed on."""
    seen = set()
    assert unique_texts(["One text", "one TEXT", "another"], seen) == ["One text", "another"]
    assert unique_texts(["ANOTHER", "third"], seen) == ["third"]


def test_there_and_back(tmp_path):
    """Texts by source, in their order; no pool and another table are errors that say what to do."""
    texts = {"b": ["x y", "z"], "a": ["ü"]}
    write_pool(texts, tmp_path / "texts.parquet")
    found = read_pool(tmp_path / "texts.parquet")
    assert found == texts and list(found) == ["b", "a"]
    with pytest.raises(DataError, match="search-r3 data"):
        read_pool(tmp_path / "nothing.parquet")
    write_pool({}, tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="holds no text"):
        read_pool(tmp_path / "empty.parquet")


def test_a_pool_is_built_from_the_training_files(tmp_path):
    """Sets in the order given; it is kept until a training file is newer than it."""
    pairs = [TrainingPair("a query of words", "its answer in words", (), "s", "q", "d")]
    more = [TrainingPair("A Query of Words", "another answer to it", (), "t", "q", "d")]
    for name, some in (("one", pairs), ("two", more)):
        write_pairs(some, tmp_path / "training" / f"{name}.parquet")
        os.utime(tmp_path / "training" / f"{name}.parquet", (1, 1))
    assert build_pool(tmp_path, ["two", "one"])
    assert read_pool(tmp_path / POOL_FILE) == {
        "two": ["A Query of Words", "another answer to it"],
        "one": ["its answer in words"],
    }
    assert not build_pool(tmp_path, ["two", "one"])
    os.utime(tmp_path / POOL_FILE, (0, 0))
    assert build_pool(tmp_path, ["one"])
    assert list(read_pool(tmp_path / POOL_FILE)) == ["one"]
