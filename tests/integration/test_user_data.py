"""What users have: ids and texts of any kind, files of others, shards, packed files, odd terminals."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_r3.cli.console import printable
from search_r3.retrieval.corpus_index import CorpusIndex

ODD = {
    "b:100:c": "a :smile: and [bold]brackets[/bold] and a backslash \\",
    "[red]x[/red]": "[link=https://example.org]text[/link]",
    "\\[y]\\": "ends with \\",
    "é 東京\u3000\u00a0z": "👩\u200d🔬 ß",
}
"""Ids and texts that a terminal library could take for markup or for the name of an emoji."""


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture
def odd_index(run, tmp_path, tiny_folder) -> Path:
    source = tmp_path / "odd [a] :100:.jsonl"
    source.write_text(lines([{"id": doc_id, "text": text} for doc_id, text in ODD.items()]), encoding="utf-8")
    folder = tmp_path / "[b]index :100:"
    code, out, _ = run("index", source, folder, "--model", tiny_folder)
    assert code == 0
    assert f"{folder}: 4 embedded" in out
    return folder


# ----------------------------------------------------------------------------------------------- terminal


def test_ids_texts_and_paths_are_printed_as_they_are(run, odd_index):
    """No markup, no emoji names: every id and every text stands in the output."""
    code, out, _ = run("search", odd_index, "[bold]q[/bold] :100:", "-k", 4, "--reasoning", "never")
    assert code == 0
    assert "\n[bold]q[/bold] :100:\n" in out
    for doc_id, text in ODD.items():
        assert f"  {doc_id}\n" in out
        assert f"      {' '.join(text.split())}\n" in out


def test_errors_show_user_data_as_it_is(run, tmp_path, tiny_folder):
    """A path and an id in messages are not markup either."""
    missing = tmp_path / "[red]no[/red] :100:.jsonl"
    code, _, err = run("index", missing, tmp_path / "ix", "--model", tiny_folder)
    assert code == 1
    assert str(missing) in err
    source = tmp_path / "c.jsonl"
    source.write_text(lines([{"id": "[i]:100:", "text": "x"}] * 2), encoding="utf-8")
    assert (
        "the id '[i]:100:' is already on line 1"
        in run("index", source, tmp_path / "ix", "-m", tiny_folder)[2]
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "plain [x] :100: \\ é 東京\u3000\u00a0👩\u200d🔬\n",
            "plain [x] :100: \\ é 東京\u3000\u00a0👩\u200d🔬\n",
        ),
        ("\x1b[31mred\x07\r\t", "\ufffd[31mred\ufffd\ufffd\ufffd"),
        ("a\u202egnp.exe\u2066\u2028\ud800", "a\ufffdgnp.exe\ufffd\ufffd\ufffd"),
    ],
)
def test_what_could_steer_a_terminal_is_replaced(text, wanted):
    """Control characters, reordering marks and halves of characters; nothing else."""
    assert printable(text) == wanted


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_output_in_any_encoding(odd_index, encoding):
    """--json is the same data in every encoding; what a person reads has escapes, and no traceback."""
    program = [sys.executable, "-c", "from search_r3.cli import main; main()", "search", str(odd_index)]
    options = ["東京", "-k", "4", "--reasoning", "never"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    run = subprocess.run([*program, *options, "--json"], env=environment, capture_output=True, check=True)
    result = json.loads(run.stdout.decode(encoding))
    assert result["query"] == "東京"
    assert {hit["doc_id"]: hit["text"] for hit in result["hits"]} == ODD
    shown = subprocess.run([*program, *options], env=environment, capture_output=True, check=True)
    assert b"Traceback" not in shown.stderr
    wanted = "東京" if encoding == "utf-8" else "\\u6771\\u4eac"
    assert wanted in shown.stdout.decode(encoding)


# -------------------------------------------------------------------------------------------------- files


def test_embed_leaves_files_of_others_alone(run, tmp_path, tiny_folder):
    """The ids go into x.json beside x.npy: a foreign x.json is refused, one of an earlier run is replaced."""
    source = tmp_path / "x.jsonl"
    source.write_text(lines([{"id": "a", "text": "sea"}]), encoding="utf-8")
    beside = tmp_path / "x.json"
    for foreign in ('{"mine": 1}', "[1]", "not JSON", '{"id": ["a"], "other": 2}'):
        beside.write_text(foreign, encoding="utf-8")
        code, _, err = run("embed", source, tmp_path / "x.npy", "--model", tiny_folder)
        assert code == 2
        assert f"{beside}, which exists and was not written by this command" in err
        assert beside.read_text(encoding="utf-8") == foreign
        assert not (tmp_path / "x.npy").exists()
    beside.unlink()
    for _ in range(2):
        assert run("embed", source, tmp_path / "x.npy", "--model", tiny_folder)[0] == 0
    assert json.loads(beside.read_text(encoding="utf-8")) == {"id": ["a"]}


def test_embed_does_not_overwrite_its_source(run, tmp_path, tiny_folder):
    """Under another spelling of the path too."""
    source = tmp_path / "c.parquet"
    pq.write_table(pa.table({"id": ["a"], "text": ["sea"]}), source)
    before = source.read_bytes()
    code, _, err = run("embed", source, tmp_path / "." / "c.parquet", "--model", tiny_folder)
    assert code == 2
    assert "would overwrite" in err
    assert source.read_bytes() == before


def test_embed_does_not_overwrite_a_file_of_a_source_folder(run, tmp_path, tiny_folder):
    """A shard of the corpus is a source too."""
    shard = tmp_path / "shards" / "part-0.parquet"
    shard.parent.mkdir()
    pq.write_table(pa.table({"id": ["a"], "text": ["sea"]}), shard)
    before = shard.read_bytes()
    code, _, err = run("embed", shard.parent, shard, "--model", tiny_folder)
    assert code == 2 and "would overwrite" in err
    assert shard.read_bytes() == before


ROWS = [{"id": "a", "text": "red sea"}, {"id": "b", "text": "blue sun"}, {"id": "c", "text": "a star"}]


def indexed(run, tiny_folder, tmp_path, *sources) -> dict[str, str]:
    folder = tmp_path / f"index{len(list(tmp_path.iterdir()))}"
    code, _, err = run("index", *sources, folder, "--model", tiny_folder)
    assert code == 0, err
    return CorpusIndex.load(folder).texts


def test_several_files_shards_packed_files_and_standard_input(run, tmp_path, tiny_folder, monkeypatch):
    """Every way to hand over the same three documents gives the same index."""
    wanted = {row["id"]: row["text"] for row in ROWS}
    first, second = tmp_path / "1.jsonl", tmp_path / "2.csv"
    first.write_text(lines(ROWS[:2]), encoding="utf-8")
    second.write_text("id,text\nc,a star\n", encoding="utf-8")
    assert indexed(run, tiny_folder, tmp_path, first, second) == wanted

    shards = tmp_path / "shards"
    (shards / "deep").mkdir(parents=True)
    (shards / "0.jsonl.gz").write_bytes(gzip.compress(lines(ROWS[:1]).encode()))
    (shards / "1.csv.gz").write_bytes(gzip.compress(b"id,text\nb,blue sun\n"))
    pq.write_table(pa.table({"id": ["c"], "text": ["a star"]}), shards / "deep" / "2.parquet")
    assert indexed(run, tiny_folder, tmp_path, shards) == wanted

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines(ROWS).encode())))
    assert indexed(run, tiny_folder, tmp_path, "-") == wanted


def test_shards_without_ids_have_ids_of_their_own(run, tmp_path, tiny_folder):
    """The line number alone would be the same in every shard."""
    shards = tmp_path / "shards"
    shards.mkdir()
    for name in ("p0.jsonl", "p1.jsonl"):
        (shards / name).write_text(
            lines([{"text": f"{name} one"}, {"text": f"{name} two"}]), encoding="utf-8"
        )
    assert indexed(run, tiny_folder, tmp_path, shards) == {
        "p0.jsonl:1": "p0.jsonl one",
        "p0.jsonl:2": "p0.jsonl two",
        "p1.jsonl:1": "p1.jsonl one",
        "p1.jsonl:2": "p1.jsonl two",
    }


def test_a_cut_packed_file_is_an_error(run, tmp_path, tiny_folder):
    """Half a corpus would be indexed without a word."""
    path = tmp_path / "c.jsonl.gz"
    packed = gzip.compress(lines([{"id": str(n), "text": os.urandom(40).hex()} for n in range(400)]).encode())
    path.write_bytes(packed[: len(packed) // 2])
    code, _, err = run("index", path, tmp_path / "ix", "--model", tiny_folder)
    assert code == 1
    assert f"got {path}, which cannot be read as gzip" in err
    assert not (tmp_path / "ix").exists()


def test_links_are_read_and_hidden_folders_are_named(run, tmp_path, tiny_folder):
    """A linked folder is read once, and never changes the id of a file that is really there."""
    corpus, elsewhere = tmp_path / "corpus", tmp_path / "elsewhere"
    for folder, name in ((corpus / "b", "x.txt"), (corpus / ".git", "HEAD.txt"), (elsewhere, "y.md")):
        folder.mkdir(parents=True)
        (folder / name).write_text(name, encoding="utf-8")
    (corpus / "table.csv").write_text("id,text\nq,z\n", encoding="utf-8")
    (corpus / "a").symlink_to(corpus / "b")  # sorted before it
    (corpus / "outside").symlink_to(elsewhere)
    (corpus / "b" / "loop").symlink_to(corpus)
    folder = tmp_path / "ix"
    code, _, err = run("index", corpus, folder, "--model", tiny_folder)
    assert code == 0
    assert CorpusIndex.load(folder).texts == {"b/x.txt": "x.txt", "outside/y.md": "y.md"}
    assert f"left out: {corpus / '.git'}: hidden" in err
    assert f"left out: {corpus / 'a'}: a link to a folder that is read already" in err
    assert f"left out: {corpus / 'table.csv'}: a file of records in a folder of texts" in err


def test_a_readme_beside_shards_does_not_empty_the_index(run, tmp_path, tiny_folder):
    """With it the folder is one of texts: the shards are named, and nothing is pruned; --strict refuses."""
    shards, folder = tmp_path / "shards", tmp_path / "ix"
    shards.mkdir()
    (shards / "0.jsonl").write_text(lines(ROWS), encoding="utf-8")
    assert run("index", shards, folder, "--model", tiny_folder)[0] == 0
    (shards / "README.md").write_text("about", encoding="utf-8")
    code, _, err = run("index", shards, folder, "--model", tiny_folder, "--prune")
    assert code == 0 and "nothing is removed: files of documents were left out" in err
    assert sorted(CorpusIndex.load(folder).texts) == ["README.md", "a", "b", "c"]
    code, _, err = run("index", shards, folder, "--model", tiny_folder, "--strict")
    assert code == 1 and "1 files of documents" in err


def test_what_of_a_folder_cannot_be_read_is_said(run, tmp_path, tiny_folder):
    """Packed texts are named; a folder in BEIR's format, and a folder among files, are refused."""
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("a", encoding="utf-8")
    (texts / "b.txt.gz").write_bytes(gzip.compress(b"b"))
    code, _, err = run("index", texts, tmp_path / "i1", "--model", tiny_folder)
    assert code == 0 and f"left out: {texts / 'b.txt.gz'}: packed" in err
    beir = tmp_path / "beir"
    beir.mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        (beir / name).write_text(lines(ROWS), encoding="utf-8")
    code, _, err = run("index", beir, tmp_path / "i2", "--model", tiny_folder)
    assert code == 1 and f"give {beir / 'corpus.jsonl'}" in err
    code, _, err = run("index", texts, beir / "corpus.jsonl", tmp_path / "i3", "--model", tiny_folder)
    assert code == 1 and "wanted files, or one folder alone" in err


def test_a_folder_that_is_no_index_keeps_what_others_write_in_it(run, tmp_path, tiny_folder):
    """A training run may be writing its model there under a temporary name."""
    source, folder = tmp_path / "c.jsonl", tmp_path / "run"
    source.write_text(lines(ROWS), encoding="utf-8")
    (folder / ".part-0123abcd-final").mkdir(parents=True)
    (folder / "run.json").write_text("{}", encoding="utf-8")
    code, _, err = run("index", source, folder, "--model", tiny_folder)
    assert code == 1 and "not an index" in err
    assert (folder / ".part-0123abcd-final").is_dir()


def test_prune_removes_nothing_while_lines_are_malformed(run, tmp_path, tiny_folder):
    """The document of a malformed line may be in the index; removing it would lose data."""
    source, folder = tmp_path / "c.jsonl", tmp_path / "ix"
    source.write_text(lines(ROWS), encoding="utf-8")
    assert run("index", source, folder, "--model", tiny_folder)[0] == 0
    source.write_text(lines(ROWS[:1]) + '{"id": "b", "text": \n', encoding="utf-8")
    code, _, err = run("index", source, folder, "--model", tiny_folder, "--prune")
    assert code == 0
    assert "nothing is removed: mend or delete the malformed lines" in err
    assert sorted(CorpusIndex.load(folder).texts) == ["a", "b", "c"]
    source.write_text(lines(ROWS[:1]), encoding="utf-8")
    assert run("index", source, folder, "--model", tiny_folder, "--prune")[0] == 0
    assert sorted(CorpusIndex.load(folder).texts) == ["a"]


def test_the_note_on_cut_documents_names_them(run, tmp_path, tiny_folder, tiny):
    """By id, with the tokens that were left out of each."""
    source = tmp_path / "c.jsonl"
    long = "read a tree " * 200
    rows = [{"id": "long one", "text": long}, *ROWS]
    source.write_text(lines(rows), encoding="utf-8")
    _, _, err = run("index", source, tmp_path / "ix", "--model", tiny_folder)
    [dropped] = tiny.dropped_tokens([long.strip()])
    assert dropped > 0
    assert (
        f"documents cut to the model's limit of 128 tokens: 1; tokens left out: long one ({dropped})" in err
    )


def test_an_id_of_400_digits_is_an_id(run, tmp_path, tiny_folder):
    """JSON numbers are not bounded; it used to end the reading of the whole file."""
    source = tmp_path / "c.jsonl"
    digits = "7" * 400
    source.write_text(f'{{"id": {digits}, "text": "sea"}}\n' + lines(ROWS), encoding="utf-8")
    assert sorted(indexed(run, tiny_folder, tmp_path, source)) == [digits, "a", "b", "c"]


# ------------------------------------------------------------------------------------------------ queries


@pytest.mark.parametrize(
    ("id_name", "text_name"), [("query_id", "query"), ("qid", "question"), ("_id", "text")]
)
def test_files_of_queries_know_their_own_names(run, odd_index, tmp_path, id_name, text_name):
    """And other names are given with the options that the error names."""
    path = tmp_path / "q.jsonl"
    path.write_text(lines([{id_name: "q1", text_name: "sea"}]), encoding="utf-8")
    code, out, _ = run("search", odd_index, "--queries", path, "--json", "--reasoning", "never")
    assert code == 0
    assert (json.loads(out)["query_id"], json.loads(out)["query"]) == ("q1", "sea")


def test_the_advice_about_field_names_works(run, odd_index, tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(lines([{"key": "q1", "asked": "sea"}]), encoding="utf-8")
    code, _, err = run("search", odd_index, "--queries", path, "--json")
    assert code == 1
    assert "--id-field and --text-field" in err
    code, out, _ = run(
        "search", odd_index, "--queries", path, "--json", "--id-field", "key", "--text-field", "asked"
    )
    assert code == 0
    assert json.loads(out)["query_id"] == "q1"


def test_a_damaged_result_of_mteb_is_named(run, tmp_path, tiny_folder, built):
    """A run that was killed left half a file; mteb itself would end in a traceback."""
    pytest.importorskip("mteb")
    command = [
        "mteb",
        "-m",
        tiny_folder,
        "-t",
        "CodeDocMini",
        "--arm",
        "never",
        "--output",
        tmp_path / "results",
    ]
    assert run(*command)[0] == 0
    [path] = (tmp_path / "results").rglob("CodeDocMini.json")
    whole = path.read_text(encoding="utf-8")
    for strategy in ("only-missing", "only-cache"):
        path.write_text(whole[:100], encoding="utf-8")
        code, _, err = run(*command, "--overwrite-strategy", strategy)
        assert code == 1
        assert f"{path} is not a whole result of mteb" in err
    assert run(*command, "--overwrite-strategy", "always")[0] == 0
    assert np.isclose(
        json.loads(path.read_text())["scores"]["test"][0]["main_score"],
        json.loads(whole)["scores"]["test"][0]["main_score"],
    )
