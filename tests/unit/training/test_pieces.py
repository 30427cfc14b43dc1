"""Embedding in pieces: the same vectors as at once, in the same order, and no more tokens than allowed."""

import torch

from search_r3.training.pieces import embed_in_pieces, pieces

TEXTS = ["a sea and a red star and a book", "sun", "red apple", "the story of a book", "date"]


def test_pieces_by_hand():
    """Lengths 2, 3, 3, 9, 10 and at most 9 tokens: three rows of 3, then one of 9 and one of 10 alone."""
    lengths = torch.tensor([9, 3, 10, 2, 3])
    order = lengths.argsort(stable=True)
    assert [rows.tolist() for rows in pieces(order, lengths, 9)] == [[3, 1, 4], [0], [2]]


def test_the_vectors_are_those_of_the_whole_batch(fresh_tiny):
    """Whatever the size of a piece; no forward pass sees more padded tokens than allowed."""
    model = fresh_tiny.train()
    inputs = model[0].preprocess(TEXTS, task="document")
    column = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    seen = []

    def watched(piece):
        seen.append(piece["input_ids"].numel())
        return model(piece)

    with torch.no_grad():
        whole = model(dict(column))["sentence_embedding"]
        for most in (1, 30, 1000):
            torch.testing.assert_close(embed_in_pieces(watched, column, most), whole, rtol=0, atol=1e-6)
    longest = int(column["attention_mask"].sum(dim=1).max())
    assert len(seen) > len(TEXTS) + 1 and max(seen) == longest * len(TEXTS)
    assert all(count <= 30 or count == longest for count in seen[len(TEXTS) : -1])
