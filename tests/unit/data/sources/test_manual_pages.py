"""Manual pages: roff turned into plain text, and pages paired with their summaries."""

import gzip

import pytest

from search_r3.data.sources.manual_pages import ManualPage, manual_pages_pairs, read_manual_pages
from search_r3.data.sources.roff import paragraphs, plain_text, sections
from search_r3.errors import DataError

PAGE = r"""'\" t
.\" A comment.
.TH brew 1 2020-01-01
.SH NAME
brew, brewer \-
make \fItea\fP
.SH SYNOPSIS
.B brew
.SH DESCRIPTION
.\" hidden
The
.BR brew ()
command pours
.IR water ,
see
.BR pour "(1) and " kettle (8).
.PP
It \(lqworks\(rq in \[dq]/tea\[dq].
.EX
brew \-\-now
.EE
Options are:
.TP
.B \-n
now
.SH BUGS
Many.
"""


def write(folder, name, text):
    path = folder / f"man{name[-1]}" / f"{name}.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def page(name, section="2", names=(), summary="", text=()):
    return ManualPage(
        f"{name}.{section}",
        section,
        names or (name,),
        summary or f"what {name} does",
        text or (f"On {name}.",),
    )


def test_sections():
    """Lines are split at their headings; what stands before the first one is dropped."""
    found = sections('.TH x\n.SH NAME\nx\n.SH "See also"\ny\n')
    assert found == {"NAME": ["x"], "SEE ALSO": ["y", ""]}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (r"\fBbold\fP, \f[I]it\f[], \f(CWmono\fR", "bold, it, mono"),
        (r"a\-b \e0 \(aqc\[aq] 10\~km \&.x", r"a-b \0 'c' 10 km .x"),
        (".BR open (2),", "open(2),"),
        ('.RB [ \\-a ] " x"', "[-a] x"),
        (".B two words", "two words"),
        ('.I "quoted ""word"""', 'quoted "word"'),
        (r"end \" comment", "end"),
        (r"\[lq]hi\[rq] \[em] x\(+-1", "\u201chi\u201d \u2014 x\u00b11"),
        (".ad l", ""),
    ],
)
def test_markup_is_cleaned(line, text):
    """Fonts vanish, alternating macros join their arguments, characters by name become characters."""
    assert plain_text([line]) == text


def test_paragraphs_end_at_the_first_list():
    """Text before a list, table or subsection is kept; a subsection at the very beginning is entered."""
    assert paragraphs([".SS Intro", "one", ".PP", "two", ".TP", "tag", "three"]) == ["one", "two"]
    assert paragraphs(["one", ".nf", "code", ".fi", "more", "", "two", ".TS", "1"]) == ["one more", "two"]


def test_fields_of_pages(tmp_path):
    """A page's names and summary are those of its NAME line; links are skipped."""
    write(tmp_path, "brew.1", PAGE)
    write(tmp_path, "brewer.1", ".so man1/brew.1\n")
    (tmp_path / "man1" / "teapot.1.gz").symlink_to("brew.1.gz")
    (found,) = read_manual_pages(tmp_path)
    assert (found.page_id, found.section) == ("brew.1", "1")
    assert (found.names, found.summary) == (("brew", "brewer"), "make tea")
    assert found.paragraphs == (
        "The brew() command pours water, see pour(1) and kettle(8).",
        'It \u201cworks\u201d in "/tea". Options are:',
    )


def test_pages_with_macros_of_their_own_are_skipped(tmp_path):
    """What a page's own macros mean is not known, so the page is left out."""
    write(tmp_path, "brew.1", PAGE)
    write(tmp_path, "pour.1", PAGE.replace(".SH NAME", ".de Q\nx\n..\n.SH NAME"))
    assert [page.page_id for page in read_manual_pages(tmp_path)] == ["brew.1"]


def test_pairs(tmp_path):
    """A summary finds name and description, without the sentence that announces a list."""
    write(tmp_path, "brew.1", PAGE)
    (pair,) = manual_pages_pairs(read_manual_pages(tmp_path))
    assert pair.query == "make tea"
    assert pair.positive == (
        'brew: The brew() command pours water, see pour(1) and kettle(8). It \u201cworks\u201d in "/tea".'
    )
    assert (pair.source, pair.query_id, pair.doc_id) == ("manual_pages", "brew.1", "brew.1")


def test_negatives_have_similar_names():
    """Negatives are of the section, share four characters of the name, and describe no name in common."""
    pages = [
        page("sched_get"),
        page("sched_set"),
        page("sched_both", names=("sched_both", "sched_get")),
        page("scan"),
        page("sched", section="7"),
    ]
    negatives = {pair.query_id: set(pair.negatives) for pair in manual_pages_pairs(pages)}
    assert negatives["sched_get.2"] == {"sched_set: On sched_set."}
    assert negatives["sched_set.2"] == {"sched_get: On sched_get.", "sched_both: On sched_both."}
    assert negatives["scan.2"] == set()
    assert negatives["sched.7"] == set()


def test_positives_have_at_most_120_words():
    """Paragraphs are added as long as they fit; summaries of one word are no query."""
    first, second = page("a", text=("w " * 100, "v " * 30)), page("b", text=("w " * 200,))
    pairs = manual_pages_pairs([first, second, page("c", summary="unimplemented")])
    assert [len(pair.positive.split()) for pair in pairs] == [101, 120]


def test_refuses_what_holds_no_page(tmp_path):
    """A folder without pages, and a damaged page, are errors."""
    with pytest.raises(DataError, match="holds no manual page"):
        read_manual_pages(tmp_path)
    write(tmp_path, "brew.1", PAGE)
    path = tmp_path / "man1" / "brew.1.gz"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"Cannot read the manual page .*brew\.1\.gz"):
        read_manual_pages(tmp_path)
