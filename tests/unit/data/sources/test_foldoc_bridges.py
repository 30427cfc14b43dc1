"""Cross references of FOLDOC as questions in two hops: by hand over five articles."""

from search_r3.data.sources.bridges import Bridge
from search_r3.data.sources.dictd import DictionaryArticle
from search_r3.data.sources.foldoc_bridges import foldoc_bridges

TEXTS = {
    1: "Zilog Z8\nZ8\n\n"
    "   <chip> A family of {microcontrollers} from {Zilog}\n   with its own {ROM}. See {Z80}.",
    2: "microcontroller\n\n   A small computer on one chip. [What else?]\n",
    3: "Zilog\n\n   The company that makes the Z8 and other chips of that kind.\n",
    4: "Read-Only Memory\nROM\n\n   A type of data storage which cannot be written to.\n",
    5: "nothing\n\n   Too short.\n",
}
ARTICLES = [DictionaryArticle(offset, (), text) for offset, text in TEXTS.items()]

PASSAGE = "Zilog Z8: A family of microcontrollers from Zilog with its own ROM. See Z80."


def test_bridges_by_hand():
    """Plurals are found, notes and subjects go, and what mentions the article or has none is no answer."""
    found = {bridge.name: bridge for bridge in foldoc_bridges(ARTICLES)}
    # Zilog's article mentions the Z8, and Z80 has none.
    assert set(found) == {"microcontrollers", "ROM"}
    bridge = found["ROM"]
    placeholders = ("what", "which thing", "___", "something")
    assert any(
        f"A family of microcontrollers from Zilog with its own {gap}." in bridge.question
        for gap in placeholders
    )
    assert "Zilog Z8" in bridge.question and "ROM" not in bridge.question
    rom = "Read-Only Memory: A type of data storage which cannot be written to."
    company = "Zilog: The company that makes the Z8 and other chips of that kind."
    chip = "microcontroller: A small computer on one chip."
    assert bridge == Bridge(
        "foldoc-1/rom",
        "foldoc-1",
        "Zilog Z8",
        bridge.question,
        PASSAGE,
        "ROM",
        rom,
        "foldoc-4",
        (chip, company),
    )
    assert found["microcontrollers"].target == chip


def test_a_question_does_not_say_what_it_asks_for():
    """A name that stands in the sentence twice, or in the headword, gives no question."""
    texts = [
        "fish shell\n\n   A {shell} that is a lot friendlier than others are.\n",
        "prompt\n\n   What a {shell} prints before the shell reads the next line.\n",
        "shell\n\n   A command interpreter of an operating system, as a rule.\n",
    ]
    assert foldoc_bridges([DictionaryArticle(n, (), text) for n, text in enumerate(texts)]) == []


def test_an_article_answers_a_dozen_questions_at_most():
    """Of thirty that name it, the same twelve every time; a name comes once for each article."""
    texts = [
        f"tool {n}\n\n   A program of number {n} written in {{Lisp}}. It needs much {{Lisp}} to run well."
        for n in range(30)
    ]
    texts.append("Lisp\n\n   A family of languages with many parentheses in them.\n")
    articles = [DictionaryArticle(n, (), text) for n, text in enumerate(texts)]
    found = foldoc_bridges(articles)
    assert len(found) == 12 == len({bridge.key for bridge in found})
    assert foldoc_bridges(articles[::-1]) == sorted(found, key=lambda bridge: -int(bridge.article_key[7:]))
