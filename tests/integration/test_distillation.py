"""The distillation stage end to end on the tiny model: it learns, and it resumes exactly."""

import itertools
import json
import shutil

import numpy as np
import pytest
from toy_teacher import toy_teacher

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.text_pool import write_pool
from search_r3.errors import InvalidOptionError
from search_r3.model.default import load_model
from search_r3.training.distillation_config import DistillationConfig
from search_r3.training.distillation_run import train

WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A pool of texts and a dev task where the package looks for them, and a teacher without a download."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("search_r3.training.distillation_run.load_teacher", toy_teacher)
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, 3 + n % 6)) for n in range(400)]
    write_pool({"short": texts[::2], "others": texts[1::2]}, tmp_path / "data" / "texts.parquet")
    corpus = {f"d{n}": f"{first} {second}" for n, (first, second) in enumerate(itertools.pairwise(WORDS))}
    task = RetrievalTask(
        {f"q{n}": text.split()[0] for n, text in enumerate(corpus.values())},
        corpus,
        {f"q{n}": {f"d{n}": 1} for n in range(len(corpus))},
    )
    monkeypatch.setattr(
        "search_r3.training.distillation_run.load_dev_suite", lambda names, **options: {"words": task}
    )
    return tmp_path


def config(built, base, output="run", **changes):
    found = {
        "output": built / output,
        "model": {"base": str(base), "adapter": {"rank": 8, "alpha": 16}},
        "data": {"texts": 960, "max_tokens": 32, "batch_rows": 16, "map_texts": 100},
        "dev": {"tasks": ["words"]},
        "trainer": {
            "learning_rate": 5e-3,
            "num_train_epochs": 1,
            "eval_steps": 20,
            "save_steps": 20,
            "logging_steps": 1,
            "use_cpu": True,
            "disable_tqdm": True,
        },
    }
    for name, value in changes.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return DistillationConfig.model_validate(found)


def log(output):
    """What was logged, by step: the losses, and the scores of the dev task."""
    newest = max(output.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    history = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    losses = {entry["step"]: entry for entry in history if "loss" in entry}
    return losses, [entry for entry in history if "eval_never_ndcg_at_10" in entry]


def test_it_learns_the_teachers_geometry(built, tiny_folder):
    """The similarity part falls, the dev task is measured, and the final cosines are nearer the teacher's."""
    run = config(built, tiny_folder)
    final = train(run)
    losses, scores = log(run.output)
    first, last = (
        np.mean([losses[n]["similarity"] for n in steps]) for steps in (range(1, 6), range(56, 61))
    )
    assert last < 0.7 * first
    assert np.mean([losses[n]["cosine"] for n in range(56, 61)]) < 0.25
    assert [entry["step"] for entry in scores] == [20, 40, 60]
    generator = np.random.default_rng(1)  # other texts than those of the pool
    texts = [" ".join(generator.choice(WORDS, 3 + n % 6)) for n in range(100)]
    wanted, _ = toy_teacher(0)
    target = wanted(texts).numpy()
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    errors = []
    for folder in (tiny_folder, final):
        vectors = load_model(folder).encode_document(texts)
        errors.append(float(np.square(vectors @ vectors.T - target @ target.T).mean()))
    assert errors[1] < 0.5 * errors[0]
    assert (run.output / "adapter" / "adapter_config.json").is_file()
    facts = json.loads((run.output / "run.json").read_text())[0]
    assert facts["texts"] == 960 and set(facts["data_hashes"]) == {"texts", "words"}


def test_a_stopped_run_goes_on_exactly(built, tiny_folder):
    """Losses after the checkpoint are those of the whole run. Without --resume it is refused."""
    whole = config(built, tiny_folder, "whole")
    train(whole)
    stopped = config(built, tiny_folder, "stopped")
    shutil.copytree(whole.output, stopped.output, ignore=shutil.ignore_patterns("checkpoint-60", "final"))
    facts = (stopped.output / "run.json").read_text(encoding="utf-8")
    (stopped.output / "run.json").write_text(facts.replace("whole", "stopped"), encoding="utf-8")
    with pytest.raises(InvalidOptionError, match="--resume"):
        train(stopped)
    train(stopped, resume=True)
    wanted, found = log(whole.output)[0], log(stopped.output)[0]
    assert [found[n]["loss"] for n in range(41, 61)] == [wanted[n]["loss"] for n in range(41, 61)]
