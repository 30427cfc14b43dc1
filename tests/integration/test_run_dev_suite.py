"""The script of the dev suite on the tiny model, with tasks out of a folder."""

import json
import sys
from pathlib import Path

import pytest

from search_r3.cli.running import run

ROOT = Path(__file__).parents[2]


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
