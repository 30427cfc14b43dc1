"""Packed texts: rows by hand, and the vectors and gradients of texts embedded one by one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from search_r3.errors import ModelError
from search_r3.training import packing
from search_r3.training.attention import choose_attention
from search_r3.training.packing import embed_packed, pack

TEXTS = ["a sea and a red star and a book", "sun", "red apple", "the story of a book", "date", "a star"]


def test_rows_by_hand():
    """Into rows of 12: 12 alone, 9 and 3, 7 and 2. Into rows of 10: 9 alone, 7 and 3, 2."""
    assert pack([3, 12, 7, 2, 9], 12) == [[1], [4, 0], [2, 3]]
    assert pack([3, 7, 2, 9], 10) == [[3], [1, 0], [2]]
    assert pack([5], 10) == [[0]]


@pytest.mark.parametrize("row_tokens", [1, 24, 40, 128])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_vectors_and_gradients_are_those_of_single_texts(fresh_tiny, monkeypatch, row_tokens, attention):
    """However they are packed: a row for each text, several rows, one row."""
    monkeypatch.setattr(packing, "ROW_TOKENS", row_tokens)
    model = fresh_tiny.train()
    if attention == "eager":
        choose_attention(model[0].model, torch.device("cpu"), 32)
    inputs = model[0].preprocess(TEXTS, task="document")
    column = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    weights = torch.randn(len(TEXTS), 32, generator=torch.Generator().manual_seed(0))
    found = []
    for packed in (False, True):
        model.zero_grad()
        if packed:
            vectors = embed_packed(model, column)
        else:
            single = [model(dict(model[0].preprocess([text], task="document").items())) for text in TEXTS]
            vectors = torch.cat([one["sentence_embedding"] for one in single])
        (vectors * weights).sum().backward()
        found.append([vectors.detach(), *(one.grad for one in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_they_are_the_sentence_embeddings(fresh_tiny):
    """Unit vectors, as the loaded model gives them."""
    inputs = fresh_tiny[0].preprocess(TEXTS, task="document")
    column = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    wanted = fresh_tiny.encode_document(TEXTS)
    with torch.no_grad():
        found = embed_packed(fresh_tiny.train(), column)
    torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=0, atol=1e-5)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=80))
def test_never_more_tokens_than_padded(lengths):
    """What is computed for a batch is at most rows times the longest text, which bounds the memory."""
    seen = []

    def model(inputs):
        rows, width = inputs["input_ids"].shape
        seen.append(rows * width)
        # Every token's vector is its id.
        states = inputs["input_ids"].float()[:, :, None].repeat(1, 1, 2)
        return {"token_embeddings": states, "sentence_embedding": functional.normalize(states[:, -1], dim=1)}

    longest = max(lengths)
    input_ids = torch.zeros(len(lengths), longest, dtype=torch.long)
    mask = torch.zeros_like(input_ids)
    for row, length in enumerate(lengths):
        input_ids[row, -length:] = 1
        mask[row, -length:] = 1
    found = embed_packed(model, {"input_ids": input_ids, "attention_mask": mask})
    assert seen[0] <= len(lengths) * longest
    # A wrong place would be padding, whose vector is zero.
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(lengths)))


def test_a_long_text_does_not_widen_all_rows():
    """63 texts of 10 and one of 512: the short ones share rows as long as the longest."""
    rows = pack([10] * 63 + [512], 512)
    assert [len(row) for row in rows] == [1, 51, 12]


def test_what_cannot_be_packed(fresh_tiny):
    """Padding on the right, and an attention that does not keep texts of a row apart."""
    inputs = fresh_tiny[0].preprocess(TEXTS, task="document")
    column = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    model = fresh_tiny.train()
    with pytest.raises(ModelError, match="padded on the right"):
        embed_packed(model, {key: value.flip(1) for key, value in column.items()})
    model[0].model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ModelError, match="flash_attention_2 attention, wanted one of eager, sdpa"):
        embed_packed(model, column)
