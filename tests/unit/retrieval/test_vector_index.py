"""VectorIndex against exact references written here, and its files against damage, crashes and kills."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
import pytest
import pytrec_eval
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from search_r3.errors import InvalidInputError, SearchR3Error, VectorIndexError
from search_r3.retrieval.hits import SearchHit
from search_r3.retrieval.vector_index import VectorIndex

MODEL = "model-a"


def unit(*rows):
    array = np.array(rows, dtype=np.float64)
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def random_unit(count, dimension, seed=0):
    return unit(*np.random.default_rng(seed).standard_normal((count, dimension)))


def filled(doc_ids, vectors, fingerprint=MODEL):
    index = VectorIndex(vectors.shape[1], fingerprint=fingerprint)
    index.add(doc_ids, vectors)
    return index


def names(count):
    return [f"d{number}" for number in range(count)]


def exact_search(documents, queries, k):
    """The definition: correctly rounded inner products, as float32; ties by id, descending."""
    results = []
    for query in queries:
        scored = [
            (
                float(np.float32(math.fsum(float(a) * float(b) for a, b in zip(query, vector, strict=True)))),
                doc_id,
            )
            for doc_id, vector in documents.items()
        ]
        scored.sort(reverse=True)
        results.append([SearchHit(doc_id, score, rank) for rank, (score, doc_id) in enumerate(scored[:k], 1)])
    return results


def state(index):
    return index.dimension, index.fingerprint, index.doc_ids, index.vectors().tobytes()


# ---------------------------------------------------------------- search


def test_hand_computed_example():
    index = filled(["east", "north", "between"], np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32))
    (hits,) = index.search(np.array([[0.8, 0.6]], dtype=np.float32), 2, fingerprint=MODEL)
    assert [(hit.doc_id, hit.rank) for hit in hits] == [("between", 1), ("east", 2)]
    assert hits[0].score == pytest.approx(0.96, abs=1e-7)
    assert hits[1].score == pytest.approx(0.8, abs=1e-7)


@pytest.mark.parametrize(
    ("count", "dimension", "queries"), [(1, 1, 1), (50, 3, 7), (300, 64, 1), (400, 33, 25)]
)
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_search_equals_the_definition(count, dimension, queries, k):
    vectors, asked = random_unit(count, dimension, seed=1), random_unit(queries, dimension, seed=2)
    index = filled(names(count), vectors)
    expected = exact_search(dict(zip(names(count), vectors, strict=True)), asked, k)
    assert index.search(asked, k, fingerprint=MODEL) == expected
    assert all(len(hits) == min(k, count) for hits in expected)


def test_a_score_depends_on_the_two_vectors_only():
    vectors, asked = random_unit(257, 96, seed=3), random_unit(40, 96, seed=4)
    forward = filled(names(257), vectors)
    backward = filled(names(257)[::-1], vectors[::-1])
    batch = forward.search(asked, 20, fingerprint=MODEL)
    assert batch == backward.search(asked, 20, fingerprint=MODEL)
    assert batch == [forward.search(query[None], 20, fingerprint=MODEL)[0] for query in asked]


@pytest.mark.parametrize("k", [1, 2, 39, 40, 41, 150, 299])
def test_ties_are_by_descending_id_also_across_the_cut(k):
    # 259 equal documents, of which faiss alone would keep arbitrary ones, behind 40 that are closer.
    close, tied = random_unit(40, 8, seed=5), np.repeat(unit([0, 0, 0, 0, 0, 0, 1, 1]), 259, axis=0)
    close[:, -2:] = 0
    close = unit(*close)
    query = unit([3, 1, 1, 1, 1, 1, 0.01, 0.01])
    ids = [f"{number:03}" for number in np.random.default_rng(6).permutation(299)]
    vectors = np.concatenate([close, tied])
    expected = exact_search(dict(zip(ids, vectors, strict=True)), query, k)
    assert filled(ids, vectors).search(query, k, fingerprint=MODEL) == expected
    scores = [hit.score for hit in exact_search(dict(zip(ids, vectors, strict=True)), query, 299)[0]]
    assert max(scores.count(score) for score in scores) == 259


def test_ties_that_float32_sums_would_order_by_accident():
    # Equal products in another order: float32 partial sums differ in the last bits, the exact scores do not.
    rng = np.random.default_rng(7)
    base = random_unit(1, 128, seed=8)[0]
    query = np.full((1, 128), 1 / math.sqrt(128), dtype=np.float32)
    vectors = np.stack([rng.permutation(base) for _ in range(200)])
    scores, _ = _raw_faiss(vectors).search(query, 200)
    assert len(np.unique(scores)) > 1
    (hits,) = filled([f"{number:03}" for number in range(200)], vectors).search(query, 5, fingerprint=MODEL)
    assert [hit.doc_id for hit in hits] == ["199", "198", "197", "196", "195"]
    assert len({hit.score for hit in hits}) == 1


def _raw_faiss(vectors):
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def test_ties_of_ids_compare_by_code_point():
    ids = ["a", "B", "é", "10", "9", "\U0001f600", "z", "\uffff"]
    (hits,) = filled(ids, np.repeat(unit([1, 2]), 8, axis=0)).search(unit([1, 0]), 8, fingerprint=MODEL)
    assert [hit.doc_id for hit in hits] == ["\U0001f600", "\uffff", "é", "z", "a", "B", "9", "10"]


def test_ranks_agree_with_pytrec_eval():
    grid = [[a, b, c] for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1) if (a, b, c) != (0, 0, 0)]
    vectors = unit(*grid, *grid)
    ids = [f"{number:x}" for number in np.random.default_rng(9).permutation(len(vectors))]
    (hits,) = filled(ids, vectors).search(unit([1, 1, 0]), 99, fingerprint=MODEL)
    assert len({hit.score for hit in hits}) < len(hits) / 3
    run = {hit.doc_id: hit.score for hit in hits}
    for hit in hits:
        evaluator = pytrec_eval.RelevanceEvaluator({"q": {hit.doc_id: 1}}, {"recip_rank"})
        assert evaluator.evaluate({"q": run})["q"]["recip_rank"] == pytest.approx(1 / hit.rank)


def test_an_empty_index_or_no_query_gives_empty_lists():
    index = VectorIndex(3, fingerprint=MODEL)
    assert index.search(random_unit(4, 3), 5, fingerprint=MODEL) == [[], [], [], []]
    index.add(["a"], unit([1, 0, 0]))
    assert index.search(np.empty((0, 3), dtype=np.float32), 5, fingerprint=MODEL) == []
    index.remove(["a"])
    assert index.search(random_unit(1, 3), 5, fingerprint=MODEL) == [[]]


# ---------------------------------------------------------------- changes


def test_rows_ids_and_copies():
    vectors = random_unit(5, 4, seed=10)
    index = filled(names(5), vectors)
    vectors[:] = 0  # the caller's array is not the index's
    stored = random_unit(5, 4, seed=10)
    assert index.vectors().tobytes() == stored.tobytes()
    assert index.vectors(["d3", "d0", "d3"]).tobytes() == stored[[3, 0, 3]].tobytes()
    assert index.vectors([]).shape == (0, 4)
    index.vectors()[:] = 7
    index.vectors(["d1"])[:] = 7
    assert index.vectors().tobytes() == stored.tobytes()
    index.update(["d4", "d1"], stored[[0, 2]])
    assert index.vectors().tobytes() == stored[[0, 2, 2, 3, 0]].tobytes()
    index.remove(["d3", "d0"])
    assert index.doc_ids == ("d1", "d2", "d4")
    assert index.vectors().tobytes() == stored[[2, 2, 0]].tobytes()
    index.add(["d0"], stored[[4]])
    assert index.doc_ids == ("d1", "d2", "d4", "d0")
    assert index.vectors(["d0"]).tobytes() == stored[[4]].tobytes()
    assert (len(index), "d0" in index, "d3" in index, 5 in index) == (4, True, False, False)
    assert (index.dimension, index.fingerprint) == (4, MODEL)


def test_calls_without_ids_change_nothing():
    index = filled(names(2), random_unit(2, 3))
    before, nothing = state(index), np.empty((0, 3), dtype=np.float32)
    index.add([], nothing)
    index.update([], nothing)
    index.remove([])
    assert state(index) == before
    empty = VectorIndex(3, fingerprint=MODEL)
    empty.update([], nothing)
    assert empty.vectors().shape == (0, 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, ">f4"])
def test_convertible_types_are_stored_as_float32(dtype):
    vectors = np.array([[0, 1, 0], [1, 0, 0]], dtype=dtype)
    index = filled(["a", "b"], np.asfortranarray(vectors))
    assert index.vectors().dtype == np.float32
    assert index.vectors().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert index.search([[1, 0, 0]], 1, fingerprint=MODEL) == [[SearchHit("b", 1.0, 1)]]


class AgainstModel(RuleBasedStateMachine):
    """Any sequence of operations, compared after each with a dict of numpy rows. Vectors are few: ties."""

    GRID = unit(
        *[[a, b, c] for a in (-2, 0, 1) for b in (-1, 0, 1) for c in (0, 1, 2) if (a, b, c) != (0, 0, 0)]
    )
    choice = st.integers(min_value=0, max_value=len(GRID) - 1)

    @initialize()
    def start(self):
        self.index = VectorIndex(3, fingerprint=MODEL)
        self.model = {}

    @rule(new=st.dictionaries(st.text("ab1é", max_size=3), choice, max_size=12))
    def add(self, new):
        rows = self.GRID[list(new.values())]
        if clash := new.keys() & self.model.keys():
            with pytest.raises(VectorIndexError, match="already in the index"):
                self.index.add(list(new), rows)
            rows = rows[[doc_id not in clash for doc_id in new]]
        fresh = [doc_id for doc_id in new if doc_id not in self.model]
        self.index.add(fresh, rows)
        self.model.update(zip(fresh, rows, strict=True))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def update(self, data):
        ids = data.draw(st.lists(st.sampled_from(sorted(self.model)), unique=True))
        rows = self.GRID[[data.draw(self.choice) for _ in ids]]
        with pytest.raises(VectorIndexError, match="not in the index"):
            self.index.update([*ids, "unknown"], np.concatenate([rows, self.GRID[:1]]))
        self.index.update(ids, rows)
        self.model.update(zip(ids, rows, strict=True))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data):
        ids = data.draw(st.lists(st.sampled_from(sorted(self.model)), unique=True))
        with pytest.raises(VectorIndexError, match="not in the index"):
            self.index.remove([*ids, "unknown"])
        self.index.remove(ids)
        for doc_id in ids:
            del self.model[doc_id]

    @rule(picks=st.lists(choice, max_size=3), k=st.integers(1, 15))
    def search(self, picks, k):
        queries = self.GRID[picks]
        assert self.index.search(queries, k, fingerprint=MODEL) == exact_search(self.model, queries, k)

    @invariant()
    def holds_the_same(self):
        assert self.index.doc_ids == tuple(self.model)
        assert len(self.index) == len(self.model)
        expected = np.array(list(self.model.values()), dtype=np.float32).reshape(-1, 3)
        assert self.index.vectors().tobytes() == expected.tobytes()
        backwards = list(self.model)[::-1]
        assert self.index.vectors(backwards).tobytes() == expected[::-1].tobytes()


TestAgainstModel = AgainstModel.TestCase
TestAgainstModel.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, derandomize=True, database=None
)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("vectors", "fragments"),
    [
        (
            unit([1, 0, 0], [0, 1, 0]) * [[1], [2]],
            ["row 1 (document 'y')", "norm 2 ", "wanted norm 1 within 0.001"],
        ),
        (unit([1, 0, 0], [0, 1, 0]) * 0.9985, ["row 0 (document 'x')", "norm 0.9985"]),
        ([[1, 0, 0], [0, 0, 0]], ["row 1 (document 'y')", "norm 0 "]),
        ([[1, 0, 0], [np.nan, 1, 0]], ["row 1 (document 'y')", "NaN or infinity"]),
        ([[1, 0, 0], [np.inf, 1, 0]], ["row 1 (document 'y')", "NaN or infinity"]),
        ([[1e300, 0, 0], [np.nan, 1, 0]], ["row 0 (document 'x')", "NaN or infinity"]),
        (np.eye(2), ["got float64 vectors of shape (2, 2)", "wanted", "shape (2, 3)"]),
        (np.eye(3), ["got float64 vectors of shape (3, 3)", "wanted", "shape (2, 3)"]),
        (np.eye(3)[0], ["shape (3,)", "shape (2, 3)"]),
        (np.eye(3)[None, :2], ["shape (1, 2, 3)", "shape (2, 3)"]),
        (np.eye(3)[:2].astype(complex), ["got complex128", "wanted real numbers"]),
        (np.eye(3)[:2].astype(str), ["wanted real numbers"]),
        (np.eye(3)[:2].astype(object), ["got object", "wanted real numbers"]),
        (None, ["got object", "shape ()"]),
        ([[1, 0, 0], [0, 1]], ["inhomogeneous", "float32 array"]),
    ],
)
@pytest.mark.parametrize("operation", ["add", "update"])
def test_bad_vectors_are_refused_before_any_change(operation, vectors, fragments):
    index = VectorIndex(3, fingerprint=MODEL)
    if operation == "update":
        index.add(["x", "y"], unit([1, 1, 1], [1, 1, 0]))
    before = state(index)
    with pytest.raises(InvalidInputError) as caught:
        getattr(index, operation)(["x", "y"], vectors)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)
    assert state(index) == before


def test_the_norm_tolerance_is_1e_3():
    index = VectorIndex(2, fingerprint=MODEL)
    index.add(["a", "b"], [[1.0009, 0], [0, 0.9991]])
    with pytest.raises(InvalidInputError, match=r"row 0 .* got norm 1\.0011"):
        index.add(["c"], [[1.0011, 0]])


@pytest.mark.parametrize(
    ("queries", "fragments"),
    [
        ([[0, 1, 0], [np.nan, 0, 0]], ["query 1", "NaN or infinity"]),
        ([[0, 2, 0]], ["query 0", "norm 2 "]),
        (np.eye(3)[0], ["shape (3,)", "shape (n, 3)"]),
        (np.eye(4), ["shape (4, 4)", "shape (n, 3)"]),
    ],
)
@pytest.mark.parametrize("count", [0, 3])
def test_bad_queries_are_refused_even_by_an_empty_index(queries, fragments, count):
    index = filled(names(count), np.eye(3, dtype=np.float32)[:count])
    with pytest.raises(InvalidInputError) as caught:
        index.search(queries, 1, fingerprint=MODEL)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


@pytest.mark.parametrize("k", [0, -1, 2.0, "3", None])
def test_bad_k_is_refused(k):
    with pytest.raises(InvalidInputError, match=r"got k .*wanted an int of at least 1"):
        filled(["a"], unit([1, 0])).search(unit([1, 0]), k, fingerprint=MODEL)


def test_another_models_fingerprint_is_refused():
    with pytest.raises(
        VectorIndexError, match=r"got queries of 'model-b', wanted those of 'model-a'.*use one model"
    ):
        filled(["a"], unit([1, 0])).search(unit([1, 0]), 1, fingerprint="model-b")


@pytest.mark.parametrize(
    ("dimension", "fingerprint"), [(0, "m"), (-3, "m"), (2.0, "m"), ("2", "m"), (2, None)]
)
def test_a_bad_constructor_is_refused(dimension, fingerprint):
    with pytest.raises(InvalidInputError, match="wanted a positive int and a string"):
        VectorIndex(dimension, fingerprint=fingerprint)


@pytest.mark.parametrize(
    ("operation", "doc_ids", "error", "fragment"),
    [
        ("add", ["new", "a"], VectorIndexError, "document 'a' is already in the index"),
        ("add", ["new", "new"], VectorIndexError, "document 'new' is given twice"),
        ("update", ["b", "b"], VectorIndexError, "document 'b' is given twice"),
        ("update", ["b", "zz"], VectorIndexError, "document 'zz' is not in the index"),
        ("remove", ["b", "b"], VectorIndexError, "document 'b' is given twice"),
        ("remove", ["b", "zz"], VectorIndexError, "document 'zz' is not in the index"),
        ("vectors", ["b", "zz"], VectorIndexError, "document 'zz' is not in the index"),
        *(
            (name, ["b", 7], InvalidInputError, "got document id 7")
            for name in ("add", "update", "remove", "vectors")
        ),
        ("add", ["new", "\ud83d"], InvalidInputError, "wanted a valid Unicode string"),
        *(
            (name, "ab", InvalidInputError, "got the string 'ab'")
            for name in ("add", "update", "remove", "vectors")
        ),
    ],
)
def test_bad_ids_are_refused_before_any_change(operation, doc_ids, error, fragment):
    index = filled(["a", "b"], unit([1, 0], [0, 1]))
    before = state(index)
    arguments = [doc_ids, unit([1, 1], [1, 2])] if operation in ("add", "update") else [doc_ids]
    with pytest.raises(error) as caught:
        getattr(index, operation)(*arguments)
    assert fragment in str(caught.value)
    assert isinstance(caught.value, SearchR3Error)
    assert state(index) == before


# ---------------------------------------------------------------- files


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("count", [0, 1, 500])
def test_round_trip(tmp_path, count):
    ids = [f'é"\\\n{number}\U0001f600' for number in range(count)]
    index = VectorIndex(7, fingerprint="modèle \udc80")
    index.add(ids, random_unit(count, 7).reshape(count, 7) if count else np.empty((0, 7)))
    folder = tmp_path / "new" / "nested"
    index.save(str(folder))
    loaded = VectorIndex.load(str(folder))
    assert state(loaded) == state(index)
    queries = random_unit(3, 7, seed=11)
    fingerprint = index.fingerprint
    assert loaded.search(queries, 9, fingerprint=fingerprint) == index.search(
        queries, 9, fingerprint=fingerprint
    )
    loaded.add(["more"], random_unit(1, 7))
    assert len(loaded) == count + 1


def test_the_files_are_what_the_manifest_says(tmp_path):
    filled(names(3), random_unit(3, 4)).save(tmp_path)
    files = files_of(tmp_path)
    manifest = json.loads(files.pop("index.json"))
    assert {key: manifest[key] for key in ("format_version", "dimension", "count", "fingerprint")} == {
        "format_version": 1,
        "dimension": 4,
        "count": 3,
        "fingerprint": MODEL,
    }
    assert manifest["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (vectors, vectors_sha256), (ids, ids_sha256) = manifest["files"].items()
    assert (vectors, ids) == (f"vectors-{vectors_sha256[:16]}.faiss", f"ids-{ids_sha256[:16]}.json")
    assert json.loads(files[ids]) == names(3)
    assert (
        faiss.read_index(str(tmp_path / vectors)).reconstruct_n(0, 3).tobytes() == random_unit(3, 4).tobytes()
    )


def test_saving_over_an_older_version_leaves_only_the_new_one(tmp_path):
    old, new = filled(names(3), random_unit(3, 4)), filled(names(5), random_unit(5, 4, seed=1))
    old.save(tmp_path)
    kept = {"notes.txt", "ids-2024.json", "vectors-mine.faiss"}
    for name in kept:
        (tmp_path / name).write_text("the user's")
    before = set(files_of(tmp_path))
    new.save(tmp_path)
    after = set(files_of(tmp_path))
    assert state(VectorIndex.load(tmp_path)) == state(new)
    assert before & after == kept | {"index.json"}
    assert len(after) == len(kept) + 3
    new.save(tmp_path)  # the same content: the same files
    assert set(files_of(tmp_path)) == after
    assert state(VectorIndex.load(tmp_path)) == state(new)


def each_file(folder):
    return sorted(path for path in folder.iterdir())


def test_every_damage_is_refused(tmp_path):
    filled(names(9), random_unit(9, 64)).save(tmp_path)
    rng = random.Random(12)
    paths = each_file(tmp_path)
    assert len(paths) == 3
    for path in paths:
        good = path.read_bytes()
        # Every bit of the two small files, a sample of the large one.
        bits = rng.sample(range(8 * len(good)), min(8 * len(good), 4000))
        damaged = []
        for bit in bits:
            content = bytearray(good)
            content[bit // 8] ^= 1 << bit % 8
            damaged.append(bytes(content))
        damaged += [good[:length] for length in (0, 1, len(good) - 1, *rng.sample(range(len(good)), 20))]
        damaged += [good + b"\n", good + b"\0"]
        for content in damaged:
            path.write_bytes(content)
            with pytest.raises(VectorIndexError, match=r"cannot load .*restore it, or build it again"):
                VectorIndex.load(tmp_path)
        path.unlink()
        with pytest.raises(VectorIndexError, match=f"No such file.*{path.name}"):
            VectorIndex.load(tmp_path)
        path.write_bytes(good)
        VectorIndex.load(tmp_path)


def test_no_index_there(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(VectorIndexError, match=r"No such file.*index\.json"):
            VectorIndex.load(folder)


def forge(folder, *, vectors=None, ids=None, **fields):
    """Rewrite a saved index so that every hash is right and only the content is wrong."""
    body = json.loads((folder / "index.json").read_bytes())
    contents = [(folder / name).read_bytes() for name in body["files"]]
    contents = [vectors or contents[0], ids or contents[1]]
    body["files"] = {}
    for kind, content in zip(("vectors", "ids"), contents, strict=True):
        body["files"][kind] = hashlib.sha256(content).hexdigest()
        (folder / kind).write_bytes(content)
    body = {**body, **fields, "sha256": ""}
    body["sha256"] = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    (folder / "index.json").write_text(json.dumps(body, indent=2) + "\n")


def as_file(vectors, kind=faiss.IndexFlatIP):
    index = kind(vectors.shape[1])
    index.add(vectors)
    return faiss.serialize_index(index).tobytes()


@pytest.mark.parametrize(
    ("forgery", "fragment"),
    [
        ({"format_version": 2}, "got format version 2, wanted 1"),
        ({"format_version": None}, "got format version None, wanted 1"),
        ({"count": 4}, "got 3 documents, wanted count 4"),
        ({"dimension": 5}, "got float32 vectors of shape (3, 4), wanted real numbers of shape (3, 5)"),
        ({"dimension": -4}, "wanted a positive int"),
        ({"fingerprint": 7}, "wanted a positive int and a string"),
        ({"files": {}}, "not enough values"),
        ({"files": None}, "NoneType"),
        ({"ids": b'["d0", "d1", "d1"]'}, "document 'd1' is given twice"),
        (
            {"ids": b'["d0", "d1"]'},
            "got float32 vectors of shape (3, 4), wanted real numbers of shape (2, 4)",
        ),
        ({"ids": b'["d0", "d1", 2]'}, "got document id 2"),
        ({"ids": b'["d0", "d1", "d2"'}, "Expecting"),
        ({"vectors": as_file(random_unit(2, 4))}, "shape (2, 4)"),
        ({"vectors": as_file(random_unit(3, 4) * np.float32(3))}, "row 0 (document 'd0'): wanted norm 1"),
        ({"vectors": as_file(np.full((3, 4), np.nan, dtype=np.float32))}, "NaN or infinity"),
        ({"vectors": as_file(random_unit(3, 4))[:-5]}, "read error"),
        ({"vectors": b"not faiss"}, "not recognized"),
        (
            {"vectors": as_file(random_unit(3, 4), lambda dimension: faiss.IndexHNSWFlat(dimension, 4))},
            "get_xb",
        ),
    ],
)
def test_contradictions_under_right_hashes_are_refused(tmp_path, forgery, fragment):
    filled(names(3), random_unit(3, 4)).save(tmp_path)
    forge(tmp_path)
    assert VectorIndex.load(tmp_path).doc_ids == ("d0", "d1", "d2")
    forge(tmp_path, **forgery)
    with pytest.raises(VectorIndexError) as caught:
        VectorIndex.load(tmp_path)
    assert fragment in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b'{"format_version": 1}', b"\xff\xfe"])
def test_another_programs_manifest_is_refused(tmp_path, content):
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(VectorIndexError, match="cannot load"):
        VectorIndex.load(tmp_path)


# ---------------------------------------------------------------- crashes


class PowerCut(BaseException):
    """Not an OSError: nothing may catch it and go on."""


class Disk:
    """Records the operations that matter on disk, and lets only the first `lives` of them happen."""

    def __init__(self, monkeypatch, lives):
        self.lives, self.log = lives, []
        for name in ("mkdir", "fsync", "replace", "unlink"):
            monkeypatch.setattr(os, name, self._step(name, getattr(os, name)))
        monkeypatch.setattr(Path, "write_bytes", self._step("write", self._torn(Path.write_bytes)))

    def _step(self, name, real):
        def step(target, *args, **kwargs):
            if name == "fsync":
                path = Path(f"/proc/self/fd/{target}").readlink()
            else:
                path = Path(args[0] if name == "replace" else target)
            if len(self.log) == self.lives:
                if name == "write":
                    real(target, *args, torn=True)
                raise PowerCut
            self.log.append((name, re.sub(r"^\.part-[0-9a-f]{8}-", "part of ", path.name)))
            return real(target, *args, **kwargs)

        return step

    @staticmethod
    def _torn(real):
        return lambda path, content, torn=False: real(path, content[: len(content) // 2] if torn else content)


@pytest.mark.parametrize("previous", [True, False])
def test_a_crash_at_each_step_leaves_the_previous_or_the_new_version(tmp_path, previous):
    old, new = filled(names(3), random_unit(3, 4)), filled(names(5), random_unit(5, 4, seed=1))
    outcomes = []
    for lives in range(100):
        folder = tmp_path / str(lives) / "index"
        if previous:
            old.save(folder)
        with pytest.MonkeyPatch.context() as monkeypatch:
            disk = Disk(monkeypatch, lives)
            try:
                new.save(folder)
                finished = True
            except PowerCut:
                finished = False
        committed = ("replace", "index.json") in disk.log
        if committed:
            assert state(VectorIndex.load(folder)) == state(new)
        elif previous:
            assert state(VectorIndex.load(folder)) == state(old)
        else:
            with pytest.raises(VectorIndexError, match="cannot load"):
                VectorIndex.load(folder)
        outcomes.append(committed)
        # What the crash left lying about does not disturb the next save, which clears it away.
        new.save(folder)
        assert state(VectorIndex.load(folder)) == state(new)
        assert len(files_of(folder)) == 3
        if finished:
            break
    assert outcomes.index(True) >= 14
    assert outcomes.count(True) >= (4 if previous else 2)


def test_the_order_of_writes_survives_a_power_cut(tmp_path, monkeypatch):
    old, new = filled(names(3), random_unit(3, 4)), filled(names(5), random_unit(5, 4, seed=1))
    folder = tmp_path / "a" / "b"
    disk = Disk(monkeypatch, lives=10**6)
    old.save(folder)
    first = disk.log.copy()
    manifest = json.loads((folder / "index.json").read_bytes())
    vectors, ids = manifest["files"]
    made = [step for step in first if step[0] == "mkdir"]
    assert ("mkdir", "a") in made
    assert first[len(made) : len(made) + 2] == [("fsync", "a"), ("fsync", tmp_path.name)]

    def written(name):
        part = f"part of {name}"  # made and removed at first, to see the permissions that a file gets
        return [("unlink", part), ("write", part), ("fsync", part), ("replace", name), ("fsync", "b")]

    assert first[len(made) + 2 :] == [*written(vectors), *written(ids), *written("index.json")]
    disk.log.clear()
    new.save(folder)
    new_vectors, new_ids = json.loads((folder / "index.json").read_bytes())["files"]
    assert disk.log[:15] == [*written(new_vectors), *written(new_ids), *written("index.json")]
    assert sorted(disk.log[15:]) == sorted([("unlink", vectors), ("unlink", ids)])


@pytest.mark.parametrize("operation", ["fsync", "replace"])
def test_an_os_error_leaves_the_previous_version(tmp_path, monkeypatch, operation):
    old = filled(names(3), random_unit(3, 4))
    old.save(tmp_path)

    def failing(*args):
        raise OSError(errno.EIO, "disk on fire")

    monkeypatch.setattr(os, operation, failing)
    with pytest.raises(OSError, match="disk on fire"):
        filled(names(5), random_unit(5, 4)).save(tmp_path)
    monkeypatch.undo()
    assert state(VectorIndex.load(tmp_path)) == state(old)


VERSIONS = """
import sys
import numpy as np
from search_r3.retrieval.vector_index import VectorIndex

def version(seed):
    vectors = np.random.default_rng(seed).standard_normal((300 + 200 * seed, 48)).astype(np.float32)
    index = VectorIndex(48, fingerprint=f"version {seed}")
    ids = [f"{seed}-{row}" for row in range(len(vectors))]
    index.add(ids, vectors / np.linalg.norm(vectors, axis=1)[:, None])
    return index
"""


def test_a_full_disk_leaves_the_previous_version(tmp_path):
    # The limit cuts off the last bytes only, where faiss's own writer fails without a word.
    script = f"""{VERSIONS}
import resource
version(0).save(sys.argv[1])
new = version(1)
size = len(__import__("faiss").serialize_index(new._faiss))
resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, size - 1))
try:
    new.save(sys.argv[1])
except OSError as error:
    print(error.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(errno.EFBIG)
    assert VectorIndex.load(tmp_path).fingerprint == "version 0"


def test_kill_9_at_random_moments(tmp_path):
    script = f"""{VERSIONS}
indexes = [version(0), version(1)]
print("ready", flush=True)
while True:
    for index in indexes:
        index.save(sys.argv[1])
"""
    namespace = {}
    exec(VERSIONS, namespace)
    expected = [state(namespace["version"](seed)) for seed in (0, 1)]
    namespace["version"](0).save(tmp_path)
    rng = random.Random(13)
    for _ in range(10):
        process = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
        try:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.0, 0.2))
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        assert process.returncode == -signal.SIGKILL
        assert state(VectorIndex.load(tmp_path)) in expected
    namespace["version"](1).save(tmp_path)
    assert len(files_of(tmp_path)) == 3


# ------------------------------------------------------------------------- forms of ids, vectors and numbers


IDS = {
    "series": lambda ids: pd.Series(ids, index=range(5, 5 + len(ids))),
    "numpy": np.array,
    "objects": lambda ids: np.array(ids, dtype=object),
    "numpy-strings": lambda ids: [np.str_(one) for one in ids],
    "generator": iter,
    "keys": lambda ids: dict.fromkeys(ids).keys(),
}


@pytest.mark.parametrize("form", IDS.values(), ids=IDS)
def test_ids_of_any_column_are_plain_strings(form):
    """Every method takes ids from any column, by position; a generator is read once."""
    rows = np.eye(3, dtype=np.float32)
    index = VectorIndex(np.int64(3), fingerprint=MODEL)
    index.add(form(["c", "a", "b"]), rows)
    assert index.doc_ids == ("c", "a", "b") and all(type(one) is str for one in index.doc_ids)
    assert np.array_equal(index.vectors(form(["b", "c"])), rows[[2, 0]])
    index.update(form(["a", "b"]), rows[[2, 1]])
    assert np.array_equal(index.vectors(), rows[[0, 2, 1]])
    index.remove(form(["c", "b"]))
    assert index.doc_ids == ("a",)


TENSORS = {
    "float32": lambda rows: torch.tensor(rows),
    "float64": lambda rows: torch.tensor(rows, dtype=torch.float64),
    "bfloat16": lambda rows: torch.tensor(rows, dtype=torch.bfloat16),
    "float16": lambda rows: torch.tensor(rows, dtype=torch.float16),
    "gradient": lambda rows: torch.tensor(rows, requires_grad=True),
    "list": lambda rows: list(torch.tensor(rows, dtype=torch.bfloat16)),
    "integers": lambda rows: torch.tensor(rows).int(),
}


@pytest.mark.parametrize("form", TENSORS.values(), ids=TENSORS)
def test_tensors_are_vectors(form):
    """Tensors of any real type, also those that numpy does not know, are stored and searched."""
    rows = np.eye(3, dtype=np.float32)[[2, 0, 1]]
    index = VectorIndex(3, fingerprint=MODEL)
    index.add(["a", "b", "c"], form(rows))
    assert np.array_equal(index.vectors(), rows)
    assert [hits[0].doc_id for hits in index.search(form(rows), 1, fingerprint=MODEL)] == ["a", "b", "c"]


def test_a_boolean_tensor_is_no_vectors():
    with pytest.raises(InvalidInputError, match="got bool vectors"):
        VectorIndex(2, fingerprint=MODEL).add(["a"], torch.tensor([[True, False]]))


@pytest.mark.parametrize("vectors", [[], np.zeros((0, 3)), np.array([]), torch.zeros(0, 3)])
def test_nothing_can_be_added_and_asked(vectors):
    """No document and no query is no error."""
    index = filled(names(2), np.eye(3, dtype=np.float32)[:2])
    before = state(index)
    for operation in (index.add, index.update):
        operation([], vectors)
        assert state(index) == before
    assert index.search(vectors, 2, fingerprint=MODEL) == []
    with pytest.raises(InvalidInputError, match=r"wanted real numbers of shape \(1, 3\)"):
        index.add(["x"], vectors)
    assert state(index) == before


def test_no_vectors_of_another_width_are_refused():
    with pytest.raises(InvalidInputError, match=r"shape \(0, 4\), wanted real numbers of shape \(0, 3\)"):
        VectorIndex(3, fingerprint=MODEL).add([], np.zeros((0, 4)))


@pytest.mark.parametrize("k", [np.int64(2), np.uint8(2), np.int32(2)])
def test_k_of_numpy_is_k(k):
    index = filled(names(3), np.eye(3, dtype=np.float32))
    assert index.search(np.eye(3)[:1], k, fingerprint=MODEL) == index.search(
        np.eye(3)[:1], 2, fingerprint=MODEL
    )


@pytest.mark.parametrize("number", [True, np.True_, np.float64(2)])
def test_a_boolean_is_no_number(number):
    with pytest.raises(InvalidInputError, match="wanted an int of at least 1"):
        filled(["a"], unit([1, 0])).search(unit([1, 0]), number, fingerprint=MODEL)
    with pytest.raises(InvalidInputError, match="wanted a positive int"):
        VectorIndex(number, fingerprint=MODEL)


def test_one_vector_alone_is_refused_with_advice():
    with pytest.raises(InvalidInputError, match="put the text into a list"):
        filled(["a"], unit([1, 0])).search(unit([1, 0])[0], 1, fingerprint=MODEL)
