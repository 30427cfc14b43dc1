import gzip
import json

import pytest

from search_r3.data.pair_import import read_pair_folder, read_pair_lines
from search_r3.errors import DataError, DataWarning


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
def test_valid_json_lines_are_pairs(tmp_path, name):
    """A byte order mark, blank lines, and the line breaks of Unicode inside of a text."""
    texts = ["a\u2028b", "a\x85b", "a\x0cb\x1cc", "naïve 🎉"]
    lines = [json.dumps({"query": text, "positive": f"of {text}"}, ensure_ascii=False) for text in texts]
    content = "\ufeff".encode() + "\n\n".join(lines).encode() + b"\n \n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    pairs = read_pair_lines(path, "mine")
    assert [(pair.query, pair.positive) for pair in pairs] == [(text, f"of {text}") for text in texts]


def test_ids_of_a_line_are_strings_or_numbers(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"query": "q", "positive": "p", "query_id": 7, "doc_id": "d"}\n')
    [pair] = read_pair_lines(path, "mine")
    assert (pair.query_id, pair.doc_id) == ("7", "d")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"query": "caf\xe9", "positive": "p"}', r"not valid UTF-8 \(byte 0xe9\)"),
        (b'{"query": "\\ud83d", "positive": "p"}', "the field 'query' has the lone surrogate"),
        (b'{"query": "q", "positive": "p\\udc00"}', "the field 'positive' has the lone surrogate"),
        (
            b'{"query": "q", "positive": "p", "negatives": ["n\\ud800"]}',
            r"'negatives\[0\]' has the lone",
        ),
        (b'{"query": "q", "positive": "p", "negatives": [3]}', r"the field 'negatives\[0\]' is of type int"),
        (b'{"query": "q", "query": "r", "positive": "p"}', "the field 'query' is there twice"),
        (b'{"query": "q", "positive": "p", "query_id": null}', "the field 'query_id' is absent or empty"),
        (b'{"query": "q", "positive": "p", "doc_id": true}', "the field 'doc_id' is of type bool"),
        (b'{"query": "q"}', "no field 'positive'"),
        (b'{"query": " ", "positive": "p"}', "got ' ' for query"),
        (b'{"query": "q", "positive": "p", "score": 1}', r"got the keys \['score'\]"),
        (b'["q", "p"]', "a JSON list and not an object"),
        (b'{"query": "q", "positive": "p"', "not valid JSON"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line, said):
    """The error has the file and the number of the line, whose count is that of an editor."""
    path = tmp_path / "pairs.jsonl"
    good = '{"query": "a\u2028b", "positive": "p"}\n\n'.encode()
    path.write_bytes(good + line + b"\n")
    with pytest.raises(DataError, match=rf"pairs\.jsonl, line 3: .*{said}"):
        read_pair_lines(path, "mine")


def test_a_folder_as_it_is_published_makes_pairs(tmp_path):
    """Judgements of absent documents and of grade 0 make none; the others do, numeric ids or not."""
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": 1, "text": "one"}\n{"_id": 2, "title": "T", "text": "two"}\n'
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": 1, "text": "ask"}\n{"_id": "3", "text": "other"}\n\n')
    (tmp_path / "qrels" / "train.tsv").write_text("1\t1\t1\n1\t2\t2.0\n1\tgone\t3\n3\t2\t0\n")
    with pytest.warns(DataWarning, match=r"not in the corpus: 1 \(gone\)"):
        pairs = read_pair_folder(tmp_path, "mine", None)
    assert [(pair.query, pair.positive, pair.query_id, pair.doc_id) for pair in pairs] == [
        ("ask", "T two", "1 2", "2"),
        ("ask", "one", "1 1", "1"),
    ]
