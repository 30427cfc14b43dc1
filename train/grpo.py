"""Train what to think by what the thought finds: the reinforcement-learning stage.

    python train/grpo.py train/configs/smollm2-135m/grpo.toml
    python train/grpo.py train/configs/smollm2-135m/grpo.toml --resume
    torchrun --nproc-per-node 2 train/grpo.py CONFIG.toml                         # CPUs: ddp_backend = "gloo"

Needs `pip install 'search-r3[train,eval]'` and the data (`search-r3 data`). The run's folder gets checkpoints
with the corpus index, TensorBoard logs, run.json (configuration, versions, commit, seeds, data hashes),
sample thoughts of every evaluation, and `final`, the merged model.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from search_r3.errors import SearchR3Error


def main() -> None:
    """Train what the configuration says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="TOML file of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    arguments = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # its rollout hook is used knowingly
    from search_r3.rl.config import read_config
    from search_r3.rl.run import train

    try:
        print(train(read_config(arguments.config), resume=arguments.resume))
    except SearchR3Error as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; go on with: --resume")


if __name__ == "__main__":
    main()
