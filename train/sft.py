"""Train a causal LM to think briefly and to embed well: `search-r3 train sft` as a script, for launchers.

    python train/sft.py train/configs/smollm2-135m/sft.toml
    python train/sft.py train/configs/smollm2-135m/sft.toml --resume
    torchrun --nproc-per-node 2 train/sft.py CONFIG.toml                          # CPUs: ddp_backend = "gloo"
    accelerate launch --config_file train/configs/ddp.yaml train/sft.py CONFIG.toml       # or fsdp.yaml

Needs `pip install 'search-r3[train]'` and the data (`search-r3 data`). --help says what a run writes.
"""

from search_r3.cli.running import run
from search_r3.cli.train_command import sft

if __name__ == "__main__":
    run(sft)
