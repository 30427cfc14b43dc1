"""Dictionaries for dictd: the index, and the first definition of FOLDOC's and GCIDE's articles."""

import gzip

import pytest

from search_r3.data.sources.definitions import foldoc_definition, gcide_definition
from search_r3.data.sources.dictd import DictionaryArticle, foldoc_pairs, gcide_pairs, read_dictd
from search_r3.errors import DataError

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def write(folder, index, content):
    (folder / "tiny.index").write_text(index)
    (folder / "tiny.dict.dz").write_bytes(gzip.compress(content))
    return folder / "tiny.index"


def test_articles_are_found_by_offset_and_length(tmp_path):
    """Numbers are in base 64; words with the same offset share an article; 00- entries are skipped."""
    content = b"x" * 64 + "thé".encode() + b"cup"
    # BA is 64, E is 4; BE is 68, D is 3.
    path = write(tmp_path, "00-info\tA\tD\ncup\tBE\tD\ntea\tBA\tE\nthe\tBA\tE\n", content)
    assert read_dictd(path) == [
        DictionaryArticle(64, ("tea", "the"), "thé"),
        DictionaryArticle(68, ("cup",), "cup"),
    ]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("tea\tA\n", "has the line 'tea"),
        ("tea\tA!\tB\n", "has the line 'tea"),
        ("tea\tA\tE\n", "beyond the end"),
        ("00-info\tA\tB\n", "lists no article"),
        ("", "lists no article"),
    ],
)
def test_refuses_a_bad_index(tmp_path, index, message):
    """A malformed line, an offset outside the dictionary, and an index without articles are errors."""
    with pytest.raises(DataError, match=message):
        read_dictd(write(tmp_path, index, b"tea"))


def test_refuses_a_missing_or_damaged_dictionary(tmp_path):
    """Both files must be there, and the dictionary complete."""
    path = write(tmp_path, "tea\tA\tD\n", b"tea")
    dictionary = tmp_path / "tiny.dict.dz"
    dictionary.write_bytes(dictionary.read_bytes()[:-9])
    with pytest.raises(DataError, match="Cannot read the dictionary"):
        read_dictd(path)
    dictionary.unlink()
    with pytest.raises(DataError, match=r"tiny\.dict\.dz"):
        read_dictd(path)


@pytest.mark.parametrize(
    ("body", "definition"),
    [
        ("<drink> /tee/ (T) A {hot} drink of\n   {leaves}.  It is\n   old.", "A hot drink of leaves."),
        ("1. <drink> A drink, e.g. hot, by J. Smith.\n\n   2. A meal.", "A drink, e.g. hot, by J. Smith."),
        ("Tasty Exotic Ale.  A drink by Ann <ann@tea.example> [when?].", "A drink by Ann."),
        ("A leaf {(http://tea.example/)} to brew.", "A leaf to brew."),
        ("{hot drink}", ""),
        ("See {hot drink}.", ""),
        ("Alternative spelling of {thea}.", ""),
        ("Is it a drink?", ""),
        ("A drink of the form\n\n   x + y", ""),
    ],
)
def test_foldoc_definitions(body, definition):
    """The first sentence, without subject, pronunciation, remarks, links and acronyms spelt out."""
    assert foldoc_definition(f"Tea Exotic Ale\nTEA\n\n   {body}\n\n   (2001-02-03)\n\n") == (
        ["Tea Exotic Ale", "TEA"],
        definition,
    )


@pytest.mark.parametrize(
    ("article", "definition"),
    [
        (
            "Tea \\Tea\\ (t[=e]), n. [Chin. tsh[=a], Prov. Chin. te: cf. F. th['e].\n   See {The}.]\n"
            "   1. (Bot.) The prepared leaves of a shrub ({Thea}); also, the\n"
            "      shrub; as, black tea. [Obs.] --Shak.\n"
            "      [1913 Webster]\n\n   2. A drink.\n",
            "The prepared leaves of a shrub (Thea); also, the shrub",
        ),
        (
            "Tea \\Tea\\, n.\n   A shrub like a camellia; -- called also {cha}.\n   [1913 Webster]\n",
            "A shrub like a camellia",
        ),
        ('Tea \\Tea\\, n.\n   1. A drink of the na["i]ve. "Give me tea." --Pope.\n', "A drink of the naïve."),
        ("Tea \\Tea\\, n.\n   (a) A drink. (b) A meal.\n", "A drink."),
        ("Tea \\Tea\\, n.\n   A drink; esp.: (a) A hot one.\n", "A drink"),
        ("Tea \\Tea\\, n.\n   See {Cha}.\n   [1913 Webster]\n", ""),
        ("Tea \\Tea\\, n.\n   Same as {Cha}. [Obs.]\n", ""),
        ("Tea \\Tea\\,\n   imp. & p. p. of {Teaze}.\n", ""),
        ("Tea \\Tea\\, n.\n   A drink from [?] of old.\n", "A drink from of old."),
        ("Tea \\Tea\\, n.\n   A drink from ? leaves.\n", ""),
    ],
)
def test_gcide_definitions(article, definition):
    """The first sense, without labels, synonyms, examples and sources; references are no definitions."""
    assert gcide_definition(article) == (["Tea"], definition)


def test_gcide_headwords():
    """Several headwords are all found, with their letters put right and stress marks taken off."""
    article = 'Caf["e]\' \\Ca"f["e]\\, Coffeehouse \\Cof"fee*house\\, n.\n   A place to drink and talk.\n'
    assert gcide_definition(article)[0] == ["Cafë", "Coffeehouse"]


def gcide(offset, word, definition, *index_words):
    return DictionaryArticle(
        offset, index_words or (word,), f"{word} \\{word}\\, n.\n   {definition}\n   [1913 Webster]\n"
    )


def test_pairs_have_the_article_as_id():
    """A definition finds the first headword; ids come from the article's offset."""
    text = "Tea Leaf\nTEA\n\n   <drink> A dried leaf to brew with water.\n"
    (pair,) = foldoc_pairs([DictionaryArticle(64, ("tea leaf", "tea"), text.replace("leaf", "thing"))])
    assert (pair.query, pair.positive) == ("A dried thing to brew with water.", "Tea Leaf")
    assert (pair.query_id, pair.doc_id, pair.source, pair.negatives) == (
        "foldoc-64",
        "foldoc-64",
        "foldoc",
        (),
    )


def test_definitions_with_the_headword_are_dropped():
    """A definition that contains a headword, a word of the index or a plural of one gives the answer away."""
    articles = [
        gcide(1, "Tea", "A drink, tea, of old."),
        gcide(2, "Cup", "One of several CUPS of old."),
        gcide(3, "Mug", "One of several beakers here.", "mug", "beaker"),
        gcide(4, "Pot", "One of several potters here."),
    ]
    assert [(pair.positive, pair.source) for pair in gcide_pairs(articles)] == [("Pot", "gcide")]


def test_definitions_have_4_to_60_words():
    """Shorter ones say too little, longer ones are no definitions."""
    articles = [
        gcide(1, "A3", "one two three"),
        gcide(2, "A4", "one two three four"),
        gcide(3, "A60", "word " * 60),
        gcide(4, "A61", "word " * 61),
    ]
    assert [pair.positive for pair in gcide_pairs(articles)] == ["A4", "A60"]


def test_vague_definitions_are_dropped():
    """Three words may share a definition as synonyms; with a fourth it tells none of them."""
    synonyms = [gcide(number, f"Tea{number}", "A very hot drink.") for number in range(3)]
    vague = [gcide(number, f"Fish{number}", "A genus of fishes.") for number in range(10, 14)]
    pairs = gcide_pairs([*synonyms, *vague])
    assert [pair.positive for pair in pairs] == ["Tea0", "Tea1", "Tea2"]


def test_homographs_share_a_document():
    """Two articles on the same headword are two queries for one document."""
    pairs = gcide_pairs(
        [gcide(1, "Cup", "A thing to drink from."), gcide(2, "Cup", "To let blood by suction.")]
    )
    assert [(pair.query_id, pair.doc_id) for pair in pairs] == [
        ("gcide-1", "gcide-1"),
        ("gcide-2", "gcide-1"),
    ]


def test_no_usable_definition_is_an_error():
    """A dictionary in another layout is not passed over in silence."""
    with pytest.raises(DataError, match="foldoc gave no pair"):
        foldoc_pairs([DictionaryArticle(0, ("tea",), "tea")])
