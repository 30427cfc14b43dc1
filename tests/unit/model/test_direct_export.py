"""The direct exit as built-in modules: the vectors of ``reasoning="never"``, wherever it is loaded."""

import json
import random

import numpy as np
import pytest
import sentence_transformers

from search_r3 import SearchR3, Template
from search_r3.errors import InvalidOptionError, ModelError
from search_r3.model.direct_export import TOLERANCE, check_direct, export_direct
from search_r3.model.prompt_encoder import PromptEncoder

ALPHABET = [
    " ",
    "  ",
    "\n",
    "\t",
    "thought:",
    "query:",
    "document: ",
    "red",
    "sea",
    "Don't",
    "12",
    "ß",
    "漢",
    "<think>",
]
ALPHABET += [
    "<|embed_token|>",
    "<|endoftext|>",
    "<|im_end|>",
    ".",
    "query: ",
    "\nthought:",
    "\u00a0",
    "\u2028",
]


@pytest.mark.slow
def test_the_thinking_model_is_exported(smollm2, tmp_path):
    """Whose padding token a text may spell; the check on awkward texts is part of the export."""
    model = smollm2
    folder = export_direct(model, tmp_path / "direct")
    exported = sentence_transformers.SentenceTransformer(str(folder))
    texts = ["<|im_end|> red <|endoftext|>", "query: sea", "def f(x):\n    return x  # twice\n"]
    for ours, theirs in (
        (model.encode_query(texts, reasoning="never"), exported.encode_query(texts)),
        (model.encode_document(texts), exported.encode_document(texts)),
    ):
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE)


@pytest.mark.slow
def test_the_default_model_is_exported(gemma3, tmp_path):
    """Line breaks at the ends of a text do not join those of the template, and special tokens are texts."""
    folder = export_direct(gemma3, tmp_path / "direct")
    exported = sentence_transformers.SentenceTransformer(str(folder))
    texts = ["\n\n red  sea\n", "<bos><unk><table> <|embed_token|>", "query: sea", "\n"]
    for ours, theirs in (
        (gemma3.encode_query(texts, reasoning="never"), exported.encode_query(texts)),
        (gemma3.encode_document(texts), exported.encode_document(texts)),
    ):
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE)


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    return export_direct(tiny, tmp_path_factory.mktemp("direct") / "model")


def test_it_has_built_in_modules_alone_and_loads_without_a_flag(exported):
    """No file of code, no class of ours: the plain class loads it with no ``trust_remote_code``."""
    modules = json.loads((exported / "modules.json").read_text())
    assert all(module["type"].startswith("sentence_transformers.") for module in modules)
    assert not list(exported.rglob("*.py"))
    model = sentence_transformers.SentenceTransformer(str(exported), device="cpu")
    assert model.prompts == {"query": "query: ", "document": "document: "}


def test_any_text_gets_the_vector_of_the_direct_exit(tiny, exported):
    """300 texts of awkward pieces, as queries, documents, and without a role."""
    model = sentence_transformers.SentenceTransformer(str(exported), device="cpu")
    generator = random.Random(0)
    texts = ["", *("".join(generator.choices(ALPHABET, k=generator.randrange(1, 12))) for _ in range(300))]
    for ours, theirs in (
        (tiny.encode_query(texts, reasoning="never"), model.encode_query(texts)),
        (tiny.encode_document(texts), model.encode_document(texts)),
    ):
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE)
    np.testing.assert_allclose(model.encode(texts), tiny.encode_document(texts), atol=TOLERANCE)


def test_long_documents_are_cut_alike(tiny, exported):
    """The read-out stands behind a cut text; lengths around the limit of 128 tokens."""
    model = sentence_transformers.SentenceTransformer(str(exported), device="cpu")
    texts = ["red sea " * count for count in (*range(55, 70), 400)]
    found = model.encode_document(texts)
    np.testing.assert_allclose(found, tiny.encode_document(texts, on_truncation="ignore"), atol=TOLERANCE)
    assert model.max_seq_length == tiny.max_seq_length == 128


def test_what_cannot_be_exported(tiny, fresh_tiny, exported, tmp_path):
    """A folder that exists, a template that no tokenizer can hold, and vectors that differ are errors."""
    with pytest.raises(FileExistsError, match="never overwritten"):
        export_direct(tiny, exported)
    with pytest.raises(ModelError, match="wanted a Search-R3 model"):
        export_direct(SearchR3(str(exported), device="cpu"), tmp_path / "x")
    other = sentence_transformers.SentenceTransformer(str(exported), device="cpu")
    other.prompts["query"] = "document: "
    with pytest.raises(ModelError, match="differ from the model's"):
        check_direct(tiny, other)
    module = fresh_tiny.reasoning_module
    other_template = Template("query:\n", "\n", "document:\n", " is ")
    module.prompt_encoder = PromptEncoder(module.tokenizer, other_template, module.embed_token)
    with pytest.raises(InvalidOptionError, match="suffix ends with a document's"):
        export_direct(fresh_tiny, tmp_path / "y")
    assert not list(tmp_path.iterdir())
