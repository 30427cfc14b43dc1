"""Examples as sequences: the very ones the runtime makes, with the taught tokens marked."""

import pytest
import torch

from search_r3.training.examples import Example, texts_by_source
from search_r3.training.features import ExampleEncoder
from search_r3.training.sft_config import DataConfig
from search_r3.training.term_vectors import TermVectors

CONFIG = DataConfig(sources={}, max_query_tokens=24, max_document_tokens=16, max_thought_tokens=6)


def example(thought=None, *, taught=False, kept=1.0, query="red apple", negatives=()):
    return Example(query, thought, kept, taught, "the sea", tuple(negatives), "words")


def reading(thought, *, taught=False, evidence=("zz", "a star")):
    return Example("red apple", thought, 1.0, taught, "the sea", (), "words", True, evidence)


def rows(*examples):
    return [one.to_row() for one in examples]


@pytest.fixture
def encoder(tiny):
    return ExampleEncoder(tiny[0], CONFIG)


def unpadded(batch, name, row):
    mask = batch[f"{name}_attention_mask"][row].bool()
    return batch[f"{name}_input_ids"][row][mask].tolist()


def test_queries_and_documents_are_the_runtimes_sequences(tiny, encoder):
    """Token ids equal those of `preprocess`, with a thought, without, and for documents, however padded."""
    examples = [example(negatives=["a star"]), example("sun", query="blue sea tree", negatives=["x"])]
    batch = encoder(rows(*examples))
    expected = tiny[0].preprocess([("red apple", ()), ("blue sea tree", "sun")], task="query")
    for row in range(2):
        wanted = expected["input_ids"][row][expected["attention_mask"][row].bool()].tolist()
        assert unpadded(batch, "query", row) == wanted
    documents = tiny[0].preprocess(["the sea", "a star"], task="document")
    for name, row in (("positive", 0), ("negative_1", 1)):
        wanted = documents["input_ids"][row][documents["attention_mask"][row].bool()].tolist()
        assert unpadded(batch, name, 0) == wanted
    assert set(batch) == {
        f"{name}_{part}"
        for name in ("query", "positive", "negative_1")
        for part in ("input_ids", "attention_mask")
    } | {"query_target_mask", "query_thinks", "query_direct_ids", "query_direct_mask"}
    assert batch["query_thinks"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("thought", "taught", "kept", "expected"),
    [
        (None, False, 1.0, "direct: nothing"),
        (None, True, 1.0, "skip: the embed token"),
        ("sea sun", True, 1.0, "whole thought: all of it and the embed token"),
        ("sea sun", True, 0.5, "cut thought: what is kept of it"),
        ("sea sun", False, 1.0, "read only: nothing"),
    ],
)
def test_taught_tokens(tiny, encoder, thought, taught, kept, expected):
    """Which tokens are to be learnt, with and without a thought."""
    batch = encoder(rows(example(thought, taught=taught, kept=kept), example(query="x")))
    ids, targets = batch["query_input_ids"][0].tolist(), batch["query_target_mask"][0].tolist()
    taught_ids = [token for token, target in zip(ids, targets, strict=True) if target]
    whole = tiny[0].prompt_encoder.encode_text("sea sun")
    embed = [tiny[0].prompt_encoder.embed_token_id]
    assert len(whole) >= 2
    assert (
        taught_ids
        == {
            "direct: nothing": [],
            "skip: the embed token": embed,
            "whole thought: all of it and the embed token": whole + embed,
            "cut thought: what is kept of it": whole[: round(len(whole) / 2)],
            "read only: nothing": [],
        }[expected]
    )
    assert ids[-1] == embed[0]
    if kept < 1:
        assert ids[-1 - len(taught_ids) : -1] == taught_ids  # the embed token follows the cut


def test_thought_over_the_budget_is_cut_and_not_taught_to_end(tiny, encoder):
    """A thought longer than the budget keeps its first tokens, and its embed token is not taught."""
    thought = "the sun and the star of the sea and the tree"
    whole = tiny[0].prompt_encoder.encode_text(thought)
    assert len(whole) > 6
    batch = encoder(rows(example(thought, taught=True), example()))
    ids, targets = batch["query_input_ids"][0], batch["query_target_mask"][0].bool()
    assert ids[targets].tolist() == whole[:6]
    assert ids[-1] == tiny[0].prompt_encoder.embed_token_id
    assert not targets[-1]


def test_an_unfinished_thought_is_not_taught_to_end(tiny, encoder):
    """A thought that its budget cut when it was written has no end to learn."""
    options = ("red", "sea sun", 1.0, True, "star", (), "w")
    whole, cut = (
        encoder([Example(*options, is_finished=finished).to_row()])["query_target_mask"][0].tolist()
        for finished in (True, False)
    )
    assert whole[-1] == 1 and cut[-1] == 0 and whole[:-1] == cut[:-1]


def test_smallest_share_keeps_one_token(tiny, encoder):
    """However small the kept share, a thinking example keeps a token of its thought."""
    batch = encoder(rows(example("sea sun star", taught=True, kept=1e-6), example()))
    assert int(batch["query_target_mask"][0].sum()) == 1


def test_limits_cut_the_text_and_never_the_template(tiny, encoder):
    """Long texts end at the limit, with suffix and embed token in place."""
    long = " ".join(["apple"] * 100)
    batch = encoder(rows(example(query=long), Example("x", None, 1.0, False, long, (), "words")))
    assert len(unpadded(batch, "query", 0)) == 24
    assert len(unpadded(batch, "positive", 1)) == 16
    suffix = tiny[0].tokenizer.encode("\nthought:\n", add_special_tokens=False)
    assert unpadded(batch, "query", 0)[-len(suffix) - 1 : -1] == suffix


def test_shape_counts_the_tokens_of_the_batch(encoder):
    """The sampler's lengths are those of the sequences that the batch then holds."""
    one = example("sea sun", taught=True, negatives=["a star", "the tree"])
    shape = encoder.shape(one)
    batch = encoder(rows(one))
    assert shape.query_tokens == len(unpadded(batch, "query", 0))
    assert shape.document_tokens == tuple(
        len(unpadded(batch, name, 0)) for name in ("positive", "negative_1", "negative_2")
    )
    assert shape.group == "words 2"


def test_keys_are_of_words_not_of_spelling(encoder):
    """Texts that differ in case or punctuation only are duplicates; query and document are told apart."""
    first = encoder.shape(Example("Red apple!", None, 1.0, False, "sea", (), "w")).keys
    second = encoder.shape(Example("red  APPLE", None, 1.0, False, "star", (), "w")).keys
    third = encoder.shape(Example("sea", None, 1.0, False, "sun", (), "w")).keys
    assert first & second == {"query red apple"}
    assert not first & third  # "sea" is a document of one and the query of the other
    symbols = encoder.shape(Example("+", None, 1.0, False, "-", (), "w")).keys
    assert symbols == {"query +", "document -"}


def test_teacher_sees_the_plain_texts(tiny):
    """The vectors to distil are of the texts alone, column by column."""
    seen = []

    def teacher(texts):
        seen.append(texts)
        return torch.full((len(texts), 2), float(len(seen)))

    one = example("sun", negatives=["a star"])
    batch = ExampleEncoder(tiny[0], CONFIG, teacher)(rows(one, one))
    assert seen == [["red apple"] * 2, ["the sea"] * 2, ["a star"] * 2]
    assert batch["negative_1_teacher"].tolist() == [[3.0, 3.0]] * 2


def test_thinking_queries_come_without_their_thought_too(tiny):
    """Neither thought nor passages: the sequence of the direct query, for those that think alone."""
    batch = ExampleEncoder(tiny[0], CONFIG)(rows(example(), example("sun"), reading("sun")))
    plain = ExampleEncoder(tiny[0], CONFIG)(rows(example()))["query_input_ids"][0].tolist()
    assert batch["query_direct_ids"].tolist() == [plain, plain]
    assert batch["query_direct_mask"].all()
    assert "query_direct_ids" not in ExampleEncoder(tiny[0], CONFIG)(rows(example()))


def test_term_vectors_are_of_the_plain_texts(tiny):
    """Column by column, with the frequencies of the batch's source."""
    one = example("sun", negatives=["a star"])
    terms = TermVectors(texts_by_source([one]))
    batch = ExampleEncoder(tiny[0], CONFIG, terms=terms)(rows(one, one))
    assert torch.equal(batch["query_terms"], terms(["red apple"] * 2, "words"))
    assert torch.equal(batch["negative_1_terms"], terms(["a star"] * 2, "words"))
    assert "query_teacher" not in batch


@pytest.mark.parametrize(("thought", "taught"), [("sun", True), ("sun", False), ("", True), ("", False)])
def test_passages_are_read_before_the_thought(tiny, thought, taught):
    """The sequence is the runtime's; taught are the thought and its end, of an empty one the end alone."""
    config = CONFIG.model_copy(update={"max_passage_tokens": 1, "max_evidence_tokens": 40})
    encoder = ExampleEncoder(tiny[0], config)
    batch = encoder(rows(reading(thought, taught=taught)))
    prompts = tiny[0].prompt_encoder
    first = [prompts.encode_text(text)[:1] for text in ("zz", "a star")]
    read = prompts.encode_text
    parts = [read("query:\n"), read("red apple"), read("\nread:"), read("\n"), first[0], read("\n"), first[1]]
    wanted = [token for part in [*parts, read("\nthought:\n"), read(thought)] for token in part]
    assert unpadded(batch, "query", 0) == [*wanted, prompts.embed_token_id]
    length = len(read(thought)) + 1
    assert batch["query_target_mask"][0].tolist()[-length - 1 :] == [0] + [int(taught)] * length
    assert batch["query_thinks"].tolist() == [True]


def test_what_reads_is_batched_apart(tiny, encoder):
    """The group has its own name; passages count as part of the query's length, the thought does not."""
    plain, read = encoder.shape(example("sun")), encoder.shape(reading("sun"))
    assert (plain.group, read.group) == ("words 0", "words 0 evidence")
    assert read.query_tokens > plain.query_tokens
    assert read.query_tokens - read.thought_tokens > plain.query_tokens - plain.thought_tokens


def test_evidence_has_room_beside_the_query(tiny):
    """A query as long as its limit is whole, and so is a passage as long as its own."""
    long = Example("z" * 8, "z", 1.0, True, "the sea", (), "words", True, ("z" * 40,))
    config = CONFIG.model_copy(update={"max_passage_tokens": 30, "max_evidence_tokens": 35})
    batch = ExampleEncoder(tiny[0], config)(rows(long))
    read = tiny[0].prompt_encoder.encode_text
    z = read("z")
    wanted = [*read("query:\n"), *z * 8, *read("\nread:"), *read("\n"), *z * 30, *read("\nthought:\n"), *z]
    assert unpadded(batch, "query", 0) == [*wanted, tiny[0].prompt_encoder.embed_token_id]
