"""Shards on disk: every row as it was put, exact search, one state at a time, and no damage unseen."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from search_r3.errors import InvalidInputError, VectorIndexError
from search_r3.retrieval import bm25, shards, store_writer, stored_vectors
from search_r3.retrieval.bm25 import BM25Index
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.document_store import DocumentStore
from search_r3.retrieval.store_writer import StoreWriter, compact
from search_r3.retrieval.vector_index import VectorIndex

WIDTH = 8


def vector_of(doc_id: str, version: int = 0) -> np.ndarray:
    """A unit vector that belongs to an id and a version."""
    generator = np.random.default_rng([version, *doc_id.encode()])
    vector = generator.standard_normal(WIDTH)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def put(writer: StoreWriter, ids: list[str], version: int = 0) -> None:
    texts = [f"text of {doc_id}, version {version}" for doc_id in ids]
    writer.put(ids, texts, np.array([vector_of(doc_id, version) for doc_id in ids]))


def check(store: DocumentStore, versions: dict[str, int]) -> None:
    """The documents are these, in this order, each with its own text and vector."""
    assert list(store.texts) == list(store.vectors.doc_ids) == list(versions)
    assert dict(store.texts) == {i: f"text of {i}, version {version}" for i, version in versions.items()}
    wanted = [vector_of(doc_id, version) for doc_id, version in versions.items()]
    np.testing.assert_array_equal(store.vectors.vectors(), np.array(wanted).reshape(-1, WIDTH))


@pytest.fixture
def writer(tmp_path) -> StoreWriter:
    made = StoreWriter.create(tmp_path, dimension=WIDTH, fingerprint="model", model="name")
    made.commit()
    return made


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(store_writer, "SHARD_ROWS", 5)
    monkeypatch.setattr(stored_vectors, "_ROWS", 3)
    monkeypatch.setattr(stored_vectors, "_QUERIES", 2)


def test_rows_are_read_as_they_were_put(writer, tmp_path, small_shards):
    """Over several shards, with a replaced and a removed document; what was not committed is not there."""
    check(DocumentStore.open(tmp_path), {})
    for start in range(0, 12, 3):
        put(writer, [f"d{number}" for number in range(start, start + 3)])
    writer.commit()
    put(writer, ["d1", "new"], version=1)
    writer.remove(["d5"])
    before = DocumentStore.open(tmp_path)
    check(before, {f"d{number}": 0 for number in range(12)})
    writer.commit("other name")
    after = DocumentStore.open(tmp_path)
    kept = {f"d{number}": 0 for number in range(12) if number not in (1, 5)}
    check(after, kept | {"d1": 1, "new": 1})
    assert (after.manifest.model, after.manifest.fingerprint) == ("other name", "model")
    assert len(after.manifest.shards) == 3  # a shard grows by whole batches, up to 5 rows or a batch more
    check(before, {f"d{number}": 0 for number in range(12)})


@pytest.mark.parametrize("count", [1, 4, 23])
def test_search_is_that_of_the_index_in_memory(writer, tmp_path, small_shards, count):
    """Hits, scores and ties are the same bit for bit, whatever was removed or replaced before."""
    ids = [f"d{number}" for number in range(count)]
    for start in range(0, count, 4):
        put(writer, ids[start : start + 4])
    writer.put(["twin-a", "twin-b"], ["", ""], np.array([vector_of("d0")] * 2))
    put(writer, ids[::3], version=1)
    writer.remove(ids[1::3])
    writer.commit()
    stored = DocumentStore.open(tmp_path).vectors
    memory = VectorIndex(WIDTH, fingerprint="model")
    memory.add(stored.doc_ids, stored.vectors())
    assert len(stored) == len(memory) and "twin-a" in stored and "d1" not in stored
    queries = np.array([vector_of(f"q{number}") for number in range(5)] + [vector_of("d0")])
    for k in (1, 2, 7, 100):
        found = stored.search(queries, k, fingerprint="model")
        assert found == memory.search(queries, k, fingerprint="model")
    some = [[hit.doc_id for hit in hits][::2][::-1] for hits in found]
    wanted = [[hit.rank for hit in hits][::2][::-1] for hits in found]
    assert stored.ranks(queries, some) == memory.ranks(queries, some) == wanted
    assert [hit.doc_id for hit in found[-1][:2]] == ["twin-b", "twin-a"]
    np.testing.assert_array_equal(stored.vectors(["twin-a", "d0", "d0"])[1], vector_of("d0", version=1))


def test_what_a_search_refuses(writer, tmp_path):
    put(writer, ["a"])
    writer.commit()
    stored = DocumentStore.open(tmp_path).vectors
    with pytest.raises(VectorIndexError, match="use one model for both"):
        stored.search(vector_of("a")[None], 1, fingerprint="other")
    with pytest.raises(InvalidInputError, match="got k 0"):
        stored.search(vector_of("a")[None], 0, fingerprint="model")
    with pytest.raises(InvalidInputError, match="wanted norm 1"):
        stored.search(2 * vector_of("a")[None], 1, fingerprint="model")
    with pytest.raises(VectorIndexError, match="'b' is not in the index"):
        stored.vectors(["b"])


def test_odd_texts_and_ids_come_back(writer, tmp_path):
    """Line separators of every kind, a lone surrogate in a text, nothing at all."""
    texts = {"a\u2028b": 'line\nline\r\u2028\x85 "q"', "é": "", "\n": "\ud800 half", "d": "日本" * 1000}
    writer.put(list(texts), list(texts.values()), np.array([vector_of(doc_id) for doc_id in texts]))
    writer.commit()
    assert dict(DocumentStore.open(tmp_path).texts) == texts


def test_bytes_written(writer, tmp_path, monkeypatch):
    """A commit for each of many batches writes the data once, and little beside it."""
    written = []
    plain = shards.write_bytes
    monkeypatch.setattr(
        shards, "write_bytes", lambda path, data: (written.append(len(data)), plain(path, data))
    )
    rows = 200
    for start in range(0, 6000, rows):
        ids = [f"d{number}" for number in range(start, start + rows)]
        generator = np.random.default_rng(start)
        vectors = generator.standard_normal((rows, WIDTH))
        writer.put(ids, ["word " * 30] * rows, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        writer.commit()
    data = 6000 * (4 * WIDTH + 150 + 2 + 7)
    files = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert data < files + sum(written) < 1.1 * data


def test_compaction_keeps_the_order_and_frees_the_space(writer, tmp_path, small_shards):
    """Only shards with many removed rows are written anew; one without any rows goes."""
    ids = [f"d{number}" for number in range(15)]
    for start in range(0, 15, 5):
        put(writer, ids[start : start + 5])
    writer.remove([*ids[:5], ids[6], ids[8], ids[10]])
    writer.commit()
    reader = DocumentStore.open(tmp_path)
    left = {doc_id: 0 for doc_id in ids if doc_id not in {*ids[:5], ids[6], ids[8], ids[10]}}
    check(reader, left)
    old = reader.manifest.shards
    compact(tmp_path)
    again = DocumentStore.open(tmp_path)
    check(again, left)
    assert [shard.rows for shard in again.manifest.shards] == [3, 5] and again.manifest.shards[1] == old[2]
    StoreWriter.open(tmp_path).sweep()
    names = set().union(*(shard.file_names for shard in again.manifest.shards)) | {"manifest.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    check(reader, left)  # its files are gone, and it has them still
    compact(tmp_path)
    assert DocumentStore.open(tmp_path).manifest == again.manifest
    put(StoreWriter.open(tmp_path), ["more"])


def test_a_reader_meets_a_writer(writer, tmp_path, monkeypatch):
    """Files that went while it opened them: it takes the newer state."""
    put(writer, ["a", "b"])
    writer.remove(["a"])
    writer.commit()
    older = shards.read_manifest(tmp_path)
    compact(tmp_path)
    StoreWriter.open(tmp_path).sweep()
    newer, answers = shards.read_manifest(tmp_path), [older]
    monkeypatch.setattr(
        "search_r3.retrieval.document_store.read_manifest", lambda _: answers.pop() if answers else newer
    )
    check(DocumentStore.open(tmp_path), {"b": 0})


def test_every_damage_is_refused(writer, tmp_path):
    """A byte of any file changed, a file cut or gone: an error that says what to do."""
    put(writer, ["a", "b", "c"])
    writer.remove(["b"])
    writer.commit()
    StoreWriter.open(tmp_path).sweep()
    paths = sorted(path for path in tmp_path.iterdir())
    assert len(paths) == 6
    for path in paths:
        content = path.read_bytes()
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        for damaged in (content[:-1], changed):
            path.write_bytes(damaged)
            with pytest.raises(VectorIndexError, match=r"is damaged.*(build it again|restore)"):
                DocumentStore.open(tmp_path)
        path.unlink()
        with pytest.raises((VectorIndexError, FileNotFoundError), match=path.name):
            DocumentStore.open(tmp_path)
        path.write_bytes(content)
    (tmp_path / paths[0].name).write_bytes(paths[0].read_bytes() + b"what a killed writer left")
    check(DocumentStore.open(tmp_path), {"a": 0, "c": 0})


def test_a_newer_format_is_refused(writer, tmp_path):
    (tmp_path / "manifest.json").write_text('{"format_version": 4, "sha256": ""}')
    with pytest.raises(VectorIndexError, match="format 4; wanted format 3 or older"):
        DocumentStore.open(tmp_path)


def write_forever(folder: Path) -> None:
    """Add documents, replace some, compact, and again."""
    while True:
        writer = StoreWriter.open(folder)
        writer.sweep()
        known = len(writer.store.texts)
        versions = {doc_id: int(text.rpartition(" ")[2]) for doc_id, text in writer.store.texts.items()}
        for batch in range(6):
            put(writer, [f"d{known + 10 * batch + number}" for number in range(10)])
            writer.commit()
        for doc_id in sorted(versions)[::2][:20]:
            put(writer, [doc_id], versions[doc_id] + 1)
        writer.commit()
        compact(folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_kill_9_at_random_moments(writer, tmp_path):
    """Twenty times: no document is lost, doubled, or has another's text or vector."""
    draw, before = random.Random(0), 0
    for _ in range(20):
        child = os.fork()
        if child == 0:
            try:
                write_forever(tmp_path)
            finally:
                os._exit(1)
        time.sleep(draw.uniform(0.02, 0.3))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, "the writer failed by itself"
        store = DocumentStore.open(tmp_path)
        versions = {doc_id: int(text.rpartition(" ")[2]) for doc_id, text in store.texts.items()}
        check(store, versions)
        assert set(versions) == {f"d{number}" for number in range(len(versions))}
        assert len(versions) >= before and len(versions) % 10 == 0
        before = len(versions)
    assert before > 100


# --------------------------------------------------------------------------------------------- BM25 beside it


@pytest.fixture
def built(monkeypatch):
    """How many documents each BM25 index that was built had."""
    made, plain = [], BM25Index.__init__

    def watched(self, corpus):
        made.append(len(corpus))
        plain(self, corpus)

    monkeypatch.setattr(bm25.BM25Index, "__init__", watched)
    return made


def words(index: CorpusIndex, query: str) -> dict[str, float]:
    return index.retriever(hybrid=True)._bm25.search({"q": query})["q"]


def test_bm25_is_built_once_for_a_state(writer, tmp_path, built):
    """The next process reads it, with the same scores; a changed index has its own."""
    put(writer, ["a", "b", "c"])
    writer.commit()
    first = CorpusIndex.load(tmp_path)
    wanted = words(first, "text of b")
    assert words(first, "text of b") == wanted and built == [3]
    assert words(CorpusIndex.load(tmp_path), "text of b") == wanted and built == [3]
    assert first.retriever()._bm25 is None
    put(writer, ["d"])
    writer.commit()
    writer.sweep()
    assert words(CorpusIndex.load(tmp_path), "text of d").keys() == {"a", "b", "c", "d"} and built == [3, 4]
    assert [path.name for path in tmp_path.glob("bm25-*")] == [store_writer.bm25_name(writer.manifest)]


def test_bm25_of_an_index_that_was_built_anew_is_not_mixed_up(writer, tmp_path, built):
    """A process that still has the former one writes nothing into the new one, nor where it was."""
    put(writer, ["a", "b"])
    writer.commit()
    former = CorpusIndex.load(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    anew = StoreWriter.create(tmp_path, dimension=WIDTH, fingerprint="model", model="name")
    anew.commit()
    anew.put(["c", "d"], ["steam engine", "electric motor"], np.array([vector_of("c"), vector_of("d")]))
    anew.commit()
    assert words(former, "text").keys() == {"a", "b"} and not list(tmp_path.glob("bm25-*"))
    assert words(CorpusIndex.load(tmp_path), "steam engine").keys() == {"c"} and built == [2, 2]
    shutil.rmtree(tmp_path)
    assert words(former, "text").keys() == {"a", "b"} and not tmp_path.exists()


def test_a_damaged_bm25_index_is_built_again(writer, tmp_path, built, caplog):
    put(writer, ["a", "b"])
    writer.commit()
    wanted = words(CorpusIndex.load(tmp_path), "version")
    [folder] = tmp_path.glob("bm25-*")
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
        assert words(CorpusIndex.load(tmp_path), "version") == wanted
        assert words(CorpusIndex.load(tmp_path), "version") == wanted  # it is mended
    assert built == [2] * (1 + len(names))
    assert "it is built again" in caplog.text


def test_an_index_of_texts_without_words_has_no_bm25_hits(writer, tmp_path, built):
    writer.put(["a"], [""], vector_of("a")[None])
    writer.commit()
    for _ in range(2):
        assert words(CorpusIndex.load(tmp_path), "sea") == {}
    assert built == [1]
