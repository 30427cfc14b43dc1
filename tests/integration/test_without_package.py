"""A saved model is complete: sentence-transformers alone loads it where search_r3 cannot be imported."""

import json
import os
import subprocess
import sys

import numpy as np

QUERIES = [
    "copy a directory tree",
    "read",
    "sort a list of numbers by a key and join paths",
    "ß <think> 漢字",
]
DOCUMENTS = ["copytree copies a directory", "x", "Sort the list in place. " * 4, ""]

SCRIPT = """
import importlib.abc, json, sys


class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "search_r3":
            raise ModuleNotFoundError(f"{name} is blocked", name=name)


sys.meta_path.insert(0, Blocker())
try:
    import search_r3
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("search_r3 could be imported")

import sentence_transformers

folder, inputs = sys.argv[1], json.load(sys.stdin)
model = sentence_transformers.SentenceTransformer(folder, trust_remote_code=True, device="cpu")
thoughts = [
    [int(i) for i in item["thought_ids"] if i >= 0]
    for item in model.encode_query(inputs["queries"], output_value=None)
]
again = sys.argv[2]
model.save(again, create_model_card=False)
reloaded = sentence_transformers.SentenceTransformer(again, trust_remote_code=True, device="cpu")
result = {
    "documents": model.encode_document(inputs["documents"]).tolist(),
    "plain": model.encode(inputs["documents"]).tolist(),
    "queries": model.encode_query(inputs["queries"]).tolist(),
    "auto": model.encode_query(inputs["queries"], reasoning="auto", max_reasoning_tokens=3).tolist(),
    "replayed": model.encode_query([tuple(pair) for pair in inputs["pairs"]]).tolist(),
    "reloaded": reloaded.encode_query(inputs["queries"]).tolist(),
    "read": model.encode_query([tuple(item) for item in inputs["triples"]]).tolist(),
    "thoughts": thoughts,
    "blocked": not [name for name in sys.modules if name.partition(".")[0] == "search_r3"],
    "class": type(model[0]).__module__ + "." + type(model[0]).__name__,
}
print(json.dumps(result))
"""


def test_same_vectors_without_the_package(tiny, tiny_folder, tmp_path):
    """With search_r3 out of reach, documents, queries, greedy thoughts and replays give the same vectors."""
    found = tiny.encode_query_with_thoughts(QUERIES)
    pairs = [(query, thought.text) for query, thought in zip(QUERIES, found.thoughts, strict=True)]
    evidence = [["red sea", query] for query in QUERIES]
    triples = [(query, None, passages) for query, passages in zip(QUERIES, evidence, strict=True)]
    cache = tmp_path / "hf_modules"
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "HF_HUB_OFFLINE": "1",
        "HF_MODULES_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tiny_folder), str(tmp_path / "again")],
        input=json.dumps({"queries": QUERIES, "documents": DOCUMENTS, "pairs": pairs, "triples": triples}),
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout.splitlines()[-1])
    assert result["blocked"]
    assert result["class"].startswith("transformers_modules.")
    assert result["class"].endswith(".modeling_search_r3.ReasoningTransformer")
    assert list(cache.rglob("modeling_search_r3.py")), "the code was loaded from somewhere else"
    assert result["thoughts"] == [list(thought.token_ids) for thought in found.thoughts]
    wanted = {
        "documents": tiny.encode_document(DOCUMENTS),
        "plain": tiny.encode(DOCUMENTS),
        "queries": found.embeddings,
        "auto": tiny.encode_query(QUERIES, reasoning="auto", max_reasoning_tokens=3),
        "replayed": tiny.encode_query(pairs),
        "reloaded": found.embeddings,
        "read": tiny.encode_query(QUERIES, evidence=evidence),
    }
    for name, vectors in wanted.items():
        difference = np.abs(np.array(result[name]) - vectors).max()
        assert difference <= 1e-6, f"{name}: max difference {difference:.2e}"
