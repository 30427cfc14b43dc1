"""What version 0.1 wrote (a model, an index, an adapter) gives the same vectors with the code of today."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sentence_transformers
from safetensors.numpy import load_file

from search_r3 import SearchR3, fingerprint
from search_r3.errors import VectorIndexError
from search_r3.model.adapter import merge_adapter
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import build_index

SAVED = Path(__file__).parents[1] / "fixtures" / "saved_by_0_1"
FACTS = json.loads((SAVED / "facts.json").read_text(encoding="utf-8"))
VECTORS = load_file(SAVED / "vectors.safetensors")
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def model() -> SearchR3:
    return SearchR3(SAVED / "model", device="cpu", local_files_only=True)


def test_a_model_gives_the_same_vectors(model):
    """Documents, direct queries, and queries after their thoughts."""
    assert np.abs(model.encode_document(FACTS["texts"]) - VECTORS["documents"]).max() <= TOLERANCE
    direct = model.encode_query(FACTS["queries"], reasoning="never")
    assert np.abs(direct - VECTORS["direct"]).max() <= TOLERANCE
    found = model.encode_query_with_thoughts(FACTS["queries"])
    assert [list(thought.token_ids) for thought in found.thoughts] == FACTS["thought_ids"]
    assert np.abs(found.embeddings - VECTORS["queries"]).max() <= TOLERANCE
    assert fingerprint(model) == FACTS["fingerprint"]


def test_the_dotted_class_path_of_before_resolves(tmp_path):
    """sentence-transformers' own `save` named our class by its module, which has moved since."""
    folder = tmp_path / "model"
    shutil.copytree(SAVED / "model", folder)
    (folder / "modeling_search_r3.py").unlink()
    shutil.copy(SAVED / "modules-plain.json", folder / "modules.json")
    (ours, *_) = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    assert ours["type"] == "search_r3.modules.reasoning_transformer.ReasoningTransformer"
    model = SearchR3(folder, device="cpu", local_files_only=True)
    assert np.abs(model.encode_document(FACTS["texts"]) - VECTORS["documents"]).max() <= TOLERANCE


def test_the_modelling_file_of_before_loads_in_the_plain_class(tmp_path):
    """The code inside a saved folder needs nothing of this package."""
    folder = tmp_path / "model"
    shutil.copytree(SAVED / "model", folder)
    plain = sentence_transformers.SentenceTransformer(
        str(folder), device="cpu", trust_remote_code=True, local_files_only=True
    )
    assert np.abs(plain.encode_document(FACTS["texts"]) - VECTORS["documents"]).max() <= TOLERANCE


def test_an_index_of_untitled_texts_loads(model):
    """Same ids, texts and vectors; it is still of this model, and finds each document by its own vector."""
    index = CorpusIndex.load(SAVED / "index")
    ids = [f"d{number}" for number in range(len(FACTS["texts"]))]
    assert [index.texts[doc_id] for doc_id in ids] == FACTS["texts"]
    assert np.abs(index.vectors.vectors(ids) - VECTORS["documents"]).max() <= TOLERANCE
    found = index.vectors.search(VECTORS["documents"], 1, fingerprint=fingerprint(model))
    assert [hits[0].doc_id for hits in found] == ids


def test_an_index_of_untitled_texts_is_added_to(model, tmp_path):
    """What is there keeps its vectors, and the index is then of today's format."""
    folder = tmp_path / "index"
    shutil.copytree(SAVED / "index", folder)
    ids = [f"d{number}" for number in range(len(FACTS["texts"]))]
    documents = [*map(Document, ids, FACTS["texts"]), Document("new", "two\nlines")]
    report = build_index(folder, model, documents, model_name="model")
    assert (report.encoded, report.unchanged, report.removed) == (1, len(ids), 0)
    index = CorpusIndex.load(folder)
    assert index.model == "model" and not (folder / "model.json").exists()
    assert np.abs(index.vectors.vectors(ids) - VECTORS["documents"]).max() <= TOLERANCE
    assert index.texts["new"] == "two\nlines"


def test_an_index_of_titled_texts_is_refused(tmp_path):
    """Version 0.1 joined titles by a line break: the error names the command that rebuilds the index."""
    folder = tmp_path / "index"
    shutil.copytree(SAVED / "index", folder)
    rows = (folder / "documents.jsonl").read_text(encoding="utf-8")
    (folder / "documents.jsonl").write_text(rows.replace("red sea", "red\\nsea"), encoding="utf-8")
    with pytest.raises(VectorIndexError, match=r"'d0' has a line break.* search-r3 index SOURCE "):
        CorpusIndex.load(folder)


def test_an_adapter_merges(tmp_path):
    """The merged model gives the vectors that it gave."""
    base = SearchR3(SAVED / "model", device="cpu", local_files_only=True)
    merged = merge_adapter(base, SAVED / "adapter")
    assert np.abs(merged.encode_document(FACTS["texts"]) - VECTORS["merged"]).max() <= TOLERANCE
