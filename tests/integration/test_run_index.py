"""The script that measures a large index, on a small one."""

import json
import sys
from pathlib import Path

import pytest

from search_r3.cli.running import run

ROOT = Path(__file__).parents[2]


def test_run(monkeypatch, tmp_path):
    """What is written is about the data, once; an update writes its own rows."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_index

    options = ["--documents", 2000, "--dimension", 64, "--batch", 200, "--searches", 10]
    monkeypatch.setattr(sys, "argv", ["run_index.py", *map(str, options), "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        run(run_index.main)
    report = json.loads((tmp_path / "index.json").read_text())
    vectors = 2000 * 64 * 4 / 1e6
    assert vectors < report["data_mb"] < 3.5 * vectors
    assert 1 <= report["written_over_data"] < 1.1
    assert 0 < report["search_one"]["p50_ms"] <= report["search_one"]["p99_ms"]
    assert 0 < report["reader_memory_mb"] < 60
    assert 0.4 * report["data_mb"] < report["update_1000_written_mb"] < report["data_mb"]
