import gzip
import json
from pathlib import Path

import pytest

from search_r3.data.sources.obo import Synonym, Term, read_obo
from search_r3.data.sources.pubmed import Article
from search_r3.data.sources.pubmed import read_articles as read_pubmed
from search_r3.data.sources.trivia import (
    Question,
    match_answers,
    normalise_title,
    read_articles,
    read_questions,
)
from search_r3.errors import DataError

RECORD = """<PubmedArticle><MedlineCitation><PMID Version="1">12</PMID><Article>
<ArticleTitle>Effect of <i>E. coli</i> on
 CO<sub>2</sub>.</ArticleTitle>
<Abstract><AbstractText Label="AIMS" NlmCategory="OBJECTIVE">To see &lt;b&gt;.</AbstractText>
<AbstractText Label="PATIENTS AND METHODS" NlmCategory="UNASSIGNED">We   looked.</AbstractText>
<AbstractText Label="MAIN FINDINGS">First.</AbstractText>
<AbstractText Label="MORE" NlmCategory="RESULTS">Second.</AbstractText>
<AbstractText Label="INTERPRETATION">Odd label.</AbstractText>
<AbstractText Label="CONCLUSION"/></Abstract></Article>
<OtherAbstract><AbstractText>Pas en anglais.</AbstractText></OtherAbstract>
<CommentsCorrectionsList><CommentsCorrections><PMID>99</PMID></CommentsCorrections></CommentsCorrectionsList>
<MeshHeadingList>
<MeshHeading><DescriptorName MajorTopicYN="N">Mice</DescriptorName></MeshHeading>
<MeshHeading><DescriptorName MajorTopicYN="Y">Water</DescriptorName></MeshHeading>
<MeshHeading><DescriptorName MajorTopicYN="N">Air</DescriptorName>
<QualifierName MajorTopicYN="N">x</QualifierName><QualifierName MajorTopicYN="Y">y</QualifierName>
</MeshHeading>
<MeshHeading><DescriptorName MajorTopicYN="Y">Water</DescriptorName></MeshHeading>
</MeshHeadingList></MedlineCitation>
<PubmedData><ArticleIdList><ArticleId>77</ArticleId></ArticleIdList></PubmedData></PubmedArticle>"""

BARE = """<PubmedArticle><MedlineCitation><PMID>13</PMID><Article><ArticleTitle/></Article>
</MedlineCitation></PubmedArticle>"""


def pubmed_file(tmp_path: Path, *records: str) -> Path:
    path = tmp_path / "pubmed.xml.gz"
    text = "".join(
        ['<?xml version="1.0" encoding="utf-8"?>\n<PubmedArticleSet>', *records, "</PubmedArticleSet>"]
    )
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_pubmed_record_by_hand(tmp_path):
    """Sections by category or label and in order, topics major by heading or qualifier, mark-up joined."""
    assert read_pubmed(pubmed_file(tmp_path, RECORD, BARE)) == [
        Article(
            "12",
            "Effect of E. coli on CO2.",
            {
                "OBJECTIVE": "To see <b>.",
                "METHODS": "We looked.",
                "RESULTS": "First. Second.",
                "TEXT": "Odd label.",
            },
            ("Air", "Water"),
        ),
        Article("13", "", {}, ()),
    ]


def test_pubmed_abstract_joins_sections(tmp_path):
    """The abstract is the sections in their order, with a space between."""
    assert read_pubmed(pubmed_file(tmp_path, RECORD))[0].abstract == (
        "To see <b>. We looked. First. Second. Odd label."
    )


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("Results and Conclusions", "CONCLUSIONS"),
        ("BACKGROUND & AIMS", "OBJECTIVE"),
        ("Introduction", "BACKGROUND"),
        ("STUDY QUESTION", "OBJECTIVE"),
        ("KEY FINDINGS", "RESULTS"),
        ("MATERIALS AND METHODS", "METHODS"),
        ("SETTING", "TEXT"),
        ("", "TEXT"),
    ],
)
def test_pubmed_labels(tmp_path, label, category):
    """A section without category gets one from its label; an explicit category wins over the label."""
    part = f'<AbstractText Label="{label.replace("&", "&amp;")}">text</AbstractText>'
    record = BARE.replace("</Article>", f"<Abstract>{part}</Abstract></Article>")
    assert read_pubmed(pubmed_file(tmp_path, record))[0].sections == {category: "text"}
    named = record.replace("<AbstractText", '<AbstractText NlmCategory="METHODS"')
    assert read_pubmed(pubmed_file(tmp_path, named))[0].sections == {"METHODS": "text"}


def test_pubmed_records_without_citation_are_left_out(tmp_path):
    """Books and deletions stand between articles in a baseline file."""
    others = (
        "<PubmedBookArticle><PMID>1</PMID></PubmedBookArticle><DeleteCitation><PMID>2</PMID></DeleteCitation>"
    )
    empty = "<PubmedArticle><PubmedData/></PubmedArticle>"
    assert [article.pmid for article in read_pubmed(pubmed_file(tmp_path, others, empty, BARE))] == ["13"]


@pytest.mark.parametrize(
    "damage", ["absent", "empty", "plain", "cut", "stream", "xml", "none", "no pmid", "word"]
)
def test_damaged_pubmed_file_raises(tmp_path, damage):
    """Whatever is wrong with the file, the error is a DataError with its name."""
    path = pubmed_file(tmp_path, RECORD, BARE)
    content = bytearray(path.read_bytes())
    if damage == "absent":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "plain":
        path.write_bytes(gzip.decompress(content))
    elif damage == "cut":
        path.write_bytes(content[:-200])
    elif damage == "stream":
        content[10] |= 0b110  # after the header of 10 bytes: deflate block type 3 does not exist
        path.write_bytes(content)
    elif damage == "xml":
        pubmed_file(tmp_path, RECORD, "<PubmedArticle>")
    elif damage == "none":
        pubmed_file(tmp_path)
    else:
        pmid = "" if damage == "no pmid" else "<PMID>none</PMID>"
        pubmed_file(tmp_path, BARE.replace("<PMID>13</PMID>", pmid))
    with pytest.raises(DataError, match=r"pubmed\.xml\.gz"):
        read_pubmed(path)


OBO = """format-version: 1.2
ontology: hp

[Term]
id: HP:1
name: Fever: high
alt_id: HP:9
def: "Heat of \\"38\\": or more\\, as in [x]." [HPO:a, "PMID:1"]
comment: is_a: HP:777
synonym: "Running a temperature" EXACT layperson [https://orcid.org/0]
synonym: "Pyrexia" EXACT []
synonym: "Warm \\"skin\\"" RELATED [HPO:b] {x="y"}
synonym: "Unscoped" []
synonym: broken
is_a: HP:2 ! Parent with words
is_a: HP:3 {source="x"} ! Other

[Term]
id: HP:2
name: Gone
is_obsolete: true

[Term]
id: HP:3

[Typedef]
id: part_of
name: part of

[Term]
id: HP:4
name: Bare"""


def test_obo_terms_by_hand(tmp_path):
    """Names, definitions, synonyms with scope and register, and parents, of terms that are not obsolete."""
    path = tmp_path / "x.obo"
    path.write_text(OBO, encoding="utf-8")
    fever, bare = read_obo(path)
    assert (fever.term_id, fever.name, fever.definition, fever.parents) == (
        "HP:1",
        "Fever: high",
        'Heat of "38": or more, as in [x].',
        ("HP:2", "HP:3"),
    )
    assert fever.synonyms[:3] == (
        Synonym("Running a temperature", True, "EXACT"),
        Synonym("Pyrexia", False, "EXACT"),
        Synonym('Warm "skin"', False, "RELATED"),
    )
    assert bare == Term("HP:4", "Bare", "", (), ())


def test_obo_synonym_without_scope_is_related(tmp_path):
    """OBO's default scope is RELATED: the scope is always one of the four, never a cross-reference."""
    path = tmp_path / "x.obo"
    path.write_text(OBO, encoding="utf-8")
    assert read_obo(path)[0].synonyms[3:] == (Synonym("Unscoped", False, "RELATED"),)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a\\nb", "a b"),
        ("a\\tb", "a b"),
        ("a\\Wb", "a b"),
        ("a\\\\b", "a\\b"),
        ("a\u2028b", "a b"),
        ("a\x85b", "a b"),
    ],
)
def test_obo_escapes_and_odd_breaks(tmp_path, written, read):
    r"""OBO writes a line break as \n, a tab as \t, a space as \W; only a real line end ends a line."""
    path = tmp_path / "x.obo"
    path.write_text(f'[Term]\nid: X:1\nname: n\ndef: "{written}" []\n', encoding="utf-8")
    assert " ".join(read_obo(path)[0].definition.split()) == read


def test_obo_with_windows_line_ends(tmp_path):
    """The same file with CR LF gives the same terms."""
    one, two = tmp_path / "x.obo", tmp_path / "y.obo"
    one.write_bytes(OBO.encode())
    two.write_bytes(OBO.replace("\n", "\r\n").encode())
    assert read_obo(two) == read_obo(one)


@pytest.mark.parametrize(
    "content", [None, b"", b"format-version: 1.2\n[Typedef]\nid: a\nname: b\n", b"[Term]\n\xff"]
)
def test_damaged_obo_raises(tmp_path, content):
    """A missing file, no term, or bytes that are no text are a DataError with the file's name."""
    path = tmp_path / "x.obo"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.obo"):
        read_obo(path)


def test_questions_by_hand(tmp_path):
    """Five words and more, no link, no gap, answers as text; the index counts every entry of the list."""
    (tmp_path / "general.yaml").write_text(
        "AUTHOR: someone\n"
        '"Who painted  the\\nMona Lisa?": [Leonardo, "da Vinci"]\n'
        "Too short a one?: [x]\n"
        "What is in http://example.org of all?: [x]\n"
        "The capital of France is ___?: [Paris]\n"
        "In which year did it end?:\n- 1945\n- 12.50\n"
        "Is that so or is it not?:\n- yes\n",
        encoding="utf-8",
    )
    (tmp_path / "music.yaml").write_text("Who wrote the song of songs?: [Solomon]\n", encoding="utf-8")
    got = read_questions(tmp_path, ("music", "general"))
    assert got[:3] == [
        Question("music-0", "Who wrote the song of songs?", ("Solomon",)),
        Question("general-1", "Who painted the Mona Lisa?", ("Leonardo", "da Vinci")),
        Question("general-5", "In which year did it end?", ("1945", "12.5")),
    ]
    assert [question.question_id for question in got[3:]] == ["general-6"]


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"- a\n- b\n",
        b"",
        b"a: [b\n",
        b"what: \xff\xfe",
        b"Which day is it at all?: [2001-02-30]\n",
        b"[a]: {b\n",
    ],
)
def test_damaged_questions_raise(tmp_path, content):
    """A list that is missing, no table, no YAML, no text or with an impossible date names the file."""
    if content is not None:
        (tmp_path / "general.yaml").write_bytes(content)
    with pytest.raises(DataError, match=r"general\.yaml"):
        read_questions(tmp_path, ("general",))


def test_encyclopedia_articles(tmp_path):
    """Extracts by title, with whitespace folded."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"Ä": {"extract": " One\n two ", "url": "x"}, "B": {"extract": ""}}))
    assert read_articles(path) == {"Ä": "One two", "B": ""}


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"[]",
        b'{"A": {"text": "x"}}',
        b'{"A": {"extract": null}}',
        b'{"A": "x"}',
        b'{"A": \xff}',
        b"7",
    ],
)
def test_damaged_encyclopedia_raises(tmp_path, content):
    """Anything but a table of titles with extracts is a DataError with the file's name."""
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_articles(path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The Beatles", "beatles"),
        ("An Óscar", "oscar"),
        ("A", "a"),
        ("Theatre", "theatre"),
        ("Mercury (planet)", "mercury planet"),
        ("Mercury  (a) (b)", "mercury a b"),
        ("AC/DC!", "ac dc"),
        ("東京", ""),
        ("", ""),
    ],
)
def test_normalised_titles(text, name):
    """Case, accents, punctuation and the leading article do not count."""
    assert normalise_title(text) == name


@pytest.mark.parametrize(
    ("question", "answers", "titles"),
    [
        ("Which planet is next to the Sun?", ["mercury"], None),  # which of the two is not said
        ("Which planet is next to the Sun?", ["Mercury (planet)"], {"Mercury (planet)"}),
        ("Which band is from Liverpool?", ["Beatles (a band)"], {"The Beatles"}),
        ("Which animal is a man's best friend?", ["The dog"], None),
        ("Which animals bark?", ["The dogs"], {"Dogs"}),
        ("Which band wrote this?", ["Beatles", "nobody"], {"The Beatles"}),
        ("Which year did Orwell write of?", ["1984"], None),
        ("Which city has ten million people?", ["東京"], None),
        ("Which dogs are these?", ["dog"], None),
        ("Who is unknown?", ["nobody at all"], None),
        ("Who has no answer?", [], None),
    ],
)
def test_matched_answers(question, answers, titles):
    """Answers find titles by their normal form, but no years and no titles that the question gives away."""
    articles = ["Mercury (planet)", "Mercury (element)", "Dogs", "The Beatles", "1984", "東京", ""]
    found = match_answers([Question("q", question, tuple(answers))], articles)
    assert found == ({} if titles is None else {"q": titles})
