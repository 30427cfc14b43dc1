"""Evaluate a model with BEIR's own search and measures: `search-r3 evaluate --harness beir` as a script.

    python benchmarks/run_beir.py --model default --task WikiTriviaMini --arm never --arm always

It is a check on mteb: the scores agree with those of run_mteb.py to 4 decimals.
"""

from search_r3.cli.evaluate_command import evaluate
from search_r3.cli.running import run

if __name__ == "__main__":
    run(evaluate, harness="beir")
