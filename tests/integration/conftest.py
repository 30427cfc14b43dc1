"""The command line in this process; the tiny retrieval task that stands for CodeDoc, and its scores."""

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
from keyword_task import write_keyword_task

from search_r3.cli import main
from search_r3.data import catalogue
from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.retrieval.vector_index import VectorIndex

WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]
WORDS += ["tree", "sort", "list", "number", "time", "word"]


def tiny_task() -> RetrievalTask:
    """12 queries of two words each, 30 documents of five; a document with both words is relevant, grade 2."""
    generator = np.random.default_rng(5)
    corpus = {f"d{n:02}": " ".join(generator.choice(WORDS, 5, replace=False)) for n in range(30)}
    queries, qrels = {}, {}
    for number in range(12):
        target = f"d{generator.integers(30):02}"
        pair = generator.choice(corpus[target].split(), 2, replace=False)
        queries[f"q{number:02}"] = " ".join(pair)
        qrels[f"q{number:02}"] = {
            doc_id: int(sum(word in text.split() for word in pair))
            for doc_id, text in corpus.items()
            if any(word in text.split() for word in pair)
        }
    queries["q11"] = "unheard"  # BM25 finds nothing
    return RetrievalTask(queries, corpus, qrels)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run `search-r3 ...` in this process; returns (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["search-r3", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrievalTask:
    """CodeDoc in the mini size, replaced by the tiny task; no other task is built."""
    task = tiny_task()
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    write_beir(task, catalogue.task_folder("CodeDoc", "mini"))

    def expected(name: str, size: str) -> str:
        return task.data_hash() if (name, size) == ("CodeDoc", "mini") else "0" * 64

    monkeypatch.setattr("search_r3.evaluation.mteb_tasks.expected_hash", expected)
    monkeypatch.setattr(catalogue, "expected_hash", expected)
    return task


@pytest.fixture
def reference():
    """nDCG@10 by query from this package's own index, without a harness."""
    import pytrec_eval

    def score(model, task: RetrievalTask, **options) -> dict[str, float]:
        index = VectorIndex(model.get_embedding_dimension(), fingerprint="x")
        index.add(list(task.corpus), model.encode_document(list(task.corpus.values())))
        found = index.search(
            model.encode_query(list(task.queries.values()), **options), k=len(task.corpus), fingerprint="x"
        )
        run = {
            query_id: {hit.doc_id: float(hit.score) for hit in hits}
            for query_id, hits in zip(task.queries, found, strict=True)
        }
        evaluator = pytrec_eval.RelevanceEvaluator(task.qrels, {"ndcg_cut.10"})
        return {query_id: scores["ndcg_cut_10"] for query_id, scores in evaluator.evaluate(run).items()}

    return score


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the hidden keyword's task, and its data where the package looks for it."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    write_keyword_task(tmp_path)
    return tmp_path


@pytest.fixture
def multihop(tmp_path: Path) -> Path:
    """A folder like that of the two tasks of several passages, with its sums; six queries, 60 documents."""
    generator = random.Random(0)
    corpus = {f"d{n}": " ".join(generator.sample(WORDS[:12], 4)) for n in range(60)}
    queries = {f"q{n}": " ".join(corpus[f"d{n}"].split()[:2]) for n in range(6)}
    task = RetrievalTask(queries, corpus, {f"q{n}": {f"d{n}": 1} for n in range(6)})
    folder, sums = tmp_path / "multihop", {}
    for name in ("hotpot-dev", "musique-dev"):
        write_beir(task, folder / name)
        for inside in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
            sums[f"{name}/{inside}"] = hashlib.sha256((folder / name / inside).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"sha256": sums}))
    return folder
