"""The benchmark of refresh policies, along two made-up checkpoints of the tiny model."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from search_r3 import SentenceTransformer
from search_r3.cli.running import run
from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.rl.refresh import RefreshState
from search_r3.training.lora import add_adapter
from search_r3.training.run_config import AdapterConfig

ROOT = Path(__file__).parents[2]
WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]


@pytest.fixture
def checkpoints(tiny_folder, tmp_path):
    """An adapter that moves further and further away."""
    found = []
    for step, size in ((5, 0.05), (10, 0.15)):
        model = SentenceTransformer(tiny_folder, device="cpu")
        torch.manual_seed(0)
        add_adapter(model, AdapterConfig(rank=2, train_embed_token=False))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weights in model.parameters():
                if weights.requires_grad:
                    weights.add_(size * torch.randn(weights.shape, generator=generator))
        model.save(str(tmp_path / f"checkpoint-{step}"), create_model_card=False)
        found.append(str(tmp_path / f"checkpoint-{step}"))
    return found


def test_policies_along_a_trajectory(tiny_folder, checkpoints, tmp_path, monkeypatch, capsys):
    """Never refreshing is wrong for nothing, refreshing is less wrong for more; everything is cached."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run_refresh

    corpus = {f"d{a}{b}": f"{WORDS[a]} {WORDS[b]}" for a in range(12) for b in range(12) if a != b}
    queries = {f"q{n}": f"{WORDS[n]} and {WORDS[n - 1]}" for n in range(12)}
    qrels = {f"q{n}": {f"d{n}{(n - 1) % 12}": 1} for n in range(12)}
    write_beir(RetrievalTask(queries, corpus, qrels), tmp_path / "words", split="train")
    arguments = [
        "run_refresh.py", "--base", str(tiny_folder),
        "--adapter", checkpoints[0], "--adapter", checkpoints[1],
        "--set", str(tmp_path / "words"), "--documents", "100", "--simulated", "130",
        "--queries", "10", "--per-step", "2", "--group", "3",
        "--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        run(run_refresh.main)
    assert not ended.value.code
    table = json.loads((tmp_path / "out" / "refresh.json").read_text())
    for size, drift in ((100, "measured"), (130, "simulated")):
        rows = {row["policy"]: row for row in table["results"] if row["documents"] == size}
        assert rows.keys() == run_refresh.POLICIES.keys()
        assert {row["drift"] for row in rows.values()} == {drift}
        assert rows["none"]["encoded_per_step"] == 0 and rows["none"]["mean_absolute"] > 0.005
        assert rows["selective, large"]["mean_absolute"] < rows["none"]["mean_absolute"]
        assert rows["none"]["within_group"] > rows["selective, large"]["within_group"]
        assert rows["full, every 10 steps"]["encoded_per_step"] == size / 10
        assert all(row["steps"] == 10 for row in rows.values())
    assert (tmp_path / "out" / "refresh.svg").is_file() and "rank correlation" in capsys.readouterr().out
    monkeypatch.setattr(run_refresh, "embed_documents", None)  # a second run embeds nothing
    with pytest.raises(SystemExit) as ended:
        run(run_refresh.main)
    assert not ended.value.code
    again = json.loads((tmp_path / "out" / "refresh.json").read_text())
    timeless = [{k: v for k, v in row.items() if "milliseconds" not in k} for row in table["results"]]
    assert [{k: v for k, v in row.items() if "milliseconds" not in k} for row in again["results"]] == timeless


def test_interpolation_is_on_the_sphere(monkeypatch):
    """At a checkpoint the embeddings are its own; between two they are unit vectors in between."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from run_refresh import Trajectory

    documents = np.array([[[1, 0]], [[0, 1]]], dtype=np.float32)
    trajectory = Trajectory([0, 4], documents, documents[:, None])
    np.testing.assert_array_equal(trajectory.at(4)[0], [[0, 1]])
    np.testing.assert_allclose(trajectory.at(2)[0], [[0.5**0.5, 0.5**0.5]], atol=1e-6)
    np.testing.assert_allclose(trajectory.at(1)[1], [[[3 / 10**0.5, 1 / 10**0.5]]], atol=1e-6)


def test_documents_in_turn(monkeypatch):
    """The baseline that does not choose goes round in one order: four a step of six documents."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from run_refresh import InTurn

    none = np.empty(0, dtype=np.int64)
    encoded_at = np.zeros(6, dtype=np.int64)

    def rows(step: int, per_step: int) -> set[int]:
        state = RefreshState(step, none, none, encoded_at, encoded_at, none)
        return set(InTurn(per_step=per_step).choose(state).tolist())

    first, second, third, fourth = (rows(step, 4) for step in range(1, 5))
    assert [len(found) for found in (first, second, third)] == [4, 4, 4]
    rest = set(range(6)) - first
    assert rest <= second and second - rest <= first  # the rest of one round, the beginning of the next
    assert third == rest | (first - second) and fourth == first
    assert rows(1, 9) == set(range(6))
