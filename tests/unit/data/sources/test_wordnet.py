"""WordNet data files: fields of a synset, and negatives among co-hyponyms."""

import pytest

from search_r3.data.sources.wordnet import read_wordnet, wordnet_pairs
from search_r3.errors import DataError

NOUNS = """\
  1 This line belongs to the licence.
00000100 03 n 01 vessel 0 000 | something that holds a liquid
00000200 06 n 02 tea_cup 0 teacup 0 002 @ 00000100 n 0000 ~ 00000500 n 0000 | small cup; "a teacup"; "teas"
00000300 06 n 01 barrel 0 001 @ 00000100 n 0000 | a round wooden vessel
00000400 06 n 02 tank 0 Teacup 1 001 @ 00000100 n 0000 | a large metal vessel
00000500 06 n 01 Holy_Grail 0 002 @i 00000200 n 0000 @ 00000100 n 0000 | the cup of a legend
"""
VERBS = '00000100 30 v 01 pour 0 001 + 00000200 n 0101 02 + 08 00 + 09 00 | make a liquid flow; "pour tea"\n'
ADJECTIVES = "00000100 00 s 02 afloat(p) 0 upper(a) 1 001 & 00000200 a 0000 | borne on water  \n"
ADVERBS = '00000100 02 r 01 quickly 0 000 | "he came quickly"\n'


@pytest.fixture
def folder(tmp_path):
    for name, text in {"noun": NOUNS, "verb": VERBS, "adj": ADJECTIVES, "adv": ADVERBS}.items():
        (tmp_path / f"data.{name}").write_text(text, encoding="latin-1")
    return tmp_path


def test_fields_of_synsets(folder):
    """Id, words, gloss, examples and hypernyms are read; licence, other pointers and verb frames are not."""
    synsets = {synset.synset_id: synset for synset in read_wordnet(folder)}
    assert list(synsets)[:2] == ["n00000100", "n00000200"]
    assert len(synsets) == 8
    cup = synsets["n00000200"]
    assert (cup.pos, cup.lemmas, cup.gloss) == ("n", ("tea cup", "teacup"), "small cup")
    assert cup.examples == ("a teacup", "teas")
    assert cup.hypernyms == ("n00000100",)
    assert synsets["n00000500"].hypernyms == ("n00000200", "n00000100")
    assert synsets["v00000100"].hypernyms == ()
    assert synsets["v00000100"].gloss == "make a liquid flow"


def test_adjectives_lose_their_position_marks(folder):
    """afloat(p) is the word afloat; a satellite counts as an adjective."""
    adjective = next(synset for synset in read_wordnet(folder) if synset.pos == "a")
    assert (adjective.synset_id, adjective.lemmas) == ("a00000100", ("afloat", "upper"))
    assert adjective.gloss == "borne on water"


def test_pairs_have_co_hyponyms_as_negatives(folder):
    """Negatives share a hypernym, but no word with the positive, and are neither above nor below it."""
    pairs = {pair.query: pair for pair in wordnet_pairs(read_wordnet(folder))}
    cup = pairs["small cup"]
    assert (cup.positive, cup.source, cup.query_id) == ("tea cup, teacup", "wordnet", "n00000200")
    assert cup.negatives == ("barrel",)
    assert set(pairs["a round wooden vessel"].negatives) == {"tea cup, teacup", "tank, Teacup", "Holy Grail"}
    assert pairs["something that holds a liquid"].negatives == ()


def test_a_gloss_of_examples_only_gives_no_pair(folder):
    """A synset without a definition has no query."""
    assert "r00000100" not in {pair.query_id for pair in wordnet_pairs(read_wordnet(folder))}


@pytest.mark.parametrize(
    "line",
    [
        "no synset here | gloss",
        "00000100 03 n 01 vessel 0 000 no bar",
        "00000100 03 n zz vessel 0 000 | gloss",
    ],
)
def test_other_layouts_are_refused(folder, line):
    """A line that is not a synset is an error that names the file."""
    (folder / "data.noun").write_text(line + "\n")
    with pytest.raises(DataError, match=r"data\.noun is not a data file"):
        read_wordnet(folder)


def test_missing_and_empty_files_are_refused(folder):
    """Each of the four files must be there, and hold a synset."""
    (folder / "data.adv").write_text("  1 licence only\n")
    with pytest.raises(DataError, match=r"data\.adv holds no synset"):
        read_wordnet(folder)
    (folder / "data.verb").unlink()
    with pytest.raises(DataError, match=r"Cannot read .*data\.verb"):
        read_wordnet(folder)
