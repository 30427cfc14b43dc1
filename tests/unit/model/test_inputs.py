"""What encode accepts, what it refuses and where it cuts."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sentence_transformers
import torch

from search_r3 import SentenceTransformer
from search_r3.errors import InvalidInputError, InvalidOptionError, TruncationError, TruncationWarning

LIMIT, BUDGET = 128, 8
# Tokens beside the text: "document:\n" 9, "\n" 1, embed 1; "query:\n" 6, "\nthought:\n" 9, embed 1.
DOCUMENT_ROOM, QUERY_ROOM = LIMIT - 11, LIMIT - 16
DOCUMENT_PREFIX, DOCUMENT_SUFFIX = [70, 81, 69, 87, 79, 267, 86, 28, 201], [201]
QUERY_PREFIX, QUERY_SUFFIX = [83, 87, 266, 91, 28, 201], [201, 392, 81, 87, 73, 74, 86, 28, 201]
Z, EMBED = 92, 402  # every "z" is one token: no merge of the tiny tokenizer holds two

ODD_TEXTS = {
    "empty": "",
    "space": " ",
    "spaces": "     ",
    "tabs": "\t\t",
    "newline": "\n",
    "newlines": "\r\n\n\n",
    "nul": "\x00",
    "nul-inside": "copy\x00tree",
    "controls": "".join(map(chr, [*range(1, 32), *range(127, 160)])),
    "emoji": "🙂",
    "emoji-sequence": "👩\u200d👩\u200d👧\u200d👦🏳️\u200d🌈",
    "combining": "e\u0301\u0301\u0301 a\u0308",
    "only-combining": "\u0301",
    "right-to-left": "كيف أنسخ شجرة الدليل",
    "bidi-controls": "\u202ecopy\u202c",
    "line-separators": "\u2028\u2029\u0085",
    "noncharacter": "\ufffe\U0010ffff",
    "byte-order-mark": "\ufeffcopy",
    "url-of-an-image": "https://example.com/cat.png",
    "path-of-a-video": "/tmp/video.mp4",
    "data-uri": "data:image/png;base64,iVBORw0KGgo=",
    "json-message": '{"role": "user", "content": "x"}',
}
CALLS = {
    "document": lambda model, texts, **options: model.encode_document(texts, **options),
    "never": lambda model, texts, **options: model.encode_query(texts, reasoning="never", **options),
    "always": lambda model, texts, **options: model.encode_query(texts, reasoning="always", **options),
}

# Of different lengths, so that sentence-transformers sorts them away from the caller's order.
GOOD = [
    "cc",
    "a much longer text than the others here",
    "b",
    "the longest text of all, by far, of these five texts",
    "dd e",
]
BAD = {
    "none": None,
    "int": 5,
    "nan": float("nan"),
    "bytes": b"text",
    "true": True,
    "false": False,
    "list": ["text"],
    "empty-list": [],
    "dict": {"a": 1},
    "empty-dict": {},
    "tuple-of-one": ("text",),
    "tuple-of-four": ("text", "text", (), ()),
    "set": {"text"},
    "numpy-float": np.float64("nan"),
    "surrogate": "a lone \ud800 surrogate",
    "surrogate-pair-reversed": "\udc00\ud800",
    "object": object(),
}
# Recognised by sentence-transformers as other modalities, before our module sees them.
FOREIGN = {
    "message": {"role": "user", "content": "text"},
    "conversation": [{"role": "user", "content": "text"}],
    "audio": {"array": np.zeros(4), "sampling_rate": 16_000},
    "array": np.array([1.0, 2.0]),
    "tensor": torch.zeros(3),
}


@pytest.fixture(autouse=True)
def no_unexpected_truncation():
    """Only tests that expect the warning may see it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        yield


def assert_unit(vectors: np.ndarray) -> None:
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1.0, atol=1e-5)


# ----------------------------------------------------------------------------------------- valid odd texts


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_odd_texts_have_one_vector_alone_and_in_any_batch(tiny, call):
    """Every valid text, however odd, has one finite unit vector, whatever stands beside it."""
    texts = list(ODD_TEXTS.values())
    alone = np.stack([call(tiny, text) for text in texts])
    assert alone.shape == (len(texts), 32)
    assert_unit(alone)
    together = call(tiny, texts)
    backwards = call(tiny, texts[::-1], batch_size=3)[::-1]
    among_others = call(tiny, [item for text in texts for item in (text, "a rather longer neighbour " * 3)])[
        ::2
    ]
    for vectors in (together, backwards, among_others):
        np.testing.assert_allclose(vectors, alone, atol=1e-5)
    # They are texts, not noise: no two of them share a vector (but for texts that thoughts made alike).
    distances = np.abs(alone[:, None] - alone[None]).max(axis=-1) + np.eye(len(texts))
    assert distances.min() > 1e-4


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_word_of_100000_characters(tiny, call):
    """A word without a break is cut with a warning that counts what was dropped, and embedded."""
    room = DOCUMENT_ROOM if call is CALLS["document"] else QUERY_ROOM
    word = "z" * 100_000
    with pytest.warns(
        TruncationWarning, match=rf"1 of 1 texts .* {LIMIT} tokens; tokens dropped: {100_000 - room}\."
    ):
        alone = call(tiny, word)
    assert_unit(alone)
    with pytest.warns(TruncationWarning, match=rf"1 of 3 texts .*: {100_000 - room}\."):
        batch = call(tiny, ["short", word, ""])
    np.testing.assert_allclose(batch[1], alone, atol=1e-5)
    np.testing.assert_allclose(alone, call(tiny, "z" * room), atol=1e-5)


def test_a_string_is_one_text_and_a_container_is_many(tiny):
    """A string gives one vector; list, tuple and numpy arrays of the same texts give the same rows."""
    one = tiny.encode_document("copy")
    assert one.shape == (32,)
    pair = tiny.encode_query(["copy", "tree"])
    assert pair.shape == (2, 32)
    # A tuple of two strings is two queries, not a query with its thought.
    for texts in (("copy", "tree"), np.array(["copy", "tree"]), np.array(["copy", "tree"], dtype=object)):
        np.testing.assert_array_equal(tiny.encode_query(texts), pair)
    np.testing.assert_array_equal(tiny.encode_query([np.str_("copy"), "tree"]), pair)
    np.testing.assert_allclose(tiny.encode_document(("copy", "tree"))[0], one, atol=1e-6)


def test_no_texts_give_no_vectors(tiny):
    """An empty list is not an error and has no vectors."""
    assert len(tiny.encode_document([])) == 0
    assert len(tiny.encode_query([])) == 0
    found = tiny.encode_query_with_thoughts([])
    assert (found.embeddings.shape, found.thoughts, found.dropped_tokens) == ((0, 32), [], [])


# ---------------------------------------------------------------------------------------- invalid inputs


def containers(items: list) -> list:
    array = np.empty(len(items), dtype=object)
    array[:] = [None] * len(items)
    for index, item in enumerate(items):
        array[index] = item
    return [items, tuple(items), array]


@pytest.mark.parametrize("role", ["query", "document"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_invalid_item_is_named_by_the_callers_index(tiny, role, bad):
    """Whatever is no valid text is refused under its index in the caller's list, in list, tuple and array."""
    call = tiny.encode_query if role == "query" else tiny.encode_document
    for index in range(len(GOOD) + 1):
        for inputs in containers([*GOOD[:index], bad, *GOOD[index:]]):
            with pytest.raises(InvalidInputError, match=rf"^Input {index}: got ") as caught:
                call(inputs, batch_size=2)
            assert caught.value.item is bad
            assert type(caught.value) is InvalidInputError


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_invalid_item_says_what_is_wrong(tiny, bad):
    """The message names the type that was got, or the surrogate and its position."""
    if isinstance(bad, str):
        position = next(index for index, character in enumerate(bad) if 0xD800 <= ord(character) < 0xE000)
        wanted = f"got a lone surrogate at position {position} of .*wanted valid Unicode"
    else:
        wanted = rf"got {type(bad).__name__} \(.*wanted a string"
    with pytest.raises(InvalidInputError, match=wanted):
        tiny.encode_document(["fine", bad])


@pytest.mark.parametrize("bad", [None, 5, float("nan"), b"text", True, {"a": 1}, {"text"}, "\ud800"])
def test_invalid_single_input_is_input_zero(tiny, bad):
    """A single invalid input, not in any container, is called Input 0."""
    for call in (tiny.encode, tiny.encode_query, tiny.encode_document):
        with pytest.raises(InvalidInputError, match=r"^Input 0: got "):
            call(bad)


@pytest.mark.parametrize("role", ["query", "document"])
@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_other_modality_is_an_invalid_input_as_well(tiny, role, foreign):
    """Chat messages, audio and arrays are refused like any other non-text, under their index."""
    call = tiny.encode_query if role == "query" else tiny.encode_document
    for index in (1, 3):
        with pytest.raises(InvalidInputError, match=rf"^Input {index}: got "):
            call([*GOOD[:index], foreign, *GOOD[index:]], batch_size=2)


def test_first_of_equal_invalid_items_is_named(tiny):
    """Of several Nones the first is named; equality of 1 and True does not confuse the indices."""
    with pytest.raises(InvalidInputError, match=r"^Input 1: got NoneType"):
        tiny.encode_document(["a", None, "b", None])
    with pytest.raises(InvalidInputError, match=r"^Input 0: got int|^Input 2: got bool"):
        tiny.encode_document([1, "a", True])


def test_invalid_item_in_a_pair_names_the_pair(tiny):
    """In a (query, thought) pair either half may be at fault; the index is the pair's."""
    for pair, reason in [
        ((None, "thought"), "got NoneType"),
        (("query", "\ud800"), "lone surrogate at position 0"),
        (("query", 5), "thought of type int"),
        (("query", [EMBED]), r"token ids \[402\]"),
        (("que\ud800ry", "thought"), "lone surrogate at position 3"),
    ]:
        for index in (1, 3):
            with pytest.raises(InvalidInputError, match=f"^Input {index}: .*{reason}") as caught:
                tiny.encode_query([*GOOD[:index], pair, *GOOD[index:]], batch_size=2)
            assert caught.value.item is pair


def test_encode_query_with_thoughts_names_the_callers_index(tiny):
    """Queries and given thoughts are refused under their common index."""
    with pytest.raises(InvalidInputError, match=r"^Input 3: got float"):
        tiny.encode_query_with_thoughts([*GOOD[:3], float("nan"), *GOOD[3:]], batch_size=2)
    with pytest.raises(InvalidInputError, match=r"^Input 2: got NoneType"):
        tiny.encode_query_with_thoughts(["a", "bbbb", None], thoughts=["x", "y", "z"], batch_size=2)
    with pytest.raises(InvalidInputError, match=r"^Input 1: got a thought of type float"):
        tiny.encode_query_with_thoughts(["a", "bbbb", "cc"], thoughts=["x", 1.5, "z"], batch_size=2)
    with pytest.raises(InvalidInputError, match="got 2 thoughts for 3 queries"):
        tiny.encode_query_with_thoughts(["a", "b", "c"], thoughts=["x", "y"])
    with pytest.raises(InvalidInputError, match="got one string, wanted a list of queries"):
        tiny.encode_query_with_thoughts("a query")


def test_document_with_a_thought_is_refused(tiny):
    """Only queries think: a (text, thought) pair for a document is refused, however the role is chosen."""
    for call in (tiny.encode_document, tiny.encode):
        with pytest.raises(
            InvalidInputError,
            match=r"^Input 2: got a document with a thought or evidence; only queries read and think",
        ):
            call([*GOOD[:2], ("text", "thought"), *GOOD[2:]], batch_size=2)
        with pytest.raises(InvalidInputError, match=r"^Input 0: got a document with a thought"):
            call([("text", "")])


def test_index_survives_other_processes(tiny):
    """The item comes back as a copy from worker processes and still gets the caller's index."""
    with pytest.raises(InvalidInputError, match=r"^Input 3: got bytes"):
        tiny.encode_document([*GOOD[:3], b"text", *GOOD[3:]], batch_size=2, device=["cpu"], chunk_size=2)


@pytest.mark.parametrize("bad", [b"text", ["text"], float("nan")], ids=["bytes", "list", "nan"])
def test_index_of_an_item_that_comes_back_as_a_copy(tiny, monkeypatch, bad):
    """As above, without the processes: a copied item is found by its value, also one unequal to itself."""

    def fails_in_a_worker(*_args, **_options):
        raise pickle.loads(pickle.dumps(InvalidInputError("got it", bad, "Input 0 of this batch")))

    monkeypatch.setattr(sentence_transformers.SentenceTransformer, "encode", fails_in_a_worker)
    with pytest.raises(InvalidInputError, match=r"^Input 3: got it"):
        tiny.encode_document([*GOOD[:3], bad, *GOOD[3:]])


# --------------------------------------------------------------------------------------------- truncation


@pytest.mark.parametrize("over", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("role", ["query", "document"])
def test_limit_is_exact(tiny, role, over):
    """At the limit nothing is cut; one token over, one is dropped; template and embed token survive."""
    if role == "query":
        prefix, suffix, room = QUERY_PREFIX, QUERY_SUFFIX, QUERY_ROOM
    else:
        prefix, suffix, room = DOCUMENT_PREFIX, DOCUMENT_SUFFIX, DOCUMENT_ROOM
    features = tiny[0].preprocess(["z" * (room + over)], task=role, on_truncation="ignore")
    kept = min(room + over, room)
    assert features["input_ids"].tolist() == [[*prefix, *[Z] * kept, *suffix, EMBED]]
    assert features["input_ids"].shape[1] == LIMIT + min(over, 0)
    assert features["attention_mask"].tolist() == [[1] * (LIMIT + min(over, 0))]
    assert features["dropped_tokens"].tolist() == [max(0, over)]


@pytest.mark.parametrize("over", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_vector_of_an_over_long_text_is_that_of_its_beginning(tiny, call, over):
    """Around the limit, a text has the vector of its text cut by hand, and warns exactly when it is cut."""
    room = DOCUMENT_ROOM if call is CALLS["document"] else QUERY_ROOM
    text = ("copy" + "z" * room)[: room + 2]  # "copy" is two tokens: room + over tokens in all
    text = text + "z" * over if over >= 0 else text[:over]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vector = call(tiny, text)
    said = [str(warning.message) for warning in caught if warning.category is TruncationWarning]
    assert said == (
        [f"1 of 1 texts were cut at their end to {LIMIT} tokens; tokens dropped: {over}."] if over > 0 else []
    )
    np.testing.assert_allclose(vector, call(tiny, text[: room + 2]), atol=1e-6)
    if over > 0:
        assert (
            np.abs(vector - call(tiny, text[: room + 1])).max() > 1e-4
        )  # one token less would be another vector


def test_warning_counts_every_text_of_the_batch(tiny):
    """The warning counts the texts that were cut, and the tokens dropped from each."""
    room = DOCUMENT_ROOM
    texts = ["z" * (room + 1), "short", "z" * (room + 30), "z" * room]
    with pytest.warns(TruncationWarning) as caught:
        tiny.encode_document(texts)
    assert [str(warning.message) for warning in caught] == [
        f"2 of 4 texts were cut at their end to {LIMIT} tokens; tokens dropped: 30, 1."  # longest first
    ]
    with pytest.warns(
        TruncationWarning, match=r"12 of 12 .* dropped: 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, \.\.\.\.$"
    ):
        tiny.encode_document(["z" * (room + n) for n in range(1, 13)])


def test_dropped_tokens_are_reported_per_query(tiny):
    """encode_query_with_thoughts says what each query lost, in the caller's order, also without a warning."""
    texts = ["short", "z" * (QUERY_ROOM + 7), "z" * QUERY_ROOM, "z" * (QUERY_ROOM + 1), ""]
    found = tiny.encode_query_with_thoughts(texts, on_truncation="ignore", batch_size=2)
    assert found.dropped_tokens == [0, 7, 0, 1, 0]
    np.testing.assert_allclose(found.embeddings[1], found.embeddings[2], atol=1e-5)


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("role", ["query", "document"])
def test_truncation_error_names_the_callers_index(tiny, role, index):
    """on_truncation="error" refuses the text under the caller's index, counting the tokens over the limit."""
    call, room = (tiny.encode_query, QUERY_ROOM) if role == "query" else (tiny.encode_document, DOCUMENT_ROOM)
    long = "z" * (room + 5)
    for inputs in containers([*GOOD[:index], long, *GOOD[index:]]):
        with pytest.raises(
            TruncationError, match=rf"^Input {index}: 5 tokens over the limit of {LIMIT}\. Shorten"
        ):
            call(inputs, batch_size=2, on_truncation="error")
    with pytest.raises(TruncationError, match=f"^Input {index}: "):
        call(np.array([*GOOD[:index], long, *GOOD[index:]]), on_truncation="error")  # an array of characters
    call([*GOOD, "z" * room], on_truncation="error")


def test_truncation_error_through_encode_query_with_thoughts(tiny):
    """Given thoughts or not, the index is the query's."""
    texts = ["short", "a longer one", "z" * (QUERY_ROOM + 2)]
    for thoughts in (None, ["x", "y", "z"]):
        with pytest.raises(TruncationError, match=r"^Input 2: 2 tokens over"):
            tiny.encode_query_with_thoughts(texts, thoughts=thoughts, on_truncation="error")


def test_truncation_is_quiet_when_ignored(tiny):
    """on_truncation="ignore" cuts as "warn" does and says nothing (warnings are errors here)."""
    text = "z" * (DOCUMENT_ROOM + 9)
    quiet = tiny.encode_document(text, on_truncation="ignore")
    with pytest.warns(TruncationWarning):
        loud = tiny.encode_document(text, on_truncation="warn")
    np.testing.assert_array_equal(quiet, loud)


def test_saved_default_decides_unless_the_call_does(fresh_tiny, tmp_path):
    """on_truncation is saved with the model; a call's own value beats it."""
    text = "z" * (DOCUMENT_ROOM + 3)
    with pytest.warns(TruncationWarning):
        fresh_tiny.encode_document(text)
    for saved in ("ignore", "error"):
        fresh_tiny[0].on_truncation = saved
        fresh_tiny.save(str(tmp_path / saved), create_model_card=False)
    quiet = SentenceTransformer(str(tmp_path / "ignore"), device="cpu")
    strict = SentenceTransformer(str(tmp_path / "error"), device="cpu")
    vector = quiet.encode_document(text)
    with pytest.raises(TruncationError, match=r"^Input 0: 3 tokens over"):
        strict.encode_document(text)
    with pytest.raises(TruncationError, match=r"^Input 0: 3 tokens over"):
        quiet.encode_document(text, on_truncation="error")
    with pytest.warns(TruncationWarning):
        warned = strict.encode_document(text, on_truncation="warn")
    np.testing.assert_array_equal(warned, vector)


def test_instruction_takes_its_room_from_the_text(tiny):
    """With an instruction of n tokens the text is cut n tokens earlier, and the instruction stays whole."""
    instruction = "zz: "  # z, z, ":" and a space
    assert len(tiny[0].prompt_encoder.encode_text(instruction)) == 4
    features = tiny[0].preprocess(["y" * 200], prompt=instruction, task="document", on_truncation="ignore")
    y = tiny[0].prompt_encoder.encode_text("y")
    middle = [*tiny[0].prompt_encoder.encode_text(instruction), *y * (DOCUMENT_ROOM - 4)]
    assert features["input_ids"].tolist() == [[*DOCUMENT_PREFIX, *middle, *DOCUMENT_SUFFIX, EMBED]]
    assert features["dropped_tokens"].tolist() == [200 - (DOCUMENT_ROOM - 4)]


@pytest.mark.parametrize("role", ["query", "document"])
def test_prompt_that_leaves_no_room_is_an_invalid_option(tiny, role):
    """A prompt that takes the whole limit is refused; one that leaves one token is not."""
    room = QUERY_ROOM if role == "query" else DOCUMENT_ROOM
    call = tiny.encode_query if role == "query" else tiny.encode_document
    with pytest.raises(
        InvalidOptionError, match=rf"limit of {LIMIT} tokens leaves no room .* prompt {room}\."
    ):
        call(["a", "b"], prompt="z" * room)
    assert_unit(call(["a", "b"], prompt="z" * (room - 1)))


def test_lower_max_seq_length_is_obeyed(fresh_tiny):
    """Setting max_seq_length on the model moves the limit exactly there."""
    fresh_tiny.max_seq_length = 40
    with pytest.warns(TruncationWarning, match=r"to 40 tokens; tokens dropped: 11\."):
        vector = fresh_tiny.encode_document("z" * 40)
    np.testing.assert_allclose(vector, fresh_tiny.encode_document("z" * 29), atol=1e-6)
    assert fresh_tiny[0].preprocess(["z" * 29], task="document")["input_ids"].shape == (1, 40)


def test_max_length_lowers_the_limit_of_one_call_but_never_raises_it(tiny):
    """preprocess(max_length=...) cuts at the lower of the two limits."""
    module = tiny[0]
    low = module.preprocess(["z" * 40], task="document", max_length=40, on_truncation="ignore")
    assert low["input_ids"].tolist() == [[*DOCUMENT_PREFIX, *[Z] * 29, *DOCUMENT_SUFFIX, EMBED]]
    assert low["dropped_tokens"].tolist() == [11]
    high = module.preprocess(["z" * 400], task="document", max_length=400, on_truncation="ignore")
    assert high["input_ids"].tolist() == [[*DOCUMENT_PREFIX, *[Z] * DOCUMENT_ROOM, *DOCUMENT_SUFFIX, EMBED]]
    assert high["dropped_tokens"].tolist() == [400 - DOCUMENT_ROOM]
    with pytest.raises(InvalidOptionError, match="limit of 11 tokens leaves no room"):
        module.preprocess(["z"], task="document", max_length=11)


def test_messages_name_the_limit_that_was_applied(tiny):
    """Under a lower max_length, the warning and the error name that limit and not the model's."""
    module = tiny[0]
    with pytest.warns(TruncationWarning, match=re.escape("to 40 tokens; tokens dropped: 11.")):
        module.preprocess(["z" * 40], task="document", max_length=40)
    with pytest.raises(TruncationError, match="11 tokens over the limit of 40"):
        module.preprocess(["z" * 40], task="document", max_length=40, on_truncation="error")


def test_batch_is_left_padded_and_masked(tiny):
    """A shorter row starts with padding that the mask hides, and every row ends with the embed token."""
    features = tiny[0].preprocess(["zz", "zzzzz", ("z", "zz")], task="query")
    rows = [
        [*QUERY_PREFIX, Z, Z, *QUERY_SUFFIX, EMBED],
        [*QUERY_PREFIX, *[Z] * 5, *QUERY_SUFFIX, EMBED],
        [*QUERY_PREFIX, Z, *QUERY_SUFFIX, Z, Z, EMBED],
    ]
    assert features["input_ids"].tolist() == [[0] * (21 - len(row)) + row for row in rows]
    assert features["attention_mask"].tolist() == [[0] * (21 - len(row)) + [1] * len(row) for row in rows]
    assert features["thought_length"].tolist() == [-1, -1, 2]
    assert features["dropped_tokens"].tolist() == [0, 0, 0]


# ------------------------------------------------------------------------------- columns and numpy integers


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_any_column_of_texts_has_the_vectors_of_its_list(tiny, call):
    """A series (whatever its index), a generator or an array of strings is its texts, by position."""
    wanted = call(tiny, GOOD)
    columns = [
        pd.Series(GOOD, index=range(5, 10)),
        pd.Series(GOOD, index=range(4, -1, -1)),
        pd.Series(GOOD, dtype="string"),
        (text for text in GOOD),
        np.array(GOOD, dtype=np.dtypes.StringDType()),
        [np.str_(text) for text in GOOD],
        dict(enumerate(GOOD)).values(),
    ]
    for column in columns:
        assert np.array_equal(call(tiny, column), wanted)


def test_columns_think_and_replay_like_lists(tiny):
    """Queries and given thoughts may both be columns."""
    wanted = tiny.encode_query_with_thoughts(GOOD)
    for column in (pd.Series(GOOD, index=range(5, 10)), np.array(GOOD), (text for text in GOOD)):
        found = tiny.encode_query_with_thoughts(column)
        assert found.thoughts == wanted.thoughts
        assert np.array_equal(found.embeddings, wanted.embeddings)
    own = ["one", "two", "three", "four", "five"]
    again = tiny.encode_query_with_thoughts(pd.Series(GOOD), thoughts=pd.Series(own, index=range(5, 10)))
    assert np.array_equal(again.embeddings, tiny.encode_query(list(zip(GOOD, own, strict=True))))


@pytest.mark.parametrize(
    "make", [lambda bad: pd.Series(bad, index=range(6, 12)), iter], ids=["series", "generator"]
)
def test_invalid_item_of_a_column_is_named_by_its_position(tiny, make):
    """The index is the position, not the label of the series; a generator is not read twice for it."""
    with pytest.raises(InvalidInputError, match=r"^Input 2: got bytes"):
        tiny.encode_document(make([*GOOD[:2], b"text", *GOOD[2:]]), batch_size=2)
    with pytest.raises(InvalidInputError, match=r"^Input 2: got bytes"):
        tiny.encode_query_with_thoughts(make([*GOOD[:2], b"text", *GOOD[2:]]), batch_size=2)


def test_token_ids_of_a_thought_may_be_an_array(tiny):
    """Arrays and tensors of token ids replay like the list; arrays of other numbers are refused."""
    ids = [70, 81, 69]
    wanted = tiny.encode_query_with_thoughts(["copy"], thoughts=[ids])
    for given in (np.array(ids), torch.tensor(ids)):
        found = tiny.encode_query_with_thoughts(["copy"], thoughts=[given])
        assert found.thoughts == wanted.thoughts and found.thoughts[0].token_ids == tuple(ids)
        assert np.array_equal(found.embeddings, wanted.embeddings)
        assert np.array_equal(tiny.encode_query([("copy", given)]), wanted.embeddings)
    for bad in (np.array([1.5]), np.array([[70]]), np.array(70)):
        with pytest.raises(InvalidInputError, match="wanted a Thought, a string or token ids"):
            tiny.encode_query_with_thoughts(["copy"], thoughts=[bad])


def test_a_table_is_refused(tiny):
    """Iterating over a frame gives its column names, which nobody wants embedded."""
    frame = pd.DataFrame({"text": GOOD})
    with pytest.raises(InvalidInputError, match=r"^Input 0: got DataFrame"):
        tiny.encode_document(frame)
    with pytest.raises(InvalidInputError, match="got one DataFrame, wanted a list of queries"):
        tiny.encode_query_with_thoughts(frame)


def test_no_texts_have_the_width_of_the_vectors(tiny):
    """An empty column has an array that goes into an index or onto others."""
    for empty in ([], (), pd.Series([], dtype=str), np.array([], dtype=str), iter([])):
        found = tiny.encode_document(empty)
        assert (found.shape, found.dtype) == ((0, 32), np.float32)
    assert tiny.encode_query([], convert_to_tensor=True).shape == (0, 32)
    assert tiny.encode_query([], truncate_dim=8).shape == (0, 8)


def test_integers_of_numpy_mean_the_same(tiny):
    """Budget, batch size and seed of numpy give the vectors, thoughts and samples of the plain numbers."""
    sampled = {"temperature": 1.0, "max_reasoning_tokens": 4, "batch_size": 2, "seed": 7}
    of_numpy = {name: np.int64(value) if name != "temperature" else value for name, value in sampled.items()}
    wanted, found = (tiny.encode_query_with_thoughts(GOOD, **options) for options in (sampled, of_numpy))
    assert found.thoughts == wanted.thoughts
    assert np.array_equal(found.embeddings, wanted.embeddings)
    assert np.array_equal(tiny.encode_query(GOOD, **of_numpy), tiny.encode_query(GOOD, **sampled))


@pytest.mark.parametrize("name", ["batch_size", "max_reasoning_tokens", "seed"])
@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2"])
def test_what_is_no_integer_is_refused(tiny, name, value):
    """Booleans and whole floats are no integers."""
    for call in (tiny.encode_query, tiny.encode_query_with_thoughts):
        with pytest.raises(InvalidOptionError, match=f"Got {name}=.*, wanted an integer"):
            call(GOOD, **{name: value})
