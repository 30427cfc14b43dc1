"""Long documents in passages: where they are split, what they are called, and what becomes of them."""

from __future__ import annotations

import pytest

from search_r3.errors import InvalidOptionError, VectorIndexError
from search_r3.retrieval.chunking import Splitter, document_of, passage_id
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import build_index

SENTENCES = [f"The sea at place {number} is blue and the sky is red." for number in range(8)]
LONG = "\n\n".join(SENTENCES)


def tokens_of(model, text):
    return len(model.tokenizer(text, add_special_tokens=False).input_ids)


def test_passages_are_whole_paragraphs_within_the_limit(tiny):
    """As many as fit; nothing but white space is lost, and their ids count from 1."""
    limit = 3 * tokens_of(tiny, SENTENCES[0]) + 8
    passages = Splitter(tiny, limit).passages(Document("a#b", LONG))
    assert [one.text for one in passages] == [
        "\n\n".join(SENTENCES[:3]), "\n\n".join(SENTENCES[3:6]), "\n\n".join(SENTENCES[6:])
    ]  # fmt: skip
    assert all(tokens_of(tiny, one.text) <= limit for one in passages)
    assert [one.doc_id for one in passages] == ["a#b#1", "a#b#2", "a#b#3"]
    assert {document_of(one.doc_id) for one in passages} == {"a#b"}


def test_a_long_word_is_split_and_a_short_text_is_not(tiny):
    splitter = Splitter(tiny, 16)
    long = "x" * 300
    assert "".join(one.text for one in splitter.passages(Document("a", long))) == long
    assert splitter.passages(Document("a", "sea")) == [Document("a#1", "sea")]
    assert splitter.passages(Document("a", " \n")) == [Document("a#1", " \n")]


@pytest.mark.parametrize("tokens", [15, 129, 20.5, True, "20"])
def test_impossible_lengths_are_refused(tiny, tokens, tmp_path):
    """Before anything is written; the tiny model's limit is 128."""
    with pytest.raises(InvalidOptionError, match="wanted from 16 to 128"):
        build_index(tmp_path / "index", tiny, [Document("a", "sea")], chunk_tokens=tokens)
    with pytest.raises(VectorIndexError, match="is not an index"):
        CorpusIndex.load(tmp_path / "index")


def ids(folder):
    return set(CorpusIndex.load(folder).texts)


def test_an_index_of_passages(tiny, tmp_path):
    """It stays one: later documents are split alike, and a document that got shorter loses passages."""
    folder = tmp_path / "index"
    build_index(folder, tiny, [Document("a", LONG), Document("b", "red sky")], chunk_tokens=40)
    first = {i for i in ids(folder) if document_of(i) == "a"}
    assert len(first) > 2
    assert ids(folder) == first | {"b#1"}
    hits = {hit.doc_id: hit for hit in CorpusIndex.load(folder).search("red sky", k=100, model=tiny)}
    assert set(hits) == ids(folder)
    assert hits["b#1"].score == pytest.approx(
        float(tiny.encode_query(["red sky"])[0] @ tiny.encode_document(["red sky"])[0]), abs=1e-5
    )

    report = build_index(folder, tiny, [Document("a", SENTENCES[0]), Document("c", "a star")])
    assert ids(folder) == {"a#1", "b#1", "c#1"}
    assert (report.encoded, report.unchanged, report.removed) == (
        1,
        1,
        len(first) - 1,
    )  # c#1, a#1, the others
    assert CorpusIndex.load(folder).texts["a#1"] == SENTENCES[0]
    again = build_index(folder, tiny, [Document("a", SENTENCES[0])], chunk_tokens=40, prune=True)
    assert (again.encoded, again.unchanged, again.removed) == (0, 1, 2)


def test_one_kind_of_index_is_not_continued_as_the_other(tiny, tmp_path):
    build_index(tmp_path / "passages", tiny, [Document("a", "sea")], chunk_tokens=40)
    build_index(tmp_path / "whole", tiny, [Document("a#1", "sea")])
    with pytest.raises(VectorIndexError, match="passages of at most 40 tokens, this is with whole documents"):
        build_index(tmp_path / "passages", tiny, [Document("b", "sky")], chunk_tokens=0)
    with pytest.raises(VectorIndexError, match="whole documents, this is with passages of at most 40 tokens"):
        build_index(tmp_path / "whole", tiny, [Document("b", "sky")], chunk_tokens=40)
    build_index(tmp_path / "whole", tiny, [Document("a", "sky")])
    assert ids(tmp_path / "whole") == {"a#1", "a"}  # an id is what its owner wrote


def test_ids(tiny):
    assert passage_id("a", 3) == "a#3"
    assert document_of("a#3") == "a"
