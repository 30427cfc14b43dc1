"""Pages of HTML: split at their headings, without what surrounds the text."""

import pytest

from search_r3.data.sources.html_sections import PageSection, read_html_sections

PAGE = """<!DOCTYPE html><html><head><title>Tea Time &mdash; Kettle 3.2 documentation</title></head>
<body><style>p {}</style>
<div class="navheader"><p>Prev</p><div>Up</div></div>
<p>Before the first heading.</p>
<h1>1. <a class='header' href='#t'>Tea</a><a class="headerlink" href="#tea">#</a></h1>
<p>Tea is <em>hot</em>
water.<p>It has <code>leaves</code>.
<div class="toc"><ul><li><a href="#a">Brewing</a></li></ul></div>
<h2 id="a">Brewing</h2>
<div class="note"><h3 class="title">Note</h3><p>Mind the steam.</p></div>
<table><tr><td>left out</td></tr></table>
<p>Run this:</p><pre>brew --now</pre>
<pre>one
two
three</pre>
<ul><li>Pour.</li><li><a href="x">Only a link</a></li><li>See <a href="x">it</a>.</li></ul>
<h2>Options</h2>
<dl><dt>-n</dt><dt>--now</dt><dd><p>Brews now.</p>
<dl><dt>never</dt><dd>Not at all.</dd></dl>Or later.</dd></dl>
<p>No more options.</p>
<h2>Empty</h2>
<div class="footer"><p>Copyright</p></div></body></html>"""


def test_a_page_by_hand():
    """Titles from the first heading down, paragraphs of lists and notes, terms with their definitions."""
    assert read_html_sections(PAGE) == [
        PageSection(("Tea Time", "1. Tea"), ("Tea is hot water.", "It has leaves.")),
        PageSection(
            ("Tea Time", "1. Tea", "Brewing"),
            ("Mind the steam.", "Run this:", "brew --now", "Pour.", "See it."),
        ),
        PageSection(("Tea Time", "1. Tea", "Options"), ("No more options.",)),
        PageSection(("Tea Time", "1. Tea", "Options", "-n, --now"), ("Brews now.", "Or later."), True),
        PageSection(("Tea Time", "1. Tea", "Options", "-n, --now", "never"), ("Not at all.",), True),
    ]


@pytest.mark.parametrize(
    ("title", "heading", "titles"),
    [
        ("Tea — Manual", "Tea", ("Tea",)),
        ("Tea", "Tea: a drink", ("Tea: a drink",)),
        ("Drinks (Kettle 3)", "1.4 Drinks", ("1.4 Drinks",)),
        ("Kettle: 1.4 Drinks", "1.4 Drinks", ("1.4 Drinks",)),
        ("Drinks today", "Drinks", ("Drinks today", "Drinks")),
        ("brew(1)", "OPTIONS", ("brew(1)", "OPTIONS")),
        ("", "OPTIONS", ("OPTIONS",)),
    ],
)
def test_the_title_of_a_page_is_there_once(title, heading, titles):
    """The page's title is above the headings, unless the first one repeats it."""
    page = f"<title>{title}</title><h1>{heading}</h1><p>Text.</p>"
    assert read_html_sections(page) == [PageSection(titles, ("Text.",))]


def test_headings_of_the_same_level_replace_each_other():
    """A heading ends all sections of its level and below."""
    page = "<h1>A</h1><h3>B</h3><p>b</p><h2>C</h2><p>c</p><h3>D</h3><p>d</p><h1>E</h1><p>e</p>"
    assert [section.titles for section in read_html_sections(page)] == [
        ("A", "B"),
        ("A", "C"),
        ("A", "C", "D"),
        ("E",),
    ]


@pytest.mark.parametrize(
    "part",
    [
        '<div class="sphinxsidebar"><div>x</div><p>y</p></div>',
        '<span hidden="true">x</span>',
        "<nav><ul><li>x</li></ul></nav>",
        "<script>if (a < b) { '<p>' }</script>",
        "<p><b>Warning</b></p>",
        "<p>Figure 3.1. A cup</p>",
        "<!-- comment --><p> </p>",
    ],
)
def test_what_surrounds_a_text_is_left_out(part):
    """Navigation, hidden parts, scripts, labels of notes and captions."""
    page = f"<h1>A</h1><p>Before.</p>{part}<p>After.</p>"
    assert read_html_sections(page) == [PageSection(("A",), ("Before.", "After."))]


def test_damaged_pages_do_no_harm():
    """A page without headings has no section, and tags that nobody closes end with the page."""
    assert read_html_sections("<p>Text.</p>") == []
    assert read_html_sections("") == []
    assert read_html_sections("<h1>A</h1></div></dl><p>b<div class=toc>c") == [PageSection(("A",), ("b",))]
