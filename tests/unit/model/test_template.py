"""The trusted text around a query or a document."""

import dataclasses
import json
import time
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from search_r3 import SentenceTransformer, Template, prepare_base
from search_r3.errors import InvalidOptionError, ModelError
from search_r3.model.template import DOCUMENT_LEAD, DOCUMENT_SYSTEM, REASONING_SYSTEM, render_chat_template

TINY_LM = Path(__file__).parents[2] / "fixtures" / "tiny_lm"

FOUR = {"query_prefix": "q<", "query_suffix": ">q", "document_prefix": "d<\n", "document_suffix": "\u2581>🙂"}

# Gemma's shape: no system role.
REFUSES_SYSTEM = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# Phi-3's shape: other roles than user and assistant are passed over without a word.
IGNORES_SYSTEM = (
    "{% for m in messages %}"
    "{% if m.role == 'user' %}<|user|>\n{{ m.content }}<|end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@pytest.fixture
def tokenizer():
    return AutoTokenizer.from_pretrained(TINY_LM)


def render(tokenizer, chat_template: str, **options) -> Template:
    tokenizer.chat_template = chat_template
    return render_chat_template(tokenizer.apply_chat_template, **options)


def test_dictionary_and_template_are_the_same_thing():
    """to_dict gives exactly the strings, JSON keeps them, and from_dict gives the template back."""
    template = Template("q<", ">q", "d<\n", "\u2581>🙂", "e<", "p<", ">p\n")
    evidence = {"evidence_prefix": "e<", "passage_prefix": "p<", "passage_suffix": ">p\n"}
    assert template.to_dict() == FOUR | evidence
    assert Template.from_dict(FOUR | evidence) == template
    assert Template.from_dict(json.loads(json.dumps(template.to_dict()))) == template


def test_template_cannot_be_changed_after_the_fact():
    """A template is immutable, so that segments tokenised from it stay true."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Template.from_dict(FOUR).query_prefix = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {key: value for key, value in FOUR.items() if key != "document_suffix"},
        {**FOUR, "query_infix": ""},
        {"querry_prefix": "", **{key: value for key, value in FOUR.items() if key != "query_prefix"}},
        {**FOUR, "query_prefix": None},
        {**FOUR, "query_suffix": 5},
        {**FOUR, "document_prefix": b"d"},
        {**FOUR, "document_suffix": ["\n"]},
    ],
    ids=["empty", "missing", "unknown", "misspelt", "none", "int", "bytes", "list"],
)
def test_dictionary_of_another_shape_is_refused(data):
    """Missing keys, unknown keys and values that are not strings are refused, naming the wanted fields."""
    with pytest.raises(InvalidOptionError, match=r"needs the string fields .*document_prefix.*query_suffix"):
        Template.from_dict(data)


def test_chat_template_is_rendered_to_exact_strings(tokenizer):
    """The tiny LM's chat template gives the four strings written out here, to the character."""
    assert render_chat_template(tokenizer.apply_chat_template) == Template(
        query_prefix=f"<|im_start|>system\n{REASONING_SYSTEM}<|im_end|>\n<|im_start|>user\n",
        query_suffix="<|im_end|>\n<|im_start|>assistant\n",
        document_prefix=f"<|im_start|>system\n{DOCUMENT_SYSTEM}<|im_end|>\n<|im_start|>user\n",
        document_suffix="<|im_end|>\n<|im_start|>assistant\nThe embedding is ",
    )
    assert DOCUMENT_LEAD == "The embedding is "


def test_system_texts_and_lead_can_be_replaced(tokenizer):
    """query_system, document_system and document_lead each land in their own place and nowhere else."""
    template = render_chat_template(
        tokenizer.apply_chat_template, query_system="Q!", document_system="D!", document_lead="L!"
    )
    assert template == Template(
        "<|im_start|>system\nQ!<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nD!<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\nL!",
    )


def test_refused_system_role_moves_to_the_user_turn(tokenizer):
    """Where the chat template raises on a system message, the system text heads the user's turn."""
    assert render(tokenizer, REFUSES_SYSTEM, query_system="Q!", document_system="D!") == Template(
        "<start_of_turn>user\nQ!\n\n",
        "<end_of_turn>\n<start_of_turn>model\n",
        "<start_of_turn>user\nD!\n\n",
        "<end_of_turn>\n<start_of_turn>model\nThe embedding is ",
    )


def test_silently_dropped_system_role_moves_to_the_user_turn(tokenizer):
    """Where the chat template passes over system messages, the system text heads the user's turn, too."""
    assert render(tokenizer, IGNORES_SYSTEM, query_system="Q!", document_system="D!") == Template(
        "<|user|>\nQ!\n\n",
        "<|end|>\n<|assistant|>\n",
        "<|user|>\nD!\n\n",
        "<|end|>\n<|assistant|>\nThe embedding is ",
    )


@pytest.mark.parametrize(
    ("chat_template", "times"),
    [
        ("{% for m in messages %}{{ m.content }}|{{ m.content }}{% endfor %}", 2),
        ("{% for m in messages %}{{ m.content }}{% endfor %}{{ messages[-1].content * 3 }}", 4),
        ("{% for m in messages %}<{{ m.role }}>{% endfor %}", 0),
        ("{% for m in messages %}{{ m.content | lower }}{% endfor %}", 0),
        ("{% for m in messages %}{{ m.content[:-1] }}{% endfor %}", 0),
    ],
    ids=["twice", "four-times", "not-at-all", "lower-cased", "cut"],
)
def test_chat_template_that_alters_or_repeats_the_text_is_refused(tokenizer, chat_template, times):
    """A rendering that cannot be split around the user's text is refused, saying how often the text shows."""
    with pytest.raises(
        ModelError, match=rf"shows the user's text {times} times, wanted exactly once.*template="
    ):
        render(tokenizer, chat_template)


def test_clock_in_the_chat_template_is_frozen_into_the_saved_model(tmp_path):
    """A chat template that prints the time is rendered once: loading the model later reads the same clock."""
    source = tmp_path / "source"
    tokenizer = AutoTokenizer.from_pretrained(TINY_LM)
    for path in TINY_LM.iterdir():
        (source / path.name).parent.mkdir(exist_ok=True)
        (source / path.name).write_bytes(path.read_bytes())
    tokenizer.chat_template = "{{ strftime_now('%H:%M:%S.%f') }}|" + tokenizer.chat_template
    tokenizer.save_pretrained(source)
    first, second = (render_chat_template(tokenizer.apply_chat_template) for _ in range(2))
    assert first.query_prefix != second.query_prefix  # the control: this template does print the time

    folder = prepare_base(source, tmp_path / "base", max_seq_length=256, max_reasoning_tokens=4)
    saved = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))["template"]
    clock, rest = saved["query_prefix"].split("|", 1)
    time.strptime(clock, "%H:%M:%S.%f")
    assert rest == f"<|im_start|>system\n{REASONING_SYSTEM}<|im_end|>\n<|im_start|>user\n"
    one, other = (SentenceTransformer(str(folder), device="cpu") for _ in range(2))
    assert one[0].template == other[0].template == saved
    assert one.encode_query("copy a tree").tolist() == other.encode_query("copy a tree").tolist()


def test_strings_of_evidence_have_defaults():
    """A template that was saved before there was evidence gets them, one that has some keeps those."""
    found = Template.from_dict(FOUR)
    assert (found.evidence_prefix, found.passage_prefix, found.passage_suffix) == (
        "\n\nPassages:\n",
        "- ",
        "\n",
    )
    assert Template.from_dict({**FOUR, "passage_prefix": "* "}) == Template(**FOUR, passage_prefix="* ")
    with pytest.raises(InvalidOptionError, match=r"may have .*evidence_prefix.*got .*None"):
        Template.from_dict({**FOUR, "evidence_prefix": None})
