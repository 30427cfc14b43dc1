"""DocBook and Mallard: sections with their titles, terms, and the text in between."""

import pytest

from search_r3.data.sources.html_sections import PageSection
from search_r3.data.sources.xml_sections import read_xml_sections

DOCBOOK = """<?xml version="1.0"?>
<!DOCTYPE book PUBLIC "-//KDE//DTD" "x.dtd" [
  <!ENTITY brew "Brewer">
  <!ENTITY more SYSTEM "more.docbook">
]>
<book lang="&language;"><bookinfo><title>The &brew; &amp; You</title><author>Somebody</author></bookinfo>
<chapter><title>Using <guilabel>Tea</guilabel></title>
<indexterm><primary>tea</primary></indexterm>
<para>Press <keycombo><keycap>Ctrl</keycap><keycap>T</keycap></keycombo> or choose
<menuchoice><shortcut><keycap>x</keycap></shortcut><guimenu>Pot</guimenu><guimenuitem>Pour</guimenuitem></menuchoice>.
<itemizedlist><listitem><para>A cup&mdash;hot</para></listitem></itemizedlist> Done &RMB;.</para>
<screen>left out</screen>
<sect1><title>Kinds</title><variablelist>
<varlistentry><term>Green</term><term>Jade</term><listitem><para>Light.</para></listitem></varlistentry>
</variablelist></sect1>
</chapter>&more;</book>"""

MALLARD = """<page xmlns="http://projectmallard.org/1.0/" xmlns:if="http://projectmallard.org/if/1.0/" id="t">
<info><link type="guide" xref="x"/><desc>Make tea.</desc><credit><name>Somebody</name></credit></info>
<title>Tea</title><p>Click <guiseq><gui>Pot</gui><gui>Pour</gui></guiseq>.</p>
<if:choose><if:when test="a"><p>First way.</p></if:when>
<if:when test="b"><p>Other way.</p></if:when></if:choose>
<section><title>Steps</title><steps><item><p>Boil.</p></item><item><p>Wait.</p></item></steps>
<terms><item><title>Cup</title><p>A vessel.</p></item></terms></section></page>"""


def test_docbook_by_hand():
    """Entities and menus are resolved; descriptions of the book, index and listings are left out."""
    above = ("The Brewer & You", "Using Tea")
    assert read_xml_sections(DOCBOOK) == [
        PageSection(above, ("Press Ctrl+T or choose Pot → Pour.", "A cup—hot", "Done right mouse button.")),
        PageSection((*above, "Kinds", "Green, Jade"), ("Light.",), True),
    ]


def test_mallard_by_hand():
    """The description opens a page, and of what differs between systems the first is taken."""
    assert read_xml_sections(MALLARD) == [
        PageSection(("Tea",), ("Make tea.", "Click Pot → Pour.", "First way.")),
        PageSection(("Tea", "Steps"), ("Boil.", "Wait.")),
        PageSection(("Tea", "Steps", "Cup"), ("A vessel.",), True),
    ]


@pytest.mark.parametrize("page", ["", "<page><title>A</title><p>b", "plain", "<page><p>No title.</p></page>"])
def test_pages_without_sections(page):
    """Broken markup, or a page without a title, has no section."""
    assert read_xml_sections(page) == []


def test_fragments_without_a_single_root():
    """A file that another one includes may hold several sections."""
    page = "<sect1><title>A</title><para>a</para></sect1><sect1><title>B</title><para>b</para></sect1>"
    assert read_xml_sections(page) == [PageSection(("A",), ("a",)), PageSection(("B",), ("b",))]
