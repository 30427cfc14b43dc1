"""The script of searches in two steps on the tiny model, with stand-ins for the tasks and for MiniLM."""

import json
import sys
from pathlib import Path

import pytest

from search_r3.cli.running import run
from search_r3.evaluation.step_arms import STEP_ARMS

ROOT = Path(__file__).parents[2]

RIVALS = ["one step", "passage appended", "mention bonus"]
OF_VECTORS = [*RIVALS, "Rocchio", "soft centroid"]


@pytest.mark.parametrize("first", ["dense", "hybrid"])
def test_run(monkeypatch, capsys, tmp_path, tiny_folder, multihop, first):
    """One line for the run and one for each task and system; its name has the unusual options."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_steps

    load = run_steps.load_model
    monkeypatch.setattr(run_steps, "minilm_folder", lambda packages: "minilm")
    monkeypatch.setattr(
        run_steps,
        "load_model",
        lambda name, **options: load(tiny_folder if name == "minilm" else name, **options),
    )
    options = ["--model", str(tiny_folder), "--name", "tiny", "--first", first, "--limit", "3", "--read", "2"]
    options += ["--task", "hotpot-dev", "--task", "musique-dev"]
    monkeypatch.setattr(
        sys, "argv", ["run_steps.py", *options, "--multihop", str(multihop), "--output", str(tmp_path)]
    )
    with pytest.raises(SystemExit, match="0"):
        run(run_steps.main)
    head, *lines = map(json.loads, (tmp_path / f"tiny-{first}-read2-limit3.jsonl").read_text().splitlines())
    assert (head["model"], head["first"], head["read"]) == ("tiny", first, 2)
    assert "commit" in head["environment"]
    systems = [f"ours, {rival}" for rival in OF_VECTORS] + [f"ours + BM25, {rival}" for rival in RIVALS]
    systems += [f"ours, {first}, {arm}" for arm in STEP_ARMS]
    systems += [f"MiniLM, {rival}" for rival in OF_VECTORS]
    systems += [f"{name}, {rival}" for name in ("MiniLM + BM25", "BM25") for rival in RIVALS]
    for task in ("hotpot-dev", "musique-dev"):
        assert [line["system"] for line in lines if line["task"] == task] == systems
    for line in lines:
        for measure in ("ndcg_at_10", "all_at_10"):
            scores = line["per_query"][measure]
            assert len(scores) == 3 and line[measure] == pytest.approx(sum(scores.values()) / 3)
        is_thinking = line["system"] in (f"ours, {first}, own", f"ours, {first}, auto")
        assert ("thought_tokens" in line) == is_thinking
        assert ("named" in line) == (line["system"] == f"ours, {first}, own")
    assert "ours, one step" in capsys.readouterr().out


def test_other_tasks_are_refused(monkeypatch, capsys):
    """Their documents have no titles to think of."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_steps

    monkeypatch.setattr(sys, "argv", ["run_steps.py", "--task", "PerlFAQ"])
    with pytest.raises(SystemExit) as ended:
        run(run_steps.main)
    assert ended.value.code == 2
    assert "'PerlFAQ' is not one of" in " ".join(capsys.readouterr().err.split())
