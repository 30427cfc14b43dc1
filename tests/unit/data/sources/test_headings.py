"""Headings of manuals as queries: cleaned, and joined to titles above them where they need it."""

import pytest

from search_r3.data.sources.headings import Heading, clean_title, is_left_out, queries


@pytest.mark.parametrize(
    ("title", "clean"),
    [
        ("4.2.1. Writing a letter", "Writing a letter"),
        ("Chapter 5. Making tea", "Making tea"),
        ("Appendix B: Making tea", "Making tea"),
        ("A.1. Making tea", "Making tea"),
        ("2 Making tea ¶", "Making tea"),
        ("22.3.1 \\includegraphics", "\\includegraphics"),
        ("3 cups of tea", "3 cups of tea"),
        ("Making tea:", "Making tea"),
        ("brew(1)", "brew"),
        ("brew(1) Manual Page", "brew"),
        ("What is tea?", "What is tea?"),
        ("1.2.", "1.2"),
    ],
)
def test_titles_are_cleaned(title, clean):
    """Numbers of chapters and marks for links vanish, other numbers do not."""
    assert clean_title(title) == clean


@pytest.mark.parametrize(
    ("title", "left_out"),
    [
        ("See Also", True),
        ("7. Copyright", True),
        ("Release 3.0.1", True),
        ("GNU Free Documentation License", True),
        ("Module Index", True),
        ("Copyright of pictures", False),
        ("Searching for tea", False),
    ],
)
def test_sections_that_say_nothing_of_the_subject(title, left_out):
    """References, licences and indexes are left out."""
    assert is_left_out(title) is left_out


def test_a_heading_by_itself():
    """Three words that are there once make a query."""
    assert queries({"a": Heading("Tea", ("Kinds", "Kinds of green tea"))}) == {"a": "Kinds of green tea"}


@pytest.mark.parametrize(
    ("titles", "query"),
    [
        (("Brewing black tea", "Description"), "Brewing black tea: Description"),
        (("Brewing black tea", "Examples", "Notes"), "Brewing black tea: Notes"),
        (("Brewing black tea", "Water"), "Brewing black tea: Water"),
        (("Brewing black tea",), "Brewing black tea"),
        (("Water",), "Kettle: Water"),
        (("The Kettle",), None),
        (("Description",), None),
        (("Overview", "Examples"), None),
        (("Kettle", "-- / --"), None),
        (("word " * 25,), None),
    ],
)
def test_vague_headings_get_the_title_above_them(titles, query):
    """A vague or short heading takes the nearest title that says something, or else the manual's subject."""
    assert queries({"a": Heading("Kettle", titles)}).get("a") == query


def test_headings_that_are_there_again_are_told_apart():
    """As many titles as it takes; a heading that cannot be told from another has no query."""
    found = queries(
        {
            "a": Heading("Tea", ("Green tea", "How to brew it")),
            "b": Heading("Tea", ("Black tea", "How to brew it")),
            "c": Heading("Tea", ("White tea", "In a pot", "How to pour it")),
            "d": Heading("Tea", ("Black tea", "In a pot", "How to pour it")),
            "e": Heading("Tea", ("Black tea", "Where to buy it")),
            "f": Heading("Tea", ("Black tea", "Where to buy it")),
        }
    )
    assert found == {
        "a": "Green tea: How to brew it",
        "b": "Black tea: How to brew it",
        "c": "White tea: How to pour it",
        "d": "Black tea: How to pour it",
    }


@pytest.mark.parametrize(
    ("term", "query"),
    [
        ("-n, --now", "brew: -n, --now"),
        ("class tea.Pot(size, *, lid=True)", "brew: tea.Pot"),
        ("Pot.lid: bool = True", "brew: Pot.lid"),
        ("Why does my tea taste so bitter?", "Why does my tea taste so bitter?"),
    ],
)
def test_terms_get_the_title_of_their_page(term, query):
    """A term belongs to its page, of a signature the name is kept, and a question stands by itself."""
    assert queries({"a": Heading("Tea", ("brew(1)", "Special options here", term), True)}) == {"a": query}


def test_terms_of_a_page_with_the_whole_manual_get_the_nearest_title():
    """The title of such a page says as much as the name of the manual."""
    headings = {str(number): Heading("Tea", ("All of tea", f"Part {number}")) for number in range(60)}
    headings["a"] = Heading("Tea", ("All of tea", "Special options here", "--now"), True)
    assert queries(headings)["a"] == "Special options here: --now"
