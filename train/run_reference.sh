#!/usr/bin/env bash
# The whole way to the direct model of Gemma 3 270M: data -> distillation -> contrastive training, three times -> the
# mean of the last two adapters. Seven hours on two cores; a piece takes up to 130 minutes.
#
#   train/run_reference.sh                             # everything lands in runs/
#   train/run_reference.sh --device cuda               # the same recipe with batches of 1,024 texts
#   train/run_reference.sh --configs train/configs/tiny-reference --skip-data   # minutes, on an imported set
#   PYTHON=.venv/bin/python train/run_reference.sh     # with this Python
#   DRY_RUN=1 train/run_reference.sh                   # prints the commands in order and runs none
#
# Run it again after it was stopped: what is finished is skipped, and an unfinished piece continues at its newest
# checkpoint. `train/ship_adapter.py` makes an adapter that of a shipped model.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
dry_run=${DRY_RUN:-}
device=cpu
configs=train/configs/gemma3-270m
skip_data=

usage() {
    sed -n '2,13s/^# \{0,1\}//p' "$0"
    exit "$1"
}

while [[ $# -gt 0 ]]; do
    case $1 in
    --device) device=${2:?"--device wants cpu or cuda"}; shift 2 ;;
    --configs) configs=${2:?"--configs wants a folder"}; shift 2 ;;
    --skip-data) skip_data=1; shift ;;
    -h | --help) usage 0 ;;
    *) echo "Got $1, wanted --device, --configs or --skip-data." >&2; exit 2 ;;
    esac
done
name=$(basename "$configs")

# What a piece has otherwise on this device. On a GPU the batches are 16 times as large.
case $device in
cpu) stage0=() stage1=() ;;
cuda)
    stage0=(--set 'trainer.use_cpu = false' --set 'data.batch_rows = 1024' --set 'data.batch_tokens = 65536'
        --set 'data.texts = 1000000')
    stage1=(--set 'trainer.use_cpu = false' --set 'data.batch_rows = 1024' --set 'data.batch_tokens = 262144')
    ;;
*) echo "Got --device $device, wanted cpu or cuda." >&2; exit 2 ;;
esac

# `search-r3` of the chosen Python, also outside of its environment; in a dry run its command is printed.
run() {
    if [[ -n $dry_run ]]; then
        printf 'search-r3'
        printf ' %q' "$@"
        echo
    else
        "$python" -c 'from search_r3.cli import main; main()' "$@"
    fi
}

average() {
    if [[ -n $dry_run ]]; then
        printf 'train/average_adapters.py'
        printf ' %q' "$@"
        echo
    else
        "$python" train/average_adapters.py "$@"
    fi
}

# Whether a piece is finished; in a dry run none is.
finished() { [[ -z $dry_run && -e runs/$name-$1/final ]]; }

# 1. Evaluation tasks, training sets and the pool of plain texts; what is there already is kept.
[[ -n $skip_data ]] || run data

# 2. Direct vectors learnt from a small teacher's.
finished distillation || run train distillation "$configs/distillation.toml" "${stage0[@]}" --resume

# 3. Contrastive training on all training sets.
finished contrastive || run train sft "$configs/contrastive.toml" "${stage1[@]}" --resume

# 4. Once more from another seed, with the words of TF-IDF in the teacher.
finished contrastive-terms || run train sft "$configs/contrastive-terms.toml" "${stage1[@]}" --resume

# 5. More of the sets near the six tasks: it gains there, and loses on the dev suite.
finished contrastive-domains || run train sft "$configs/contrastive-domains.toml" "${stage1[@]}" --resume

# 6. The mean of the last two adapters keeps part of the gain and loses less. The shipped adapter is this one.
finished mean || average "runs/$name-contrastive-terms/adapter" "runs/$name-contrastive-domains/adapter" \
    --output "runs/$name-mean"
