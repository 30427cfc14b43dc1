"""Train a causal LM to think briefly and to embed well: the supervised stage.

    python train/sft.py train/configs/smollm2-135m/sft.toml
    python train/sft.py train/configs/smollm2-135m/sft.toml --resume
    torchrun --nproc-per-node 2 train/sft.py CONFIG.toml                          # CPUs: ddp_backend = "gloo"
    accelerate launch --config_file train/configs/ddp.yaml train/sft.py CONFIG.toml       # or fsdp.yaml

Needs `pip install 'search-r3[train]'` and the data (`search-r3 data`). The run's folder gets checkpoints,
TensorBoard logs, run.json (configuration, versions, commit, seeds, data hashes), and `final`, the model.
"""

from __future__ import annotations

from pathlib import Path

from search_r3.training.command import run_stage


def train(config: Path, resume: bool) -> Path:
    """Train what the configuration says; imported late, so that --help is quick."""
    from search_r3.training.sft_config import read_config
    from search_r3.training.sft_run import train as train_model

    return train_model(read_config(config), resume=resume)


if __name__ == "__main__":
    run_stage(__doc__, train)
