import gzip
import json
import warnings
from pathlib import Path

import pytest

from search_r3.data.beir import read_beir, write_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, DataWarning

CODE_TASK = Path(__file__).parents[2] / "fixtures" / "code_task"

ODD_TEXTS = [
    "text",
    '"quoted" and \\ back',
    "a\nb\r\nc\td\u2028e\x85f\x00g",
    "naïve 東京 🎉",
    "",
    "two  spaces  inside",
]


@pytest.mark.parametrize("text", [*ODD_TEXTS, "def f(self):\n        return 1", "\ufeffmark"])
def test_beir_round_trip_keeps_every_document(tmp_path, text):
    """What is written is read back to the character, with the same hash."""
    task = RetrievalTask({"q": text}, {"d": text}, {"q": {"d": 1}})
    write_beir(task, tmp_path)
    assert read_beir(tmp_path) == task
    assert read_beir(tmp_path).data_hash() == task.data_hash()


@pytest.mark.parametrize("text", ["    def f(self):\n        return 1", "trailing \n", " "])
def test_documents_are_stripped_and_queries_are_not(tmp_path, text):
    """As in mteb and BEIR; a document that would be read back as another text is not written."""
    with pytest.raises(DataError, match="document 'd' with outer whitespace"):
        write_beir(RetrievalTask({"q": text}, {"d": text}, {"q": {"d": 1}}), tmp_path)
    record = json.dumps({"_id": "d", "title": "", "text": text}).encode()
    query = json.dumps({"_id": "q", "text": text}).encode()
    write(tmp_path, corpus=record, queries=query)
    assert read_beir(tmp_path) == RetrievalTask({"q": text}, {"d": text.strip()}, {"q": {"d": 1}})


def test_beir_round_trip_of_odd_ids(tmp_path):
    """Ids with quotes, spaces, colons and letters beyond ASCII survive the table of judgements."""
    corpus = {key: str(place) for place, key in enumerate(('"', "a b", "HP:1/2", "é", "'", "#x"))}
    task = RetrievalTask({f"q{key}": "x" for key in corpus}, corpus, {f"q{key}": {key: 1} for key in corpus})
    write_beir(task, tmp_path, split="dev")
    assert read_beir(tmp_path, split="dev") == task
    assert not list(tmp_path.rglob("*.part"))


def test_written_files_are_those_of_beir(tmp_path):
    """The three files have BEIR's names, fields, header and order."""
    write_beir(RetrievalTask({"q": "é?"}, {"b": "x", "a": "y"}, {"q": {"b": 2, "a": 0}}), tmp_path)
    assert (tmp_path / "corpus.jsonl").read_text(encoding="utf-8") == (
        '{"_id": "b", "title": "", "text": "x"}\n{"_id": "a", "title": "", "text": "y"}\n'
    )
    assert (tmp_path / "queries.jsonl").read_text(encoding="utf-8") == '{"_id": "q", "text": "é?"}\n'
    assert (tmp_path / "qrels" / "test.tsv").read_text(encoding="utf-8") == (
        "query-id\tcorpus-id\tscore\nq\tb\t2\nq\ta\t0\n"
    )


def write(folder, corpus=None, queries=None, qrels=None):
    (folder / "qrels").mkdir()
    for name, content, usual in (
        ("corpus.jsonl", corpus, b'{"_id": "d", "title": "T", "text": "x"}\n'),
        ("queries.jsonl", queries, b'{"_id": "q", "text": "x"}\n{"_id": "unjudged", "text": "y"}\n'),
        ("qrels/test.tsv", qrels, b"query-id\tcorpus-id\tscore\nq\td\t1\n"),
    ):
        if content != b"absent":
            (folder / name).write_bytes(usual if content is None else content)


def test_title_goes_before_the_text_and_unjudged_queries_stay_out(tmp_path):
    """Other people's BEIR folders have titles, extra fields and queries of other splits."""
    write(tmp_path, corpus=b'{"_id": "d", "title": "T", "text": "x", "metadata": {}}\n'
          b'{"_id": "e", "title": null, "text": "y"}\n{"_id": "g", "text": " z "}\n')  # fmt: skip
    assert read_beir(tmp_path) == RetrievalTask({"q": "x"}, {"d": "T x", "e": "y", "g": "z"}, {"q": {"d": 1}})


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("corpus", b"absent", r"corpus\.jsonl"),
        ("queries", b"absent", r"queries\.jsonl"),
        ("qrels", b"absent", r"test\.tsv"),
        ("corpus", b'{"_id": "d", "text": "x"}\n{"_id": "e"}\n', r"corpus\.jsonl, line 2: .*'text'"),
        ("corpus", b'{"_id": true, "text": "x"}\n', r"corpus\.jsonl, line 1: .*'_id' is of type bool"),
        ("corpus", b'{"_id": "", "text": "x"}\n', r"corpus\.jsonl, line 1: no id"),
        ("corpus", b'{"_id": "d", "_id": "e", "text": "x"}\n', r"line 1: the field '_id' is there twice"),
        ("corpus", b'{"_id": "d", "text": null}\n', r"line 1: the field 'text' is null"),
        ("queries", b'{"_id": "q", "text": "\\ud83d"}\n', r"queries\.jsonl, line 1: .*lone surrogate"),
        ("corpus", b'{"_id": "d", "title": 7, "text": "x"}\n', r"corpus\.jsonl, line 1: .*'title'"),
        ("corpus", b'{"_id": "d", "text": "x"}\n{"_id": "e", "te\n', r"corpus\.jsonl, line 2"),
        ("queries", b'["q", "x"]\n', r"queries\.jsonl, line 1"),
        ("corpus", b'{"_id": "d", "text": "\xff"}\n', r"corpus\.jsonl"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\td\n", r"test\.tsv, line 2: got 2 cells"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\td\tmuch\n", r"test\.tsv, line 2: got the score 'much'"),
        (
            "qrels",
            b"query-id\tcorpus-id\tscore\nq\td\t1\nq\td\t0.5\n",
            r"test\.tsv, line 3: got the score '0.5'",
        ),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\td\tnan\n", r"test\.tsv, line 2: got the score 'nan'"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\td\t\xff\n", r"test\.tsv, line 2: not valid UTF-8"),
        (
            "qrels",
            b"query-id\tcorpus-id\tscore\nother\td\t1\n",
            r"test\.tsv has judged queries .* does not have: 1 \(other\)",
        ),
        ("qrels", b"query-id\tcorpus-id\tscore\n", r"test\.tsv has no judgement"),
        # A judgement whose grade is wrong is no header, even in the first row.
        ("qrels", b"q\td\tmuch\n", r"test\.tsv, line 1: got the score 'much'"),
        ("qrels", b"q\t0\td\t1\n", r"test\.tsv, line 1: got 4 cells .* TREC's format"),
        ("qrels", b"q d 1\nq e 1\n", r"test\.tsv, line 2: got 1 cells"),
    ],
)
def test_malformed_folder_raises_and_names_the_place(tmp_path, file, content, said):
    """A missing or damaged file is a DataError with its name and, for a line of records, its number."""
    write(tmp_path, **{file: content})
    with pytest.raises(DataError, match=said):
        read_beir(tmp_path)


def test_committed_code_task_reads():
    """The fixture is what its maker promises: 40 queries, 160 functions, one answer each."""
    task = read_beir(CODE_TASK)
    assert (len(task.queries), len(task.corpus), task.judgements) == (40, 160, 40)


def read_noted(folder: Path) -> tuple[RetrievalTask, list[str]]:
    """The task of a folder, and the lines of the one warning about it."""
    with pytest.warns(DataWarning) as caught:
        task = read_beir(folder)
    [warning] = caught
    first, *lines = str(warning.message).split("\n- ")
    assert first == f"{folder} (test) is loaded, with these limits:"
    return task, lines


def lines_of(*records: dict) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_folders_as_they_are_published_are_read_as_by_beir(tmp_path):
    """Ids that are both query and document, an absent document, a query with grade 0 only."""
    from beir.datasets.data_loader import GenericDataLoader

    documents = [{"_id": key, "title": "", "text": f"document {key}"} for key in ("1", "2", "3", "a-1")]
    queries = [{"_id": key, "text": f"query {key}"} for key in ("1", "2", "a-1", "zero")]
    rows = [("1", "2", 1), ("1", "gone", 1), ("2", "2", 1), ("2", "3", 2), ("a-1", "1", 1), ("zero", "3", 0)]
    table = "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{g}\n" for q, d, g in rows)
    write(tmp_path, lines_of(*documents), lines_of(*queries), table.encode())
    corpus, asked, qrels = GenericDataLoader(str(tmp_path)).load("test")
    task, notes = read_noted(tmp_path)
    assert task == RetrievalTask(asked, {key: found["text"] for key, found in corpus.items()}, qrels)
    assert (len(task.queries), len(task.corpus), task.judgements) == (4, 4, 5)
    assert [note.split("; ")[0] for note in notes] == [
        "judgements of documents that are not in the corpus: 1 (gone)",
        "queries with the id of a document: 3 (1, 2, a-1)",
        "queries whose document of the same id is judged relevant: 1 (2)",
        "queries without a relevant document: 1 (zero)",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_beir(tmp_path) == task  # an evaluation reads a folder for every arm, and says it once


def test_ids_and_judgements_that_are_there_again_are_counted(tmp_path):
    """The last one counts, as in BEIR; one that says the same again loses nothing, and is not counted."""
    corpus = [("d", "one"), ("e", "two"), ("d", "three"), ("e", "two"), ("f", "x"), ("g", "x"), ("g", "y")]
    queries = [("q", "first"), ("q", "second"), ("r", "same"), ("r", "same")]
    rows = b"query-id\tcorpus-id\tscore\nq\td\t0\nq\te\t1\nq\td\t2\nr\te\t1\nr\te\t1.0\n"
    write(
        tmp_path,
        lines_of(*({"_id": key, "text": text} for key, text in corpus)),
        lines_of(*({"_id": key, "text": text} for key, text in queries)),
        rows,
    )
    task, notes = read_noted(tmp_path)
    assert task.corpus == {"d": "three", "e": "two", "f": "x", "g": "y"}
    assert task.queries == {"q": "second", "r": "same"}
    assert task.qrels == {"q": {"d": 2, "e": 1}, "r": {"e": 1}}
    assert notes == [
        "documents that are there again with another content: 2 (d, g); the last one counts",
        "queries that are there again with another content: 1 (q); the last one counts",
        "judgements that are there again with another content: 1 (q d); the last one counts",
    ]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (b"q\td\t1\nq\te\t2\n", {"d": 1, "e": 2}),
        (b"q\td\t1.0\nq\te\t-1\n", {"d": 1, "e": -1}),
        (b"\n\nq\td\t1\n\n", {"d": 1}),
        (b"qid\tdid\trelevance\nq\td\t3\n", {"d": 3}),
        (b"query-id\tcorpus-id\tscore\r\nq\td\t1\r\n\r\n", {"d": 1}),
        (b"\xef\xbb\xbfquery-id\tcorpus-id\tscore\nq\td\t1\n", {"d": 1}),
        (b"\xef\xbb\xbfq\td\t1\n", {"d": 1}),
        (b"query-id\tcorpus-id\tscore\tnote\nq\td\t1\tsure\n", {"d": 1}),
    ],
)
def test_no_judgement_is_lost(tmp_path, rows, wanted):
    """With a header or without, with blank lines, a byte order mark, grades like 1.0 and a further column."""
    write(tmp_path, lines_of({"_id": "d", "text": "x"}, {"_id": "e", "text": "y"}), qrels=rows)
    assert read_beir(tmp_path).qrels == {"q": wanted}


def test_records_that_index_takes_are_taken(tmp_path):
    """A byte order mark, whole numbers as ids, blank lines and U+2028 inside of a text."""
    text = "a\u2028b\x85c"
    write(
        tmp_path,
        b"\xef\xbb\xbf" + json.dumps({"_id": 7, "text": text}, ensure_ascii=False).encode() + b"\n\n",
        b'\xef\xbb\xbf{"_id": 3, "text": "x"}\n \n',
        b"3\t7\t1\n",
    )
    assert read_beir(tmp_path) == RetrievalTask({"3": "x"}, {"7": text}, {"3": {"7": 1}})


def test_gzip_files_are_read_where_plain_ones_are_absent(tmp_path):
    """All three files may be packed; a damaged one is an error that names it."""
    task = RetrievalTask({"q": "x"}, {"d": "naïve"}, {"q": {"d": 1}})
    write_beir(task, tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert read_beir(tmp_path) == task
    packed = tmp_path / "corpus.jsonl.gz"
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"corpus\.jsonl\.gz, which cannot be read as gzip"):
        read_beir(tmp_path)
