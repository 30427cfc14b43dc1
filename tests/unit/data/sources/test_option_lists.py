"""Lists of options in manual pages, however they are set: by hand, by docbook, in mdoc."""

import gzip

import pytest

from search_r3.data.sources.mdoc import to_man_macros
from search_r3.data.sources.option_lists import read_option_lists
from search_r3.data.sources.roff_lists import tagged_texts
from search_r3.errors import DataError


def texts(source):
    return tagged_texts(source.strip().split("\n"))


def test_lists_set_by_hand():
    """A tag stands below .TP or behind .IP; a row of tags shares a text; a new paragraph ends an entry."""
    source = r"""
.SS Brewing
.TP
.BR \-t ", " \-\-time
.TP
.B \-T
Wait.
.IP
More.
.IP "\-w" 4
Pour.
.RS
.TP
inner
Not this.
.RE
.PP
Prose.
"""
    assert texts(source) == [
        ("Brewing", ("-t, --time", "-T"), ("Wait.", "More.")),
        ("Brewing", ("-w",), ("Pour.",)),
    ]


def test_lists_set_by_docbook():
    """The paragraph before an indented text is its tag; what is indented further is left out."""
    source = r"""
.PP
\fIKind=\fR
.RS 4
The kind\&.
.sp
One of:
.PP
\fIgreen\fR
.RS 4
Not this\&.
.RE
.RE
.PP
\fICup=\fR
.RS 4
The cup\&.
.RE
"""
    assert texts(source) == [
        ("", ("Kind=",), ("The kind.", "One of:")),
        ("", ("Cup=",), ("The cup.",)),
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (".It Fl t Ar minutes", "\\-t minutes"),
        (".It Fl a Ns Ar b , Fl Fl c", "\\-ab, \\-\\-c"),
        (".It Xr brew 1 .", "brew(1)."),
        (".It Op Fl t Ar n .", "[\\-t n]."),
        (".It Do hot Dc Pq Li very", "\u201chot\u201d (very)"),
        (".It Nm , Nm pot", "brew, pot"),
    ],
)
def test_inline_macros_of_mdoc(line, text):
    """Flags get their dash, references their section, quotations their marks."""
    source = f".Dd x\n.Sh NAME\n.Nm brew\n.Bl -tag\n{line}\nx\n.El"
    assert to_man_macros(source).split("\n")[4] == text


def test_mdoc_is_rewritten():
    """Sections, lists and paragraphs become those of the man macros; other pages stay as they are."""
    source = ".Dd x\n.Sh NAME\n.Nm brew\n.Nd make tea\n.Bl -tag\n.It Fl t\nWait.\n.Pp\nMore.\n.El\n.Pp\nEnd."
    assert to_man_macros(source).split("\n") == (
        [
            ".SH NAME",
            "brew",
            "\\- make tea",
            ".sp",
            ".TP",
            "\\-t",
            "Wait.",
            ".sp",
            "More.",
            ".PP",
            ".PP",
            "End.",
        ]
    )
    assert to_man_macros(".TH x\n.SH NAME\nx") == ".TH x\n.SH NAME\nx"


def test_items_of_pages(tmp_path):
    """An item belongs to its page; lists of files and long tags are no options."""
    (tmp_path / "man1").mkdir()
    source = ".TH x\n.SH OPTIONS\n.SS Pouring options\n.TP\n-a:\nAll.\n.SS Pots\n.TP\n-p\nA pot.\n"
    source += ".SH FILES\n.TP\nf\nNo.\n"
    (tmp_path / "man1" / "brew.1.gz").write_bytes(gzip.compress(source.encode()))
    first, second = read_option_lists(tmp_path)
    assert (first.item_id, first.owner, first.topic, first.names) == ("brew.1/0", "brew", "", ("-a",))
    assert (second.item_id, second.topic, second.paragraphs) == ("brew.1/1", "Pots", ("A pot.",))


def test_refuses_a_folder_without_options(tmp_path):
    """The message says which pages were wanted."""
    with pytest.raises(DataError, match="holds no list of options; wanted usr/share/man"):
        read_option_lists(tmp_path)
