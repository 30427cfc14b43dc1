"""Passages that a query reads before it thinks: where they stand, what is cut, what the vector depends on."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from search_r3 import COMPACT_TEMPLATE, SentenceTransformer
from search_r3.errors import InvalidInputError, InvalidOptionError, TruncationError, TruncationWarning
from search_r3.model.prompt_encoder import EvidenceLimits, PromptEncoder
from search_r3.model.template import EMBED_TOKEN

EMBED = 402
# Pieces of the tiny tokenizer: every "z" is one token, and so is "\u010a" (a newline).
QUERY_PREFIX = ["q", "u", "er", "y", ":", "\u010a"]
QUERY_SUFFIX = ["\u010a", "th", "o", "u", "g", "h", "t", ":", "\u010a"]
HEAD, PASSAGE_PREFIX = ["\u010a", "re", "ad", ":"], ["\u010a"]
QUERIES = ["copy a tree", "find the files", "a", "sort the list of the files by date"]
EVIDENCE = [["zz", "the tree"], [], ["a list", "files", "dates"], ["sort"]]


@pytest.fixture(scope="module")
def encoder(tiny_folder):
    return PromptEncoder(AutoTokenizer.from_pretrained(tiny_folder), COMPACT_TEMPLATE, EMBED_TOKEN)


@pytest.fixture(scope="module")
def ids(tiny_folder):
    vocabulary = AutoTokenizer.from_pretrained(tiny_folder).get_vocab()
    return lambda pieces: [vocabulary[piece] for piece in pieces]


def test_sequence_by_hand(encoder, ids):
    """Text, head, the passages with their prefix, suffix, thought, embed token."""
    found = encoder.encode_query("zz", thought="z", evidence=["zzz", "z"], max_tokens=128)
    passages = [*HEAD, *PASSAGE_PREFIX, "z", "z", "z", *PASSAGE_PREFIX, "z"]
    assert found.token_ids == [*ids([*QUERY_PREFIX, "z", "z", *passages, *QUERY_SUFFIX, "z"]), EMBED]
    assert (found.text_span, found.thought_length) == ((6, 8), 1)
    assert (found.dropped_tokens, found.dropped_evidence_tokens) == (0, 0)


@pytest.mark.parametrize("nothing", [(), [], None, [""]], ids=repr)
def test_without_evidence_the_sequence_is_as_before(encoder, nothing):
    """No passage, or only an empty one, leaves no trace."""
    assert encoder.encode_query("zz", evidence=nothing, max_tokens=128) == encoder.encode_query(
        "zz", max_tokens=128
    )


@pytest.mark.parametrize(
    ("passage_tokens", "evidence_tokens", "max_tokens", "kept", "dropped"),
    [
        (9, 99, 99, (3, 5), 0),
        (4, 99, 99, (3, 4), 1),
        (2, 99, 99, (2, 2), 4),
        (9, 14, 99, (3, 5), 0),  # 4 of the head, 1 and 3, 1 and 5
        (9, 13, 99, (3, 4), 1),
        (9, 10, 99, (3, 1), 4),
        (9, 9, 99, (3,), 5),  # no room for the second passage's first token
        (9, 7, 99, (2,), 6),
        (9, 5, 99, (), 8),
        (9, 99, 16 + 2 + 14, (3, 5), 0),  # the template takes 16 tokens and the query 2
        (9, 99, 16 + 2 + 13, (3, 4), 1),
        (9, 99, 16 + 2, (), 8),
        (9, 99, 16 + 1, (), 8),  # the query itself is cut
    ],
)
def test_what_is_cut(encoder, ids, passage_tokens, evidence_tokens, max_tokens, kept, dropped):
    """Each passage at its limit; then the one that exceeds the limit of all, or the room beside the query."""
    found = encoder.encode_query(
        "zz",
        evidence=["z" * 3, "z" * 5],
        max_tokens=max_tokens,
        limits=EvidenceLimits(passage_tokens, evidence_tokens),
    )
    text = min(2, max_tokens - 16)
    pieces = [piece for count in kept for piece in [*PASSAGE_PREFIX, *["z"] * count]]
    pieces = [*HEAD, *pieces] if kept else []
    assert found.token_ids == [*ids([*QUERY_PREFIX, *["z"] * text, *pieces, *QUERY_SUFFIX]), EMBED]
    assert (found.dropped_tokens, found.dropped_evidence_tokens) == (2 - text, dropped)


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ("one text", "got evidence of type str, wanted a list of texts for each query"),
        (5, "got evidence of type int"),
        (["fine", None], "passage 1 of its evidence: got NoneType"),
        (["\ud800"], "passage 0 of its evidence: got a lone surrogate"),
    ],
)
def test_evidence_that_is_none(tiny, evidence, message):
    """A string instead of a list, or a passage that is no text: an error that names query and passage."""
    with pytest.raises(InvalidInputError, match=f"Input 2: {message}"):
        tiny.encode_query(["a", "a longer query", "b"], evidence=[[], ["fine"], evidence])
    with pytest.raises(InvalidInputError, match=f"Input 2: {message}"):
        tiny.encode_query_with_thoughts(["a", "a longer query", "b"], evidence=[[], ["fine"], evidence])


@pytest.mark.parametrize("reasoning", ["never", "always", "auto"])
def test_vectors_are_those_of_one_plain_pass(tiny, tiny_folder, reasoning):
    """Over the whole sequence, hand-made from the parts, with the thought that the model wrote."""
    found = tiny.encode_query_with_thoughts(QUERIES, evidence=EVIDENCE, reasoning=reasoning)
    module = tiny.reasoning_module
    plain = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    for query, passages, thought, vector in zip(
        QUERIES, EVIDENCE, found.thoughts, found.embeddings, strict=True
    ):
        parts = ["query:\n", query, *(["\nread:"] if passages else [])]
        for passage in passages:
            parts += ["\n", passage]
        read = module.prompt_encoder.encode_text
        sequence = [token for part in [*parts, "\nthought:\n"] for token in read(part)]
        sequence += [*thought.token_ids, module.prompt_encoder.embed_token_id]
        with torch.no_grad():
            hidden = plain(
                input_ids=torch.tensor([sequence]), output_hidden_states=True, use_cache=False
            ).hidden_states[-1][0, -1]
        np.testing.assert_allclose(vector, (hidden / hidden.norm()).numpy(), atol=1e-5)


def test_vectors_depend_on_text_evidence_and_thought_alone(tiny):
    """Not on the batch, its order or how the evidence is given; and they do depend on the evidence."""
    found = tiny.encode_query_with_thoughts(QUERIES, evidence=EVIDENCE)
    for order in ([3, 0, 2, 1], [1, 2, 0, 3]):
        for size in (1, 3):
            again = tiny.encode_query_with_thoughts(
                [QUERIES[n] for n in order], evidence=[EVIDENCE[n] for n in order], batch_size=size
            )
            assert again.thoughts == [found.thoughts[n] for n in order]
            np.testing.assert_allclose(again.embeddings, found.embeddings[order], atol=1e-5)
    np.testing.assert_allclose(tiny.encode_query(QUERIES, evidence=EVIDENCE), found.embeddings, atol=1e-5)
    columns = [pd.Series(passages, dtype=object) for passages in EVIDENCE]
    for given in (map(tuple, EVIDENCE), columns):
        np.testing.assert_allclose(tiny.encode_query(QUERIES, evidence=given), found.embeddings, atol=1e-5)
    one = tiny.encode_query(QUERIES[2], evidence=EVIDENCE[2])
    np.testing.assert_allclose(one, found.embeddings[2], atol=1e-5)
    replayed = tiny.encode_query_with_thoughts(QUERIES, thoughts=found.thoughts, evidence=EVIDENCE)
    np.testing.assert_allclose(replayed.embeddings, found.embeddings, atol=1e-5)
    swapped = tiny.encode_query(QUERIES, evidence=EVIDENCE[::-1])
    assert np.abs(swapped - found.embeddings).max(axis=1).min() > 1e-3
    plain = tiny.encode_query_with_thoughts(QUERIES)
    np.testing.assert_allclose(plain.embeddings[1], found.embeddings[1], atol=1e-5)  # it has no evidence


def test_what_was_not_read_is_told(fresh_tiny):
    """The counts in the encoding, one warning a batch, an error if asked for; the limits are saved."""
    fresh_tiny.reasoning_module.max_passage_tokens = 4
    evidence = [["z" * 9, "z" * 3], []]
    with pytest.warns(
        TruncationWarning, match=r"1 of 2 texts were given more evidence .*max_passage_tokens=4"
    ):
        found = fresh_tiny.encode_query_with_thoughts(["a", "b"], evidence=evidence)
    assert (found.dropped_tokens, found.dropped_evidence_tokens) == ([0, 0], [5, 0])
    with pytest.raises(TruncationError, match="Input 0: 5 tokens of evidence over max_passage_tokens=4"):
        fresh_tiny.encode_query(["a", "b"], evidence=evidence, on_truncation="error")
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        fresh_tiny.encode_query(["a", "b"], evidence=evidence, on_truncation="ignore")


def test_limits_and_strings_are_saved(fresh_tiny, tmp_path):
    """A model that is loaded again cuts and reads as the saved one; limits below 1 are refused."""
    fresh_tiny.reasoning_module.max_passage_tokens = 2
    fresh_tiny.reasoning_module.max_evidence_tokens = 20
    fresh_tiny.save(str(tmp_path / "saved"), create_model_card=False)
    again = SentenceTransformer(tmp_path / "saved", device="cpu")
    assert again.reasoning_module.evidence_limits == EvidenceLimits(2, 20)
    options = {"evidence": EVIDENCE, "on_truncation": "ignore"}
    wanted = fresh_tiny.encode_query(QUERIES, **options)
    np.testing.assert_array_equal(again.encode_query(QUERIES, **options), wanted)
    for name in ("max_passage_tokens", "max_evidence_tokens"):
        with pytest.raises(InvalidOptionError, match=f"Got {name}=0, wanted an integer of 1 or more"):
            type(again.reasoning_module)(
                str(tmp_path / "saved"), template=COMPACT_TEMPLATE.to_dict(), **{name: 0}
            )


def test_evidence_is_for_queries_and_one_each(tiny):
    """Documents have none, the numbers must agree, and a query is no tuple with a thought already."""
    with pytest.raises(InvalidInputError, match="got a document with a thought or evidence"):
        tiny.encode_document(["a"], evidence=[["b"]])
    for encode in (tiny.encode_query, tiny.encode_query_with_thoughts):
        with pytest.raises(InvalidInputError, match="got 1 lists of evidence for 2 queries"):
            encode(["a", "b"], evidence=[["c"]])
    with pytest.raises(InvalidInputError, match="got queries as tuples and evidence as well"):
        tiny.encode_query([("a", "a thought")], evidence=[["c"]])
