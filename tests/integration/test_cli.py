"""The command line on the tiny model: index, search, embed, info, doctor, and the errors a user can cause."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sentence_transformers

from search_r3 import Document, SentenceTransformer, build_index
from search_r3.cli import embed_command
from search_r3.errors import ModelError
from search_r3.model import default as embedded_model
from search_r3.model.direct_export import export_direct
from search_r3.model.release import verify_release
from search_r3.retrieval.bm25 import bm25_run
from search_r3.retrieval.corpus_index import CorpusIndex

ROWS = [
    {"_id": "copy", "title": "shutil", "text": "copy a directory tree"},
    {"_id": "date", "text": "parse a date from a string"},
    {"_id": 3, "text": "find files by a pattern"},
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def index(run, corpus: Path, tiny_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    code, out, _ = run("index", corpus, folder, "--model", tiny_folder)
    assert code == 0
    assert "3 embedded, 0 unchanged, 0 removed" in out
    return folder


def test_search_gives_the_exact_ranking(run, index: Path, tiny: SentenceTransformer) -> None:
    """JSON output holds the thought and the ranking that numpy computes from the model's own vectors."""
    query = "how do I copy files?"
    code, out, _ = run("search", index, query, "--json", "-k", 3, "--max-reasoning-tokens", 4)
    assert code == 0
    result = json.loads(out)
    encoding = tiny.encode_query_with_thoughts([query], max_reasoning_tokens=4)
    vectors = CorpusIndex.load(index).vectors
    scores = dict(zip(vectors.doc_ids, vectors.vectors() @ encoding.embeddings[0], strict=True))
    best = sorted(scores, key=lambda doc_id: -scores[doc_id])
    assert [hit["doc_id"] for hit in result["hits"]] == best
    np.testing.assert_allclose([hit["score"] for hit in result["hits"]], [scores[i] for i in best], atol=1e-5)
    thought = encoding.thoughts[0]
    assert result["thought"] == {"text": thought.text, "tokens": thought.length, "ending": thought.ending}
    assert result["hits"][best.index("copy")]["text"] == "shutil copy a directory tree"


def test_explain_says_what_the_thought_changed(run, index: Path, tiny: SentenceTransformer) -> None:
    """The direct ranks and the cosine are those of reasoning="never"; the printed form shows them."""
    query = "find files"
    result = json.loads(run("search", index, query, "--json", "--explain")[1])
    direct = tiny.encode_query(query, reasoning="never")
    vectors = CorpusIndex.load(index).vectors
    scores = dict(zip(vectors.doc_ids, vectors.vectors() @ direct, strict=True))
    ranking = sorted(scores, key=lambda doc_id: -scores[doc_id])
    assert [hit["direct_rank"] for hit in result["hits"]] == [
        ranking.index(h["doc_id"]) + 1 for h in result["hits"]
    ]
    assert result["cosine_to_direct"] == pytest.approx(float(direct @ tiny.encode_query(query)), abs=1e-5)
    code, out, _ = run("search", index, query, "--explain")
    assert code == 0
    assert "thought:" in out and "tokens, ended by" in out
    assert "(same rank)" in out or " from " in out


def test_steps_are_searched_and_explained(run, index: Path, tiny: SentenceTransformer) -> None:
    """What each step read, thought and found is in the JSON, as the library gives it, and printed."""
    options = ("--steps", 2, "--read", 2, "-k", 2)
    result = json.loads(run("search", index, "find files", "--json", *options)[1])
    wanted = CorpusIndex.load(index).search_with_thoughts("find files", 2, tiny, steps=2, read=2)
    assert [hit["doc_id"] for hit in result["hits"]] == [hit.doc_id for hit in wanted.hits]
    assert result["steps"] == [
        [
            {
                "read": list(search.read),
                "thought": {"text": search.thought.text, "ending": search.thought.ending},
                "found": [hit.doc_id for hit in search.hits[:2]],
            }
            for search in searches
        ]
        for searches in wanted.steps
    ]
    assert [len(searches) for searches in result["steps"]] == [1, 2]
    code, out, _ = run("search", index, "find files", "--explain", *options)
    assert code == 0
    shown = " ".join(out.split())
    assert f"step 1: found {', '.join(result['steps'][0][0]['found'])}" in shown
    assert f"step 2: read {result['steps'][1][0]['read'][0]}; thought:" in shown and "brought in" in shown
    together = json.loads(run("search", index, "find files", "--json", "--together", *options)[1])
    assert [len(search["read"]) for search in together["steps"][1]] == [2]
    assert "step 1" not in run("search", index, "find files", *options)[1]
    kept = index.parent / "thoughts.sqlite"
    for _ in range(2):
        code, again, _ = run("search", index, "find files", "--json", "--thought-cache", kept, *options)
        assert code == 0 and json.loads(again) == result and kept.is_file()
    assert run("search", index, "find files", "--hybrid", "--explain", *options)[0] == 0


def test_never_thinks_when_told_so(run, index: Path) -> None:
    result = json.loads(run("search", index, "x", "--json", "--reasoning", "never")[1])
    assert result["thought"] == {"text": "", "tokens": 0, "ending": "skipped"}


def test_hybrid_joins_with_bm25(run, index: Path) -> None:
    """0.7 of the cosine, scaled from 1 (best) to 0 (last), and 0.3 for the best that BM25 finds."""
    dense = json.loads(run("search", index, "directory tree", "--json")[1])["hits"]
    code, out, _ = run("search", index, "directory tree", "--json", "--hybrid")
    assert code == 0
    scores = {hit["doc_id"]: hit["score"] for hit in dense}
    lexical = bm25_run(CorpusIndex.load(index).texts, {"q": "directory tree"})["q"]
    best, last = max(scores.values()), min(scores.values())
    wanted = {doc_id: 0.7 * (score - last) / (best - last) for doc_id, score in scores.items()}
    wanted["copy"] += 0.3
    assert lexical.keys() == {"copy"}
    found = json.loads(out)["hits"]
    # The cosines are printed with six digits, and scaling widens what is cut off.
    assert {hit["doc_id"]: hit["score"] for hit in found} == pytest.approx(wanted, abs=1e-4)
    assert [hit["rank"] for hit in found] == [1, 2, 3]
    assert [hit["score"] for hit in found] == pytest.approx(sorted(wanted.values(), reverse=True), abs=1e-4)
    [first] = json.loads(run("search", index, "directory tree", "--json", "--hybrid", "-k", 1)[1])["hits"]
    assert first["doc_id"] == found[0]["doc_id"]
    assert run("search", index, "x", "--hybrid", "--explain")[0] == 2


def test_file_of_queries(run, index: Path, tmp_path: Path) -> None:
    """One JSON object per query, in the order and under the ids of the file."""
    path = tmp_path / "queries.jsonl"
    path.write_text('{"_id": "q2", "text": "dates"}\n{"_id": "q1", "text": "copying"}\n')
    code, out, _ = run("search", index, "--queries", path, "--json")
    assert code == 0
    assert [json.loads(line)["query_id"] for line in out.splitlines()] == ["q2", "q1"]


def test_indexing_again_does_nothing(run, index: Path, corpus: Path, tiny_folder: Path) -> None:
    assert "0 embedded, 3 unchanged" in run("index", corpus, index, "--model", tiny_folder)[1]


def test_malformed_lines(run, corpus: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """A malformed line is reported by number and skipped; with --strict it fails and nothing is written."""
    corpus.write_text(corpus.read_text() + '{"_id": 4}\n{oops\n')
    code, _, err = run("index", corpus, tmp_path / "strict", "--model", tiny_folder, "--strict")
    assert code == 1
    assert "corpus.jsonl:4" in err and "corpus.jsonl:5" in err and "2 malformed lines" in err
    assert not (tmp_path / "strict").exists()
    code, out, err = run("index", corpus, tmp_path / "lenient", "--model", tiny_folder)
    assert code == 0
    assert "skipped 2 malformed lines" in err and "3 embedded" in out


def test_a_file_without_any_document_names_the_options(run, tiny_folder: Path, tmp_path: Path) -> None:
    """The field may only have another name."""
    path = tmp_path / "other.jsonl"
    path.write_text('{"id": "a", "txt": "red sea"}\n')
    code, _, err = run("index", path, tmp_path / "index", "--model", tiny_folder)
    assert code == 1 and "no text field" in err and "--text-field" in err
    code, out, _ = run("index", path, tmp_path / "index", "--model", tiny_folder, "--text-field", "txt")
    assert code == 0 and "1 embedded" in out


def test_a_direct_export_is_refused_with_the_reason(run, tiny, tmp_path: Path) -> None:
    """It has no thinking module for our commands."""
    folder = export_direct(tiny, tmp_path / "direct")
    code, _, err = run("info", folder)
    assert code == 1 and "--direct" in err


@pytest.mark.parametrize("role", ["document", "query"])
def test_embed(
    run, corpus: Path, tiny_folder: Path, tiny: SentenceTransformer, tmp_path: Path, role: str
) -> None:
    """Both formats hold the model's own vectors under the file's ids; a query has no title."""
    first = "shutil copy a directory tree" if role == "document" else "copy a directory tree"
    texts = [first, "parse a date from a string", "find files by a pattern"]
    expected = tiny.encode_document(texts) if role == "document" else tiny.encode_query(texts)
    npy, parquet = tmp_path / "v.npy", tmp_path / "v.parquet"
    for target in (npy, parquet):
        code, out, _ = run("embed", corpus, target, "--model", tiny_folder, "--as", role)
        assert code == 0
        assert "3 vectors of 32 dimensions" in out
    np.testing.assert_allclose(np.load(npy), expected, atol=1e-5)
    assert json.loads((tmp_path / "v.json").read_text())["id"] == ["copy", "date", "3"]
    table = pq.read_table(parquet).to_pydict()
    assert table["id"] == ["copy", "date", "3"]
    np.testing.assert_allclose(np.array(table["embedding"]), expected, atol=1e-5)
    assert ("thought" in table) == (role == "query")


@pytest.mark.parametrize("operation", ["fsync", "unlink", "replace"])
def test_vectors_never_stand_beside_the_ids_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Killed before any step on the disk, a second run leaves the old pair, the new one, or no vectors."""
    real, seen = getattr(os, operation), set()
    for lives in range(20):
        target = tmp_path / str(lives) / "v.npy"
        for number, ids in ((1, ["a", "b"]), (2, ["c"])):
            left = [lives if number == 2 else 20]

            def step(*args, left=left, **kwargs):
                left[0] -= 1
                if left[0] < 0:
                    raise SystemExit("killed")
                return real(*args, **kwargs)

            with monkeypatch.context() as patch, contextlib.suppress(SystemExit):
                patch.setattr(os, operation, step)
                embed_command._write(target, {"id": ids}, np.full((len(ids), 3), number, dtype=np.float32))
        ids = json.loads(target.with_suffix(".json").read_text())["id"]
        vectors = np.load(target).tolist() if target.exists() else None
        seen.add((tuple(ids), vectors is None))
        assert vectors in (None, [[1.0] * 3] * 2 if ids == ["a", "b"] else [[2.0] * 3])
    assert (("c",), False) in seen and len(seen) > 1


def test_info(run, tiny_folder: Path, tiny: SentenceTransformer) -> None:
    code, out, _ = run("info", tiny_folder)
    assert code == 0
    for fact in ("LlamaForCausalLM", "<|embed_token|> (id 402)", "128 tokens", "at most 8 tokens"):
        assert fact in out


def test_doctor(run, tiny_folder: Path, tmp_path: Path) -> None:
    """Golden vectors are written once and then checked; a damaged set makes the exit code 1."""
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    code, out, _ = run("doctor", folder)
    assert code == 0
    assert "sentence-transformers" in out and "golden vectors: none" in out
    assert run("doctor", folder, "--write-golden")[0] == 0
    code, out, _ = run("doctor", folder)
    assert code == 0
    assert "golden vectors: worst cosine" in out and "all well" in out
    from safetensors.numpy import load_file, save_file

    vectors = load_file(folder / "golden.safetensors")["vectors"]
    save_file({"vectors": vectors[::-1].copy()}, folder / "golden.safetensors")
    code, out, _ = run("doctor", folder)
    assert code == 1
    assert "problem: this machine computes other vectors" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "{tmp}/nowhere", "x"], 1, "search-r3 index"),
        (["search", "{index}", "x", "--reasoning", "maybe"], 2, "'always', 'never', 'auto'"),
        (["search", "{index}"], 2, "QUERY"),
        (["index", "{tmp}/missing.jsonl", "{tmp}/i"], 1, "missing.jsonl"),
        (["info", "{tmp}/nomodel"], 2, "no model folder"),
        (
            ["info", "nomodel"],
            1,
            "Cannot load the model nomodel. There is no such folder here, and as an id on the Hub",
        ),
        (["info", "{tmp}"], 1, "Cannot load"),
        (["embed", "{corpus}", "{tmp}/x.csv"], 2, ".npy or .parquet"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_user_errors_are_one_line_without_traceback(
    run, index: Path, corpus: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    filled = [argument.format(tmp=tmp_path, index=index, corpus=corpus) for argument in arguments]
    got, _, err = run(*filled)
    assert got == code
    assert message in err
    assert "Traceback" not in err


def test_terminal_escapes_in_documents_are_not_printed(run, tiny_folder: Path, tmp_path: Path) -> None:
    """A document cannot send control sequences or rich markup to the user's terminal."""
    path = tmp_path / "evil.jsonl"
    path.write_text(json.dumps({"_id": "e\x1b[31m", "text": "\x1b]0;title\x07 [red]text[/red]"}) + "\n")
    run("index", path, tmp_path / "i", "--model", tiny_folder)
    code, out, _ = run("search", tmp_path / "i", "[bold]q[/bold]", "--explain")
    assert code == 0
    assert "\x1b" not in out and "\x07" not in out
    assert "[red]text[/red]" in out and "[bold]q[/bold]" in out


def test_damaged_files_are_errors_without_traceback(
    run, tiny_folder: Path, corpus: Path, tmp_path: Path
) -> None:
    """Truncated weights, a damaged golden file, and a model of another kind: one line each, exit code 1."""
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    (folder / "golden.safetensors").write_bytes(b"broken")
    code, _, err = run("doctor", folder)
    assert code == 1 and "golden.safetensors is damaged" in err
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    code, _, err = run("info", folder)
    assert code == 1 and "Cannot load the model" in err
    assert "Traceback" not in err


def test_embed_checks_the_target_before_it_works(run, corpus: Path, tmp_path: Path) -> None:
    code, _, err = run("embed", corpus, tmp_path / "nodir" / "v.npy")
    assert code == 2 and "There is no folder" in err


def test_export_is_what_the_plain_class_loads(run, tiny_folder: Path, tiny, tmp_path: Path) -> None:
    """Both exports load with the plain class and give the model's vectors; a change is noticed."""
    card = tmp_path / "card.md"
    card.write_text("# A card\n")
    code, out, _ = run("export", tmp_path / "whole", "--model", tiny_folder, "--card", card)
    assert code == 0 and "files" in out
    assert (tmp_path / "whole" / "README.md").read_text() == "# A card\n"
    assert run("export", tmp_path / "direct", "--model", tiny_folder, "--direct")[0] == 0
    whole = sentence_transformers.SentenceTransformer(
        str(tmp_path / "whole"), trust_remote_code=True, device="cpu"
    )
    direct = sentence_transformers.SentenceTransformer(str(tmp_path / "direct"), device="cpu")
    np.testing.assert_allclose(whole.encode_query(["red sea"]), tiny.encode_query(["red sea"]), atol=1e-5)
    wanted = tiny.encode_query(["red sea"], reasoning="never")
    np.testing.assert_allclose(direct.encode_query(["red sea"]), wanted, atol=1e-5)
    assert run("export", tmp_path / "whole", "--model", tiny_folder)[0] == 1  # it never overwrites
    (tmp_path / "whole" / ".gitattributes").write_text("of the Hub")
    (tmp_path / "whole" / ".cache").mkdir()
    (tmp_path / "whole" / ".cache" / "of its client").write_text("")
    verify_release(tmp_path / "whole")
    (tmp_path / "whole" / "README.md").write_text("# Another\n")
    with pytest.raises(ModelError, match=r"README\.md"):
        verify_release(tmp_path / "whole")
    with pytest.raises(ModelError, match="not a release"):
        verify_release(tmp_path)


def test_the_default_model_has_a_name(
    run, corpus: Path, tiny_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    """`--model default` is what no --model is, when indexing and when searching."""
    monkeypatch.setitem(embedded_model.EMBEDDED_MODELS, "default", lambda: tiny_folder)
    assert run("index", corpus, tmp_path / "i", "--model", "default")[0] == 0
    assert "0 embedded, 3 unchanged" in run("index", corpus, tmp_path / "i")[1]
    assert CorpusIndex.load(tmp_path / "i").model == "default"
    found = [run("search", tmp_path / "i", "x", "--json", *more)[1] for more in ((), ("--model", "default"))]
    assert found[0] == found[1] and json.loads(found[0])["hits"]


@pytest.mark.parametrize("name", ["default", "embedded"])
def test_a_name_is_no_folder_of_that_name(
    run, corpus: Path, tiny_folder: Path, tmp_path: Path, monkeypatch, name: str
) -> None:
    """In a folder that has one called so, the index still records the name, and doctor looks where it is."""
    monkeypatch.setitem(embedded_model.EMBEDDED_MODELS, name, lambda: tiny_folder)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert run("index", corpus, tmp_path / "i", "--model", name)[0] == 0
    assert CorpusIndex.load(tmp_path / "i").model == name
    assert f"golden vectors: none in {tiny_folder}" in run("doctor", name)[1]


def test_an_index_whose_model_is_not_found_asks_for_it(run, tiny_folder: Path, tmp_path: Path) -> None:
    """A recorded model that has moved, or none at all, is given with --model; an empty index is filled."""
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"id": "a", "text": "red sea"}\n')
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    assert run("index", corpus, tmp_path / "moved", "--model", model)[0] == 0
    shutil.move(model, tmp_path / "elsewhere")
    code, _, err = run("search", tmp_path / "moved", "sea")
    assert code == 1 and "say with --model where it is now" in err
    assert run("search", tmp_path / "moved", "sea", "--model", tmp_path / "elsewhere")[0] == 0

    loaded = SentenceTransformer(tiny_folder, device="cpu")
    build_index(tmp_path / "nameless", loaded, [Document("a", "red sea")], model_name="")
    code, _, err = run("search", tmp_path / "nameless", "sea")
    assert code == 2 and "give it with --model" in err
    assert run("search", tmp_path / "nameless", "sea", "--model", tiny_folder)[0] == 0

    build_index(tmp_path / "empty", loaded, [])
    code, _, err = run("search", tmp_path / "empty", "sea")
    assert code == 2 and "Add documents with" in err
    assert run("index", corpus, tmp_path / "empty", "--model", tiny_folder)[0] == 0
    assert run("search", tmp_path / "empty", "sea")[0] == 0
