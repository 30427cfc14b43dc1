"""Manuals: pages read by path, headings paired with texts, sentences with what follows."""

import pytest

from search_r3.data.sources.html_sections import PageSection
from search_r3.data.sources.manual_sections import ManualSection, manual_pairs, read_manual
from search_r3.errors import DataError

POT = "The pot keeps the water hot for as long as the lid is on and nobody opens a window of the kitchen."
LID = "Any lid of the right size will do, but those made of glass let you watch how all the leaves sink."
CUP = "Cups come with handles and without them, and the latter are held at the rim so that nobody is hurt."


def section(titles, *paragraphs, page="m/tea.html", is_term=False):
    return ManualSection("Tea", page, PageSection(titles, paragraphs, is_term))


def test_pages_are_read_by_path(tmp_path):
    """HTML and XML, in UTF-8 or in the encoding of old tools; skipped pages and links are not read."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.html").write_bytes("<h1>Caf\u00e9</h1><p>One.</p>".encode("cp1252"))
    (tmp_path / "a.html").write_text("<h1>T\u00e9a</h1><p>Two.</p>", encoding="utf-8")
    (tmp_path / "news.html").write_text("<h1>News</h1><p>Three.</p>")
    (tmp_path / "c.html").symlink_to("a.html")
    (tmp_path / "a.page").write_text("<page><title>Pot</title><p>Four.</p></page>")
    assert read_manual(tmp_path, "m", "Tea", skip="^news") == [
        ManualSection("Tea", "m/a.html", PageSection(("T\u00e9a",), ("Two.",))),
        ManualSection("Tea", "m/b/a.html", PageSection(("Caf\u00e9",), ("One.",))),
    ]
    assert read_manual(tmp_path, "m", "Tea", "*.page") == [
        ManualSection("Tea", "m/a.page", PageSection(("Pot",), ("Four.",)))
    ]


@pytest.mark.parametrize("content", [None, "<p>no heading</p>"])
def test_a_manual_without_sections_raises(tmp_path, content):
    """No page, or no section in any of them, names the folder."""
    if content is not None:
        (tmp_path / "a.html").write_text(content)
    with pytest.raises(DataError, match=str(tmp_path)):
        read_manual(tmp_path, "m", "Tea")


def test_headings_find_their_texts():
    """The negatives of a heading are the other sections of its page."""
    pot, lid, cup = manual_pairs(
        "tea",
        [
            section(("Tea Time", "Keeping the water hot"), POT),
            section(("Tea Time", "Choosing a good lid"), LID),
            section(("Tea Time", "Cups"), CUP),
        ],
    )
    assert (pot.query, pot.positive, set(pot.negatives)) == ("Keeping the water hot", POT, {LID, CUP})
    assert (pot.source, pot.query_id, pot.doc_id) == ("tea", "m/tea.html#0", "m/tea.html#0")
    assert (lid.query, set(lid.negatives)) == ("Choosing a good lid", {POT, CUP})
    assert (cup.query, set(cup.negatives)) == ("Tea Time: Cups", {POT, LID})


def test_first_sentences_find_what_follows():
    """The paragraphs after the first one answer a sentence that says something by itself."""
    first = "Porcelain pots keep their heat far longer than glass. They break."
    heading, sentence = manual_pairs(
        "tea", [section(("Pots and pans of all kinds",), first, POT), section(("A good lid",), LID)]
    )[:2]
    assert (heading.query, heading.positive) == ("Pots and pans of all kinds", f"{first} {POT}")
    assert sentence.query == "Porcelain pots keep their heat far longer than glass."
    assert (sentence.positive, sentence.negatives) == (POT, (LID,))
    assert (sentence.query_id, sentence.doc_id) == ("m/tea.html#0/next", "m/tea.html#0/next")


@pytest.mark.parametrize(
    "sentence",
    [
        "This pot keeps its heat far longer than any other.",
        "The pot in the following list keeps its heat longest.",
        "Porcelain pots keep their heat.",
        "Porcelain pots keep their heat far longer than these:",
        "porcelain pots keep their heat far longer than glass.",
    ],
)
def test_sentences_that_lean_on_their_text_are_no_queries(sentence):
    """One that points elsewhere, is short, announces a list or is none asks nothing."""
    pairs = manual_pairs("tea", [section(("Pots and pans of all kinds",), sentence, POT)])
    assert [pair.query for pair in pairs] == ["Pots and pans of all kinds"]


def test_terms_have_no_following_text():
    """The definition of a term is paired with the term only, and may be shorter."""
    first = "Porcelain pots keep their heat far longer than glass ones."
    (pair,) = manual_pairs("tea", [section(("Tea Time", "pot"), first, POT, is_term=True)])
    assert (pair.query, pair.positive) == ("Tea Time: pot", f"{first} {POT}")


def test_texts_have_120_words_at_most():
    """Paragraphs are taken as long as they fit whole; only the first one is cut, and announcements go."""
    long, last = " ".join(["tea"] * 130), " ".join(["pot"] * 30)
    pairs = manual_pairs(
        "tea",
        [
            section(("A first long section",), long),
            section(("A second long section",), " ".join(["cup"] * 100), last),
            section(("A third long section",), f"{last}. Buy one of these:"),
        ],
    )
    assert [len(pair.positive.split()) for pair in pairs] == [120, 100, 30]
    assert pairs[2].positive == f"{last}."


@pytest.mark.parametrize(
    ("titles", "paragraphs"),
    [
        (("See also",), (POT,)),
        (("Kinds of good tea", "References"), (POT,)),
        (("Kinds of good tea",), ("Too short a text for a document.",)),
        (("Kinds of good tea",), ("{ 1 2 3 4 5 } " * 20,)),
        (("Kinds of good tea",), (f"Copyright {POT}",)),
        (("Kinds of good tea",), ("Two words", "Once more")),
    ],
)
def test_sections_that_say_too_little_are_left_out(titles, paragraphs):
    """Short texts, signs, boilerplate and sections of references make no pairs."""
    with pytest.raises(DataError, match="tea gave no pair"):
        manual_pairs("tea", [section(titles, *paragraphs)])


def test_paragraphs_of_many_sections_are_boilerplate():
    """A paragraph that four sections share belongs to none of them."""
    texts = [POT, LID, CUP, f"{POT} And so on."]
    pairs = manual_pairs(
        "tea",
        [
            section((f"Kind number {index} of tea",), "Look at the menu.", text)
            for index, text in enumerate(texts)
        ],
    )
    assert [pair.positive for pair in pairs] == texts


def test_a_text_that_is_there_again_is_paired_once():
    """The first heading of a repeated text is taken."""
    pairs = manual_pairs(
        "tea", [section(("Kinds of green tea",), POT), section(("Kinds of black tea",), POT)]
    )
    assert [pair.query for pair in pairs] == ["Kinds of green tea"]


def test_a_page_with_few_sections_takes_negatives_from_its_neighbours():
    """A page with six sections keeps to itself."""
    few = [section(("A good lid",), LID, page="m/a.html"), section(("All about cups",), CUP, page="m/b.html")]
    many = [
        section((f"Pot number {index} of tea",), f"{POT} It is number {index}.", page="m/c.html")
        for index in range(6)
    ]
    pairs = manual_pairs("tea", few + many)
    assert CUP in pairs[0].negatives
    assert len(pairs[0].negatives) == 5
    assert all("number" in text for pair in pairs[2:] for text in pair.negatives)


def test_summaries_that_repeat_something_are_dropped():
    """A paragraph that is the heading again or the beginning of the next one, and marks of footnotes."""
    (pair,) = manual_pairs(
        "tea",
        [section(("Keeping the water hot",), "Keeping the water hot.", "The pot keeps the water.", POT)],
    )
    assert pair.positive == POT
    (pair,) = manual_pairs("tea", [section(("Keeping the water hot",), POT, f"{POT} [1] Really.")])
    assert pair.positive == f"{POT} Really."
