"""Build thoughts for the supervised stage: `search-r3 thoughts` as a script.

    python train/build_thoughts.py --origin terms --source phenotypes --source wordnet --queries 4000 \
        --output runs/thoughts.parquet
    python train/build_thoughts.py --origin self --model runs/sft/final --samples 4 --source phenotypes ...
    python train/build_thoughts.py --origin teacher --model /path/to/a/larger/base --four-part-prompt ...

The options are the same; `search-r3 thoughts --help` says what they do.
"""

from search_r3.cli.running import run
from search_r3.cli.thoughts_command import thoughts

if __name__ == "__main__":
    run(thoughts)
