"""Plain text from markup."""

import pytest

from search_r3.data.sources.markup import (
    html_text,
    markdown_text,
    one_line,
    sentences,
    shortened,
    words_of_name,
)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Tea &amp; milk</p><p>Cups</p>", "Tea & milk Cups"),
        ("<p>a <code>pot</code>.</p><!-- not --><script>x()</script>", "a pot."),
        ("run <pre>make tea</pre> now", "run now"),
        ("2 < 3 and 4 > 3", "2 < 3 and 4 > 3"),
        ("", ""),
    ],
)
def test_html(markup, text):
    """Tags, comments, scripts and listings go, blocks are set apart, entities become characters."""
    assert html_text(markup) == text


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ('# Tea\n\n- **green** tea\n- [black](x.html "t") `tea`', "Tea green tea black tea"),
        ("Pour:\n```sh\npour tea\n```\nDrink.", "Pour: Drink."),
        ("![cup](cup.png) See [the pot][1] at <https://x.example/>", "See the pot at https://x.example/"),
        ("a_b_c and *.py", "a_b_c and *.py"),
    ],
)
def test_markdown(markdown, text):
    """Marks of headings, lists, emphasis and code go, links keep their text, listings and images go."""
    assert markdown_text(markdown) == text


def test_one_line():
    """White space becomes single blanks, none before punctuation; a dot that begins a word stays."""
    assert one_line(" a\n b .\tSee .bashrc , too ") == "a b. See .bashrc, too"


def test_shortened():
    """Whole sentences are kept as long as they fit; a first one that is too long is cut."""
    text = "Boil water. Add tea. Wait for it."
    assert sentences(text) == ["Boil water.", "Add tea.", "Wait for it."]
    assert shortened(text, 7) == text
    assert shortened(text, 5) == "Boil water. Add tea."
    assert shortened(text, 1) == "Boil"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("getUserName", "get user name"),
        ("HTTPServer", "http server"),
        ("a_b-c.d/e", "a b c d e"),
        ("S3Key", "s3 key"),
    ],
)
def test_words_of_name(name, words):
    """Capitals, underscores, hyphens, dots and slashes set words apart."""
    assert words_of_name(name) == words
