"""The script of the dev suite on the tiny model, with tasks out of a folder."""

import hashlib
import json
import random
import sys
from pathlib import Path

import pytest

from search_r3.cli.running import run
from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask

ROOT = Path(__file__).parents[2]
WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]


@pytest.fixture
def multihop(tmp_path):
    generator = random.Random(0)
    corpus = {f"d{n}": " ".join(generator.sample(WORDS, 4)) for n in range(60)}
    queries = {f"q{n}": " ".join(corpus[f"d{n}"].split()[:2]) for n in range(6)}
    task = RetrievalTask(queries, corpus, {f"q{n}": {f"d{n}": 1} for n in range(6)})
    folder, sums = tmp_path / "multihop", {}
    for name in ("hotpot-dev", "musique-dev"):
        write_beir(task, folder / name)
        for inside in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
            sums[f"{name}/{inside}"] = hashlib.sha256((folder / name / inside).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"sha256": sums}))
    return folder


@pytest.mark.parametrize(("model", "systems"), [("tiny", ["dense", "fused"]), ("bm25", ["bm25"])])
def test_run(monkeypatch, capsys, tmp_path, tiny_folder, multihop, model, systems):
    """A limited run writes one line for the run and one for each task and system, with hash and commit."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_dev_suite

    options = ["--task", "hotpot-dev", "--task", "musique-dev", "--limit", "3", "--output", str(tmp_path)]
    options += (
        ["--model", str(tiny_folder), "--name", "tiny", "--fused"] if model == "tiny" else ["-m", model]
    )
    monkeypatch.setenv("SEARCH_R3_MULTIHOP", str(multihop))
    monkeypatch.setattr(sys, "argv", ["run_dev_suite.py", *options])
    with pytest.raises(SystemExit, match="0"):
        run(run_dev_suite.main)
    head, *lines = map(json.loads, (tmp_path / f"{model}.jsonl").read_text().splitlines())
    assert head["model"] == model
    assert head["limit"] == 3
    assert "commit" in head["environment"]
    assert list(head["mean_ndcg_at_10"]) == systems
    assert [(line["task"], line["system"]) for line in lines] == [
        (task, system) for task in ("hotpot-dev", "musique-dev") for system in systems
    ]
    assert all(line["queries"] == 3 and line["documents"] == 30 for line in lines)
    assert all(0 <= line["ndcg_at_10"] <= 1 and len(line["per_query"]) == 3 for line in lines)
    assert "mean" in capsys.readouterr().out
