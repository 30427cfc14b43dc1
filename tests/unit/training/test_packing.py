"""Packed texts: rows by hand, and the vectors and gradients of texts embedded one by one."""

import pytest
import torch
from torch.nn import functional

from search_r3.training import packing
from search_r3.training.attention import choose_attention
from search_r3.training.packing import embed_packed, pack

TEXTS = ["a sea and a red star and a book", "sun", "red apple", "the story of a book", "date", "a star"]


def test_rows_by_hand():
    """9, 7, 3 and 2 tokens into rows of 10: 9 alone, 7 and 3, 2; 12 has a row of its own."""
    assert pack([3, 12, 7, 2, 9], 10) == [[1], [4], [2, 0], [3]]
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
            single = [
                model(dict(model[0].preprocess([text], task="document").items()))
                for text in TEXTS
            ]
            vectors = torch.cat([one["token_embeddings"][:, -1] for one in single])
        (vectors * weights).sum().backward()
        found.append([vectors.detach(), *(one.grad for one in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_they_are_the_sentence_embeddings_before_normalising(fresh_tiny):
    """As the loaded model gives them, and as training used to embed a padded batch."""
    inputs = fresh_tiny[0].preprocess(TEXTS, task="document")
    column = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    wanted = fresh_tiny.encode_document(TEXTS)
    with torch.no_grad():
        found = functional.normalize(embed_packed(fresh_tiny.train(), column), dim=1)
    torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=0, atol=1e-5)
