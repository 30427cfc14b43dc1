#!/usr/bin/env bash
# The whole way on a toy set with SmolLM2-135M, in under five minutes on two cores:
# pairs -> thoughts -> supervised training -> every arm on held-out queries.
#
#   train/run_tiny.sh                # everything lands in runs/tiny
#   PYTHON=.venv/bin/python train/run_tiny.sh
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
export SEARCH_R3_DATA=$PWD/runs/tiny/data
rm -rf runs/tiny

"$python" train/import_pairs.py train/toy/pairs.jsonl --source toy
"$python" train/build_thoughts.py --origin terms --scorer smollm2-135m --source toy --output runs/tiny/thoughts.parquet
"$python" train/sft.py train/configs/tiny/sft.toml
"$python" benchmarks/run_mteb.py --model runs/tiny/sft/final --name tiny --task train/toy/nouns \
    --arm never --arm always --arm auto --arm random --arm repeat --arm shuffled \
    --output runs/tiny/results --cache runs/tiny/cache
