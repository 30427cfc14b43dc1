"""The benchmark of what thoughts could earn: its numbers by hand, and a run on the tiny model."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from search_r3.cli.running import run
from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask

ROOT = Path(__file__).parents[2]
WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]


@pytest.fixture
def run_headroom(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_headroom

    return run_headroom


def test_numbers_by_hand(run_headroom):
    """Two groups of a direct and two thinking rollouts."""
    rewards = np.array([[0.5, 0.5, 0.9], [0.2, 0.0, 0.4]])
    cosines = np.array([[1.0, 0.8], [0.6, 0.4]], dtype=np.float32)
    copies = np.array([[True, False], [False, False]])
    found = run_headroom.summary(rewards, cosines, copies)
    assert found == pytest.approx(
        {
            "direct": 0.35,
            "mean_gain": 0.1,  # (0.7 - 0.5 + 0.2 - 0.2) / 2
            "best_gain": 0.3,  # (0.9 - 0.5 + 0.4 - 0.2) / 2
            "deviation_within": 0.2,
            "deviation_between": 0.25,  # of 0.7 and 0.2
            "cosine_to_direct": 0.7,
            "copies": 0.25,
        }
    )


def test_a_run(run_headroom, tiny_folder, tmp_path, monkeypatch, capsys):
    """It measures each set and all together, and writes where its numbers come from."""
    corpus = {f"d{a}{b}": f"{WORDS[a]} {WORDS[b]}" for a in range(12) for b in range(12) if a != b}
    queries = {f"q{n}": f"{WORDS[n]} and {WORDS[n - 1]}" for n in range(12)}
    qrels = {f"q{n}": {f"d{n}{(n - 1) % 12}": 1} for n in range(12)}
    write_beir(RetrievalTask(queries, corpus, qrels), tmp_path / "words", split="train")
    arguments = [
        "run_headroom.py", "--model", str(tiny_folder), "--set", str(tmp_path / "words"), "--queries", "5",
        "--documents", "40", "--group", "3", "--max-reasoning-tokens", "4", "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        run(run_headroom.main)
    assert not ended.value.code
    written = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert written["documents"] == 40 and written["fingerprint"] and written["environment"]["commit"]
    every = written["sets"]["all"]
    assert every["best_gain"] >= every["mean_gain"] and 0 <= every["direct"] <= 1
    assert every["deviation_within"] > 0 and -1 <= every["cosine_to_direct"] < 0.9999 and every["copies"] == 0
    assert "best_gain" in capsys.readouterr().out
