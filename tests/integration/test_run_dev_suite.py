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


def write_result(path, system, scores, data_hash="h"):
    rows = [{"model": path.stem}]
    rows += [
        {"task": task, "system": system, "data_hash": data_hash, "per_query": per_query}
        for task, per_query in scores.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def compare_files(monkeypatch, *arguments):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import compare_dev_suite

    monkeypatch.setattr(sys, "argv", ["compare_dev_suite.py", *arguments])
    with pytest.raises(SystemExit) as left:
        run(compare_dev_suite.main)
    return left.value.code


def test_two_results_are_compared(monkeypatch, capsys, tmp_path):
    """Differences by hand, on each task and over all queries; tasks of one file alone are left out."""
    first = write_result(
        tmp_path / "a.jsonl",
        "dense",
        {"One": {"q": 1.0, "r": 0.5}, "hotpot-dev": {"q": 0.2}, "Own": {"q": 1.0}},
    )
    second = write_result(
        tmp_path / "b.jsonl", "bm25", {"One": {"q": 0.5, "r": 0.5}, "hotpot-dev": {"q": 0.3}}
    )
    assert compare_files(monkeypatch, first, second, "--against", "bm25") == 0
    lines = [line.rsplit(None, 7) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [(line[0].strip(), line[1], line[2]) for line in lines] == [
        ("One", "2", "+0.2500"),
        ("hotpot-dev", "1", "-0.1000"),
        ("without the multihop tasks", "2", "+0.2500"),
        ("all", "3", "+0.1333"),
    ]


def test_other_data_is_not_compared(monkeypatch, capsys, tmp_path):
    """Results of another data hash, of no common task, or of no such system are refused."""
    first = write_result(tmp_path / "a.jsonl", "dense", {"One": {"q": 1.0}})
    other = write_result(tmp_path / "b.jsonl", "dense", {"One": {"q": 1.0}}, data_hash="i")
    none = write_result(tmp_path / "c.jsonl", "dense", {"Two": {"q": 1.0}})
    for arguments, message in (
        ((first, other), "other data of One"),
        ((first, none), "without a task in common"),
        ((first, first, "--system", "fused"), "no result of the system 'fused'"),
        ((first, str(tmp_path / "missing")), "run_dev_suite.py"),
    ):
        assert compare_files(monkeypatch, *arguments) == 1
        assert message in capsys.readouterr().err
