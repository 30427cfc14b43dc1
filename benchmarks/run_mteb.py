"""Evaluate a model with mteb: `search-r3 evaluate` as a script, with the same options.

    python benchmarks/run_mteb.py --model default --task WikiTriviaMini --arm never --arm always
    python benchmarks/run_mteb.py --model bm25 --task WikiTriviaMini --task SciFact

Every arm gets a result file of its own, with per-query scores.
"""

from search_r3.cli.evaluate_command import evaluate
from search_r3.cli.running import run

if __name__ == "__main__":
    run(evaluate)
