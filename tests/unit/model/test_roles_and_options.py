"""Which role a text has, and what each option of a call does."""

import re

import numpy as np
import pytest
import torch

from search_r3 import SentenceTransformer, Thought
from search_r3.errors import InvalidInputError, InvalidOptionError, SearchR3Error

TEXTS = ["How do I copy a directory tree?", "sort a list of numbers", "Größe 🙂"]
MORE_TEXTS = [
    f"{verb} {thing}"
    for verb in ("copy", "sort", "find", "read", "join")
    for thing in ("a b", "the files", "x", "paths", "1, 2", "text?")
]
LONGER = "parse the dates of a text: "  # ends with a space token, which no following word joins
SAMPLED = {"temperature": 1.0, "top_p": 0.9}


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether all rows are clearly different vectors."""
    return bool((np.abs(one - other).max(axis=-1) > 1e-2).all())


@pytest.fixture(scope="module")
def as_query(tiny) -> np.ndarray:
    return tiny.encode_query(TEXTS)


@pytest.fixture(scope="module")
def as_document(tiny) -> np.ndarray:
    return tiny.encode_document(TEXTS)


# -------------------------------------------------------------------------------------------------- roles


def test_roles_give_different_vectors(as_query, as_document):
    """The control for every equality below: a query's vector is not the document's."""
    assert differ(as_query, as_document)


@pytest.mark.parametrize(
    "options",
    [
        {"prompt_name": "query"},
        {"prompt": "query: "},
        {"task": "query"},
        {"task": "query", "prompt_name": "query"},
    ],
    ids=str,
)
def test_every_way_to_say_query_is_encode_query(tiny, as_query, options):
    """prompt_name, prompt and task select the query role identically, bit for bit."""
    np.testing.assert_array_equal(tiny.encode(TEXTS, **options), as_query)


@pytest.mark.parametrize(
    "options",
    [{}, {"prompt_name": "document"}, {"prompt": "document: "}, {"task": "document"}, {"prompt": ""}],
    ids=str,
)
def test_every_way_to_say_document_is_encode_document(tiny, as_document, options):
    """So do they for documents, which is also what a plain encode means."""
    np.testing.assert_array_equal(tiny.encode(TEXTS, **options), as_document)


def test_task_beats_prompt(tiny, as_query, as_document):
    """With both given, the task decides, and the other role's prompt is not put into the text."""
    np.testing.assert_array_equal(tiny.encode(TEXTS, task="query", prompt="document: "), as_query)
    np.testing.assert_array_equal(tiny.encode(TEXTS, task="document", prompt="query: "), as_document)
    np.testing.assert_array_equal(tiny.encode_query(TEXTS, prompt_name="document"), as_query)
    np.testing.assert_array_equal(tiny.encode_document(TEXTS, prompt="query: "), as_document)


def test_default_role_decides_when_nothing_else_does(fresh_tiny, as_query, as_document, tmp_path):
    """default_role="query" turns a plain encode into a query, is saved, and loses to prompt and task."""
    fresh_tiny[0].default_role = "query"
    fresh_tiny.save(str(tmp_path / "model"), create_model_card=False)
    for model in (fresh_tiny, SentenceTransformer(str(tmp_path / "model"), device="cpu")):
        np.testing.assert_array_equal(model.encode(TEXTS), as_query)
        np.testing.assert_array_equal(model.encode(TEXTS, prompt="document: "), as_document)
        np.testing.assert_array_equal(model.encode(TEXTS, task="document"), as_document)
        np.testing.assert_array_equal(model.encode_document(TEXTS), as_document)
        # Another prompt is an instruction and leaves the role to the default.
        np.testing.assert_array_equal(
            model.encode(TEXTS, prompt=LONGER), model.encode(TEXTS, task="query", prompt=LONGER)
        )


def test_role_of_a_call_by_hand(fresh_tiny):
    """task beats prompt beats default_role; a prompt names a role only if it is the configured one."""
    module = fresh_tiny[0]
    for default in ("document", "query"):
        module.default_role = default
        other = "query" if default == "document" else "document"
        assert module.role(None, None) == default
        assert module.role(None, "") == default
        assert module.role(None, "query:") == default
        assert module.role(None, "Query: ") == default
        assert module.role(None, f"{other}: ") == other
        assert module.role(default, f"{other}: ") == default
        assert module.role(other, None) == other
        assert module.role(other, "anything else") == other


def test_pairs_follow_the_role(tiny):
    """A (query, thought) pair is a query wherever the role is query, and is refused elsewhere."""
    pairs = [(text, "a thought") for text in TEXTS]
    replayed = tiny.encode_query_with_thoughts(TEXTS, thoughts=["a thought"] * 3).embeddings
    for options in ({"prompt_name": "query"}, {"prompt": "query: "}, {"task": "query"}):
        np.testing.assert_array_equal(tiny.encode(pairs, **options), replayed)
    with pytest.raises(InvalidInputError, match="a document with a thought"):
        tiny.encode(pairs)


# ------------------------------------------------------------------------------------------- instructions


@pytest.mark.parametrize(
    "options", [{"task": "document"}, {"task": "query", "reasoning": "never"}, {"task": "query"}]
)
def test_instruction_stands_before_the_text(tiny, options):
    """Any other prompt is an instruction: the vector is that of instruction + text, tokenised alike."""
    encode_text = tiny[0].prompt_encoder.encode_text
    texts = ["1 or 2", "(x)", "?"]
    for text in texts:
        assert encode_text(LONGER) + encode_text(text) == encode_text(LONGER + text)
    with_instruction = tiny.encode(texts, prompt=LONGER, **options)
    np.testing.assert_array_equal(with_instruction, tiny.encode([LONGER + text for text in texts], **options))
    assert differ(with_instruction, tiny.encode(texts, **options))


def test_named_prompt_of_the_model_is_an_instruction(fresh_tiny):
    """A prompt added to the model's prompts works by name as by value, in the role of the call."""
    fresh_tiny.prompts["dates"] = LONGER
    for role in ("query", "document"):
        np.testing.assert_array_equal(
            fresh_tiny.encode(TEXTS, task=role, prompt_name="dates"),
            fresh_tiny.encode(TEXTS, task=role, prompt=LONGER),
        )


@pytest.mark.parametrize(
    "prompt", [5, b"find: ", ["find: "], "\ud800find"], ids=["int", "bytes", "list", "surrogate"]
)
def test_invalid_prompt_is_not_blamed_on_an_input(tiny, prompt):
    """A prompt that is no text is refused as the option it is, not as one of the inputs, which are fine."""
    with pytest.raises(SearchR3Error) as caught:
        tiny.encode_query(TEXTS, prompt=prompt)
    assert not re.match(r"Input \d", str(caught.value))
    assert "prompt" in str(caught.value)


# -------------------------------------------------------------------------------------- options that fail


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "passage"}, "Got task='passage', wanted one of 'query', 'document'"),
        ({"task": "Query"}, "Got task='Query', wanted one of 'query', 'document'"),
        ({"reasoning": "sometimes"}, "Got reasoning='sometimes', wanted one of 'always', 'never', 'auto'"),
        ({"reasoning": True}, "Got reasoning=True, wanted one of 'always', 'never', 'auto'"),
        ({"on_truncation": "raise"}, "Got on_truncation='raise', wanted one of 'warn', 'error', 'ignore'"),
        ({"on_truncation": False}, "Got on_truncation=False, wanted one of 'warn', 'error', 'ignore'"),
        ({"on_truncation": ""}, "Got on_truncation='', wanted one of 'warn', 'error', 'ignore'"),
        ({"max_reasoning_tokens": -1}, "Got max_reasoning_tokens=-1, wanted an integer of 0 or more"),
        ({"max_reasoning_tokens": 1.5}, "Got max_reasoning_tokens=1.5, wanted an integer"),
        ({"max_reasoning_tokens": "8"}, "Got max_reasoning_tokens='8', wanted an integer"),
        ({"temperature": -0.1}, "Got temperature=-0.1, "),
        ({"top_p": 0}, "top_p=0, wanted temperature >= 0 and 0 < top_p <= 1"),
        ({"top_p": 1.01}, "top_p=1.01, wanted temperature >= 0 and 0 < top_p <= 1"),
        ({"top_p": float("nan")}, "top_p=nan, wanted temperature >= 0 and 0 < top_p <= 1"),
        ({"top_p": "1"}, "top_p='1', wanted temperature >= 0 and 0 < top_p <= 1"),
        ({"top_p": None}, "top_p=None, wanted temperature >= 0 and 0 < top_p <= 1"),
        ({"temperature": "0.5"}, "Got temperature='0.5', "),
        ({"temperature": None}, "Got temperature=None, "),
        ({"max_reasoning_tokens": True}, "Got max_reasoning_tokens=True, wanted an integer"),
        (
            {"processing_kwargs": {"text": {"max_length": 3}}},
            "processing_kwargs={'text': {'max_length': 3}} would be",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("role", ["query", "document"])
def test_invalid_option_is_refused_readably(tiny, role, options, message):
    """An option with no meaning is refused in both roles, with what was got and what was wanted."""
    with pytest.raises(InvalidOptionError) as caught:
        tiny.encode(TEXTS, **{"task": role, **options})
    assert message in str(caught.value)


@pytest.mark.parametrize("temperature", [float("nan"), float("inf")])
def test_temperature_that_is_no_number_is_refused(tiny, temperature):
    """A temperature of NaN or infinity is an invalid option, not a crash while sampling."""
    with pytest.raises(InvalidOptionError, match="temperature"):
        tiny.encode_query(TEXTS, temperature=temperature)


def test_very_low_temperature_samples_like_greedy(tiny, as_query):
    """A temperature close to 0 tends to greedy decoding, down to the smallest numbers."""
    for temperature in (1e-3, 1e-30, 1e-40):
        np.testing.assert_allclose(tiny.encode_query(TEXTS, temperature=temperature), as_query, atol=1e-5)


def test_unknown_options_are_refused(tiny):
    """An option nobody knows is refused by name, by encode and by the module itself."""
    for call in (tiny.encode, tiny.encode_query, tiny.encode_document, tiny.encode_query_with_thoughts):
        with pytest.raises(ValueError, match=r"\['reasonning'\]"):
            call(TEXTS, reasonning="never")
    with pytest.raises(InvalidOptionError, match=r"Unknown options \['reasonning'\], wanted .*'reasoning'"):
        tiny[0].preprocess(TEXTS, reasonning="never")
    with pytest.raises(ValueError, match="'title' not found"):
        tiny.encode(TEXTS, prompt_name="title")


@pytest.mark.parametrize(
    "option",
    [
        {"output_value": None},
        {"convert_to_tensor": True},
        {"precision": "int8"},
        {"truncate_dim": 4},
        {"pool": {}},
    ],
)
def test_options_that_shape_the_output_do_not_go_with_thoughts(tiny, option):
    """encode_query_with_thoughts returns one shape only and refuses what would change it."""
    with pytest.raises(InvalidOptionError, match=f"{next(iter(option))}.* cannot be combined with thoughts"):
        tiny.encode_query_with_thoughts(TEXTS, **option)


def test_invalid_default_is_refused_when_the_model_is_loaded(tiny_folder):
    """Defaults are checked like options, at construction."""
    for config, message in [
        ({"default_role": "passage"}, "Got default_role='passage', wanted one of 'query', 'document'"),
        ({"reasoning": "yes"}, "Got reasoning='yes'"),
        ({"on_truncation": "cut"}, "Got on_truncation='cut'"),
        ({"max_reasoning_tokens": -5}, "Got max_reasoning_tokens=-5"),
    ]:
        with pytest.raises(InvalidOptionError, match=re.escape(message)):
            type(SentenceTransformer(str(tiny_folder), device="cpu")[0])(
                str(tiny_folder),
                template=dict.fromkeys(
                    ["query_prefix", "query_suffix", "document_prefix", "document_suffix"], "\n"
                ),
                **config,
            )


# ---------------------------------------------------------------------------------------------- reasoning


def test_reasoning_options_change_no_document(tiny, as_document):
    """Documents accept the options of queries, which change nothing about them."""
    for options in (
        {"reasoning": "always"},
        {"reasoning": "never"},
        {"reasoning": "auto"},
        {"max_reasoning_tokens": 0},
        {"max_reasoning_tokens": 5000},
        {"seed": 5, **SAMPLED},
    ):
        np.testing.assert_array_equal(tiny.encode_document(TEXTS, **options), as_document)


def test_never_is_a_budget_of_zero(tiny, as_query):
    """reasoning="never" and max_reasoning_tokens=0 give the same vector; only the ending tells them apart."""
    never = tiny.encode_query_with_thoughts(TEXTS, reasoning="never")
    zero = tiny.encode_query_with_thoughts(TEXTS, max_reasoning_tokens=0)
    both = tiny.encode_query_with_thoughts(TEXTS, reasoning="never", max_reasoning_tokens=0)
    np.testing.assert_array_equal(never.embeddings, zero.embeddings)
    np.testing.assert_array_equal(never.embeddings, both.embeddings)
    assert never.thoughts == both.thoughts == [Thought("", (), "skipped")] * 3
    assert zero.thoughts == [Thought("", (), "budget")] * 3
    assert differ(never.embeddings, as_query)  # the control: thinking does change the vector
    empty = tiny.encode_query_with_thoughts(TEXTS, thoughts=[""] * 3)
    np.testing.assert_allclose(empty.embeddings, never.embeddings, atol=1e-6)
    assert empty.thoughts == [Thought("", (), "given")] * 3


def test_saved_defaults_of_reasoning(fresh_tiny, as_query, tmp_path):
    """reasoning and max_reasoning_tokens are saved, and apply where a call does not say otherwise."""
    never = fresh_tiny.encode_query(TEXTS, reasoning="never")
    fresh_tiny[0].reasoning = "never"
    fresh_tiny.save(str(tmp_path / "never"), create_model_card=False)
    fresh_tiny[0].reasoning, fresh_tiny[0].max_reasoning_tokens = "always", 0
    fresh_tiny.save(str(tmp_path / "zero"), create_model_card=False)
    for name in ("never", "zero"):
        loaded = SentenceTransformer(str(tmp_path / name), device="cpu")
        np.testing.assert_array_equal(loaded.encode_query(TEXTS), never)
        np.testing.assert_array_equal(
            loaded.encode_query(TEXTS, reasoning="always", max_reasoning_tokens=8), as_query
        )


def test_budget_bounds_the_thought(tiny):
    """A budget of n gives the first n tokens of the thought that a larger budget gives."""
    longest = tiny.encode_query_with_thoughts(MORE_TEXTS, max_reasoning_tokens=12).thoughts
    for budget in (1, 3, 8):
        for thought, full in zip(
            tiny.encode_query_with_thoughts(MORE_TEXTS, max_reasoning_tokens=budget).thoughts,
            longest,
            strict=True,
        ):
            assert thought.token_ids == full.token_ids[:budget]
            assert thought.ending == (
                "embed_token" if full.ending == "embed_token" and full.length < budget else "budget"
            )
    assert {thought.ending for thought in longest} == {"embed_token", "budget"}


def with_first_choice(model: SentenceTransformer, texts: list[str], chosen: list[bool]) -> None:
    """An output matrix whose favourite first token is the embed token, for the chosen texts only."""
    module = model[0]
    prompts = [module.prompt_encoder.encode_query(text, max_tokens=128).token_ids[:-1] for text in texts]
    with torch.no_grad():
        states = torch.stack(
            [module.model.get_decoder()(torch.tensor([ids])).last_hidden_state[0, -1] for ids in prompts]
        )
        # The embed row w solves states @ w = +1 or -1; every other row is zero, so its logit is 0.
        wanted = torch.tensor([1.0 if choice else -1.0 for choice in chosen])
        matrix = torch.zeros_like(module.model.get_output_embeddings().weight)
        matrix[module.prompt_encoder.embed_token_id] = torch.linalg.pinv(states) @ wanted
        assert torch.allclose(states @ matrix[module.prompt_encoder.embed_token_id], wanted, atol=1e-3)
    module.model.lm_head.weight = torch.nn.Parameter(
        matrix
    )  # a matrix of its own: the input side stays as it was
    assert module.model.get_output_embeddings().weight is module.model.lm_head.weight


def test_auto_skips_where_the_model_would_end_at_once(fresh_tiny):
    """If the first token would be the embed token, "auto" gives the vector of "never"; "always" thinks."""
    with_first_choice(fresh_tiny, TEXTS, [True, False, True])
    never = fresh_tiny.encode_query_with_thoughts(TEXTS, reasoning="never")
    auto = fresh_tiny.encode_query_with_thoughts(TEXTS, reasoning="auto")
    always = fresh_tiny.encode_query_with_thoughts(TEXTS, reasoning="always")
    assert auto.thoughts[0] == auto.thoughts[2] == Thought("", (), "skipped")
    np.testing.assert_allclose(auto.embeddings[[0, 2]], never.embeddings[[0, 2]], atol=1e-6)
    # All other logits are 0, so the first thought token is the first allowed id: 3, as 0 to 2 are special.
    assert [thought.token_ids[0] for thought in always.thoughts] == [3, 3, 3]
    assert all(thought.ending in ("embed_token", "budget") for thought in always.thoughts)
    assert differ(always.embeddings, never.embeddings)
    # The text in the middle wants to think: auto is then always.
    assert auto.thoughts[1] == always.thoughts[1]
    np.testing.assert_allclose(auto.embeddings[1], always.embeddings[1], atol=1e-6)
    # A batch in which every row skips, and the budget of 1, which has room for a first token only.
    only = fresh_tiny.encode_query_with_thoughts([TEXTS[0]], reasoning="auto", max_reasoning_tokens=1)
    assert only.thoughts == [Thought("", (), "skipped")]
    np.testing.assert_allclose(only.embeddings[0], never.embeddings[0], atol=1e-6)
    one = fresh_tiny.encode_query_with_thoughts([TEXTS[0]], reasoning="always", max_reasoning_tokens=1)
    assert one.thoughts[0].token_ids == (3,)


def test_auto_is_always_where_the_model_wants_to_think(tiny):
    """Where the first token is not the embed token, auto and always are the same."""
    always = tiny.encode_query_with_thoughts(MORE_TEXTS, reasoning="always")
    auto = tiny.encode_query_with_thoughts(MORE_TEXTS, reasoning="auto")
    thinking = [index for index, thought in enumerate(auto.thoughts) if thought.ending != "skipped"]
    assert len(thinking) > 10
    assert [auto.thoughts[index] for index in thinking] == [always.thoughts[index] for index in thinking]
    np.testing.assert_allclose(auto.embeddings[thinking], always.embeddings[thinking], atol=1e-5)


def test_budget_beyond_the_positions_is_refused(tiny, fresh_tiny):
    """max_seq_length (128) + budget may reach the model's 512 positions but not pass them, for any text."""
    tiny.encode_query("a", max_reasoning_tokens=512 - 128)
    with pytest.raises(InvalidOptionError, match=r"may take 513 tokens.* 512 positions"):
        tiny.encode_query("a", max_reasoning_tokens=512 - 128 + 1)
    with pytest.raises(InvalidOptionError, match="512 positions"):
        tiny.encode_query(TEXTS, max_reasoning_tokens=10**9)
    tiny.encode_query("a", max_reasoning_tokens=10**9, reasoning="never")  # no thought, no positions
    fresh_tiny.max_seq_length = 100
    fresh_tiny.encode_query("a", max_reasoning_tokens=412)
    with pytest.raises(InvalidOptionError, match=r"513 tokens"):
        fresh_tiny.encode_query("a", max_reasoning_tokens=413)


def test_given_thought_beyond_the_positions_is_refused(tiny):
    """A given thought is held to the positions with the text it belongs to, to the token."""
    query = 6 + 1 + 9 + 1  # prefix, "z", suffix, embed token
    fits = tiny.encode_query_with_thoughts(["z"], thoughts=["z" * (512 - query)])
    assert fits.thoughts[0].length == 512 - query
    with pytest.raises(InvalidOptionError, match=r"may take 513 tokens.* 512 positions"):
        tiny.encode_query_with_thoughts(["z"], thoughts=["z" * (512 - query + 1)])


# ----------------------------------------------------------------------------------------------- sampling


def test_sample_depends_on_seed_and_text_only(tiny):
    """A text sampled with the same seed has the same thought alone, in any batch size and in any order."""
    batch = tiny.encode_query_with_thoughts(MORE_TEXTS, seed=7, **SAMPLED)
    order = np.random.default_rng(0).permutation(len(MORE_TEXTS))
    shuffled = tiny.encode_query_with_thoughts(
        [MORE_TEXTS[i] for i in order], seed=7, batch_size=7, **SAMPLED
    )
    assert shuffled.thoughts == [batch.thoughts[i] for i in order]
    np.testing.assert_allclose(shuffled.embeddings, batch.embeddings[order], atol=1e-5)
    for text, thought in zip(MORE_TEXTS, batch.thoughts, strict=True):
        assert tiny.encode_query_with_thoughts([text], seed=7, **SAMPLED).thoughts == [thought]
    twins = tiny.encode_query_with_thoughts([MORE_TEXTS[0]] * 4, seed=7, **SAMPLED).thoughts
    assert twins == [batch.thoughts[0]] * 4


def test_another_seed_gives_another_sample(tiny):
    """Seeds matter: most of 30 texts get another thought, and the seed is 0 unless given."""
    samples = {
        seed: tiny.encode_query_with_thoughts(MORE_TEXTS, seed=seed, **SAMPLED).thoughts for seed in (0, 1, 2)
    }
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert sum(a != b for a, b in zip(samples[one], samples[other], strict=True)) > 20
    assert tiny.encode_query_with_thoughts(MORE_TEXTS, **SAMPLED).thoughts == samples[0]


def test_different_texts_draw_differently(tiny):
    """The seed of a row holds its text: rows do not all follow one stream of random numbers."""
    thoughts = tiny.encode_query_with_thoughts(
        MORE_TEXTS, seed=1, temperature=50.0
    ).thoughts  # close to uniform
    first = {thought.token_ids[0] for thought in thoughts}
    assert len(first) > 20


def test_greedy_ignores_seed_and_top_p(tiny, as_query):
    """At temperature 0 there is nothing to draw."""
    for options in (
        {"seed": 1},
        {"seed": 99, "top_p": 0.1},
        {"temperature": 0},
        {"temperature": 0.0, "seed": -3},
    ):
        np.testing.assert_array_equal(tiny.encode_query(TEXTS, **options), as_query)


def test_vanishing_top_p_is_greedy(tiny, as_query):
    """A top_p that keeps the likeliest token only is greedy decoding at any temperature."""
    np.testing.assert_allclose(tiny.encode_query(TEXTS, temperature=1.0, top_p=1e-9), as_query, atol=1e-5)


def test_sampled_thoughts_hold_no_structure(tiny):
    """Even when all tokens are equally likely, a thought holds no structural token and no padding row."""
    thoughts = tiny.encode_query_with_thoughts(MORE_TEXTS, temperature=1e6, max_reasoning_tokens=64).thoughts
    held = {token_id for thought in thoughts for token_id in thought.token_ids}
    assert held <= set(range(403)) - {0, 1, 2, 400, 402}
    assert len(held) > 300


def test_thought_and_vector_belong_together(tiny):
    """Replaying a returned thought, sampled or greedy, gives the vector it came with."""
    for options in ({}, {"seed": 3, **SAMPLED}, {"reasoning": "auto"}):
        found = tiny.encode_query_with_thoughts(MORE_TEXTS, **options)
        replayed = tiny.encode_query_with_thoughts(MORE_TEXTS, thoughts=found.thoughts)
        np.testing.assert_allclose(replayed.embeddings, found.embeddings, atol=1e-5)
        assert [t.token_ids for t in replayed.thoughts] == [t.token_ids for t in found.thoughts]
        assert {t.ending for t in replayed.thoughts} == {"given"}


# ----------------------------------------------------------------------------------------- internal errors


@pytest.mark.parametrize("error", [TypeError, AttributeError])
@pytest.mark.parametrize("role", ["query", "document"])
def test_internal_error_is_not_answered_by_a_call_without_the_prompt(tiny, monkeypatch, role, error):
    """sentence-transformers retries after these errors, without the prompt; ours must surface instead."""
    calls = []

    def broken(text, **options):
        calls.append((text, options))
        raise error("a bug in here")

    monkeypatch.setattr(tiny[0].prompt_encoder, f"encode_{role}", broken)
    with pytest.raises(RuntimeError, match="Internal error while tokenising: a bug in here") as caught:
        tiny.encode(["a text"], task=role, prompt="an instruction: ")
    assert isinstance(caught.value.__cause__, error)
    assert len(calls) == 1
    assert calls[0][0] == "a text"
    assert calls[0][1]["instruction"] == "an instruction: "
