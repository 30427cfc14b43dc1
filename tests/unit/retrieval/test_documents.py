import csv
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.retrieval.documents import Document, MalformedLine, read_documents, read_queries


def read(path, **fields):
    return list(read_documents(path, **fields))


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def malformed(items):
    return [(item.line, item.reason) for item in items if isinstance(item, MalformedLine)]


def documents(items):
    return [(item.doc_id, item.text) for item in items if isinstance(item, Document)]


def test_beir_corpus(tmp_path):
    path = write(
        tmp_path / "corpus.jsonl",
        '{"_id": "d1", "title": "Ada", "text": "First programmer.", "metadata": {}}\n'
        '{"_id": "d2", "title": "", "text": "No title."}\n'
        '{"_id": "d3", "title": null, "text": "Null title."}\n',
    )
    assert read(path) == [
        Document("d1", "Ada First programmer."),
        Document("d2", "No title."),
        Document("d3", "Null title."),
    ]


@pytest.mark.parametrize("id_name", ["_id", "id", "doc_id"])
@pytest.mark.parametrize("text_name", ["text", "contents", "content", "body"])
@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".JSONL"])
def test_known_field_names_in_every_kind(tmp_path, suffix, id_name, text_name):
    path = tmp_path / f"corpus{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"x": [0], id_name: ["a"], text_name: ["hello"]}), path)
    elif suffix in (".csv", ".tsv"):
        delimiter = {".csv": ",", ".tsv": "\t"}[suffix]
        write(path, f"x,{id_name},{text_name}\n0,a,hello\n".replace(",", delimiter))
    else:
        write(path, json.dumps({"x": 0, id_name: "a", text_name: "hello"}))
    assert read(path) == [Document("a", "hello")]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_given_field_names_override_the_known_ones(tmp_path, suffix):
    row = {"id": "a", "text": "no", "url": "u1", "abstract": "yes"}
    path = tmp_path / f"corpus{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    elif suffix == ".csv":
        write(path, "id,text,url,abstract\na,no,u1,yes\n")
    else:
        write(path, json.dumps(row))
    assert read(path, id_field="url", text_field="abstract") == [Document("u1", "yes")]


def test_title_as_the_text_field_is_not_put_before_itself(tmp_path):
    path = write(tmp_path / "q.jsonl", '{"id": "a", "title": "only once"}')
    assert read(path, text_field="title") == [Document("a", "only once")]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_outer_whitespace_is_stripped_from_documents_only(tmp_path, suffix):
    """A document is joined with its title and stripped, inner whitespace stays; a query is its own text."""
    rows = [
        {"id": "titled", "title": " T ", "text": " a\n b "},
        {"id": "untitled", "title": "", "text": "\ta\n b\n"},
        {"id": "blank title", "title": " \n", "text": " a"},
    ]
    path = tmp_path / f"corpus{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".jsonl":
        write(path, "\n".join(map(json.dumps, rows)))
    else:
        with path.open("w", newline="") as stream:
            table = csv.DictWriter(stream, list(rows[0]), delimiter="," if suffix == ".csv" else "\t")
            table.writeheader()
            table.writerows(rows)
    assert documents(read(path)) == [("titled", "T   a\n b"), ("untitled", "a\n b"), ("blank title", "a")]
    wanted = [(row["id"], row["text"]) for row in rows]
    assert documents(read_queries(path)) == wanted


def test_text_lines_and_files_are_stripped_as_documents_only(tmp_path):
    path = write(tmp_path / "lines.txt", "  a b \n")
    assert documents(read(path)) == [("1", "a b")]
    assert documents(read_queries(path)) == [("1", "  a b ")]
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "a.md", "\n# a\n\nb\n")
    assert documents(read(tmp_path / "folder")) == [("a.md", "# a\n\nb")]
    assert documents(read_queries(tmp_path / "folder")) == [("a.md", "\n# a\n\nb\n")]


def test_a_query_may_have_any_title(tmp_path):
    """It is not read, so it cannot make the line malformed."""
    path = write(tmp_path / "q.jsonl", '{"id": "a", "title": 7, "text": "x"}')
    assert documents(read_queries(path)) == [("a", "x")]
    assert malformed(read_queries(path)) == []


def test_numbers_as_ids_become_strings(tmp_path):
    path = write(
        tmp_path / "q.jsonl", '{"id": 7, "text": "a"}\n{"id": 1.5, "text": "b"}\n{"id": "8", "text": "c"}'
    )
    assert documents(read(path)) == [("7", "a"), ("1.5", "b"), ("8", "c")]


def test_without_id_field_the_line_numbers_are_the_ids(tmp_path):
    path = write(tmp_path / "q.jsonl", '{"text": "a"}\n\n{"text": "c"}\n{"id": "x", "text": "d"}\n')
    items = read(path)
    assert documents(items) == [("1", "a"), ("3", "c")]  # the blank second line is not a record
    [(line, reason)] = malformed(items)  # taking the id "x" would mix two kinds of ids
    assert line == 4
    assert "'id'" in reason


def test_empty_text_is_a_document(tmp_path):
    assert read(write(tmp_path / "q.jsonl", '{"id": "a", "text": ""}')) == [Document("a", "")]


def test_every_malformed_json_line_is_reported_and_the_others_are_read(tmp_path):
    lines = [
        b'{"_id": "good1", "text": "one"}',
        b'{"_id": "x", "text":',
        b'["_id", "text"]',
        b'{"_id": "x"}',
        b'{"_id": "x", "text": null}',
        b'{"_id": "x", "text": 5}',
        b'{"_id": "x", "text": "caf\xe9"}',
        b'{"_id": "x", "text": "half \\ud83d"}',
        b'{"_id": "half \\ud83d", "text": "x"}',
        b'{"_id": "good1", "text": "again"}',
        b'{"text": "no id"}',
        b'{"_id": null, "text": "null id"}',
        b'{"_id": "", "text": "empty id"}',
        b'{"_id": true, "text": "id of another type"}',
        b'{"_id": NaN, "text": "id is no number"}',
        b'{"_id": "x", "text": "t", "title": 1984}',
        b'{"_id": ' + b"9" * 5000 + b', "text": "more digits than Python converts"}',
        b"[" * 100_000,
        b'{"_id": "good2", "text": "two"}',
    ]
    path = write(tmp_path / "corpus.jsonl", b"\n".join(lines))
    items = read(path)
    assert documents(items) == [("good1", "one"), ("good2", "two")]
    assert {item.source for item in items if isinstance(item, MalformedLine)} == {str(path)}
    reasons = dict(malformed(items))
    wanted = {
        2: "not valid JSON (Expecting value at column 21)",
        3: "a JSON list and not an object",
        4: "no text field: got ['_id'], wanted 'text'",
        5: "the field 'text' is null",
        6: "the field 'text' is of type int",
        7: "not valid UTF-8 (byte 0xe9)",
        8: "the field 'text' has the lone surrogate '\\ud83d'",
        9: "the field '_id' has the lone surrogate '\\ud83d'",
        10: "the id 'good1' is already on line 1",
        11: "no id: the field '_id' is absent or empty",
        12: "no id: the field '_id' is absent or empty",
        13: "no id: the field '_id' is absent or empty",
        14: "the field '_id' is of type bool",
        15: "the field '_id' is of type float",
        16: "the field 'title' is of type int",
        17: "not readable JSON (Exceeds the limit",
        18: "not readable JSON (maximum recursion depth",
    }
    assert reasons.keys() == wanted.keys()
    for line, start in wanted.items():
        assert reasons[line].startswith(start), (line, reasons[line])
        assert ";" in reasons[line], "what to do is missing"


def test_a_file_without_any_text_field_names_the_fields_it_wanted(tmp_path):
    path = write(tmp_path / "q.jsonl", '{"id": "a", "passage": "x"}')
    [(line, reason)] = malformed(read(path))
    assert line == 1
    assert "['id', 'passage']" in reason
    assert "'text' or 'contents' or 'content' or 'body'" in reason


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    bom = b"\xef\xbb\xbf"
    assert read(write(tmp_path / "a.jsonl", bom + b'{"id": "a", "text": "x"}\r\n')) == [Document("a", "x")]
    assert read(write(tmp_path / "a.csv", bom + b"id,text\r\na,x\r\n")) == [Document("a", "x")]
    assert read(write(tmp_path / "a.txt", bom + b"x\r\ny\r\n")) == [Document("1", "x"), Document("2", "y")]
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "a.md", bom + b"x\r\ny")
    assert read(tmp_path / "folder") == [Document("a.md", "x\ny")]


def test_line_separators_inside_a_text_do_not_end_the_line(tmp_path):
    # str.splitlines would cut at these.
    text = "one\u2028two\x85three\x0cfour"
    assert read(write(tmp_path / "a.txt", text + "\n")) == [Document("1", text)]


def test_csv_quotes_and_line_numbers(tmp_path):
    path = write(
        tmp_path / "corpus.csv",
        "title,text,id\n"  # line 1
        'T,"two\nlines, and a ""quote""",a\n'  # lines 2 and 3
        "\n"  # line 4 is blank
        "short,row\n"  # line 5
        ",,b\n"  # line 6: empty text
        "T,again,a\n",  # line 7: the id of line 2
    )
    items = read(path)
    assert documents(items) == [("a", 'T two\nlines, and a "quote"'), ("b", "")]
    (short_line, short), (twice_line, twice) = malformed(items)
    assert (short_line, twice_line) == (5, 7)
    assert short.startswith("2 cells where the header has 3")
    assert twice.startswith("the id 'a' is already on line 2")


def test_csv_without_id_column_counts_lines(tmp_path):
    path = write(tmp_path / "corpus.csv", 'text\n"a\nb"\nc\n')
    assert documents(read(path)) == [("2", "a\nb"), ("4", "c")]


def test_csv_row_that_is_not_utf8_spoils_only_itself(tmp_path):
    path = write(tmp_path / "corpus.csv", b"id,text\na,caf\xe9\nb,caf\xc3\xa9\n")
    items = read(path)
    assert documents(items) == [("b", "café")]
    assert malformed(items) == [(2, "not valid UTF-8; save the file as UTF-8")]


def test_csv_quote_that_is_never_closed_is_reported_with_its_lines(tmp_path):
    items = read(write(tmp_path / "corpus.csv", 'id,text\na,x\nb,"open\nc,y\nd,z\n'))
    assert documents(items) == [("a", "x")]
    [(line, reason)] = malformed(items)
    assert line == 3
    assert "from line 3 to 5" in reason


def test_csv_with_a_bad_quote_goes_on_with_the_next_line(tmp_path):
    items = read(write(tmp_path / "corpus.tsv", 'id\ttext\na\t"Hello" she said\nb\tfine\n'))
    assert documents(items) == [("b", "fine")]
    assert [line for line, _ in malformed(items)] == [2]


def test_csv_cell_longer_than_the_csv_modules_limit(tmp_path):
    limit = csv.field_size_limit()
    long_text = "word " * 40_000  # 200000 characters; the module's limit is 131072
    items = read_documents(write(tmp_path / "corpus.csv", f"id,text\na,{long_text}\n"))
    assert next(items) == Document("a", long_text.strip())
    assert csv.field_size_limit() == limit < sys.maxsize  # the process's own limit is back, even in between


@pytest.mark.parametrize(
    ("content", "fields", "wanted"),
    [
        (
            b"id,passage\na,x\n",
            {},
            "columns ['id', 'passage']; wanted one of ['text', 'contents', 'content', 'body']",
        ),
        (b"id,passage\n", {}, "wanted one of"),
        (b"", {}, "columns []"),
        (b"id,text\na,x\n", {"text_field": "passage"}, "wanted one column 'passage'"),
        (b"id,text\na,x\n", {"id_field": "url"}, "wanted one column 'url'"),
        (b"id,text,text\na,x,y\n", {}, "wanted one column 'text'"),
        (b"id,t\xe9xt\n", {}, "not valid UTF-8"),
        (b'id,"text\na,x\n', {}, "not valid CSV"),
    ],
)
def test_csv_with_an_unusable_header_raises(tmp_path, content, fields, wanted):
    path = write(tmp_path / "corpus.csv", content)
    with pytest.raises(InvalidInputError) as raised:
        read(path, **fields)
    assert wanted in str(raised.value)
    assert str(path) in str(raised.value)


def test_parquet_rows(tmp_path):
    path = tmp_path / "corpus.parquet"
    table = pa.table(
        {
            "id": pa.array([3, None, 3, 4], pa.int64()),
            "title": ["T", None, None, None],
            "text": ["a", "b", "c", None],
            "unused": [[1], [2], [3], [4]],
        }
    )
    pq.write_table(table, path)
    items = read(path)
    assert documents(items) == [("3", "T a")]
    assert [line for line, _ in malformed(items)] == [2, 3, 4]  # no id, the id of row 1, no text


def test_parquet_rows_are_numbered_across_batches(tmp_path):
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"text": [f"t{row}" for row in range(1, 3001)]}), path, row_group_size=700)
    assert documents(read(path)) == [(str(row), f"t{row}") for row in range(1, 3001)]


def test_parquet_text_that_is_not_utf8_spoils_only_its_row(tmp_path):
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"text": pa.array([b"a", b"caf\xe9", b"c"]).view(pa.string())}), path)
    items = read(path)
    assert documents(items) == [("1", "a"), ("3", "c")]
    assert malformed(items) == [(2, "not valid UTF-8 (byte 0xe9); save the file as UTF-8")]


def test_parquet_that_cannot_be_used_raises(tmp_path):
    with pytest.raises(InvalidInputError, match="cannot be read as Parquet"):
        read(write(tmp_path / "no.parquet", b"not parquet"))
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"id": ["a"], "passage": ["x"]}), path)
    with pytest.raises(InvalidInputError, match="wanted one of"):
        read(path)
    with pytest.raises(InvalidInputError, match="wanted one column 'url'"):
        read(path, text_field="passage", id_field="url")


def test_text_file_has_one_text_per_line(tmp_path):
    items = read(write(tmp_path / "queries.txt", b"first query\n\ncaf\xe9\nlast"))
    assert documents(items) == [("1", "first query"), ("2", ""), ("4", "last")]
    assert malformed(items) == [(3, "not valid UTF-8 (byte 0xe9); save the file as UTF-8")]


def test_folder_of_text_files(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "folder.txt").mkdir()  # a folder, whatever its name
    write(tmp_path / "z.txt", "zed\n")
    write(tmp_path / "b" / "deep" / "y.MD", "why")
    write(tmp_path / "b" / "x.rst", "")
    write(tmp_path / "b" / "code.py", "not a text file")
    bad = write(tmp_path / "bad.txt", b"fine\nfine\ncaf\xe9\n")
    lost = tmp_path / "lost.txt"
    lost.symlink_to(tmp_path / "nowhere.txt")
    items = read(tmp_path)
    assert documents(items) == [("b/deep/y.MD", "why"), ("b/x.rst", ""), ("z.txt", "zed")]
    assert [item for item in items if isinstance(item, MalformedLine)] == [
        MalformedLine(str(bad), 3, "not valid UTF-8 (byte 0xe9); save the file as UTF-8"),
        MalformedLine(str(lost), 1, "cannot be read (No such file or directory); repair or remove the file"),
    ]


def test_folder_file_whose_name_is_not_unicode(tmp_path):
    (tmp_path / "caf\udce9.txt").write_text("x")  # the byte 0xe9, as Python passes it
    [item] = read(tmp_path)
    assert isinstance(item, MalformedLine)
    assert item.source == f"{tmp_path}/caf\\udce9.txt"  # can be printed
    assert item.reason.startswith("the field '_id' has the lone surrogate")


@pytest.mark.parametrize("name", ["missing.jsonl", "corpus.json", "corpus", "empty folder"])
def test_path_of_no_known_kind_raises(tmp_path, name):
    path = tmp_path / name
    if name == "empty folder":
        path.mkdir()
    elif name != "missing.jsonl":
        write(path, "{}")
    with pytest.raises(InvalidInputError, match=r"^got .*; wanted .*; ") as raised:
        read(path)
    assert raised.value.item == path


def test_field_names_for_texts_without_fields_raise(tmp_path):
    write(tmp_path / "queries.txt", "a")
    for path in (tmp_path, tmp_path / "queries.txt"):
        with pytest.raises(InvalidOptionError, match="have no fields"):
            read(path, text_field="text")
        with pytest.raises(InvalidOptionError, match="have no fields"):
            read(path, id_field="id")


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("a.jsonl", '{"text": "a"}\n', '{"text": "b"}\n'),
        ("a.csv", "text\na\n", "b\n"),
        ("a.txt", "a\n", "b\n"),
    ],
)
def test_lines_are_read_as_they_are_asked_for(tmp_path, name, first, second):
    path = write(tmp_path / name, first)
    items = read_documents(path)
    assert next(items).text == "a"
    with path.open("a") as file:
        file.write(second)
    assert [item.text for item in items] == ["b"]


@pytest.mark.parametrize("name", ["id", "text", "title"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_two_columns_of_one_name_are_refused(tmp_path, name, suffix):
    """What a join leaves: no reader can know which of the two is meant."""
    columns = ["id", "title", "text", name]
    path = tmp_path / f"joined{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_arrays([pa.array([one]) for one in "itxy"], names=columns), path)
    else:
        write(path, ",".join(columns) + "\ni,t,x,y\n")
    with pytest.raises(InvalidInputError, match=f"wanted one column '{name}', got 2"):
        read(path)


def test_two_columns_that_are_not_read_do_not_matter(tmp_path):
    path = tmp_path / "joined.parquet"
    names = ["other", "text", "other", "title", "id"]
    pq.write_table(pa.Table.from_arrays([pa.array([one]) for one in "oxpti"], names=names), path)
    [(doc_id, text)] = documents(read(path))
    assert doc_id == "i"
    assert text.split() == ["t", "x"]  # the title first, whatever the order of the columns


def test_a_json_key_that_is_there_twice_is_reported(tmp_path):
    lines = [
        '{"id": "a", "text": "x", "text": "y"}',
        '{"id": "b", "id": "c", "text": "x"}',
        '{"id": "d", "title": "x", "title": "y", "text": "z"}',
        '{"id": "e", "text": "not read, so fine", "m": {"k": 1, "k": 2}, "n": 1, "n": 2}',
    ]
    items = read(write(tmp_path / "c.jsonl", "\n".join(lines)))
    assert documents(items) == [("e", "not read, so fine")]
    assert [reason.split(";")[0] for _, reason in malformed(items)] == [
        "the field 'text' is there twice",
        "the field 'id' is there twice",
        "the field 'title' is there twice",
    ]
