"""Choose the mini size of every task once: queries, hard documents, others. Writes ids, no texts.

    python benchmarks/select_mini.py

About 20 minutes on two cores, most of it all-MiniLM-L6-v2 encoding 50,000 documents (kept, so it resumes).
Run it again only if a task was changed on purpose; the result is committed and is what every machine uses.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from search_r3 import fingerprint
from search_r3.cli.running import run
from search_r3.data import mini
from search_r3.data.catalogue import TASKS
from search_r3.data.full_tasks import full_task
from search_r3.data.minilm import minilm_folder
from search_r3.data.parsed import Sources
from search_r3.evaluation.embedding_cache import cached_vectors
from search_r3.paths import cache_dir, data_dir
from search_r3.retrieval.bm25 import bm25_run

SEED = "search-r3 mini 1"
DEPTH = 100


def main() -> None:
    """Select and write every task's mini size, and the data hashes of both sizes."""
    packages = data_dir() / "packages"
    sources = Sources(packages)
    minilm = SentenceTransformer(str(minilm_folder(packages)), device="cpu", local_files_only=True)
    minilm.max_seq_length = 128  # the length it was trained with; the choice of distractors needs no more
    identity = f"{fingerprint(minilm)} document"
    home = Path(mini.__file__).parent
    (home / "mini").mkdir(exist_ok=True)
    hashes = {}
    for name in TASKS:
        task = full_task(name, sources)
        lexical = {
            query_id: list(found) for query_id, found in bm25_run(task.corpus, task.queries, DEPTH).items()
        }
        doc_ids = list(task.corpus)
        documents = cached_vectors(
            cache_dir() / "embeddings",
            identity,
            list(task.corpus.values()),
            lambda texts: minilm.encode_document(texts, normalize_embeddings=True),
            show_progress_bar=True,
        )
        queries = minilm.encode_query(list(task.queries.values()), normalize_embeddings=True)
        order = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :DEPTH]
        dense = {
            query_id: [doc_ids[place] for place in row]
            for query_id, row in zip(task.queries, order, strict=True)
        }
        selection = mini.select(task, [lexical, dense], seed=SEED)
        (home / "mini" / f"{name}.json").write_text(mini.to_json(selection), encoding="utf-8")
        small = mini.mini_of(name, task)
        hashes[name] = {"full": task.data_hash(), "mini": small.data_hash()}
        print(f"{name}: {len(small.queries)} queries, {len(small.corpus)} documents")
    (home / "hashes.json").write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
