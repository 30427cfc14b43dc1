"""Options and keys of configuration, as the lists of manual pages explain them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from search_r3.data.sources.explained_items import ExplainedItem
from search_r3.data.sources.manual_pages import page_sources
from search_r3.data.sources.mdoc import to_man_macros
from search_r3.data.sources.roff import sections
from search_r3.data.sources.roff_lists import tagged_texts
from search_r3.errors import DataError

# Lists in these sections explain no options.
_APART = re.compile(
    r"NAME|SEE ALSO|AUTHORS?|BUGS|HISTORY|EXAMPLES?|FILES|EXIT.*|RETURN.*|ERRORS?|DIAGNOSTICS|STANDARDS|"
    r"NOTES|COPYRIGHT|CONFORMING.*|.*LICEN[CS]E.*|.*CHANGES.*|CREDITS|.*REFERENCES|SYNOPSIS|STATUS|RESOURCES|"
    r"REPORTING BUGS|.*EXAMPLES?|COLOPHON|VERSIONS?|AVAILABILITY|ATTRIBUTES|ARGUMENTS"
)
_INDEXES = ("systemd.directives.7", "systemd.index.7")
_LONGEST_TAG_WORDS = 9
_VAGUE_HEADING = re.compile(
    r"\b(?:options?|parameters|commands|general|values|syntax)\b|^\W*$", re.IGNORECASE
)
_LONGEST_HEADING_WORDS = 5
# A page of everything, or a copy that Debian renamed.
_OWNER_SUFFIX = re.compile(r"-(?:all|bpfcc)$")
_INNER_TEXT = re.compile(r"^(?:Added in version|This option (?:was|is) (?:added|new))\b")


def read_option_lists(folder: Path) -> list[ExplainedItem]:
    """Read the lists of all pages below a folder (man1/ls.1.gz) that tell of programs, files and conventions.

    Raises:
        DataError: A file is damaged, or no page has such a list.
    """
    items = [item for page_id, source in page_sources(folder, "15678") for item in _items(page_id, source)]
    if not items:
        raise DataError(f"{folder} holds no list of options; wanted usr/share/man with man1, man5 or man8.")
    return items


def _items(page_id: str, source: str) -> Iterator[ExplainedItem]:
    if page_id in _INDEXES:
        return
    owner = _OWNER_SUFFIX.sub("", page_id.rpartition(".")[0])
    number = 0
    for heading, lines in sections(to_man_macros(source)).items():
        if _APART.fullmatch(heading):
            continue
        for subheading, tags, texts in tagged_texts(lines):
            kept = tuple(text for text in texts if not _INNER_TEXT.match(text))
            names = tuple(dict.fromkeys(tag.rstrip(":") for tag in tags if tag))
            if kept and names and all(len(name.split()) <= _LONGEST_TAG_WORDS for name in names):
                yield ExplainedItem(f"{page_id}/{number}", owner, names, kept, _topic(subheading))
                number += 1


def _topic(heading: str) -> str:
    words = len(heading.split())
    return "" if words > _LONGEST_HEADING_WORDS or _VAGUE_HEADING.search(heading) else heading
