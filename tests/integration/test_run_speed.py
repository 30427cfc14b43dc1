"""The script of speed and memory on the tiny model."""

import json
import sys
from pathlib import Path

import pytest

from search_r3.cli.running import run

ROOT = Path(__file__).parents[2]


def test_run(monkeypatch, tmp_path, tiny, tiny_folder):
    """One row for each data type: the weights' size is exact, and times are of this run."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_speed

    options = ["--model", str(tiny_folder), "--documents", "6", "--queries", "3", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["run_speed.py", *options])
    with pytest.raises(SystemExit, match="0"):
        run(run_speed.main)
    report = json.loads((tmp_path / "speed.json").read_text())
    assert (report["documents"], report["queries"]) == (6, 3)
    assert "commit" in report["environment"]
    weights = sum(one.numel() for one in tiny.parameters())
    assert [(row["dtype"], row["weights_mb"]) for row in report["rows"]] == [
        ("float32", round(4 * weights / 1e6, 1)),
        ("bfloat16", round(2 * weights / 1e6, 1)),
    ]
    for row in report["rows"]:
        assert row["thinking_query_ms"] > row["query_ms"] > 0
        assert row["tokens_per_second"] > row["documents_per_second"] > 0
