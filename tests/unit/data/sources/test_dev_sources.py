"""Readers of the dev tasks' packages, on small inputs of the packages' formats."""

import struct
import zlib

import pytest

from search_r3.data.sources.addresses import read_addresses
from search_r3.data.sources.bible_topics import Topic, read_topics, read_verses
from search_r3.data.sources.constitution import LegalArticle, read_constitution
from search_r3.data.sources.earth_quantities import Quantity, read_quantities
from search_r3.data.sources.fhir_fields import RecordField, read_record_fields
from search_r3.data.sources.occupations import Occupation, read_occupations
from search_r3.data.sources.pod import PodEntry, plain_pod, read_pod
from search_r3.data.sources.vim_help import HelpEntry, read_help
from search_r3.errors import DataError

POD = """=head1 Tea

Of tea.

=head2 How do I make C<tea>?

(contributed by me) Heat
water; see L<the kettle|kettle/"Heat"> or L<perlop/"Quote">.

    $kettle->heat;

=over 4

=item * Green

Cool it.

=back

=head1 More

=over 8

=item cold %s

=item cold tea X<cold>

(W tea) It has E<lt> 20 degrees.

=over

=item one

Nested.

=back

=back
"""


def test_pod_headings(tmp_path):
    """An entry has its paragraphs and the texts of its lists, but no code, and ends at the next heading."""
    path = tmp_path / "tea.pod"
    path.write_text(POD)
    assert read_pod(path, "head2") == [
        PodEntry(
            "How do I make tea?",
            ("(contributed by me) Heat water; see the kettle or perlop Quote.", "Green", "Cool it."),
        )
    ]


def test_pod_items(tmp_path):
    """Items of outer lists are entries; those of the lists inside belong to them."""
    path = tmp_path / "tea.pod"
    path.write_text(POD.replace("=head1 More\n\n", ""))
    path.write_text(POD)
    assert read_pod(path, "item")[-2:] == [
        PodEntry("cold %s", ()),
        PodEntry("cold tea", ("(W tea) It has < 20 degrees.", "one", "Nested.")),
    ]


def test_pod_codes():
    """Codes may be nested and may hold brackets; a link to a page of the web is its address."""
    assert plain_pod("B<I<a> b> C<< x->y >> C<<< a << b >>> L<http://a.b/c> Z<>E<gt>") == (
        "a b x->y a << b http://a.b/c >"
    )


def test_pod_without_entries(tmp_path):
    """A page without the command is an error that names it."""
    path = tmp_path / "tea.pod"
    path.write_text("=head1 Tea\n\nText.\n")
    with pytest.raises(DataError, match="no line =head2"):
        read_pod(path, "head2")


BIBLE = '''bible = Bible(
    Version.X,
    """
In the [very] beginning. And
more. End.
""",
    {
        1001001: 1,
        1001002: 26,
        66022021: 36,
    },
    {
        1001001: 26,
        1001002: 36,
        66022021: 40,
    },
)
'''


def test_verses(tmp_path):
    """Verses are cut out of the text by the tables of places, and named as the topical Bible names them."""
    path = tmp_path / "bible.py"
    path.write_text(BIBLE)
    assert read_verses(path) == {
        "Gen.1.1": "In the very beginning.",
        "Gen.1.2": "And more.",
        "Rev.22.21": "End.",
    }
    path.write_text(BIBLE.replace("66022021: 40", "66022020: 40"))
    with pytest.raises(DataError, match="two tables of places"):
        read_verses(path)


def write_dictionary(folder, *entries):
    texts = [entry.encode() + b"\0" for entry in entries]
    begin = 4 + 8 * len(texts)
    places = []
    for text in texts:
        places.append((begin, len(text)))
        begin += len(text)
    block = (
        struct.pack("<I", len(texts)) + b"".join(struct.pack("<II", *one) for one in places) + b"".join(texts)
    )
    packed = zlib.compress(block)
    (folder / "nave.zdt").write_bytes(packed)
    (folder / "nave.zdx").write_bytes(struct.pack("<II", 0, len(packed)))


def test_topics(tmp_path):
    """A line's text is its aspect; chapters and ranges are no verses, and make the list incomplete."""
    write_dictionary(
        tmp_path,
        '<entryFree n="TEA &amp; CO">\n<def>\n<lb/>→ Made of leaves <ref osisRef="Gen.1.1">Ge 1:1</ref>,'
        '<ref osisRef="Gen.1.2">2</ref>\n<lb/>→ In cups <ref osisRef="Ps.2">Ps 2</ref>; '
        '<ref osisRef="Ps.3.1">Ps 3:1</ref>\n<list>\n<item>Of Lot  '
        '<ref osisRef="Gen.1.1-Gen.1.2">Ge 1:1-2</ref></item>\n</list></def></entryFree>',
        '<entryFree n="CUP"><def><lb/>→ See <ref target="Nave:TEA">TEA</ref></def></entryFree>',
    )
    assert read_topics(tmp_path) == [
        Topic("TEA & CO", "Made of leaves", ("Gen.1.1", "Gen.1.2"), True),
        Topic("TEA & CO", "In cups", ("Ps.3.1",), False),
        Topic("TEA & CO", "Of Lot", (), False),
    ]
    (tmp_path / "nave.zdt").write_bytes(b"torn")
    with pytest.raises(DataError, match="unpack its package again"):
        read_topics(tmp_path)


def test_record_fields(tmp_path):
    """Fields with title and description are read without running the module; others are left out."""
    (tmp_path / "cup.py").write_text(
        "raise SystemExit\n"
        "class Cup:\n"
        "    size: int = Field(None, title='How much  it\\nholds', description=('In ' 'millilitres.'))\n"
        "    size__ext: int = Field(title='Extension')\n"
        "    other = 1\n"
    )
    assert read_record_fields(tmp_path) == [RecordField("Cup.size", "How much it holds", "In millilitres.")]
    (tmp_path / "cup.py").write_text("class Cup:\n")
    with pytest.raises(DataError, match="Cannot read"):
        read_record_fields(tmp_path)


def test_addresses(tmp_path):
    """Paragraphs in one line each, by file and number; a folder without texts is refused."""
    with pytest.raises(DataError, match="holds no text"):
        read_addresses(tmp_path)
    (tmp_path / "1800-A-1.txt").write_text("Fellow\ncitizens.\n\n\nThe end.\n")
    assert read_addresses(tmp_path) == {"1800-A-1/0": "Fellow citizens.", "1800-A-1/1": "The end."}


def test_occupations(tmp_path):
    """The name ends where others begin, which is known by its plural; groups and other rows are left out."""
    path = tmp_path / "occupations.csv"
    path.write_text(
        "id,description\n"
        'o1,"tea taster taster of tea TEA expert Tea tasters taste tea. They write."\n'
        'o2,"cup fireman fire person Cup firemen put out."\n'
        'o3,"Tea tasters and others Tea tasters and others taste."\n'
        'o4,"actor/actress film actor Actors/actresses play."\n'
    )
    assert read_occupations(path) == [
        Occupation("o1", "tea taster", "Tea tasters taste tea. They write."),
        Occupation("o2", "cup fireman", "Cup firemen put out."),
    ]
    path.write_text("id,text\no1,tea\n")
    with pytest.raises(DataError, match="wanted a table of ids and descriptions"):
        read_occupations(path)
    path.write_text("id,description\no1,tea\n")
    with pytest.raises(DataError, match="holds no occupation"):
        read_occupations(path)


def test_constitution(tmp_path):
    """Paragraphs without blanks around and between."""
    path = tmp_path / "constitution.json"
    path.write_text(
        '[{"article": 1, "title": " Tea ", "description": "(1) Tea\\u00a0is.\\n\\n\\u00a0\\n\\n(2) Law."}]'
    )
    assert read_constitution(path) == [LegalArticle("1", "Tea", ("(1) Tea is.", "(2) Law."))]
    for odd in ("[]", '[{"article": 1}]', "{"):
        path.write_text(odd)
        with pytest.raises(DataError, match="article"):
            read_constitution(path)


def test_quantities(tmp_path):
    """Entries with a description; aliases and entries without one are left out."""
    path = tmp_path / "table.xml"
    path.write_text(
        '<t><entry id="sea_heat"><description>Heat &amp;\n  sea.</description></entry><entry id="x"/>'
        '<alias id="y"><entry_id>x</entry_id></alias></t>'
    )
    assert read_quantities(path) == [Quantity("sea_heat", "Heat & sea.")]
    path.write_text('<t><entry id="x"/></t>')
    with pytest.raises(DataError, match="no described entry"):
        read_quantities(path)
    path.write_text("<t>")
    with pytest.raises(DataError, match="Cannot read"):
        read_quantities(path)


def test_editor_help(tmp_path):
    """Summaries of the lists, texts without headings, tags, bars and examples; titled sections."""
    (tmp_path / "quickref.txt").write_text(
        "Short explanation:\t*option-list*\n"
        "'teatime'\t  'tt'\t    when to have |tea|\n\t\t\t    every day\n"
        "'cup'\t\t\t    size of it\n---\n'no'\t'n'\tnot this\n"
    )
    (tmp_path / "options.txt").write_text(
        "\t\t\t*'teatime'* *'tt'*\n"
        "'teatime' 'tt'\t\tstring\t(default \"five\"\n\t\t\t\t\tfor Unix)\n\t\t\tglobal\n"
        "\tThe time of |tea|.  Example: >\n\t\tset tt=4\n<\tOr later.\n\n"
        "'cup'\t\tnumber\n\t\t\tlocal\n\tHow much.\n"
    )
    (tmp_path / "builtin.txt").write_text(
        "1. Overview\t*builtin-function-list*\n\n"
        "pour({cup})\t\tNumber or List  fill {cup}\n"
        "drink({cup}, {tea} [, {long}])\n\t\t\tString\tempty the\n\t\t\t\t{cup}\n===\n"
        "pour({cup})\t\t\t*pour()*\n\t\tFill it.\n\n"
        "drink({cup}, {tea} [, {long}])\t*drink()*\n\t\tEmpty it.\n===\n"
    )
    (tmp_path / "usr_01.txt").write_text(
        "x\n===\n*01.1*\tOf tea\n\nHave |tea|: >\n\n\t:tea\n\n   Drink. *t1*\n===\n"
    )
    assert read_help(tmp_path) == [
        HelpEntry("teatime", "when to have tea every day", "The time of tea. Example: Or later."),
        HelpEntry("cup", "size of it", "How much."),
        HelpEntry("pour", "fill {cup}", "Fill it."),
        HelpEntry("drink", "empty the {cup}", "Empty it."),
        HelpEntry("01.1", "Of tea", "Have tea: Drink."),
    ]
    for name in ("options", "builtin", "usr_01"):
        (tmp_path / f"{name}.txt").write_text("")
    with pytest.raises(DataError, match="no option and no function"):
        read_help(tmp_path)
