"""Sections of a manual written in DocBook or Mallard, the XML formats of desktop help."""

from __future__ import annotations

import re
from html.entities import html5
from xml.etree import ElementTree

from search_r3.data.sources.html_sections import PageSection


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECTIONS = _words(
    "book part chapter appendix preface article section simplesect sect1 sect2 sect3 sect4 sect5 refentry"
    " refsect1 refsect2 page qandadiv"
)
_SKIPPED = _words(
    "title info bookinfo articleinfo chapterinfo sectioninfo sect1info sect2info sect3info indexterm "
    "screenshot"
    " mediaobject inlinemediaobject figure informalfigure media table informaltable programlisting"
    " programlistingco legalnotice footnote links synopsis cmdsynopsis funcsynopsis comment remark anchor"
    " subtitle caption titleabbrev toc index bibliography glossary screen literallayout code listing "
    "address"
)
# Everything else is part of a line.
_BLOCKS = _words(
    "para p simpara formalpara desc note tip warning important caution itemizedlist orderedlist "
    "variablelist"
    " simplelist listitem member procedure step substeps list steps terms item tree highlights abstract"
    " blockquote quote example informalexample sidebar answer question qandaset qandaentry glosslist"
    " segmentedlist calloutlist callout if choose when else cite"
)
_TERMS = {"varlistentry": "term", "glossentry": "glossterm", "qandaentry": "question", "terms": "title"}
_JOINED = {"menuchoice": " → ", "guiseq": " → ", "keycombo": "+", "keyseq": "+"}
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_DECLARATION = re.compile(r"<\?.*?\?>", re.DOTALL)
_ENTITY = re.compile(r"""<!ENTITY\s+([\w.-]+)\s+(SYSTEM\s+)?["']([^"'<]*)["']""")
_REFERENCE = re.compile(r"&([A-Za-z][\w.-]*);")
_REFERRING = re.compile(r"[^.!?]* \.(?= |$)")
"""A sentence that ends in a reference, whose text is not in the page."""

_XML_ENTITIES = ("lt", "gt", "amp", "quot", "apos")
_NAMES = {
    "LMB": "left mouse button",
    "MMB": "middle mouse button",
    "RMB": "right mouse button",
    "X-Window": "X Window System",
    "bibtex": "BibTeX",
    "gnucash": "GnuCash",
    "gnum": "Gnumeric",
    "kate": "Kate",
    "kde": "KDE",
    "kmymoney": "KMyMoney",
    "konsole": "Konsole",
    "konqueror": "Konqueror",
    "kstars": "KStars",
    "kwrite": "KWrite",
    "latex": "LaTeX",
    "appname": "Tellico",
}
"""Entities that files outside of the pages declare."""


def read_xml_sections(page: str) -> list[PageSection]:
    """Split a page into its sections, in order, without those that have no text.

    A page with broken markup has none. Tables, figures, listings and what describes the page itself do not
    count as text; Mallard's description of a page is its first paragraph. A term of a list of
    definitions makes a section.
    """
    try:
        root = ElementTree.fromstring(f"<document>{_resolve(page)}</document>")
    except ElementTree.ParseError:
        return []
    reader = _XmlReader()
    reader.read(root, ())
    return [
        PageSection(titles, tuple(texts), is_term)
        for titles, texts, is_term in reader.parts
        if titles and texts
    ]


def _resolve(page: str) -> str:
    """Put in what entities stand for; what only the publisher's files know gets its own name."""
    known = dict(_NAMES)
    for name, external, value in _ENTITY.findall(page):
        known[name] = "" if external else value

    def text(found: re.Match[str]) -> str:
        name = found[1]
        if name in _XML_ENTITIES:
            return found[0]
        value = known.get(name) or html5.get(f"{name};")
        if value is None:
            value = "" if name in known else name.replace("-", " ").replace(".", " ")
        return value.replace("&", "&amp;").replace("<", "&lt;")

    return _REFERENCE.sub(text, _DECLARATION.sub("", _DOCTYPE.sub("", page)))


class _XmlReader:
    """Collects parts: titles, paragraphs, and whether the last title is a term."""

    def __init__(self) -> None:
        self.parts: list[tuple[tuple[str, ...], list[str], bool]] = []

    def read(self, section: ElementTree.Element, above: tuple[str, ...]) -> None:
        """Read a section, whose title is its own or that of its description."""
        title = _title(section)
        titles = (*above, title) if title else above
        texts: list[str] = []
        self.parts.append((titles, texts, False))
        if (summary := section.find("{*}info/{*}desc")) is not None:
            texts.append(_line(summary))
        self._children(section, titles, texts)

    def _children(self, element: ElementTree.Element, titles: tuple[str, ...], texts: list[str]) -> None:
        """Add the paragraphs in an element; its text stands between and in its children."""
        line = [element.text or ""]

        def end_line() -> None:
            if text := _REFERRING.sub("", " ".join("".join(line).split())).strip():
                texts.append(text)
            line.clear()

        for child in element:
            name = _name(child)
            if name in _SECTIONS:
                end_line()
                self.read(child, titles)
            elif name in _TERMS and self._term(child, titles, _TERMS[name]):
                end_line()
            elif name == "choose":
                end_line()
                self._children(child[0], titles, texts)  # what differs between systems: the first of them
            elif name in _BLOCKS or name in _TERMS or name == "document":
                end_line()
                self._children(child, titles, texts)
            elif name not in _SKIPPED:
                line.append(_line(child, strip=False))
            line.append(child.tail or "")
        end_line()

    def _term(self, element: ElementTree.Element, titles: tuple[str, ...], kind: str) -> bool:
        """Read a definition or an answer; the items of Mallard's lists have titles of their own."""
        entries = element.findall("{*}item") if kind == "title" else [element]
        for entry in entries:
            names = [_line(name) for name in entry.findall(f"{{*}}{kind}")]
            texts: list[str] = []
            self.parts.append(((*titles, ", ".join(names)), texts, True))
            for child in entry:
                if _name(child) != kind:
                    self._children(child, titles, texts)
        return True


def _title(section: ElementTree.Element) -> str:
    for path in ("title", "{*}title", "{*}info/{*}title", "{*}bookinfo/{*}title", "{*}articleinfo/{*}title"):
        if (found := section.find(path)) is not None:
            return _line(found)
    return ""


def _line(element: ElementTree.Element, strip: bool = True) -> str:
    """The text in an element of a line; steps through menus and keys get their signs."""
    name = _name(element) if isinstance(element.tag, str) else ""
    if not name or (name in _SKIPPED and name != "title"):
        return ""
    between = _JOINED.get(name)
    if between is not None:
        return between.join(filter(None, (_line(child) for child in element if _name(child) != "shortcut")))
    parts = [element.text or ""]
    for child in element:
        parts += [_line(child, strip=False), child.tail or ""]
    text = "".join(parts)
    return " ".join(text.split()) if strip else text


def _name(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""
