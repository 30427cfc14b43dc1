"""Searching a saved index from Python: the hits, the model behind them, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sentence_transformers

from search_r3 import CorpusIndex, Document, SentenceTransformer, build_index
from search_r3.errors import InvalidInputError, InvalidOptionError, ModelError, VectorIndexError
from search_r3.model import default
from search_r3.model.thought_cache import ThoughtCache
from search_r3.retrieval import corpus_index
from search_r3.retrieval.bm25 import bm25_run
from search_r3.retrieval.fusion import hybrid_fusion

TEXTS = {"sea": "the red sea", "star": "a star in the sky", "copy": "copy a folder", "empty": ""}
DOCUMENTS = [Document(doc_id, text) for doc_id, text in TEXTS.items()]
QUERIES = ["how do I copy a folder", "sea", "sky"]


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that records the tiny model's folder, built with plain strings."""
    target = tmp_path_factory.mktemp("search") / "index"
    build_index(str(target), SentenceTransformer(str(tiny_folder), device="cpu"), iter(DOCUMENTS))
    return target


def test_hits_are_those_of_the_vectors_with_their_texts(folder, tiny):
    """A string has one list of hits, several queries have one each; they are exact, best first."""
    index = CorpusIndex.load(str(folder))
    vectors = tiny.encode_query(QUERIES)
    scores = vectors @ tiny.encode_document(list(TEXTS.values())).T
    found = index.search(QUERIES, k=3, model=tiny)
    assert [len(hits) for hits in found] == [3, 3, 3]
    for hits, row in zip(found, scores, strict=True):
        order = np.argsort(-row)[:3]
        assert [hit.doc_id for hit in hits] == [list(TEXTS)[place] for place in order]
        assert [hit.text for hit in hits] == [list(TEXTS.values())[place] for place in order]
        assert [hit.rank for hit in hits] == [1, 2, 3]
        np.testing.assert_allclose([hit.score for hit in hits], row[order], atol=1e-5)
    alone = index.search(QUERIES[1], k=np.int64(3), model=tiny)
    assert [hit.doc_id for hit in alone] == [hit.doc_id for hit in found[1]]
    assert len(index.search("sea", model=tiny)) == 4  # ten, or as many as there are
    assert index.search([], model=tiny) == []
    for column in (pd.Series(QUERIES, index=[7, 8, 9]), np.array(QUERIES), iter(QUERIES)):
        assert index.search(column, 3, tiny) == found


def test_thoughts_come_with_the_hits(folder, tiny):
    """The thoughts are the model's; with explain, cosine and ranks are those without the thought."""
    index = CorpusIndex.load(folder)
    options = {"reasoning": "always", "max_reasoning_tokens": 4, "batch_size": 2}
    encoding = tiny.encode_query_with_thoughts(QUERIES, **options)
    found = index.search_with_thoughts(QUERIES, 2, tiny, explain=True, **options)
    assert [one.thought for one in found] == encoding.thoughts
    assert [one.hits for one in found] == index.search(QUERIES, 2, tiny, **options)
    direct = index.search(QUERIES, 4, tiny, reasoning="never")
    for row, one in enumerate(found):
        rank = {hit.doc_id: hit.rank for hit in direct[row]}
        assert one.direct.ranks == [rank[hit.doc_id] for hit in one.hits]
        wanted = encoding.embeddings[row] @ tiny.encode_query(QUERIES[row], reasoning="never")
        assert one.direct.cosine == pytest.approx(float(wanted), abs=1e-5)
    alone = index.search_with_thoughts(QUERIES[0], 2, tiny, **options)
    assert alone.thought == encoding.thoughts[0] and alone.direct is None


@pytest.mark.parametrize("options", [{}, {"steps": 2, "read": 2}])
def test_a_cache_spares_thoughts_that_come_again(folder, fresh_tiny, tmp_path, options):
    """The same thoughts and hits, and the second time without a step of decoding."""
    index = CorpusIndex.load(folder)
    options = {**options, "reasoning": "always", "max_reasoning_tokens": 4}
    wanted = index.search_with_thoughts(QUERIES, 2, fresh_tiny, **options)
    passes = []
    fresh_tiny[0].model.get_decoder().register_forward_hook(lambda *_: passes.append(1))
    cache = ThoughtCache(fresh_tiny, tmp_path / "thoughts.sqlite")
    counts = []
    for _ in range(2):
        passes.clear()
        found = index.search_with_thoughts(QUERIES, 2, fresh_tiny, cache=cache, **options)
        counts.append(len(passes))
        assert [one.thought for one in found] == [one.thought for one in wanted]
        for got, expected in zip(found, wanted, strict=True):
            assert [hit.doc_id for hit in got.hits] == [hit.doc_id for hit in expected.hits]
    assert counts[0] > 4 and counts[1] == options.get("steps", 1)  # one pass for each step
    cache.close()


def test_hybrid_hits_are_fused_with_bm25(folder, tiny):
    """The scores are those of the fusion of both rankings."""
    index = CorpusIndex.load(folder)
    dense = {"q": {hit.doc_id: hit.score for hit in index.search(QUERIES[0], 4, tiny)}}
    wanted = hybrid_fusion(dense, bm25_run(TEXTS, {"q": QUERIES[0]}), k=3)["q"]
    found = index.search(QUERIES[0], 3, tiny, hybrid=True)
    assert [(hit.doc_id, hit.score) for hit in found] == list(wanted.items())
    assert [(hit.rank, hit.text) for hit in found] == [(n, TEXTS[i]) for n, i in enumerate(wanted, 1)]


def test_the_recorded_model_is_loaded_once(folder, tiny_folder, tiny, monkeypatch):
    """Without a model the index loads its own at the first search, and not before."""
    loads = []

    def load(name):
        loads.append(name)
        return default.load_model(name, device="cpu")

    monkeypatch.setattr(corpus_index, "load_model", load)
    index = CorpusIndex.load(folder)
    assert index.model == str(tiny_folder) and loads == []
    assert index.search(QUERIES) == index.search(QUERIES, model=tiny)
    index.search("sea")
    assert loads == [str(tiny_folder)]


def test_the_name_of_an_embedded_model_is_recorded(tiny_folder, tmp_path, monkeypatch):
    """An index of the default model records the name, not where it was prepared."""
    monkeypatch.setitem(default.EMBEDDED_MODELS, "default", lambda: tiny_folder)
    build_index(tmp_path / "index", SentenceTransformer("default", device="cpu"), DOCUMENTS)
    index = CorpusIndex.load(tmp_path / "index")
    assert index.model == "default"
    assert index.search("sea", k=1)[0].doc_id in TEXTS


def test_an_index_of_another_default_model_says_which_it_was(tiny_folder, tmp_path, monkeypatch):
    """Once the default model has changed, searching and building name the one of before."""
    before = default.load_model(tiny_folder, device="cpu", dtype="bfloat16")
    build_index(tmp_path / "index", before, DOCUMENTS, model_name="default")
    monkeypatch.setitem(default.EMBEDDED_MODELS, "default", lambda: tiny_folder)
    for work in (
        lambda: CorpusIndex.load(tmp_path / "index").search("sea"),
        lambda: build_index(tmp_path / "index", default.load_model("default", device="cpu"), DOCUMENTS),
    ):
        with pytest.raises(
            VectorIndexError, match=r"before the default model was gemma3-270m, its model is smollm2"
        ):
            work()


def test_another_model_is_refused_before_it_thinks(folder, tiny_folder, monkeypatch):
    """A model of another dtype is another model; the message names both and says what to do."""
    half = default.load_model(tiny_folder, dtype="bfloat16", device="cpu")
    monkeypatch.setattr(half, "encode_query_with_thoughts", lambda *_, **__: pytest.fail("it has thought"))
    with pytest.raises(
        VectorIndexError, match=r"use one model for both.*Another dtype.*build the index again"
    ):
        CorpusIndex.load(folder).search("sea", model=half)


def test_a_recorded_model_that_is_gone_or_changed_is_an_error(tiny_folder, tmp_path):
    """The message says which model it was, and that another copy can be given; that helps."""
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    build_index(tmp_path / "index", SentenceTransformer(model, device="cpu"), DOCUMENTS)
    shutil.move(model, tmp_path / "elsewhere")
    index = CorpusIndex.load(tmp_path / "index")
    with pytest.raises(ModelError, match=r"Cannot load '.*/model', the model that made the index.*model="):
        index.search("sea")
    assert index.search("sea", model=SentenceTransformer(tmp_path / "elsewhere", device="cpu"))


def test_an_index_without_a_model_name_asks_for_the_model(tiny, tmp_path):
    """A model put together from modules has no name to load it by."""
    nameless = SentenceTransformer(modules=list(tiny), prompts=tiny.prompts, device="cpu")
    build_index(tmp_path / "index", nameless, DOCUMENTS)
    index = CorpusIndex.load(tmp_path / "index")
    assert index.model == ""
    with pytest.raises(ModelError, match=r"does not record its model: give the model .* as model="):
        index.search("sea")
    assert index.search("sea", model=nameless) == index.search("sea", model=tiny)


def test_wrong_arguments_are_refused(folder, tiny, tiny_folder, tmp_path):
    """Numbers, models, options and documents of another kind are named."""
    index = CorpusIndex.load(folder)
    for k in (0, True, 2.0):
        with pytest.raises(InvalidOptionError, match=f"Got k={k}, wanted an integer of 1 or more"):
            index.search("sea", k, tiny)
    with pytest.raises(InvalidOptionError, match="explain with hybrid=True and steps=1, wanted hybrid=False"):
        index.search_with_thoughts("sea", model=tiny, explain=True, hybrid=True)
    with pytest.raises(TypeError, match="hybird"):
        index.search("sea", model=tiny, hybird=True)
    with pytest.raises(InvalidInputError, match="got one DataFrame, wanted a list of queries"):
        index.search(pd.DataFrame({"query": QUERIES}), model=tiny)
    plain = sentence_transformers.SentenceTransformer(str(tiny_folder), trust_remote_code=True, device="cpu")
    for model in (plain, str(tiny_folder)):
        with pytest.raises(
            ModelError, match=r"wanted one that was loaded with search_r3\.SentenceTransformer"
        ):
            index.search("sea", model=model)
    for documents, message in [
        (["a text"], r"got str \('a text'\), wanted Document\(doc_id, text\)"),
        ([Document(5, "a text")], "wanted an id and a text that are strings"),
        ([Document("a", None)], "wanted an id and a text that are strings"),
        ([*DOCUMENTS, Document("bad", "\ud800")], "^Document 'bad': got a lone surrogate"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            build_index(tmp_path / "index", tiny, documents)
