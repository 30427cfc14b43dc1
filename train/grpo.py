"""Train what to think by what the thought finds: the reinforcement-learning stage.

    python train/grpo.py train/configs/smollm2-135m/grpo.toml
    python train/grpo.py train/configs/smollm2-135m/grpo.toml --resume
    torchrun --nproc-per-node 2 train/grpo.py CONFIG.toml                         # CPUs: ddp_backend = "gloo"

Needs `pip install 'search-r3[train,eval]'` and the data (`search-r3 data`). The run's folder gets checkpoints
with the corpus index, TensorBoard logs, run.json (configuration, versions, commit, seeds, data hashes),
sample thoughts of every evaluation, and `final`, the merged model.
"""

from __future__ import annotations

from pathlib import Path

from search_r3.training.command import run_stage


def train(config: Path, resume: bool) -> Path:
    """Train what the configuration says; imported late, so that --help is quick."""
    from search_r3.rl.grpo_config import read_config
    from search_r3.rl.grpo_run import train as train_policy

    return train_policy(read_config(config), resume=resume)


if __name__ == "__main__":
    run_stage(__doc__, train)
