#!/usr/bin/env bash
# The whole way to the SmolLM2 model: data -> three pieces of supervised training, each after its thoughts ->
# the adapter that is shipped. It takes about five hours on two cores; docs/results/stage-1.md has the results.
#
#   train/run_smollm2.sh                             # everything lands in runs/
#   PYTHON=.venv/bin/python train/run_smollm2.sh     # with this Python
#   DRY_RUN=1 train/run_smollm2.sh                   # prints the commands in order and runs none
#
# Run it again after it was stopped: a piece whose model exists is skipped with its thoughts. An unfinished piece
# continues: training at its newest checkpoint, thoughts with the sources that are missing in their file.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
dry_run=${DRY_RUN:-}

# Run a command, or print it. `search-r3` is that of the chosen Python, also outside of its environment.
run() {
    if [[ -n $dry_run ]]; then
        echo "$@"
    elif [[ $1 == search-r3 ]]; then
        "$python" -c 'from search_r3.cli import main; main()' "${@:2}"
    else
        "$python" "${@:2}"
    fi
}

# Whether a result exists; in a dry run nothing counts as existing.
exists() { [[ -z $dry_run && -e $1 ]]; }

# search-r3 thoughts, with one --source for each of the words before `--`.
thoughts() {
    local sources=()
    while [[ $1 != -- ]]; do
        sources+=(--source "$1")
        shift
    done
    run search-r3 thoughts "${sources[@]}" "${@:2}"
}

# The model's own thoughts: two samples per query of at most 12 tokens, the first one greedy.
own=(--origin self --samples 2 --max-reasoning-tokens 12 --dtype bfloat16 --batch-size 64)

# 1. Evaluation tasks and training sets; what is there already is kept.
run search-r3 data

# 2. First piece: thoughts are salient terms of the relevant document.
if ! exists runs/smollm2-135m-sft/final; then
    thoughts phenotypes wordnet gcide icd10cm gene_ontology foldoc code -- \
        --origin terms --queries 4000 --output runs/terms.parquet
    run search-r3 train sft train/configs/smollm2-135m/sft.toml --resume
fi

# 3. Second piece: thoughts are the first piece's own, about other queries (--skip).
if ! exists runs/smollm2-135m-own-thoughts/final; then
    first=("${own[@]}" --model runs/smollm2-135m-sft/final --output runs/own.parquet)
    thoughts phenotypes wordnet -- "${first[@]}" --skip 4000 --queries 2000
    thoughts code pubmed_titles gcide foldoc icd10cm -- "${first[@]}" --skip 4000 --queries 800
    run search-r3 train sft train/configs/smollm2-135m/own-thoughts.toml --resume
fi

# 4. Third piece: thoughts are the second piece's own, about other queries again.
if ! exists runs/smollm2-135m-abstracts/final; then
    second=("${own[@]}" --model runs/smollm2-135m-own-thoughts/final --output runs/own-again.parquet)
    thoughts phenotypes wordnet -- "${second[@]}" --skip 6000 --queries 1500
    thoughts code gcide foldoc -- "${second[@]}" --skip 4800 --queries 500
    thoughts gene_ontology pubmed_sentences pubmed_topics -- "${second[@]}" --queries 700
    run search-r3 train sft train/configs/smollm2-135m/abstracts.toml --resume
fi

# 5. The adapter becomes that of the shipped SmolLM2 model, in this checkout: `git status` shows the change.
shipped=runs/smollm2-135m-abstracts/shipped
if ! exists "$shipped"; then
    run python train/ship_adapter.py runs/smollm2-135m-abstracts/adapter --model smollm2-135m
    [[ -n $dry_run ]] || touch "$shipped"
fi

# 6. Logs and curves; the committed ones of the shipped model stay as they are.
run python benchmarks/training_curve.py runs/smollm2-135m-sft runs/smollm2-135m-own-thoughts \
    runs/smollm2-135m-abstracts --output runs/training
