"""What a review of the dev split, the examples and the batches found, and what holds since."""

import math
import random

import pytest

from search_r3.data.pairs import TrainingPair
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import ThoughtRecord
from search_r3.errors import InvalidOptionError
from search_r3.training.batches import ExampleShape, TokenBudgetBatchSampler
from search_r3.training.dev_split import DevEvaluator, split_pairs
from search_r3.training.examples import draw_examples
from search_r3.training.sft_config import DataConfig, SourceConfig, TrainingConfig, read_config


def pair(query, positive, number, negatives=()):
    return TrainingPair(query, positive, tuple(negatives), "s", f"q{number}", f"d{number}")


@pytest.mark.parametrize("seed", range(10))
def test_every_relevant_document_is_held_out(seed):
    """A query with two documents takes both out of training, although one was drawn for the other."""
    pairs = [pair(f"query {n // 2}", f"doc {(n + 1) // 2}", n, [f"doc {n // 3}"]) for n in range(60)]
    split = split_pairs(pairs, queries=3, documents=10, seed=seed)
    relevant = {split.dev.corpus[doc_id] for grades in split.dev.qrels.values() for doc_id in grades}
    trained = {text for one in split.training for text in (one.query, one.positive, *one.negatives)}
    assert relevant
    assert not relevant & trained
    assert not set(split.dev.queries.values()) & trained


def test_too_few_pairs_hold_nothing_out():
    """Of nine pairs none is held out, and there is no dev task that could not be measured."""
    split = split_pairs([pair(f"q {n}", f"d {n}", n) for n in range(9)], queries=5, documents=10, seed=0)
    assert split.dev is None
    assert len(split.training) == 9


def test_queries_and_documents_have_their_own_limits(tiny):
    """A limit that cuts every document leaves queries whole, and the reverse: scores tell which was cut."""
    generator = random.Random(4)
    words = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder"]
    corpus = {f"d{n}": " ".join(generator.sample(words, 8)) for n in range(30)}
    queries = {f"q{n}": " ".join(generator.sample(words, 8)) for n in range(8)}
    task = RetrievalTask(queries, corpus, {q: {f"d{generator.randrange(30)}": 1} for q in queries})

    def score(query_limit, document_limit):
        measure = DevEvaluator(
            {"s": task},
            ["never"],
            max_reasoning_tokens=2,
            max_query_tokens=query_limit,
            max_document_tokens=document_limit,
        )
        return measure(tiny)["never_s"]

    def by_hand(query_limit, document_limit):
        vectors = []
        for limit, encode, texts in (
            (query_limit, tiny.encode_query, queries),
            (document_limit, tiny.encode_document, corpus),
        ):
            whole, tiny.max_seq_length = tiny.max_seq_length, limit
            options = {"reasoning": "never"} if texts is queries else {}
            vectors.append(encode(list(texts.values()), on_truncation="ignore", **options))
            tiny.max_seq_length = whole
        from search_r3.retrieval.metrics import ndcg_at_10

        run = {
            query_id: dict(zip(corpus, map(float, row), strict=True))
            for query_id, row in zip(queries, vectors[0] @ vectors[1].T, strict=True)
        }
        measured = ndcg_at_10(task.qrels, run)
        return sum(measured.values()) / len(measured)

    for limits in ((128, 24), (24, 128), (128, 128)):
        assert score(*limits) == pytest.approx(by_hand(*limits), abs=1e-6)


def test_a_thought_that_moves_the_positive_up_is_taught():
    """Also if the margin shrank: rank comes first."""
    pairs = {"s": [pair("q", "d", 0)]}
    known = [ThoughtRecord("s", "q0", "t", "terms", gain=-0.1, rank_gain=1)]
    config = DataConfig(sources={"s": SourceConfig(examples=50)}, cut_share=0)
    drawn = draw_examples(pairs, known, config, seed=0)
    assert {(one.thought, one.is_taught) for one in drawn} == {("t", True), (None, False)}


def test_a_run_needs_an_arm(tmp_path):
    """No arm is no way to choose a checkpoint."""
    path = tmp_path / "run.toml"
    path.write_text('output = "x"\nevaluation_arms = []\n[data.sources]\n', encoding="utf-8")
    with pytest.raises(InvalidOptionError, match="evaluation_arms"):
        read_config(path)
    with pytest.raises(ValueError, match="dataloader_drop_last"):
        TrainingConfig(output="x", data=DataConfig(sources={}), trainer={"dataloader_drop_last": False})


def test_what_a_batch_cannot_deal_out_goes_into_the_next():
    """With several processes, rows left over by dealing a batch evenly are not lost."""
    generator = random.Random(0)
    shapes = [
        ExampleShape("g", generator.randint(5, 60), (generator.randint(5, 60),), frozenset({str(n)}))
        for n in range(2000)
    ]
    for processes in (2, 4):
        sampler = TokenBudgetBatchSampler(shapes, batch_tokens=768, batch_rows=16, processes=processes)
        used = [index for batch in sampler for index in batch]
        assert len(used) == len(set(used))
        assert len(used) > 1990


def test_queries_of_some_tasks_read_passages(tiny):
    """The passages count beside the query's limit, and are of the task that has them."""
    corpus = {"a": "red sea", "b": "copy a folder", "c": "the sun", "d": "a star"}
    queries = {"q": "sort a list", "r": "a story of a book", "s": "apple"}
    task = RetrievalTask(queries, corpus, {"q": {"b": 1}, "r": {"c": 1}, "s": {"d": 1}})
    passages = {"q": ("copy a folder " * 9,), "s": ("red star", "the sun")}
    measure = DevEvaluator(
        {"reads": task, "plain": task},
        ["never", "always"],
        max_reasoning_tokens=2,
        max_query_tokens=64,
        max_document_tokens=64,
        evidence={"reads": passages},
    )
    found = measure(tiny)
    documents = tiny.encode_document(list(corpus.values()))
    for arm in ("never", "always"):
        for name, evidence in (("reads", [passages["q"], (), passages["s"]]), ("plain", None)):
            encoding = tiny.encode_query_with_thoughts(
                list(queries.values()), reasoning=arm, max_reasoning_tokens=2, evidence=evidence
            )
            assert not any(encoding.dropped_evidence_tokens)
            ranks = (-encoding.embeddings @ documents.T).argsort(axis=1).argsort(axis=1)
            own = [ranks[0][1], ranks[1][2], ranks[2][3]]  # of the one relevant document
            by_hand = sum(1 / math.log2(rank + 2) for rank in own) / 3
            assert found[f"{arm}_{name}"] == pytest.approx(by_hand, abs=1e-6)
    assert found["always_reads"] != found["always_plain"]
