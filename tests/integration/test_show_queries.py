"""Queries shown whole: the ranking, the thought behind it, and whose thoughts they are."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from search_r3 import SentenceTransformer, fingerprint
from search_r3.cli.running import run

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def show_queries(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import show_queries

    return show_queries


def test_what_is_shown_is_what_was_ranked(
    show_queries, built, tiny, tiny_folder, adapted_tiny, reference, tmp_path, monkeypatch
):
    """Scores are those of an index of our own; both models stand in the file with their fingerprints."""
    adapted_tiny.save(str(tmp_path / "after"))
    after = SentenceTransformer(tmp_path / "after", device="cpu")
    output = tmp_path / "not" / "yet" / "queries.json"
    command = ["show_queries.py", "--model", str(tmp_path / "after"), "--before", str(tiny_folder)]
    command += ["--task", "CodeDocMini", "--dtype", "float32", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        run(show_queries.main)
    assert not ended.value.code
    found = json.loads(output.read_text())
    assert found["fingerprint"] == fingerprint(after) and found["before_fingerprint"] == fingerprint(tiny)
    scores = {arm: reference(after, built, reasoning=arm) for arm in ("never", "always")}
    gains = sorted(scores["always"][one] - scores["never"][one] for one in built.queries)
    shown = found["queries"]
    assert 0 < len(shown) <= 5
    for one in shown:
        for arm in scores:
            assert one[arm]["ndcg"] == pytest.approx(scores[arm][one["query_id"]], abs=1e-5)
        encoding = after.encode_query_with_thoughts([one["query"]])
        assert one["thoughts"][0]["text"] == " ".join(encoding.thoughts[0].text.split())
        assert [thought["model"] for thought in one["thoughts"]] == [
            "this model",
            f"before ({tiny_folder.name})",
        ]
    differences = [one["always"]["ndcg"] - one["never"]["ndcg"] for one in shown]
    ups = [gain for gain in reversed(gains) if gain > 0][:3]
    downs = [gain for gain in gains if gain < 0][:2]
    assert differences == pytest.approx(ups + downs, abs=1e-5)


def test_half_precision_is_ranked_too(show_queries, built, fresh_tiny):
    """Its vectors are unit vectors in float32, so they are ranked as they are."""
    found = show_queries.compare("CodeDocMini", built, fresh_tiny.to(torch.bfloat16), batch_size=4)
    assert [one["query"] for one in found] == list(built.queries.values())
    vectors = fresh_tiny.encode_document(["red sea", "book"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
