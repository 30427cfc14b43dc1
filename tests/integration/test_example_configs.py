"""The example configurations, run on the tiny model: their options work together, and reach the run."""

import json
from pathlib import Path

import numpy as np
from test_sft import losses, pairs

from search_r3.data.pairs import write_pairs
from search_r3.data.thought_records import ThoughtRecord, write_thoughts
from search_r3.rl.grpo_config import read_config as read_grpo
from search_r3.rl.grpo_run import train as train_policy
from search_r3.training.sft_config import read_config as read_sft
from search_r3.training.sft_run import train as train_model

EXAMPLES = Path(__file__).parents[2] / "train" / "configs" / "examples"


def test_supervised_example(tiny_folder, tmp_path, monkeypatch):
    """The triplet part is logged, the contrastive part falls, and the adapter has the layers asked for."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    write_pairs(pairs(), tmp_path / "data" / "training" / "wordnet.parquet")
    records = [ThoughtRecord("words", pair.query_id, pair.query, "self", 0.1, 1) for pair in pairs()]
    write_thoughts(records, tmp_path / "thoughts.parquet", {})
    found = read_sft(EXAMPLES / "sft.toml").model_dump()
    found["output"] = tmp_path / "run"
    found["model"]["base"] = str(tiny_folder)
    found["model"]["adapter"] |= {"first_layer": 0, "rank": 8}  # two layers
    found["data"] |= {"thoughts": None, "batch_rows": 8, "dev_queries": 10, "dev_documents": 40}
    found["data"]["sources"]["wordnet"]["examples"] = 200
    found["loss"]["matryoshka_dimensions"] = (16, 8)  # of 32
    found["trainer"] |= {
        "max_steps": 40,
        "eval_steps": 40,
        "save_steps": 40,
        "logging_steps": 1,
        "learning_rate": 1e-2,
    }
    config = type(read_sft(EXAMPLES / "sft.toml")).model_validate(found)
    train_model(config)
    log = losses(tmp_path / "run")
    assert log[1]["triplet"] > 0
    first, last = (
        np.mean([log[step]["contrastive"] for step in steps]) for steps in (range(1, 6), range(36, 41))
    )
    assert last < 0.9 * first, (first, last)
    [facts] = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["config"]["model"]["adapter"]["targets"] == ["q_proj", "v_proj"]


def test_second_stage_example(toy, tiny_folder):
    """The full refresh encodes all documents every four steps, and every part of the reward is logged."""
    found = read_grpo(EXAMPLES / "grpo.toml").model_dump()
    found["output"] = toy / "run"
    found["model"]["base"] = str(tiny_folder)
    found["model"]["adapter"] |= {"first_layer": 0, "rank": 8}
    found["queries"] |= {
        "sets": {str(toy / "toy"): {"queries": 16, "documents": 20}},
        "dev_sources": ("words",), "dev_queries": 5, "dev_documents": 20,
    }  # fmt: skip
    found["environment"]["probe_every"] = 0
    found["trainer"] |= {"max_steps": 8, "eval_steps": 4, "save_steps": 4, "bf16": False}
    config = type(read_grpo(EXAMPLES / "grpo.toml")).model_validate(found)
    final = train_policy(config)
    assert final.is_dir()
    state = json.loads((toy / "run" / "checkpoint-8" / "trainer_state.json").read_text())
    log = {entry["step"]: entry for entry in state["log_history"] if "loss" in entry}
    assert [log[step]["documents/encoded"] for step in range(1, 9)] == [20, 0, 0, 0, 20, 0, 0, 0]
    for step in log:
        cut = log[step]["thought/budget"]  # of the thinking rollouts, seven of eight
        assert np.isclose(log[step]["rewards/unfinished/mean"], -0.1 * cut * 7 / 8, atol=1e-6)
    assert max(entry["thought/budget"] for entry in log.values()) > 0
