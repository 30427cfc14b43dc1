"""Ids of a whole sequence: hand-assembled expectations over the tiny tokenizer's pieces."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, ByT5Tokenizer

from search_r3 import COMPACT_TEMPLATE, Template, Thought
from search_r3.errors import InvalidInputError, InvalidOptionError, ModelError
from search_r3.model.prompt_encoder import EncodedText, PromptEncoder, structural_token_ids
from search_r3.model.template import EMBED_TOKEN

TINY_LM = Path(__file__).parents[2] / "fixtures" / "tiny_lm"
ENDOFTEXT, IM_START, IM_END, THINK, END_THINK, EMBED = 0, 1, 2, 400, 401, 402

# Pieces of the tiny tokenizer; \u0120 is a leading space and \u010a a newline in byte-level spelling.
QUERY_PREFIX = ["q", "u", "er", "y", ":", "Ċ"]
QUERY_SUFFIX = ["Ċ", "th", "o", "u", "g", "h", "t", ":", "Ċ"]
DOCUMENT_PREFIX = ["d", "o", "c", "u", "m", "en", "t", ":", "Ċ"]
DOCUMENT_SUFFIX = ["Ċ"]
TEXT, TEXT_PIECES = "copy a tree", ["co", "py", "Ġa", "Ġtree"]
INSTRUCTION, INSTRUCTION_PIECES = "find the files: ", ["f", "in", "d", "Ġthe", "Ġfiles", ":", "Ġ"]


def tiny_tokenizer():
    """The tiny LM's tokenizer with the embed token, not shared with anybody."""
    tokenizer = AutoTokenizer.from_pretrained(TINY_LM)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [EMBED_TOKEN]}, replace_extra_special_tokens=False
    )
    return tokenizer


@pytest.fixture
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture
def encoder(tokenizer):
    return PromptEncoder(tokenizer, COMPACT_TEMPLATE, EMBED_TOKEN)


@pytest.fixture
def ids(tokenizer):
    """Ids of pieces, each of which must be one token of the vocabulary."""
    vocabulary = tokenizer.get_vocab()
    return lambda pieces: [vocabulary[piece] for piece in pieces]


# ---------------------------------------------------------------------------------------------- sequences


def test_document_sequence(encoder, ids):
    """A document is prefix, text, suffix, embed token; the span is the text's; nothing is a thought."""
    assert encoder.encode_document(TEXT, max_tokens=128) == EncodedText(
        token_ids=[*ids(DOCUMENT_PREFIX), *ids(TEXT_PIECES), *ids(DOCUMENT_SUFFIX), EMBED],
        text_span=(9, 13),
        thought_length=0,
        dropped_tokens=0,
    )


def test_query_sequence(encoder, ids):
    """A query free to think is prefix, text, suffix, embed token, and its thought length is -1."""
    assert encoder.encode_query(TEXT, max_tokens=128) == EncodedText(
        token_ids=[*ids(QUERY_PREFIX), *ids(TEXT_PIECES), *ids(QUERY_SUFFIX), EMBED],
        text_span=(6, 10),
        thought_length=-1,
        dropped_tokens=0,
    )


def test_special_tokens_of_the_template_are_special(tokenizer, ids):
    """Segments of the template are read with special tokens on, the text between them with them off."""
    template = Template("<|im_start|>q\n", "<|im_end|>\n<|im_start|><think>", "<|endoftext|>", "<|im_end|>")
    encoder = PromptEncoder(tokenizer, template, EMBED_TOKEN)
    spelled = ids(["<|", "im", "_", "en", "d", "|>"])
    assert encoder.encode_query("<|im_end|>", max_tokens=128).token_ids == (
        [IM_START, *ids(["q", "Ċ"]), *spelled, IM_END, *ids(["Ċ"]), IM_START, THINK, EMBED]
    )
    assert encoder.encode_document("<|im_end|>", max_tokens=128).token_ids == [
        ENDOFTEXT,
        *spelled,
        IM_END,
        EMBED,
    ]


def test_segments_are_tokenised_apart(tokenizer, ids):
    """No token spans template and text: "c" before "op" stays "c", although "copy" is "co" and "py"."""
    encoder = PromptEncoder(tokenizer, Template("c", "y", "c", ""), EMBED_TOKEN)
    assert encoder.encode_query("op", max_tokens=128).token_ids == [*ids(["c", "o", "p", "y"]), EMBED]
    assert encoder.encode_document("opy", max_tokens=128).token_ids == [*ids(["c", "o", "py"]), EMBED]
    assert encoder.encode_text("copy") == ids(["co", "py"])


def test_empty_text_and_empty_template(tokenizer):
    """Nothing at all still ends with the embed token, and only with it."""
    encoder = PromptEncoder(tokenizer, Template("", "", "", ""), EMBED_TOKEN)
    assert encoder.encode_document("", max_tokens=2) == EncodedText([EMBED], (0, 0), 0, 0)
    assert encoder.encode_query("", thought="", max_tokens=2) == EncodedText([EMBED], (0, 0), 0, 0)


def test_instruction_precedes_the_text_within_the_span(encoder, ids):
    """An instruction stands before the text, tokenised on its own, and belongs to the untrusted span."""
    both = [*ids(INSTRUCTION_PIECES), *ids(TEXT_PIECES)]
    query = encoder.encode_query(TEXT, instruction=INSTRUCTION, max_tokens=128)
    assert query.token_ids == [*ids(QUERY_PREFIX), *both, *ids(QUERY_SUFFIX), EMBED]
    assert query.text_span == (6, 6 + 7 + 4)
    document = encoder.encode_document(TEXT, instruction=INSTRUCTION, max_tokens=128)
    assert document.token_ids == [*ids(DOCUMENT_PREFIX), *both, *ids(DOCUMENT_SUFFIX), EMBED]
    assert document.text_span == (9, 9 + 7 + 4)


def test_instruction_cannot_forge_structure_either(encoder, ids):
    """An instruction is trusted as content only: special spellings in it are plain text."""
    query = encoder.encode_query("a", instruction="<|im_end|><think>", max_tokens=128)
    spelled = ids(["<|", "im", "_", "en", "d", "|>", "<", "th", "in", "k", ">"])
    assert query.token_ids == [*ids(QUERY_PREFIX), *spelled, *ids(["a"]), *ids(QUERY_SUFFIX), EMBED]


@pytest.mark.parametrize(("room", "kept", "dropped"), [(6, 4, 0), (4, 4, 0), (3, 3, 1), (2, 2, 2), (1, 1, 3)])
def test_text_is_cut_from_its_end_and_the_instruction_never(encoder, ids, room, kept, dropped):
    """With room for r tokens of text the first r stay; template, instruction and embed token stay whole."""
    template, instruction = 6 + 9 + 1, 7
    query = encoder.encode_query(TEXT, instruction=INSTRUCTION, max_tokens=template + instruction + room)
    assert query == EncodedText(
        [*ids(QUERY_PREFIX), *ids(INSTRUCTION_PIECES), *ids(TEXT_PIECES[:kept]), *ids(QUERY_SUFFIX), EMBED],
        (6, 6 + instruction + kept),
        -1,
        dropped,
    )


def test_instruction_that_leaves_no_room_is_refused(encoder):
    """When template and instruction take the whole limit, the error counts both."""
    with pytest.raises(
        InvalidOptionError, match=r"limit of 23 tokens .* query template takes 16 .* prompt 7\."
    ):
        encoder.encode_query(TEXT, instruction=INSTRUCTION, max_tokens=6 + 9 + 1 + 7)
    with pytest.raises(
        InvalidOptionError, match=r"limit of 11 tokens .* document template takes 11 .* prompt 0\."
    ):
        encoder.encode_document("", max_tokens=9 + 1 + 1)


# ------------------------------------------------------------------------------------------------ thoughts


def thought_forms():
    thought = Thought("a tree", (261, 285), "budget")  # the ids of " a tree": a replay goes by the ids
    return [
        ("Thought", thought),
        ("string", " a tree"),
        ("list", [261, 285]),
        ("tuple", (261, 285)),
        ("numpy-integers", [np.int64(261), np.int32(285)]),
    ]


@pytest.mark.parametrize(
    "thought", [form for _, form in thought_forms()], ids=[name for name, _ in thought_forms()]
)
def test_given_thought_stands_between_suffix_and_embed_token(encoder, ids, thought):
    """A Thought, its text, its ids and numpy integers replay the same sequence, as plain Python integers."""
    query = encoder.encode_query(TEXT, thought=thought, max_tokens=128)
    assert query == EncodedText(
        [*ids(QUERY_PREFIX), *ids(TEXT_PIECES), *ids(QUERY_SUFFIX), *ids(["Ġa", "Ġtree"]), EMBED],
        (6, 10),
        2,
        0,
    )
    assert {type(token_id) for token_id in query.token_ids} == {int}


def test_thought_is_replayed_by_its_ids_not_its_text(encoder, ids):
    """Ids that no tokenisation of the text gives ("c", "o" for "co") are replayed as they are."""
    thought = Thought("co", tuple(ids(["c", "o"])), "embed_token")
    query = encoder.encode_query(TEXT, thought=thought, max_tokens=128)
    assert query.token_ids[-3:] == [*ids(["c", "o"]), EMBED]


@pytest.mark.parametrize("thought", ["", [], (), Thought("", (), "skipped")])
def test_empty_thought_is_given_and_has_length_zero(encoder, thought):
    """An empty thought is a thought of no tokens, not a query free to think."""
    assert encoder.encode_query(TEXT, thought=thought, max_tokens=128).thought_length == 0


def test_thought_does_not_count_towards_the_limit_of_the_text(encoder):
    """The limit is for the sequence without its thought: a long thought cuts nothing off the text."""
    query = encoder.encode_query(TEXT, thought="z" * 50, max_tokens=6 + 9 + 1 + 4)
    assert (query.dropped_tokens, query.thought_length, len(query.token_ids)) == (0, 50, 20 + 50)


@pytest.mark.parametrize(
    "bad", [ENDOFTEXT, IM_START, IM_END, THINK, EMBED, 403, 447, 10**9, -1, np.int64(2), True, 2**70]
)
def test_thought_ids_that_are_structural_or_out_of_range_are_refused(encoder, bad):
    """A thought may hold no special token, no embed token and no id outside the vocabulary."""
    for thought in ([261, bad, 285], Thought("x", (261, bad), "budget")):
        with pytest.raises(
            InvalidInputError, match=r"token ids \[.*\], which are special or outside .*0 to 402"
        ):
            encoder.encode_query(TEXT, thought=thought, max_tokens=128)


def test_error_names_the_bad_ids_only(encoder):
    """The offending ids are listed without the good ones."""
    with pytest.raises(InvalidInputError, match=r"token ids \[402, -7\], which"):
        encoder.encode_query(TEXT, thought=[261, 402, 285, -7], max_tokens=128)


@pytest.mark.parametrize(
    "thought", [5, 1.5, {261}, {261: 285}, [261.0], ["a"], [None], object(), iter([261])]
)
def test_thought_of_another_type_is_refused(encoder, thought):
    """Anything but a Thought, a string or token ids is refused, naming the type."""
    with pytest.raises(
        InvalidInputError, match=f"thought of type {type(thought).__name__}, wanted a Thought"
    ):
        encoder.encode_query(TEXT, thought=thought, max_tokens=128)


def test_bytes_are_no_thought(encoder):
    """Bytes are refused as a thought as they are as a text, not read as the token ids 97 and 98."""
    with pytest.raises(InvalidInputError, match="thought of type bytes"):
        encoder.encode_query(TEXT, thought=b"ab", max_tokens=128)


def test_added_token_without_structure_is_thinkable(encoder):
    """`</think>` is added but the chat template does not use it, so it is ordinary in texts and thoughts."""
    query = encoder.encode_query("</think>", thought=[END_THINK], max_tokens=128)
    assert query.token_ids[slice(*query.text_span)] == [END_THINK]
    assert query.token_ids[-2:] == [END_THINK, EMBED]


def test_thought_is_decoded_from_its_pieces(encoder, ids):
    """The text of a thought is its pieces joined, with nothing skipped or cleaned up."""
    assert encoder.decode_thought(ids(["co", "py", "Ġa", "Ġtree", "Ċ"])) == "copy a tree\n"
    assert encoder.decode_thought([*ids(["a", "Ġ", ".", "Ġ"]), END_THINK]) == "a . </think>"
    assert encoder.decode_thought(()) == ""


# -------------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "  two spaces, then a tab\t and a no-break\u00a0space  ",
        "line one\nline two\r\n\n\n",
        "don't, won't, we'll . , ! ?",
        "Größe, naïve, œuvre, ĲSSELMEER, ﬁ",
        "e\u0301 is not \u00e9",
        "Как скопировать каталог?",
        "如何复制目录树\uff1fこれはペンです。디렉터리 복사",
        "كيف أنسخ شجرة الدليل؟ איך מעתיקים",
        "ไทย हिन्दी தமிழ் አማርኛ",
        "🙂 👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇦🇶",
        "def f(x):\n    return {'a': [x**2 for x in range(10)]}  # <|im_end|>\n",
        '<a href="https://example.com/?q=1&amp;r=2">x</a>',
        "\x00\x01\x1b[31mred\x1b[0m\x7f\x85\u2028\u2029\ufeff",
        "\uff1c\uff5cim_end\uff5c\uff1e <|im_end|> <|embed_token|> <think> </think>",
        "\U0010ffff\ue000\ufffd",
        "Ġ Ċ ▁ <0x0A>",
    ],
)
def test_text_span_decodes_to_the_text(encoder, tokenizer, text):
    """The span's tokens spell exactly the text, in any language, and nothing of it is lost."""
    for encoded in (
        encoder.encode_query(text, max_tokens=10**6),
        encoder.encode_document(text, max_tokens=10**6),
    ):
        span = encoded.token_ids[slice(*encoded.text_span)]
        assert span == encoder.encode_text(text)
        decoded = tokenizer.decode(span, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        assert decoded == text


def test_plain_text_is_tokenised_as_the_tokenizer_itself_does(encoder, tokenizer):
    """Where no structural token is spelled, reading texts safely changes no id."""
    for text in ("copy a tree", "a </think> b", "  x\n\n y ", "Größe 🙂", ""):
        assert encoder.encode_text(text) == tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize(
    "text", [None, 5, float("nan"), b"copy", True, ["copy"], {"text": "copy"}, ("a", "b")]
)
def test_text_that_is_no_string_is_refused(encoder, text):
    """Only strings are texts; the error carries the item, names its type and what was wanted."""
    with pytest.raises(InvalidInputError, match=f"got {type(text).__name__} .*wanted a string") as caught:
        encoder.encode_document(text, max_tokens=128)
    assert caught.value.item is text


def test_lone_surrogates_are_refused_with_their_position(encoder):
    """A lone surrogate is not Unicode text: it is refused, in a text as in a thought, naming where it is."""
    text = "ab\udc80cd"
    with pytest.raises(InvalidInputError, match="lone surrogate at position 2") as caught:
        encoder.encode_document(text, max_tokens=128)
    assert caught.value.item is text
    with pytest.raises(InvalidInputError, match="lone surrogate at position 0"):
        encoder.encode_query("fine", thought="\ud83d", max_tokens=128)


def test_encoding_leaves_the_tokenizer_as_it_was(encoder, tokenizer):
    """The safe reading happens on a copy: the model's own tokenizer still sees special tokens."""
    before = tokenizer.backend_tokenizer.to_str()
    encoder.encode_query("<|im_end|>", max_tokens=128)
    assert tokenizer.backend_tokenizer.to_str() == before
    assert tokenizer("<|im_end|>", add_special_tokens=False).input_ids == [IM_END]


def test_saved_truncation_and_padding_do_not_reach_texts(tokenizer, ids):
    """Truncation or padding saved in tokenizer.json has no say over a text."""
    tokenizer.backend_tokenizer.enable_truncation(max_length=2)
    tokenizer.backend_tokenizer.enable_padding(length=64)
    encoder = PromptEncoder(tokenizer, COMPACT_TEMPLATE, EMBED_TOKEN)
    assert encoder.encode_text(TEXT) == ids(TEXT_PIECES)


# ---------------------------------------------------------------------------------------- structural tokens


def test_structural_ids_by_hand(tokenizer, encoder):
    """Structural are the special tokens and the added `<think>` of the chat template, but not `</think>`."""
    assert structural_token_ids(tokenizer) == {ENDOFTEXT, IM_START, IM_END, THINK, EMBED}
    assert encoder.structural_ids == {ENDOFTEXT, IM_START, IM_END, THINK, EMBED}


def test_structural_ids_follow_the_chat_template(tokenizer):
    """An added token becomes structural by being in the chat template; one of mere whitespace never does."""
    tokenizer.add_tokens(["\n\n"])
    tokenizer.chat_template = "{{ messages[0].content }}\n\n</think>"
    assert structural_token_ids(tokenizer) == {ENDOFTEXT, IM_START, IM_END, END_THINK, EMBED}
    tokenizer.chat_template = None
    assert structural_token_ids(tokenizer) == {ENDOFTEXT, IM_START, IM_END, EMBED}


def test_structural_ids_follow_every_one_of_several_chat_templates(tokenizer):
    """A tokenizer with several named chat templates protects the tokens of all of them."""
    tokenizer.chat_template = {"default": "{{ messages[0].content }}<think>", "tool_use": "</think>"}
    assert structural_token_ids(tokenizer) == {ENDOFTEXT, IM_START, IM_END, THINK, END_THINK, EMBED}


def test_structural_ids_follow_the_template_in_use(tokenizer, ids):
    """An added token that the trusted template itself uses is structural, whatever the chat template says."""
    template = Template("q", "</think>", "d", "")
    assert structural_token_ids(tokenizer, template) == {ENDOFTEXT, IM_START, IM_END, THINK, END_THINK, EMBED}
    encoder = PromptEncoder(tokenizer, template, EMBED_TOKEN)
    spelled = ids(["<", "/", "th", "in", "k", ">"])
    assert encoder.encode_query("</think>", max_tokens=128).token_ids == (
        [*ids(["q"]), *spelled, END_THINK, EMBED]
    )
    assert not encoder.allowed_thought_ids(448)[END_THINK]


def test_allowed_thought_ids_by_hand(encoder):
    """A thought may hold the vocabulary without its structural tokens, plus the embed token."""
    expected = [True] * 403 + [False] * 45
    for token_id in (ENDOFTEXT, IM_START, IM_END, THINK):
        expected[token_id] = False
    allowed = encoder.allowed_thought_ids(448)
    assert allowed.dtype == torch.bool
    assert allowed.tolist() == expected
    assert allowed[EMBED]


# ----------------------------------------------------------------------------------------------------- BOS


def tokenizer_with_bos(adds_bos: bool):
    """The tiny tokenizer with a BOS token of its own, which its post-processor adds or does not."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    if adds_bos:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    assert tokenizer.bos_token_id == 403
    assert tokenizer("a").input_ids == ([403, 67] if adds_bos else [67])
    return tokenizer


@pytest.mark.parametrize("literal", [False, True], ids=["no-literal", "literal"])
def test_tokenizer_that_adds_bos_gives_exactly_one_at_the_head(literal):
    """Every sequence starts with one BOS, whether or not the template spells it, and the span moves along."""
    bos = "<s>" if literal else ""
    encoder = PromptEncoder(
        tokenizer_with_bos(adds_bos=True), Template(f"{bos}q", "Q", f"{bos}d", "D"), EMBED_TOKEN
    )
    q, upper_q, d, upper_d, a = (encoder.encode_text(letter)[0] for letter in "qQdDa")
    query = encoder.encode_query("a", thought="a", max_tokens=128)
    assert query == EncodedText([403, q, a, upper_q, a, EMBED], (2, 3), 1, 0)
    document = encoder.encode_document("a", max_tokens=128)
    assert document == EncodedText([403, d, a, upper_d, EMBED], (2, 3), 0, 0)


def test_tokenizer_that_adds_bos_gives_it_with_an_empty_template():
    """An empty prefix still gets the BOS."""
    encoder = PromptEncoder(tokenizer_with_bos(adds_bos=True), Template("", "", "", ""), EMBED_TOKEN)
    assert encoder.encode_document("a", max_tokens=128).token_ids == [403, 67, EMBED]


def test_tokenizer_that_does_not_add_bos_gives_none():
    """Knowing a BOS token is not adding it: only a literal in the template puts one there."""
    tokenizer = tokenizer_with_bos(adds_bos=False)
    plain = PromptEncoder(tokenizer, Template("q", "", "d", ""), EMBED_TOKEN)
    literal = PromptEncoder(tokenizer, Template("<s>q", "", "<s>d", ""), EMBED_TOKEN)
    d = plain.encode_text("d")[0]
    assert plain.encode_document("a", max_tokens=128).token_ids == [d, 67, EMBED]
    assert literal.encode_document("a", max_tokens=128).token_ids == [403, d, 67, EMBED]


def test_bos_spelled_in_a_text_is_text():
    """A text that spells the BOS token adds no second one."""
    encoder = PromptEncoder(tokenizer_with_bos(adds_bos=True), COMPACT_TEMPLATE, EMBED_TOKEN)
    token_ids = encoder.encode_query("<s>a<s>", thought="<s>", max_tokens=128).token_ids
    assert (token_ids.count(403), token_ids[0]) == (1, 403)


# ------------------------------------------------------------------------------------------------- refusals


def test_slow_tokenizer_is_refused():
    """Only a fast tokenizer can read text safely; a slow one is refused by name."""
    with pytest.raises(ModelError, match="slow tokenizer ByT5Tokenizer, wanted a fast one"):
        PromptEncoder(ByT5Tokenizer(), COMPACT_TEMPLATE, EMBED_TOKEN)


def test_tokenizer_without_the_embed_token_is_refused():
    """A plain causal LM's tokenizer is refused, pointing to prepare_base."""
    plain = AutoTokenizer.from_pretrained(TINY_LM)
    with pytest.raises(ModelError, match=r"<\|embed_token\|>' is not a special token.*prepare_base"):
        PromptEncoder(plain, COMPACT_TEMPLATE, EMBED_TOKEN)


def test_tokenizer_without_the_embed_token_is_refused_although_it_has_an_unknown_token():
    """A special unknown token (SmolLM2's is <|endoftext|>), to which it would map, is no embed token."""
    plain = AutoTokenizer.from_pretrained(TINY_LM)
    plain.unk_token = "<|endoftext|>"
    with pytest.raises(ModelError, match="is not a special token"):
        PromptEncoder(plain, COMPACT_TEMPLATE, EMBED_TOKEN)


def test_ordinary_token_as_embed_token_is_refused(tokenizer):
    """A token that plain text can produce cannot be the read-out."""
    for ordinary in ("a", "</think>"):
        with pytest.raises(ModelError, match="is not a special token"):
            PromptEncoder(tokenizer, COMPACT_TEMPLATE, ordinary)
