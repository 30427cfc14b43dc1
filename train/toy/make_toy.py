"""Draw the toy set out of WordNet: glosses as queries, the words they explain as documents.

    search-r3 data && python train/toy/make_toy.py

It writes what is committed beside it: `pairs.jsonl` to train on, and `nouns`, a task in BEIR's folder format
whose words are not among them. WordNet's licence is in LICENSE.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from search_r3.data.beir import write_beir
from search_r3.data.pairs import TrainingPair, read_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.files import write_lines
from search_r3.paths import data_dir

FOLDER = Path(__file__).parent
TRAINING, QUERIES, DOCUMENTS = 480, 60, 240


def main() -> None:
    """Write the files."""
    pairs = read_pairs(data_dir() / "training" / "wordnet.parquet")
    nouns = [pair for pair in pairs if pair.query_id.startswith("n") and 20 < len(pair.query) < 70]
    nouns.sort(key=lambda pair: hashlib.sha256(pair.query_id.encode()).digest())
    drawn: dict[str, TrainingPair] = {}
    for pair in nouns:  # every word and every gloss once
        if pair.positive not in drawn and pair.query not in {other.query for other in drawn.values()}:
            drawn[pair.positive] = pair
        if len(drawn) == TRAINING + DOCUMENTS:
            break
    chosen = list(drawn.values())
    training, held_out = chosen[:TRAINING], chosen[TRAINING:]
    lines = [json.dumps({"query": pair.query, "positive": pair.positive}) + "\n" for pair in training]
    write_lines(FOLDER / "pairs.jsonl", lines)
    task = RetrievalTask(
        {f"q{place}": pair.query for place, pair in enumerate(held_out[:QUERIES])},
        {f"d{place}": pair.positive for place, pair in enumerate(held_out)},
        {f"q{place}": {f"d{place}": 1} for place in range(QUERIES)},
    )
    write_beir(task, FOLDER / "nouns")


if __name__ == "__main__":
    main()
