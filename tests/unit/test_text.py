"""join_title: worked examples, and mteb's and BEIR's own functions as the standard."""

import pytest

from search_r3.text import join_title

EXAMPLES = [
    ("Ada", "First programmer.", "Ada First programmer."),
    ("", "No title.", "No title."),
    (None, "Null title.", "Null title."),
    ("  \n", "Blank title.", "Blank title."),
    (" Ada ", " First\n programmer. ", "Ada   First\n programmer."),
    (None, "\n  def f():\n    return 1\n", "def f():\n    return 1"),
    ("Only a title", "", "Only a title"),
    (None, " \t\n", ""),
    ("東京", "首都\u3000", "東京 首都"),
    ("a\nb", "c\r\nd", "a\nb c\r\nd"),
]


@pytest.mark.parametrize(("title", "text", "wanted"), EXAMPLES)
def test_worked_examples(title, text, wanted):
    assert join_title(title, text) == wanted


@pytest.mark.parametrize(("title", "text", "wanted"), EXAMPLES)
def test_joining_again_changes_nothing(title, text, wanted):
    """A text that was joined when it was read is joined once more by mteb, as an untitled one."""
    assert join_title(None, join_title(title, text)) == wanted
    assert join_title("", wanted) == wanted


@pytest.mark.parametrize(("title", "text", "wanted"), EXAMPLES)
def test_mteb_and_beir_give_the_same_string(title, text, wanted):
    """Neither takes a null title; both treat it as absent where the field is left out."""
    create = pytest.importorskip("mteb._create_dataloaders")
    util = pytest.importorskip("beir.retrieval.models.util")
    record = {"id": "d", "text": text} if title is None else {"id": "d", "title": title, "text": text}
    assert create._corpus_to_dict(record)["text"] == wanted
    assert util.extract_corpus_sentences([record], " ") == [wanted]
