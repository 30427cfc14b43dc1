"""The script that loads a server, for a few seconds on the tiny model; its statistics by hand."""

import csv
import json
import sys
from pathlib import Path

import pytest

from search_r3.cli.running import run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_soak(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_soak

    return run_soak


@pytest.mark.slow
def test_run(run_soak, monkeypatch, tmp_path, tiny_folder):
    """No request fails and no vector is wrong, whatever else is asked at the same time."""
    options = ["--model", tiny_folder, "--minutes", 0.05, "--clients", 4, "--documents", 12]
    monkeypatch.setattr(sys, "argv", ["run_soak.py", *map(str, options), "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        run(run_soak.main)
    report = json.loads((tmp_path / "soak.json").read_text())
    assert set(report["statuses"]) == {"200"} and set(report["latency"]) == set(run_soak.ROLES)
    assert report["largest_difference"] < 1e-5 and report["spread"] < 1e-5
    assert report["memory_growth"] is None
    rows = list(csv.DictReader((tmp_path / "soak.csv").open()))
    assert 2 <= len(rows) <= 10 and all(float(row["memory_mb"]) > 50 for row in rows)
    assert (tmp_path / "soak.svg").read_text().count("<svg") == 1


def test_the_summary_by_hand(run_soak):
    """Percentiles of what was answered; growth of the last minute's median over the second's."""
    seen = run_soak.Seen()
    seen.requests = [(float(n), "document", n / 1000, 200) for n in range(1, 102)]
    seen.requests.append((1.0, "document", 99.0, 429))
    memory = [(float(at), 100.0 if at < 180 else 104.0) for at in range(241)]
    found = run_soak.summary(seen, memory)
    assert found["statuses"] == {"200": 101, "429": 1}
    assert found["latency"] == {"document": {"requests": 101, "p50_ms": 51.0, "p99_ms": 100.0}}
    assert found["memory_growth"] == 0.04 and found["memory_mb"] == {"first": 100, "last": 104}
    assert run_soak.summary(seen, memory[:179])["memory_growth"] is None


def test_a_wrong_vector_is_seen(run_soak):
    """A later answer of the same text that differs counts, of another role it does not."""
    seen = run_soak.Seen()
    seen.add("document", "sea", [1.0, 0.0])
    seen.add("query-direct", "sea", [0.0, 1.0])
    assert seen.spread == 0
    seen.add("document", "sea", [1.0, 0.25])
    assert seen.spread == 0.25
