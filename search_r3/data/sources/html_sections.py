"""Sections of an HTML page: the titles above a text, and the text's paragraphs without what surrounds it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_TERM_LEVEL = 7
_INLINE = _words(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span"
    " strike strong sub sup time tt u var"
)
_VOID = _words("area base br col embed hr img input link meta param source track wbr")
_ENDS_HEADING = _words("dd p ul ol dl table pre")
_SKIPPED = _words(
    "script style nav footer table form aside button select textarea svg math object template figure"
    " noscript iframe video audio"
)
_NEVER_AROUND = frozenset({"html", "head", "title", "body", "main", "article", "dl", "dt", "dd", *_HEADINGS})
# Classes, ids and roles of what surrounds a text; whole words of the attribute. A theme of Sphinx that many
# manuals have calls the text itself wy-nav-content, within wy-grid-for-nav.
_AROUND = re.compile(
    r"(?:^|[\s_-])(?:(?<!for-)(?<!wy-)nav|navi|navbar|navheader|navfooter|navigation|menu|menubar|toc|minitoc|contents|sidebar"
    r"|sphinxsidebar|related|footer|header|breadcrumbs?|headerlink|permalink|copyright|legalnotice|revhistory"
    r"|authorgroup|search|footnotes?|linenos|langs|toplang|bottomlang|seealso|synopsis|funcsynopsis|figure"
    r"|caption|mediaobject|docinfo|skip)(?=$|[\s_-])"
)
_MARK = re.compile(r"\b(?:headerlink|permalink|footnote|viewcode)")
_QUICKLY_DROPPED = re.compile(
    r"<(script|style|svg|nav|pre)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE
)
_ALL_LINKS = 0.8
_CODE_LINES = 2
_CODE_LENGTH = 120
_NAME_OF_MANUAL = re.compile(
    r" *[\u2014\u2013|-] [^\u2014\u2013|]*\b(?:documentation|manual|docs?)\b.*$", re.IGNORECASE
)
_NUMBER = re.compile(r"^(?:[A-Z]\.)?\d[\d.]*\s+")
_CAPTION = re.compile(r"(?:Figure|Table|Example|Listing) (?:[A-Z]\.)?\d[\d.-]*[.:]? ")
_LABELS = frozenset(
    {"note", "notes", "warning", "important", "tip", "tips", "caution", "attention", "danger", "hint"}
)


@dataclass(frozen=True)
class PageSection:
    """A piece of a page below one heading, without the pieces below its subheadings.

    Attributes:
        titles: The headings above it and its own, from the page's title down.
        paragraphs: Its text, in order. An item of a list is a paragraph; listings and tables are left out.
        is_term: Whether its own heading is a term of a list of definitions.
    """

    titles: tuple[str, ...]
    paragraphs: tuple[str, ...]
    is_term: bool = False


def read_html_sections(page: str) -> list[PageSection]:
    """Split a page into its sections, in order; one without text is left out.

    Tables, navigation, tables of contents, forms, footers and longer listings do not count as text. Neither
    does a paragraph that is all links. The page's title is the first of the titles unless a heading has it.
    """
    reader = _HtmlReader()
    reader.feed(_QUICKLY_DROPPED.sub(_shorten, page))
    reader.close()
    return reader.sections()


def _shorten(found: re.Match[str]) -> str:
    """Drop what would be skipped anyway, which halves the time for manuals with coloured listings."""
    is_listing = found[0][:4].lower() == "<pre"
    return found[0] if is_listing and found[0].count("\n") <= _CODE_LINES + 2 else " "


@dataclass
class _OpenSection:
    """A heading and the text below it, as far as it was read; level 0 is the page."""

    level: int
    titles: tuple[str, ...]
    paragraphs: list[str] = field(default_factory=list)


def _is_around(tag: str, attributes: list[tuple[str, str | None]]) -> bool:
    if tag in _SKIPPED:
        return True
    if tag in _NEVER_AROUND:
        return False
    return any(
        name == "hidden"
        or (name in ("class", "id", "role") and value and _tells_surroundings(value, tag == "a"))
        for name, value in attributes
    )


@lru_cache(maxsize=10_000)
def _tells_surroundings(value: str, is_link: bool) -> bool:
    # A link with a class such as "header" may be the text of a heading.
    return (_MARK if is_link else _AROUND).search(value.lower()) is not None


class _HtmlReader(HTMLParser):
    """Follows a page from tag to tag; end tags may lack, as HTML allows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[_OpenSection] = []
        self._above: list[_OpenSection] = [_OpenSection(0, ())]  # what comes before the first heading is lost
        self._page_title = ""
        self._text: list[str] = []
        self._linked = 0  # characters of the text that are in links
        self._in_link = False
        self._heading: int | None = None
        self._code = False
        self._lists = 0  # how deep the lists of definitions are nested
        self._skipped: str | None = None  # the tag of what is being skipped, and how deep it is nested
        self._depth = 0

    def sections(self) -> list[PageSection]:
        """What was read, at the end of the page."""
        self._end_block()
        root = self._root()
        return [
            PageSection((*root, *part.titles), tuple(part.paragraphs), part.level >= _TERM_LEVEL)
            for part in self._parts
            if part.paragraphs
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skipped is not None:
            self._depth += tag == self._skipped
        elif tag in _VOID:
            self._text.append("\n" if tag == "br" else "")
        elif _is_around(tag, attrs):
            if tag not in _INLINE:
                self._end_block()
            self._skipped, self._depth = tag, 1
        elif tag in _HEADINGS or tag in ("dt", "title"):
            self._end_block()
            self._heading = _HEADINGS.get(tag, 0 if tag == "title" else _TERM_LEVEL + self._lists)
        elif tag == "a":
            self._in_link = True
        elif tag not in _INLINE:
            if self._heading is None or tag in _ENDS_HEADING:
                self._end_block()
            self._lists += tag == "dl"
            self._code = tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if self._skipped is not None:
            self._depth -= tag == self._skipped
            if not self._depth:
                self._skipped = None
        elif tag == "a":
            self._in_link = False
        elif tag in _HEADINGS or tag in ("dt", "title") or (tag not in _INLINE and self._heading is None):
            self._end_block()
            if tag == "dl":
                # What follows a list of definitions belongs to none of its terms.
                self._rise_above(_TERM_LEVEL + self._lists)
                self._lists = max(0, self._lists - 1)

    def handle_data(self, data: str) -> None:
        if self._skipped is None:
            self._text.append(data)
            if self._in_link:
                self._linked += len(data)

    def _end_block(self) -> None:
        raw, linked, heading, code = "".join(self._text), self._linked, self._heading, self._code
        self._text, self._linked, self._heading, self._code = [], 0, None, False
        text = " ".join(raw.split())
        if not text or text.rstrip(":").casefold() in _LABELS or _CAPTION.match(text):
            return
        paragraphs = self._above[-1].paragraphs
        if heading == 0:
            self._page_title = self._page_title or text
        elif heading is not None:
            self._start_part(heading, text)
        elif code:
            # A short line of code belongs to the text that announces it.
            if paragraphs and len(raw.strip().split("\n")) <= _CODE_LINES and len(text) <= _CODE_LENGTH:
                paragraphs.append(text)
        elif linked < _ALL_LINKS * len(text):
            paragraphs.append(text)

    def _start_part(self, level: int, title: str) -> None:
        last = self._above[-1]
        if last.level == level >= _TERM_LEVEL and not last.paragraphs:
            last.titles = (
                *last.titles[:-1],
                f"{last.titles[-1]}, {title}",
            )  # several terms of one definition
            return
        self._rise_above(level)
        part = _OpenSection(level, (*self._above[-1].titles, title))
        self._above.append(part)
        self._parts.append(part)

    def _rise_above(self, level: int) -> None:
        while self._above[-1].level >= level:
            self._above.pop()

    def _root(self) -> tuple[str, ...]:
        title = _NAME_OF_MANUAL.sub("", self._page_title)
        first = next((part.titles[0] for part in self._parts if part.titles), "")
        if title.casefold() in first.casefold():
            return ()
        # The title may be the first heading between the names of the chapter and of the manual.
        bare = re.escape(_NUMBER.sub("", first))
        if re.search(rf"(?:^|: |[\d.] ){bare}(?:$| ?[^\w\s])", title, re.IGNORECASE):
            return ()
        return (title,)
