"""A teacher to distil from that needs no download: a bag of words, hashed to six dimensions."""

import hashlib

import torch


def toy_teacher(max_tokens):
    """Instead of ``search_r3.training.sft_run.load_teacher``."""

    def encode(texts):
        rows = torch.zeros(len(texts), 6)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[hashlib.sha256(word.encode()).digest()[0] % 6] += 1
        return rows + 0.1

    return encode, 6
