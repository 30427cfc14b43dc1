"""The adapter for queries that read: what passes through it, and what is as if it were not there."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import sentence_transformers
import torch

from search_r3 import SearchR3
from search_r3.errors import ModelError
from search_r3.model.fingerprint import fingerprint
from search_r3.model.reading_adapter import READING_FILE
from search_r3.model.thought_cache import ThoughtCache

TEXTS = ["red sea", "how do I copy a folder", "a star in the sky"]
EVIDENCE = [["The sea is blue."], ["Copy a file.", "A folder has files."], ["Stars are far away."]]


def factors_of(model, rank=2, size=0.3):
    """Random factors for every linear layer of the tiny model's blocks."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, layer in model.reasoning_module.model.named_modules():
        if name.endswith("_proj"):
            outputs, inputs = layer.weight.shape
            found[f"{name}.a"] = size * torch.randn(rank, inputs, generator=generator)
            found[f"{name}.b"] = size * torch.randn(outputs, rank, generator=generator)
    assert found
    return found


@pytest.fixture
def reader(fresh_tiny):
    fresh_tiny.reasoning_module.attach_reading(factors_of(fresh_tiny))
    return fresh_tiny


@pytest.fixture
def merged(tiny_folder, tiny):
    """The same factors in the weights of the model."""
    model = SearchR3(tiny_folder, device="cpu")
    layers = dict(model.reasoning_module.model.named_modules())
    factors = factors_of(tiny)
    with torch.no_grad():
        for name, b in factors.items():
            if name.endswith(".b"):
                layers[name[:-2]].weight += b @ factors[f"{name[:-2]}.a"]
    return model


def test_what_reads_nothing_is_as_before(tiny, reader):
    """Bit for bit: documents, and queries with a thought and without; so an index stays valid."""
    assert (reader.encode_document(TEXTS) == tiny.encode_document(TEXTS)).all()
    assert (reader.encode_query(TEXTS) == tiny.encode_query(TEXTS)).all()
    assert (reader.encode_query(TEXTS, evidence=[[]] * 3) == tiny.encode_query(TEXTS)).all()
    assert fingerprint(reader) == fingerprint(tiny)


@pytest.mark.parametrize("reasoning", ["always", "auto", "never"])
def test_what_reads_is_as_with_merged_weights(tiny, reader, merged, reasoning):
    """The thoughts, and the vectors; they are not those of the model without the adapter."""
    options = {"evidence": EVIDENCE, "reasoning": reasoning, "max_reasoning_tokens": 5}
    found, wanted = (one.encode_query_with_thoughts(TEXTS, **options) for one in (reader, merged))
    assert found.thoughts == wanted.thoughts
    np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-5)
    plain = tiny.encode_query_with_thoughts(TEXTS, **options)
    assert np.abs(found.embeddings - plain.embeddings).max() > 1e-2


@pytest.mark.parametrize("reasoning", ["always", "never"])
def test_a_batch_of_both_kinds(tiny, reader, merged, reasoning):
    """Each row is as in a batch of its own kind, given thoughts included."""
    options = {"reasoning": reasoning, "max_reasoning_tokens": 5}
    queries = [*TEXTS, *TEXTS]
    evidence = [EVIDENCE[0], [], EVIDENCE[2], [], EVIDENCE[1], []]
    thoughts = [None, None, "star", "sea", None, None]
    found = reader.encode_query_with_thoughts(queries, evidence=evidence, thoughts=thoughts, **options)
    for row in range(6):
        model = merged if evidence[row] else tiny
        wanted = model.encode_query_with_thoughts(
            [queries[row]], evidence=[evidence[row]], thoughts=[thoughts[row]], **options
        )
        assert found.thoughts[row] == wanted.thoughts[0]
        np.testing.assert_allclose(found.embeddings[row], wanted.embeddings[0], atol=1e-5)


def test_it_is_saved_and_loaded(reader, tmp_path, tiny):
    """With the model, in its type, by our class and by the plain one; copies of the model have it too."""
    wanted = reader.encode_query(TEXTS, evidence=EVIDENCE)
    reader.save(str(tmp_path / "model"))
    plain = sentence_transformers.SentenceTransformer(
        str(tmp_path / "model"), device="cpu", trust_remote_code=True
    )
    again = SearchR3(str(tmp_path / "model"), device="cpu")
    for model in (again, copy.deepcopy(reader), pickle.loads(pickle.dumps(reader))):
        np.testing.assert_allclose(model.encode_query(TEXTS, evidence=EVIDENCE), wanted, atol=1e-6)
    triples = [(text, None, passages) for text, passages in zip(TEXTS, EVIDENCE, strict=True)]
    np.testing.assert_allclose(plain.encode_query(triples), wanted, atol=1e-6)
    assert again.reasoning_module.reading_adapter == reader.reasoning_module.reading_adapter
    tiny.save(str(tmp_path / "without"))
    assert not (tmp_path / "without" / READING_FILE).exists()


def test_half_precision(reader):
    """The factors are cast with the model, and vectors stay near."""
    wanted = reader.encode_query(TEXTS, evidence=EVIDENCE, reasoning="never")
    found = reader.to(torch.bfloat16).encode_query(TEXTS, evidence=EVIDENCE, reasoning="never")
    assert np.abs(found - wanted).max() < 0.1


def test_damage_is_an_error(reader, tmp_path):
    folder = tmp_path / "model"
    reader.save(str(folder))
    data = bytearray((folder / READING_FILE).read_bytes())
    data[-1] ^= 1
    (folder / READING_FILE).write_bytes(data)
    with pytest.raises(ModelError, match="damaged, or of another model"):
        SearchR3(str(folder), device="cpu")
    (folder / READING_FILE).unlink()
    with pytest.raises(ModelError, match=r"has no reading_adapter\.safetensors"):
        SearchR3(str(folder), device="cpu")


def test_factors_that_do_not_fit(fresh_tiny):
    factors = factors_of(fresh_tiny)
    name = next(iter(factors))[:-2]
    module = fresh_tiny.reasoning_module
    for wrong in (
        {f"{name}.a": factors[f"{name}.a"]},
        {**factors, f"{name}.a": factors[f"{name}.a"][:, 1:]},
        {"model.nowhere.a": factors[f"{name}.a"], "model.nowhere.b": factors[f"{name}.b"]},
    ):
        with pytest.raises(ModelError, match="does not fit this model"):
            module.attach_reading(wrong)
    assert module.reading is None


def test_another_adapter_takes_its_place(reader, tiny, merged):
    """The former one's hooks are gone, and thoughts that were kept with it are not found."""
    cache = ThoughtCache(reader)
    options = {"evidence": EVIDENCE, "max_reasoning_tokens": 5}
    cache.encode(reader, TEXTS, **options)
    reader.reasoning_module.attach_reading(factors_of(reader, size=0.0))
    found = cache.encode(reader, TEXTS, **options)
    wanted = tiny.encode_query_with_thoughts(TEXTS, **options)
    assert found.thoughts == wanted.thoughts
    np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-5)
