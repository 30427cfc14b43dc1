"""The dev suite's scores, by hand on an encoder whose vectors are known."""

import hashlib
import json
import math

import numpy as np
import pytest

from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidOptionError
from search_r3.evaluation import dev_suite
from search_r3.evaluation.dev_suite import dev_scores, load_dev_suite, measure_dev, result_lines

VECTORS = {
    "red": (1.0, 0.0),
    "blue": (0.0, 1.0),
    "wine": (5.0, 0.5),  # the nearest to red by cosine, whatever its length
    "rose": (0.9, 0.2),
    "sea": (0.1, 0.9),
}
TASK = RetrievalTask(
    {"q1": "red", "q2": "blue"},
    {"wine": "wine", "rose": "rose", "sea": "sea"},
    {"q1": {"rose": 1}, "q2": {"sea": 1}},
)
SECOND = 1 / math.log2(3)  # nDCG of a single relevant document at rank 2


class Encoder:
    """Vectors out of a table, and the limits that were in force."""

    max_seq_length = 512
    training = True

    def __init__(self):
        self.limits = []
        self.trained = 0

    def encode_query(self, texts, batch_size, show_progress_bar):
        self.limits.append(self.max_seq_length)
        return np.array([VECTORS[text] for text in texts])

    encode_document = encode_query

    def train(self):
        self.trained += 1


def test_scores_by_hand():
    """q1 finds wine before rose (rank 2), q2 the sea at once; the model is left as it was."""
    model = Encoder()
    found = dev_scores(model, {"colours": TASK, "again": TASK.subset(["q2"], ["rose", "sea"])}, batch_size=2)
    assert found == {"colours": pytest.approx((SECOND + 1) / 2), "again": 1.0}
    assert set(model.limits) == {256}
    assert (model.max_seq_length, model.trained) == (512, 2)


def test_limits_come_back_after_an_error():
    """Also if encoding fails."""
    model = Encoder()
    with pytest.raises(KeyError):
        dev_scores(model, {"x": RetrievalTask({"q": "green"}, {"d": "sea"}, {"q": {"d": 1}})})
    assert model.max_seq_length == 512


def test_a_document_does_not_answer_itself():
    """A query with the id of a document does not find it, as in BEIR."""
    task = RetrievalTask({"wine": "red"}, TASK.corpus, {"wine": {"rose": 1}})
    assert dev_scores(Encoder(), {"x": task}) == {"x": 1.0}


def test_a_model_that_thinks_does_not(tiny):
    """A Search-R3 model is asked without thoughts, and longer texts are cut without a warning."""
    task = RetrievalTask({"q": "red apple"}, {"a": "red apple", "b": "blue sea " * 200}, {"q": {"a": 1}})
    limit = tiny.max_seq_length
    (score,) = dev_scores(tiny, {"x": task}).values()
    assert score in (1.0, pytest.approx(SECOND))
    assert tiny.max_seq_length == limit


def test_systems():
    """Dense, fused and BM25: fusing by rank puts what both find first."""
    task = RetrievalTask({"q1": "red"}, {"a": "wine", "b": "rose"}, {"q1": {"b": 1}})
    dense, fused = measure_dev(Encoder(), {"x": task}, fused=True)
    assert (dense.system, dense.ndcg_at_10) == ("dense", pytest.approx(SECOND))
    assert (fused.system, fused.ndcg_at_10) == ("fused", pytest.approx(SECOND))  # BM25 finds nothing
    found = RetrievalTask({"q1": "a rose"}, {"a": "wine", "b": "rose"}, {"q1": {"b": 1}})
    (bm25,) = measure_dev(None, {"x": found})
    assert (bm25.system, bm25.ndcg_at_10, bm25.queries, bm25.documents) == ("bm25", 1.0, 1, 2)
    assert bm25.data_hash == found.data_hash()
    assert bm25.per_query == {"q1": 1.0}
    with pytest.raises(InvalidOptionError, match="joined with itself"):
        list(measure_dev(None, {"x": found}, fused=True))


def test_result_lines():
    """The run with its means first, then the results."""
    results = list(measure_dev(Encoder(), {"colours": TASK}))
    head, line = map(json.loads, result_lines(results, model="m", limit=None, environment={"commit": "abc"}))
    assert head["mean_ndcg_at_10"] == {"dense": pytest.approx((SECOND + 1) / 2)}
    assert (head["model"], head["limit"], head["environment"]) == ("m", None, {"commit": "abc"})
    assert (line["task"], line["data_hash"]) == ("colours", TASK.data_hash())


@pytest.fixture
def multihop(tmp_path):
    """The folder of the multihop tasks, with its sums."""
    sums = {}
    for name in dev_suite.MULTIHOP_TASKS:
        write_beir(TASK, tmp_path / name)
        for inside in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
            data = (tmp_path / name / inside).read_bytes()
            sums[f"{name}/{inside}"] = hashlib.sha256(data).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps({"sha256": sums}))
    return tmp_path


def test_multihop_tasks(multihop):
    """They are read out of their folder, held against its sums, and need it."""
    assert load_dev_suite(["hotpot-dev"], multihop=multihop) == {"hotpot-dev": TASK}
    with pytest.raises(InvalidOptionError, match="need the folder"):
        load_dev_suite(["hotpot-dev"])
    (multihop / "musique-dev" / "queries.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"musique-dev.queries.jsonl has the SHA-256"):
        load_dev_suite(["musique-dev"], multihop=multihop)
    (multihop / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"wanted manifest\.json"):
        load_dev_suite(["hotpot-dev"], multihop=multihop)


def test_a_limit_keeps_the_answers(multihop):
    """One query of two, with its document among up to ten."""
    (task,) = load_dev_suite(["hotpot-dev"], multihop=multihop, limit=1).values()
    assert len(task.queries) == 1
    assert task.judgements == 1
    assert len(task.corpus) == 3
    large = RetrievalTask(
        {f"q{n}": f"{n}" for n in range(50)},
        {f"d{n}": f"{n}" for n in range(200)},
        {f"q{n}": {f"d{n}": 1, f"d{n + 50}": 1} for n in range(50)},
    )
    small = dev_suite._limited(large, 3)
    assert (len(small.queries), len(small.corpus), small.judgements) == (3, 30, 6)
