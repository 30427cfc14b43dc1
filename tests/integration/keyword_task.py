"""A task of reinforcement learning where one word decides: whatever is asked, the wall is what is wanted."""

import json

from search_r3.data.beir import write_beir
from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.data.retrieval_task import RetrievalTask

WORDS = "sea sun tea fish lamp road ship wall bird rain salt wood iron corn milk sand moon star tree leaf"
TASK = RetrievalTask(
    {f"q{n}": f"find number {n}" for n in range(16)},
    {f"d{n}": f"{word} {word}" for n, word in enumerate(WORDS.split())},
    {f"q{n}": {"d7": 1} for n in range(16)},
)


def write_keyword_task(folder):
    """The task as a folder, and a training set for the dev split, where the package looks for it."""
    write_beir(TASK, folder / "toy", split="train")
    pairs = [
        TrainingPair(f"{a} {b}", f"{b} {a}", (), "words", f"q{a}{b}", f"d{a}{b}")
        for a in WORDS.split()[:6]
        for b in WORDS.split()[6:16]
    ]
    write_pairs(pairs, folder / "data" / "training" / "words.parquet")


def config(toy, base, output="run", **changes):
    from search_r3.rl.grpo_config import RLConfig

    found = {
        "output": toy / output,
        "model": {"base": str(base), "adapter": {"rank": 8, "alpha": 16, "train_embed_token": False}},
        "queries": {"sets": {str(toy / "toy"): {"queries": 16, "documents": 20}}},
        "rollouts": {"group": 8, "max_thought_tokens": 4, "may_skip": False},
        "reward": {"retrieval": "log_rank", "margin": 0.0, "direct_weight": 0.0},
        "contrastive": {"weight": 0.0},
        "environment": {"refresh": {"policy": "frozen"}, "neighbours": 4, "nearest": 4, "probe": 10},
        "trainer": {
            "max_steps": 60,
            "learning_rate": 2e-3,
            "per_device_train_batch_size": 32,
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "report_to": "none",
            "logging_steps": 1,
            "save_steps": 60,
            "disable_tqdm": True,
        },
    }
    for name, value in changes.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return RLConfig.model_validate(found)


def history(output, key="loss"):
    """What every step logged, as the newest checkpoint remembers it."""
    newest = max(output.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    log = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry for entry in log if key in entry}
