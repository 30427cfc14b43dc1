"""Publish a model on the Hugging Face Hub: `search-r3 publish` as a script, in the top folder of a checkout.

    of=benchmarks/results/training/smollm2-135m
    made="--model smollm2-135m --base HuggingFaceTB/SmolLM2-135M-Instruct"
    made="$made --name search-r3-smollm2-135m --training $of-sft.json"
    made="$made --training $of-own-thoughts.json --training $of-abstracts.json"
    python train/publish.py org/search-r3-smollm2-135m $made --dry-run
    python train/publish.py org/search-r3-smollm2-135m $made --create-pr
    python train/publish.py org/search-r3-smollm2-135m-direct $made --direct

The options are the same; `search-r3 publish --help` says what they do, and what is refused.
"""

from search_r3.cli.publish_command import publish
from search_r3.cli.running import run

if __name__ == "__main__":
    run(publish)
