"""The cache of thoughts: the same vectors, nothing stale, and no damage that matters."""

import logging
import sqlite3
import threading

import numpy as np
import pytest

from search_r3.errors import DataError, InvalidInputError, InvalidOptionError
from search_r3.model import sentence_transformer, thought_store
from search_r3.model.thought_cache import ThoughtCache

QUERIES = ["red apple", "the blue sea", "sort numbers in a list"]


def same(found, wanted):
    assert [(one.token_ids, one.text, one.ending) for one in found.thoughts] == [
        (one.token_ids, one.text, one.ending) for one in wanted.thoughts
    ]
    assert np.abs(found.embeddings - wanted.embeddings).max() < 1e-5


@pytest.fixture
def replayed(monkeypatch, tiny):
    """Which queries of each call had a thought given to them."""
    calls = []
    plain = sentence_transformer.SearchR3.encode_query_with_thoughts

    def watched(self, queries, *, thoughts=None, **options):
        calls.append([thought is not None for thought in thoughts or []])
        return plain(self, queries, thoughts=thoughts, **options)

    monkeypatch.setattr(sentence_transformer.SearchR3, "encode_query_with_thoughts", watched)
    return calls


@pytest.mark.parametrize("on_disk", [False, True])
def test_known_thoughts_are_replayed(tiny, tmp_path, replayed, on_disk):
    """The second time only the new query thinks; the rest is as it was the first time."""
    wanted = tiny.encode_query_with_thoughts(QUERIES, reasoning="always")
    path = tmp_path / "thoughts.sqlite" if on_disk else None
    cache = ThoughtCache(tiny, path)
    same(
        cache.encode(tiny, QUERIES[:2], reasoning="always"),
        tiny.encode_query_with_thoughts(QUERIES[:2], reasoning="always"),
    )
    del replayed[:]
    if on_disk:
        cache.close()
        cache = ThoughtCache(tiny, path)  # of another process
    same(cache.encode(tiny, QUERIES, reasoning="always"), wanted)
    assert replayed == [[True, True, False]]


def test_what_makes_another_thought_is_in_the_key(tiny, replayed):
    """Budget, mode, instruction and passages; a batch size or what happens to long texts is none of these."""
    cache = ThoughtCache(tiny)
    plain = {"reasoning": "always", "max_reasoning_tokens": 4}
    cache.encode(tiny, QUERIES[:1], **plain)
    changes = [
        {"max_reasoning_tokens": 3}, {"reasoning": "auto"}, {"prompt": "find:"}, {"evidence": [["a star"]]},
    ]  # fmt: skip
    for change in changes:
        del replayed[:]
        cache.encode(tiny, QUERIES[:1], **{**plain, **change})
        assert replayed == [[False]], change
    for same_thought in ({"batch_size": 1}, {"on_truncation": "ignore"}):
        del replayed[:]
        cache.encode(tiny, QUERIES[:1], **plain, **same_thought)
        assert replayed == [[True]], same_thought


def test_a_default_is_its_value(tiny, replayed):
    """The server names its options and the command line does not: they share their thoughts."""
    cache = ThoughtCache(tiny)
    module = tiny.reasoning_module
    cache.encode(tiny, QUERIES[:1], reasoning=module.reasoning)
    cache.encode(tiny, QUERIES[:1], max_reasoning_tokens=module.max_reasoning_tokens, prompt=None)
    assert replayed == [[False], [True]]


def test_a_text_that_is_too_long_is_refused_with_a_known_thought(tiny):
    """The thought of the text as it was cut is no reason to cut it again."""
    cache, long = ThoughtCache(tiny), "star " * 300
    cache.encode(tiny, [long], reasoning="always", on_truncation="ignore")
    with pytest.raises(InvalidInputError):
        cache.encode(tiny, [long], reasoning="always", on_truncation="error")


def test_another_model_finds_nothing(fresh_tiny, tmp_path, replayed):
    """Neither after a change of the template's strings nor of a weight."""
    path = tmp_path / "thoughts.sqlite"
    ThoughtCache(fresh_tiny, path).encode(fresh_tiny, QUERIES[:1], reasoning="always")
    fresh_tiny[0].max_evidence_tokens += 1
    del replayed[:]
    ThoughtCache(fresh_tiny, path).encode(fresh_tiny, QUERIES[:1], reasoning="always")
    assert replayed == [[False]]
    next(fresh_tiny.parameters()).data.add_(0.01)
    del replayed[:]
    ThoughtCache(fresh_tiny, path).encode(fresh_tiny, QUERIES[:1], reasoning="always")
    assert replayed == [[False]]


@pytest.mark.parametrize("options", [{"reasoning": "never"}, {"reasoning": "always", "temperature": 1.0}])
def test_what_is_not_kept(tiny, replayed, options):
    """Queries that do not think, and sampled thoughts."""
    cache = ThoughtCache(tiny)
    for _ in range(2):
        cache.encode(tiny, QUERIES, **options)
    assert replayed == [[], []]


def test_errors_are_the_models_own(tiny):
    """A text that cannot be embedded, lists of different lengths, a size that means nothing."""
    cache = ThoughtCache(tiny)
    with pytest.raises(InvalidInputError, match="Input 1"):
        cache.encode(tiny, ["sun", "\ud800"], reasoning="always")
    with pytest.raises(InvalidInputError, match="2 lists of evidence for 1 queries"):
        cache.encode(tiny, ["sun"], reasoning="always", evidence=[[], []])
    with pytest.raises(InvalidOptionError, match="max_entries=0"):
        ThoughtCache(tiny, max_entries=0)


def test_a_damaged_entry_is_written_anew(tiny, tmp_path, replayed, caplog):
    """Its checksum does not match: a warning, and the thought is thought again."""
    path = tmp_path / "thoughts.sqlite"
    cache = ThoughtCache(tiny, path)
    wanted = cache.encode(tiny, QUERIES, reasoning="always")
    cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE thoughts SET value = '[[1, 2], \"budget\"]' WHERE rowid = 1")
        connection.execute("UPDATE thoughts SET value = x'00ff' WHERE rowid = 2")
    connection.close()
    del replayed[:]
    with caplog.at_level(logging.WARNING):
        same(ThoughtCache(tiny, path).encode(tiny, QUERIES, reasoning="always"), wanted)
    assert sorted(replayed[0]) == [False, False, True]
    assert caplog.text.count("damaged entry") == 2
    del replayed[:]
    ThoughtCache(tiny, path).encode(tiny, QUERIES, reasoning="always")
    assert replayed == [[True, True, True]]


def test_a_file_that_is_no_database_is_moved_aside(tiny, tmp_path, caplog):
    """It is kept under another name, and the cache starts anew."""
    path = tmp_path / "thoughts.sqlite"
    path.write_bytes(b"no database " * 200)
    with caplog.at_level(logging.WARNING):
        cache = ThoughtCache(tiny, path)
    assert "cannot be read" in caplog.text
    assert (tmp_path / "thoughts.sqlite.damaged").read_bytes() == b"no database " * 200
    cache.encode(tiny, QUERIES, reasoning="always")
    cache.close()


def test_a_locked_or_foreign_file_stays_as_it_is(tiny, tmp_path, monkeypatch):
    """It is another program's, or in use: an error, and nothing is moved."""
    monkeypatch.setattr(thought_store, "_SECONDS", 0.1)
    path = tmp_path / "thoughts.sqlite"
    with sqlite3.connect(path) as holder:
        holder.execute("CREATE TABLE thoughts (word TEXT)")
    with pytest.raises(DataError, match="no such column"):
        ThoughtCache(tiny, path)
    locked = tmp_path / "locked.sqlite"
    owner = sqlite3.connect(locked, isolation_level=None)
    owner.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DataError, match="locked"):
        ThoughtCache(tiny, locked)
    owner.close()
    assert not list(tmp_path.glob("*.damaged"))


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_longest_unused_go_first(tiny, tmp_path, replayed, on_disk):
    """Of two that fit, the one that was asked for again stays."""
    path = tmp_path / "thoughts.sqlite" if on_disk else None
    cache = ThoughtCache(tiny, path, max_entries=2)
    for query in (QUERIES[0], QUERIES[1], QUERIES[0], QUERIES[2]):
        cache.encode(tiny, [query], reasoning="always")
    if not on_disk:
        del replayed[:]
        cache.encode(tiny, [QUERIES[0], QUERIES[2]], reasoning="always")
        assert replayed == [[True, True]]
        return
    cache.close()
    connection = sqlite3.connect(path)
    (count,) = connection.execute("SELECT COUNT(*) FROM thoughts").fetchone()
    connection.close()
    assert count <= 2


def test_two_caches_write_one_file(tiny, tmp_path):
    """Threads with a connection each lose nothing of each other's."""
    path = tmp_path / "thoughts.sqlite"
    caches = [ThoughtCache(tiny, path) for _ in range(2)]
    entries = [{bytes([part, number]): ((number,), "budget") for number in range(50)} for part in range(2)]

    def write(cache, mine):
        for key, entry in mine.items():
            cache._store.write({key: entry})

    threads = [threading.Thread(target=write, args=both) for both in zip(caches, entries, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caches[0]._store.read([*entries[0], *entries[1]]) == entries[0] | entries[1]
