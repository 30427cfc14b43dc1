"""Train what to think by what the thought finds: `search-r3 train grpo` as a script, for launchers.

    python train/grpo.py train/configs/smollm2-135m/grpo.toml
    python train/grpo.py train/configs/smollm2-135m/grpo.toml --resume
    torchrun --nproc-per-node 2 train/grpo.py CONFIG.toml                         # CPUs: ddp_backend = "gloo"

Needs `pip install 'search-r3[train,eval]'` and the data (`search-r3 data`). --help says what a run writes.
"""

from search_r3.cli.running import run
from search_r3.cli.train_command import grpo

if __name__ == "__main__":
    run(grpo)
