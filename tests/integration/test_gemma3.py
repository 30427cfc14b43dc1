"""Gemma 3 270M with its own weights, in float32: exact, batch-invariant, and it does not think by default."""

import random

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from search_r3.model.default import default_model_folder

pytestmark = pytest.mark.slow

WORDS = [
    "copy",
    "the",
    "tree,",
    "date",
    "<|embed_token|>",
    "<end_of_turn>",
    "Köln",
    "日本",
    "🙂",
    "x=1;\n",
    "\t",
]


def make_texts(count: int) -> list[str]:
    generator = random.Random(0)
    return [" ".join(generator.choices(WORDS, k=generator.randint(1, 30))) for _ in range(count)]


def test_vectors_equal_one_plain_pass(gemma3):
    """Of documents, of queries, and of queries after a thought."""
    folder = default_model_folder("gemma3-270m")
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    embed = tokenizer.convert_tokens_to_ids("<|embed_token|>")
    texts = make_texts(12)
    thinking = gemma3.encode_query_with_thoughts(texts, reasoning="always", max_reasoning_tokens=6)
    assert all(thought.length for thought in thinking.thoughts)
    none: list[list[int]] = [[] for _ in texts]
    thoughts = [list(thought.token_ids) for thought in thinking.thoughts]
    encoder = gemma3[0].prompt_encoder
    for start, end, written, vectors in (
        ("document:\n", "\n", none, gemma3.encode_document(texts)),
        ("query:\n", "\nthought:\n", none, gemma3.encode_query(texts)),
        ("query:\n", "\nthought:\n", thoughts, thinking.embeddings),
    ):
        for text, thought, vector in zip(texts, written, vectors, strict=True):
            pieces = [tokenizer.encode(piece, add_special_tokens=False) for piece in (start, end)]
            ids = [
                tokenizer.bos_token_id,
                *pieces[0],
                *encoder.encode_text(text),
                *pieces[1],
                *thought,
                embed,
            ]
            with torch.no_grad():
                found = plain(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False)
            state = found.hidden_states[-1][0, -1]
            np.testing.assert_allclose(vector, state / state.norm(), atol=1e-5)


def test_vectors_do_not_depend_on_the_batch(gemma3):
    """Alone, and in batches with others of other lengths."""
    texts = make_texts(24)
    alone = gemma3.encode_document(texts, batch_size=1)
    for batch_size in (5, 24):
        np.testing.assert_allclose(gemma3.encode_document(texts, batch_size=batch_size), alone, atol=1e-5)


def test_queries_do_not_think_unless_asked_to(gemma3):
    """It was not trained to: the default is the direct vector."""
    found = gemma3.encode_query_with_thoughts(["red sea"])
    assert found.thoughts[0].ending == "skipped"
    np.testing.assert_allclose(
        found.embeddings, gemma3.encode_query(["red sea"], reasoning="never"), atol=1e-6
    )
