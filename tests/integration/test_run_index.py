"""The script that measures a large index, on a small one."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from search_r3.cli.running import run
from search_r3.retrieval import approximate
from search_r3.retrieval.store_writer import StoreWriter

ROOT = Path(__file__).parents[2]


def test_run(monkeypatch, tmp_path):
    """What is written is about the data, once; an update writes its own rows; int8 finds nearly all."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(approximate, "LEAST_ROWS", 500)
    import run_index

    writer = StoreWriter.create(tmp_path / "like", dimension=64, fingerprint="f", model="")
    writer.put(["a", "b"], ["a", "b"], np.eye(2, 64, dtype=np.float32))
    writer.commit()
    options = ["--documents", 2000, "--batch", 200, "--searches", 10, "--like", tmp_path / "like"]
    options += ["--approximate", "int8"]
    monkeypatch.setattr(sys, "argv", ["run_index.py", *map(str, options), "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        run(run_index.main)
    report = json.loads((tmp_path / "index.json").read_text())
    assert (report["like"], report["dimension"]) == ({"documents": 2, "fingerprint": "f"}, 64)
    assert report["approximate"]["int8"]["recall_at_10"] >= 0.98
    assert 2000 * 64 / 1e6 <= report["approximate"]["int8"]["mb"] < 1.1 * 2000 * 64 / 1e6
    vectors = 2000 * 64 * 4 / 1e6
    assert vectors < report["data_mb"] < 3.5 * vectors
    assert 1 <= report["written_over_data"] < 1.1
    assert 0 < report["search_one"]["p50_ms"] <= report["search_one"]["p99_ms"]
    assert 0 < report["reader_memory_mb"] < 60
    assert 0.4 * report["data_mb"] < report["update_1000_written_mb"] < report["data_mb"]
