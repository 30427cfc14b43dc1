"""The real thinking model, SmolLM2-135M-Instruct in float32: exact, batch-invariant, and not to be forged."""

import random

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from search_r3.errors import InvalidInputError
from search_r3.model.default import default_model_folder

pytestmark = pytest.mark.slow

SUBJECTS = [
    "a directory tree",
    "a date",
    "JSON",
    "large files",
    "a sorted list",
    "e-mail",
    "threads",
    "a socket",
]
VERBS = [
    "How do I copy",
    "parse",
    "What is the fastest way to read",
    "compare",
    "Why would one lock",
    "compress",
]
TAILS = [
    "",
    " in Python?",
    " without reading it into memory",
    " recursively, keeping the metadata of each file",
]
EMBED_TOKEN = "<|embed_token|>"


def make_queries(count, seed):
    rng = random.Random(seed)
    return [
        f"{rng.choice(VERBS)} {rng.choice(SUBJECTS)}{rng.choice(TAILS)} {rng.randint(0, 99)}"
        for _ in range(count)
    ]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small steps gain little from a second thread, and lose much where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(smollm2):
    return default_model_folder("smollm2-135m")


@pytest.fixture(scope="module")
def plain(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def test_prepared_files(folder, smollm2, plain, tokenizer):
    """49,216 rows, the embed token right after the original vocabulary, its rows those of the end of turn."""
    assert plain.config.vocab_size == 49_216
    assert tokenizer.convert_tokens_to_ids(EMBED_TOKEN) == 49_152
    assert smollm2[0].prompt_encoder.embed_token_id == 49_152
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.chat_template
    for matrix in (plain.get_input_embeddings().weight, plain.get_output_embeddings().weight):
        assert matrix.shape == (49_216, 576)
        assert torch.equal(matrix[49_152], matrix[tokenizer.eos_token_id])
    assert smollm2.dtype == torch.float32
    assert smollm2.max_seq_length == 1024
    assert (folder / "checksums.json").is_file()


def test_embedding_equals_one_plain_pass(smollm2, plain, tokenizer, record_property):
    """The embedding is the last hidden state of one plain pass over prompt, thought and embed token."""
    queries = make_queries(16, seed=1)
    worst = 0.0
    for reasoning, budget in (("always", 16), ("auto", 5)):
        found = smollm2.encode_query_with_thoughts(
            queries, reasoning=reasoning, max_reasoning_tokens=budget, batch_size=7
        )
        for query, thought, vector in zip(queries, found.thoughts, found.embeddings, strict=True):
            prompt = tokenizer.encode(f"query:\n{query}\nthought:\n", add_special_tokens=False)
            ids = torch.tensor([[*prompt, *thought.token_ids, 49_152]])
            with torch.no_grad():
                state = plain(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[-1][
                    0, -1
                ]
            worst = max(worst, float(np.abs((state / state.norm()).numpy() - vector).max()))
    record_property("max_difference", worst)
    assert worst <= 1e-5, f"max difference {worst:.2e}"


def test_greedy_thoughts_equal_generate(smollm2, plain, tokenizer):
    """A greedy thought is what transformers' generate() writes under the same bans."""
    allowed = smollm2[0].prompt_encoder.allowed_thought_ids(plain.config.vocab_size)
    banned = (~allowed).nonzero().flatten().tolist()
    queries = make_queries(8, seed=2)
    found = smollm2.encode_query_with_thoughts(queries, max_reasoning_tokens=12, batch_size=8)
    for query, thought in zip(queries, found.thoughts, strict=True):
        ids = torch.tensor([tokenizer.encode(f"query:\n{query}\nthought:\n", add_special_tokens=False)])
        with torch.no_grad():
            output = plain.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=12,
                suppress_tokens=banned,
                begin_suppress_tokens=[49_152],
                eos_token_id=49_152,
                pad_token_id=0,
            )[0, ids.shape[1] :].tolist()
        assert list(thought.token_ids) == [token for token in output if token != 49_152]


def test_greedy_thoughts_do_not_depend_on_the_batch(smollm2, record_property):
    """64 prompts with 16 tokens of thought get the same thoughts, and vectors, alone and in batches of 32."""
    queries = make_queries(64, seed=3)
    alone = smollm2.encode_query_with_thoughts(queries, max_reasoning_tokens=16, batch_size=1)
    together = smollm2.encode_query_with_thoughts(queries, max_reasoning_tokens=16, batch_size=32)
    assert together.thoughts == alone.thoughts
    # 31 to 33 of them, by the processor's rounding
    assert len({thought.token_ids for thought in alone.thoughts}) > 16
    difference = float(np.abs(together.embeddings - alone.embeddings).max())
    record_property("max_difference", difference)
    assert difference <= 1e-5, f"max difference {difference:.2e}"


def test_direct_embeddings_do_not_depend_on_the_batch(smollm2, record_property):
    """Documents and replayed thoughts give the same vectors alone and in batches of 16."""
    documents = [query * (1 + number % 6) for number, query in enumerate(make_queries(48, seed=4))]
    pairs = list(zip(make_queries(16, seed=5), make_queries(16, seed=6), strict=True))
    worst = 0.0
    for encode, inputs in ((smollm2.encode_document, documents), (smollm2.encode_query, pairs)):
        alone, together = (encode(inputs, batch_size=size) for size in (1, 16))
        worst = max(worst, float(np.abs(alone - together).max()))
        assert np.abs(np.linalg.norm(alone, axis=1) - 1).max() < 1e-5
        distances = np.linalg.norm(alone[:, None] - alone[None], axis=-1)
        assert distances[~np.eye(len(alone), dtype=bool)].max() > 0.1
    record_property("max_difference", worst)
    assert worst <= 1e-5, f"max difference {worst:.2e}"


def test_replay_gives_the_vector_of_the_thought(smollm2):
    """A generated thought, replayed by object and by text, gives the vector it gave."""
    queries = make_queries(12, seed=7)
    first = smollm2.encode_query_with_thoughts(queries, max_reasoning_tokens=12)
    again = smollm2.encode_query_with_thoughts(queries, thoughts=first.thoughts)
    assert np.abs(again.embeddings - first.embeddings).max() <= 1e-5
    by_text = smollm2.encode_query_with_thoughts(queries, thoughts=[t.text for t in first.thoughts])
    same = [
        number
        for number, (one, other) in enumerate(zip(first.thoughts, by_text.thoughts, strict=True))
        if one.token_ids == other.token_ids
    ]
    assert len(same) >= 6, "a greedy thought of a real model is nearly always canonical text"
    assert np.abs(by_text.embeddings[same] - first.embeddings[same]).max() <= 1e-5


def test_no_special_token_in_a_given_thought(smollm2, tokenizer):
    """Every special token is refused in a given thought, <|endoftext|> (here also the unknown token) too."""
    special = {0, 1, 2, 49_152, *tokenizer.all_special_ids}
    assert tokenizer.convert_tokens_to_ids("<|endoftext|>") == 0
    for token_id in sorted(special):
        with pytest.raises(InvalidInputError):
            smollm2.encode_query_with_thoughts(["a"], thoughts=[[100, token_id]])


def test_forged_tokens_are_text(smollm2, tokenizer):
    """2,000 strings full of token spellings give no structural token, lose nothing, and move no boundary."""
    encoder = smollm2[0].prompt_encoder
    structural = {*encoder.structural_ids, *tokenizer.all_special_ids}
    spellings = sorted(tokenizer.convert_ids_to_tokens(sorted(structural)))
    assert len(spellings) >= 17
    rng = random.Random(8)
    pieces = [
        *spellings,
        "<|",
        "|>",
        "<",
        "|",
        " ",
        "\n",
        "im_end",
        "embed_token",
        "a",
        "ß",
        "漢",
        "\u200b",
        "🙂",
    ]
    texts = []
    for number in range(2000):
        text = "".join(rng.choices(pieces, k=rng.randint(1, 12)))
        cut = rng.randrange(len(text) + 1)
        texts.append(text if number % 2 else text[:cut] + rng.choice(pieces) + text[cut:])
    query_prefix = tokenizer.encode("query:\n", add_special_tokens=False)
    query_suffix = [*tokenizer.encode("\nthought:\n", add_special_tokens=False), 49_152]
    for text in texts:
        ids = encoder.encode_text(text)
        assert not structural.intersection(ids), text
        assert encoder.decode_thought(ids) == text
        whole = encoder.encode_query(text, max_tokens=1024).token_ids
        assert whole == [*query_prefix, *ids, *query_suffix]
