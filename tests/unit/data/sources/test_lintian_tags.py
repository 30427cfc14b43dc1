"""Lintian tags: names, explanations without markup, and negatives of the same check."""

import pytest

from search_r3.data.sources.lintian_tags import LintianTag, lintian_pairs, read_lintian_tags
from search_r3.errors import DataError

TAG = """Tag: cold-tea_cup
Severity: error
Check: kitchen/tea
Renamed-From:
 tepid-tea
Explanation: The cup in <code>/srv&lowbar;tea</code> is
 cold: <a href="http://x.example/">warm it</a>.
 .
 Use a <em>kettle</em>.
 http://kettle.example/
See-Also: tea-policy 1.2
"""


def write(folder, name, text):
    (folder / name[0]).mkdir(exist_ok=True)
    (folder / name[0] / f"{name}.tag").write_text(text)


def tag(name, check, *paragraphs):
    return LintianTag(name, check, paragraphs or (f"about {name}",))


def test_fields(tmp_path):
    """Name, check and the paragraphs of the explanation, without markup and lines of links."""
    write(tmp_path, "cold-tea", TAG)
    (found,) = read_lintian_tags(tmp_path)
    assert (found.name, found.check) == ("cold-tea_cup", "kitchen/tea")
    assert found.paragraphs == ("The cup in /srv_tea is cold: warm it.", "Use a kettle.")


def test_name_spaced_tags_carry_their_check(tmp_path):
    """A tag whose name is unique in its check only is named after both."""
    write(tmp_path, "include", "Tag: include\nName-Spaced: yes\nCheck: ci/salsa\nExplanation: It includes.\n")
    (found,) = read_lintian_tags(tmp_path)
    assert found.name == "ci/salsa/include"


def test_pairs():
    """The name in words finds the explanation; names of one word make no query."""
    pairs = lintian_pairs([tag("cold-tea_cup", "kitchen/tea", "The cup is cold.", "Warm it."), tag("k", "x")])
    (pair,) = pairs
    assert (pair.query, pair.positive) == ("cold tea cup", "The cup is cold. Warm it.")
    assert (pair.source, pair.query_id, pair.doc_id) == ("lintian", "cold-tea_cup", "cold-tea_cup")


def test_negatives_are_of_the_check_or_else_of_the_first_word():
    """Tags of the same check are negatives; alone in its check, a tag has those with its first word."""
    tags = [
        tag("cold-tea", "tea"),
        tag("weak-tea", "tea"),
        tag("cold-soup", "soup"),
        tag("no-bread", "bread"),
    ]
    negatives = {pair.query_id: pair.negatives for pair in lintian_pairs(tags)}
    assert negatives["cold-tea"] == ("about weak-tea",)
    assert negatives["cold-soup"] == ("about cold-tea",)
    assert negatives["no-bread"] == ()


def test_explanations_are_cut_at_a_paragraph():
    """Paragraphs are added as long as they stay within 120 words; a first one that is longer is cut."""
    short, long = "word " * 100, "more " * 130
    fits, cut = lintian_pairs([tag("a-b", "x", short.strip(), long.strip()), tag("c-d", "y", long.strip())])
    assert fits.positive == short.strip()
    assert cut.positive.split() == ["more"] * 120


def test_refuses_what_is_no_tag(tmp_path):
    """A folder without tags, or a tag without one of its fields, is an error that names what is missing."""
    with pytest.raises(DataError, match=r"holds no \.tag file"):
        read_lintian_tags(tmp_path)
    write(tmp_path, "cold-tea", "Tag: cold-tea\nCheck: tea\n")
    with pytest.raises(DataError, match="lacks Explanation"):
        read_lintian_tags(tmp_path)
