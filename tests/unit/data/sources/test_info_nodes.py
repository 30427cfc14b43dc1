"""GNU info manuals: nodes with titles and prose, items with explanations, and pairs of both."""

import gzip

import pytest

from search_r3.data.sources.explained_items import ExplainedItem, explained_item_pairs
from search_r3.data.sources.info_nodes import InfoNode, info_items, info_nodes_pairs, read_info_nodes
from search_r3.data.sources.info_text import clean, split_blocks
from search_r3.errors import DataError

MANUAL = """This is tea.info, produced by makeinfo.

\x1f
File: tea.info,  Node: Top,  Next: Brewing,  Up: (dir)

The Tea Manual
**************

* Menu:

* Brewing::   How.

\x1f
File: tea.info,  Node: Brewing,  Next: Cups,  Prev: Top,  Up: Top

2.1 Brewing tea
===============

Pour _hot_ water; *note Cups:: for what comes next, or *note the pot:
(pots)Lids.

     $ brew --now

   It takes a while.

\u2018-t\u2019
\u2018--time=MINUTES\u2019
     Wait for MINUTES.  The default of \u2018--time\u2019 is 3.

          brew -t 4

     More is bitter.

* Menu:

* Cups::  All of them.

   ---------- Footnotes ----------

   (1) No.

\x1f
File: tea.info,  Node: GNU Licence,  Up: Top

Appendix A Licence
******************

A licence with very many words that are not about tea at all, as licences go.
"""


def test_nodes_of_a_manual(tmp_path):
    """Headings lose their numbers; menus, footnotes and examples go; items keep all of their names."""
    (tmp_path / "tea.info.gz").write_bytes(gzip.compress(MANUAL.encode()))
    top, brewing, licence = read_info_nodes(tmp_path)
    assert (top.title, top.paragraphs, top.items) == ("The Tea Manual", (), ())
    assert (brewing.manual, brewing.name, brewing.up, brewing.title) == (
        "tea",
        "Brewing",
        "Top",
        "Brewing tea",
    )
    assert brewing.paragraphs == (
        "Pour hot water; Cups for what comes next, or the pot.",
        "It takes a while.",
    )
    (item,) = brewing.items
    assert item == ExplainedItem(
        "tea/Brewing/0",
        "tea",
        ("-t", "--time=MINUTES"),
        ("Wait for MINUTES. The default of \u2018--time\u2019 is 3.", "More is bitter."),
        "Brewing tea",
    )
    assert licence.title == "Licence"


def test_parts_of_a_manual_are_read_in_order(tmp_path):
    """Part 10 stands behind part 9, and the nodes of a file without names are skipped."""
    for part in ("", "-9", "-10"):
        text = f"x\n\x1f\nFile: tea.info,  Node: N{part},  Up: Top\n\nText.\n\x1f\nTag Table:\n"
        (tmp_path / f"tea.info{part}.gz").write_bytes(gzip.compress(text.encode()))
    assert [node.name for node in read_info_nodes(tmp_path)] == ["N", "N-9", "N-10"]


def test_definitions_are_items():
    """Several definitions in a row share a text; a definition may go on in the next line."""
    lines = [
        " -- Function: pour (TEA,",
        "          CUP)",
        " -- Function: spill (TEA)",
        "     Move TEA.",
        "",
        "       not this",
        "",
        "     At once.",
        "",
        "   • A point",
        "     of prose.",
    ]
    prose, items = split_blocks(lines)
    assert items == [(("pour (TEA, CUP)", "spill (TEA)"), ("Move TEA.", "At once."))]
    assert prose == ["A point of prose."]


def test_tables_headings_and_notices_are_no_prose():
    """Columns, underlined headings, sessions and copyright notices are left out."""
    lines = [
        "a    b    c",
        "d    e    f",
        "",
        "Head",
        "----",
        "",
        "(%i1) x;",
        "",
        "Copyright (C) 2020 Me",
        "",
        "Yes.",
    ]
    assert split_blocks(lines)[0] == ["Yes."]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("see *note Two words: (m)Node.", "see Two words."),
        ("_one_ and a_b_c and *strong* 2*3*4", "one and a_b_c and strong 2*3*4"),
        ("one.  Two \0\x08[image src=x\0\x08]", "one. Two"),
    ],
)
def test_markup_of_info_is_cleaned(text, cleaned):
    """References and emphasis leave their words."""
    assert clean([text]) == cleaned


def node(name, title, text="one two three four five six seven eight nine ten eleven twelve", up="Top"):
    return InfoNode("tea", name, up, title, (text,), ())


def test_pairs_of_nodes():
    """Vague titles get the one above or the manual's name; licences and nodes of few words are left out."""
    nodes = [
        node("Top", "Tea"),
        node("A", "Brewing tea"),
        node("B", "Options", up="A"),
        node("C", "Overview", "a b c d e f g h i j k l. Here it is:"),
        node("D", "Licence"),
        node("E", "Terms of it", up="D"),
        node("F", "Too short", "a few words"),
    ]
    pairs = {pair.query_id: pair for pair in info_nodes_pairs("info", nodes)}
    assert {key: pair.query for key, pair in pairs.items()} == {
        "tea/A": "Brewing tea",
        "tea/B": "Brewing tea: Options",
        "tea/C": "tea: Overview",
    }
    assert pairs["tea/C"].positive == "a b c d e f g h i j k l."
    assert pairs["tea/A"].negatives == ("a b c d e f g h i j k l.",)
    assert pairs["tea/B"].negatives == ()


def test_items_of_nodes_about_programs(tmp_path):
    """The items of "brew invocation" belong to the program; nodes about bugs have no items."""
    text = "x\x1f\nFile: tea.info,  Node: {},  Up: Top\n\n\u2018-a\u2019\n     All of it.\n"
    for name in ("brew invocation", "Bugs"):
        (tmp_path / f"{name[:4]}.info.gz").write_bytes(gzip.compress(text.format(name).encode()))
    (item,) = info_items(read_info_nodes(tmp_path))
    assert (item.owner, item.topic, item.names) == ("brew", "", ("-a",))


def test_pairs_of_items():
    """The rest of the explanation stands with the name, or the name alone; own names are taken out."""
    items = [
        ExplainedItem("1", "brew", ("-t", "--time=N"), ("If --time is given, wait so many minutes for it. It "
                      "is a number of whole minutes from one to ten.",)),
        ExplainedItem("2", "brew", ("-w",), ("Water is poured at once.",)),
        ExplainedItem("3", "pour", ("-w",), ("Water is poured at once.",)),
        ExplainedItem("4", "brew", ("--help",), ("Print this help and exit at once.",)),
        ExplainedItem("5", "brew", ("-x",), ("Same as the other option here.",)),
        ExplainedItem("6", "conf", ("TeaKind=",), ("The TeaKind= is the kind of the tea in a cup.",), "Cup"),
    ]  # fmt: skip
    pairs = {pair.query_id: pair for pair in explained_item_pairs("options", items)}
    assert {key: (pair.query, pair.positive) for key, pair in pairs.items()} == {
        "1": (
            "If this is given, wait so many minutes for it.",
            "brew -t, --time=N: It is a number of whole minutes from one to ten.",
        ),
        "2": ("Water is poured at once (brew)", "brew -w"),
        "6": ("The kind of the tea in a cup.", "conf (Cup) TeaKind="),
    }
    assert pairs["2"].negatives == (pairs["1"].positive,)


def test_refuses_what_is_no_info_manual(tmp_path):
    """A folder without nodes, and a damaged file, are errors."""
    with pytest.raises(DataError, match="holds no info node"):
        read_info_nodes(tmp_path)
    (tmp_path / "tea.info.gz").write_bytes(gzip.compress(MANUAL.encode())[:50])
    with pytest.raises(DataError, match=r"Cannot read the info file .*tea\.info\.gz"):
        read_info_nodes(tmp_path)
