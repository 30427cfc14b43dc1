"""txtai, which asks for the roles by itself, with the arguments that README shows."""

import numpy as np
import pytest

txtai = pytest.importorskip("txtai")

TEXTS = ["the red sea", "a star and the sun", "copy a folder", "sort a list", "the date and the time"]


def test_queries_think_and_documents_do_not(tiny, tiny_folder):
    """Scores are the products of encode_query's and encode_document's vectors."""
    embeddings = txtai.Embeddings(
        path=str(tiny_folder),
        method="sentence-transformers",
        vectors={"trust_remote_code": True},
        gpu=False,
    )
    embeddings.index(TEXTS)
    found = dict(embeddings.search("a star", len(TEXTS)))
    wanted = tiny.encode_document(TEXTS) @ tiny.encode_query("a star")
    # txtai leaves out what has no positive score.
    assert found == pytest.approx({index: score for index, score in enumerate(wanted) if score > 0}, abs=1e-5)
    direct = tiny.encode_document(TEXTS) @ tiny.encode_query("a star", reasoning="never")
    assert np.abs(direct - wanted).max() > 1e-3
