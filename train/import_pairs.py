"""Make a training set of your own pairs: `search-r3 import-pairs` as a script.

    python train/import_pairs.py pairs.jsonl --source mine
    python train/import_pairs.py my-task --source mine --positives 5    # a folder with qrels/train.tsv

The options are the same; `search-r3 import-pairs --help` says what a line holds.
"""

from search_r3.cli.import_pairs_command import import_pairs
from search_r3.cli.running import run

if __name__ == "__main__":
    run(import_pairs)
