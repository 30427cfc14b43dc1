"""Train a causal LM to think briefly and to embed well: the supervised stage.

    python train/sft.py train/configs/smollm2-135m/sft.toml
    python train/sft.py train/configs/smollm2-135m/sft.toml --resume
    torchrun --nproc-per-node 2 train/sft.py CONFIG.toml                          # CPUs: ddp_backend = "gloo"
    accelerate launch --config_file train/configs/ddp.yaml train/sft.py CONFIG.toml       # or fsdp.yaml

Needs `pip install 'search-r3[train]'` and the data (`search-r3 data`). The run's folder gets checkpoints,
TensorBoard logs, run.json (configuration, versions, commit, seeds, data hashes), and `final`, the model.
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
    from search_r3.training.config import read_config
    from search_r3.training.run import train

    try:
        print(train(read_config(arguments.config), resume=arguments.resume))
    except SearchR3Error as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; go on with: --resume")


if __name__ == "__main__":
    main()
