"""Approximate search: the same scores and order as exact search, of the candidates that it finds."""

from __future__ import annotations

import numpy as np
import pytest

from search_r3.errors import InvalidOptionError, VectorIndexError
from search_r3.retrieval import approximate
from search_r3.retrieval.candidates import APPROXIMATIONS
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.store_writer import StoreWriter

ROWS, WIDTH = 3000, 32


def clustered(seed, count, width=WIDTH):
    """Unit vectors around a hundred directions, as those of texts are."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((100, width))
    found = centres[generator.integers(0, 100, count)] + 0.5 * generator.standard_normal((count, width))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(approximate, "LEAST_ROWS", 500)
    monkeypatch.setattr("search_r3.retrieval.store_writer.SHARD_ROWS", 2000)


def fill(writer, first, count, seed=0):
    ids = [f"d{number}" for number in range(first, first + count)]
    writer.put(ids, [f"text {one}" for one in ids], clustered(seed, count))


@pytest.fixture
def folder(tmp_path):
    """3,000 documents in two shards: one of 2,000 rows, one of 1,000."""
    writer = StoreWriter.create(tmp_path / "index", dimension=WIDTH, fingerprint="f", model="m")
    fill(writer, 0, 2000)
    fill(writer, 2000, 1000, seed=1)
    writer.commit()
    return tmp_path / "index"


def search(index, queries, k=10):
    return index.vectors.search(queries, k, fingerprint="f")


@pytest.mark.parametrize("kind", APPROXIMATIONS)
def test_finds_what_exact_search_finds(folder, kind):
    """Nearly all of it, every hit with its exact score, and in the order of the scores."""
    queries = clustered(3, 50)
    exact = search(CorpusIndex.load(folder), queries)
    scores = [
        {hit.doc_id: hit.score for hit in row} for row in search(CorpusIndex.load(folder), queries, ROWS)
    ]
    found = search(CorpusIndex.load(folder, approximate=kind), queries)
    shared = [
        len({h.doc_id for h in a} & {h.doc_id for h in b}) / 10 for a, b in zip(exact, found, strict=True)
    ]
    assert np.mean(shared) >= 0.98
    for row, known in zip(found, scores, strict=True):
        assert [hit.rank for hit in row] == list(range(1, 11))
        assert all(hit.score == known[hit.doc_id] for hit in row)
        assert [hit.score for hit in row] == sorted((hit.score for hit in row), reverse=True)


@pytest.mark.parametrize("kind", APPROXIMATIONS)
def test_a_document_that_is_not_there_is_not_found(folder, kind):
    """Not one that was removed, and one that has another vector with that."""
    CorpusIndex.load(folder, approximate=kind)
    writer = StoreWriter.open(folder)
    old = clustered(0, 2000)
    writer.remove(["d5"])
    writer.put(["d7"], ["another text"], -old[7:8])
    writer.commit()
    index = CorpusIndex.load(folder, approximate=kind)
    [gone, moved, there] = search(index, np.concatenate([old[5:6], old[7:8], -old[7:8]]))
    assert "d5" not in {hit.doc_id for hit in gone}
    assert "d7" not in {hit.doc_id for hit in moved}
    assert there[0].doc_id == "d7"
    assert there[0].score == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["int8", "hnsw"])
def test_gives_as_many_as_there_are(folder, kind):
    """Also where most candidates do not count any more: such a query is searched for exactly."""
    CorpusIndex.load(folder, approximate=kind)
    writer = StoreWriter.open(folder)
    query = clustered(0, 1)
    near = [hit.doc_id for hit in search(CorpusIndex.load(folder), query, 100)[0]]
    writer.remove(near)
    writer.commit()
    index = CorpusIndex.load(folder, approximate=kind)
    assert [hit.doc_id for hit in search(index, query)[0]] == [
        hit.doc_id for hit in search(CorpusIndex.load(folder), query)[0]
    ]
    assert len(search(index, query, 5000)[0]) == ROWS - 100


def made(folder):
    return sorted(path.name for path in folder.iterdir() if ".int8-" in path.name)


def test_a_shard_is_made_again_only_if_it_grew(folder):
    """What is stale is swept away by the next build."""
    CorpusIndex.load(folder, approximate="int8")
    first = made(folder)
    assert len(first) == 2
    writer = StoreWriter.open(folder)
    fill(writer, 3000, 100, seed=2)
    writer.commit()
    told = []
    CorpusIndex.load(folder, approximate="int8", on_progress=lambda *now: told.append(now))
    assert told == [(3100, 3100)]  # 2,000 of them were there
    second = made(folder)
    assert len(second) == 3
    assert set(first) < set(second)
    writer.sweep()
    assert len(made(folder)) == 2
    assert first[0] in made(folder)


def test_small_shards_are_searched_exactly(folder, monkeypatch):
    monkeypatch.setattr(approximate, "LEAST_ROWS", 1500)
    index = CorpusIndex.load(folder, approximate="binary")
    assert len([path for path in folder.iterdir() if ".binary-" in path.name]) == 1
    last = clustered(1, 1000)[-1:]
    assert search(index, last)[0][0].doc_id == "d2999"


def test_damaged_candidates_are_made_again(folder, caplog):
    """And what they say is never believed."""
    queries = clustered(3, 5)
    wanted = search(CorpusIndex.load(folder, approximate="int8"), queries)
    path = folder / made(folder)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert search(CorpusIndex.load(folder, approximate="int8"), queries) == wanted
    assert "made again" in caplog.text
    caplog.clear()
    assert search(CorpusIndex.load(folder, approximate="int8"), queries) == wanted
    assert not caplog.text


def test_a_folder_that_cannot_be_written_is_searched(folder, monkeypatch):
    def refuse(path, data):
        raise PermissionError(path)

    monkeypatch.setattr(approximate, "write_bytes", refuse)
    index = CorpusIndex.load(folder, approximate="int8")
    assert not made(folder)
    assert search(index, clustered(0, 2000)[:1])[0][0].doc_id == "d0"


def test_refuses_what_exact_search_refuses(folder):
    index = CorpusIndex.load(folder, approximate="int8")
    with pytest.raises(VectorIndexError, match="one model for both"):
        index.vectors.search(clustered(0, 1), 1, fingerprint="another")
    with pytest.raises(InvalidOptionError, match="'float16', 'int8', 'binary', 'hnsw', 'ivf'"):
        CorpusIndex.load(folder, approximate="int4")


def test_an_empty_index(tmp_path):
    writer = StoreWriter.create(tmp_path / "index", dimension=WIDTH, fingerprint="f", model="m")
    writer.commit()
    index = CorpusIndex.load(tmp_path / "index", approximate="hnsw")
    assert search(index, clustered(0, 2)) == [[], []]
