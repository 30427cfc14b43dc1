"""Messages of compilers and linters with their explanations, and answers of chat programs."""

import pytest

from search_r3.data.sources.chat_answers import ChatAnswer, chat_answers_pairs, read_aiml, read_chatterbot
from search_r3.data.sources.lint_messages import (
    LintMessage,
    lint_messages_pairs,
    read_eslint_messages,
    read_pylint_messages,
)
from search_r3.data.sources.rust_errors import CompilerError, read_rust_errors, rust_errors_pairs
from search_r3.errors import DataError

PYLINT = """MSGS = {
    "E0001": ("Cold %s in %(place)s", "cold-tea", "Used when the tea "
        "is cold.", {"old": 1}),
    "W0002": (name, "other", "x"),
    "not": ("a", "b", "c"),
    **more,
}
"""

ESLINT = """module.exports = {
    meta: {
        docs: {
            description: "Disallow cold tea",
        },
        schema: [{ description: "not this" }],
        messages: {
            cold: "Tea in '{{cupName}}' is cold.",
            [ID]:
                'It isn\\'t hot.',
        },
    },
};
"""

RUST = """<div><h2 id="E0001" class="x">E0001</h2><p>A cup was <code>moved</code>. For example:</p>
<pre class="rust"><code>let <span>x</span> = &amp;cup;</code></pre><p>Use two cups.</p></div>
<div><h2 id="E0002">E0002</h2><p>Nothing more.</p></div>"""


def test_pylint(tmp_path):
    """Messages are read without running the code; gaps get names or dots; computed ones are skipped."""
    (tmp_path / "tea.py").write_text(PYLINT)
    assert read_pylint_messages(tmp_path) == [
        LintMessage(
            "pylint/cold-tea/tea", "cold-tea", "pylint/tea", "Cold ... in place", "Used when the tea is cold."
        )
    ]


def test_eslint(tmp_path):
    """The description is that of the documentation, not of an option."""
    (tmp_path / "no-coldTea.js").write_text(ESLINT)
    (tmp_path / "index.js").write_text("module.exports = {};\n")
    explanation = "no cold tea: Disallow cold tea"
    assert read_eslint_messages(tmp_path, "eslint") == [
        LintMessage("eslint/no-coldTea/0", "no-coldTea", "eslint", "Tea in 'cup name' is cold.", explanation),
        LintMessage("eslint/no-coldTea/1", "no-coldTea", "eslint", "It isn't hot.", explanation),
    ]


def test_lint_pairs():
    """Messages of one rule share the document; negatives are of other rules; short messages are dropped."""
    rows = [
        ("a/0", "a", "The tea is cold"),
        ("a/1", "a", "The tea is old"),
        ("b/0", "b", "The cup is full"),
        ("c/0", "c", "No"),
    ]
    messages = [LintMessage(key, rule, "g", text, f"explains the rule {rule}") for key, rule, text in rows]
    pairs = lint_messages_pairs(messages)
    assert [(pair.query, pair.positive, pair.negatives) for pair in pairs] == [
        ("The tea is cold", "explains the rule a", ("explains the rule b",)),
        ("The tea is old", "explains the rule a", ("explains the rule b",)),
        ("The cup is full", "explains the rule b", ("explains the rule a",)),
    ]
    assert pairs[0].doc_id == pairs[1].doc_id == "g/a"


def test_rust(tmp_path):
    """Code is kept as it is; a sentence that announces code is no part of the query."""
    path = tmp_path / "error-index.html"
    path.write_text(RUST)
    errors = read_rust_errors(path)
    assert errors == [
        CompilerError("E0001", "A cup was moved. For example:", ("let x = &cup;", "Use two cups."))
    ]
    (pair,) = rust_errors_pairs(errors)
    assert (pair.query, pair.positive) == ("A cup was moved.", "let x = &cup;\nUse two cups.")


def test_chatterbot(tmp_path):
    """The first two lines of a conversation are question and answer."""
    (tmp_path / "tea.yml").write_text("conversations:\n- - What is tea?\n  - A drink.\n  - Oh.\n- - Hm?\n")
    assert read_chatterbot(tmp_path, ["tea"]) == [ChatAnswer("tea/0", "What is tea?", "A drink.")]
    (tmp_path / "tea.yml").write_text("- a\n")
    with pytest.raises(DataError, match="no list of conversations"):
        read_chatterbot(tmp_path, ["tea"])


def test_aiml(tmp_path):
    """Gaps, evasions, answers about the program and short ones are left out."""
    rows = [
        ("WHAT IS TEA", "Tea is a hot drink &amp; more."),
        ("WHAT IS *", "Something is what it is."),
        ("WHY IS TEA HOT", "There is no good reason."),
        ("WHY IS TEA COLD", "There is no good reason."),
        ("WHAT IS LOVE", "I do not know it."),
        ("WHAT IS WATER", "A liquid."),
        ("HELLO", "Hello and a good day."),
    ]
    text = "".join(
        f"<category><pattern>{question}</pattern>\n<template>{answer}</template></category>"
        for question, answer in rows
    )
    (tmp_path / "tea.aiml").write_text(text)
    found = read_aiml(tmp_path, ["tea"])
    assert found == [ChatAnswer("tea/0", "what is tea", "Tea is a hot drink & more.")]
    pairs = chat_answers_pairs([*found, ChatAnswer("tea/9", "what is coffee", "Another drink.")])
    assert (pairs[0].query, pairs[0].negatives) == ("what is tea", ("Another drink.",))


def test_refuses_other_files(tmp_path):
    """Folders and files without messages are errors."""
    path = tmp_path / "x.html"
    path.write_text("<p>x</p>")
    with pytest.raises(DataError, match="explains no error"):
        read_rust_errors(path)
    with pytest.raises(DataError, match="holds no message"):
        read_pylint_messages(tmp_path)
    with pytest.raises(DataError, match="no rule with messages"):
        read_eslint_messages(tmp_path, "eslint")
