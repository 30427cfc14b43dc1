"""Manual pages: the line that says what a page is about finds the beginning of its description."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, training_pairs
from search_r3.data.sources.roff import paragraphs, plain_text, sections
from search_r3.errors import DataError

_MOST_WORDS = 120
_LEAST_WORDS = 2
_PREFIX_LENGTH = 4
_OWN_MACRO = re.compile(r"^\.\s*de\b", re.MULTILINE)
_ANNOUNCEMENT = re.compile(r"(?<=[.!?]) [^.!?]*:$")


@dataclass(frozen=True)
class ManualPage:
    """One page.

    Attributes:
        page_id: Its file's name without .gz, such as select.2.
        section: 1 to 8.
        names: What it describes, as its NAME line lists it.
        summary: What that line says about them.
        paragraphs: The paragraphs of DESCRIPTION before its first list, table or subsection.
    """

    page_id: str
    section: str
    names: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]


def read_manual_pages(folder: Path) -> list[ManualPage]:
    """Read the pages below a folder (man1/ls.1.gz), by path.

    Links (.so) have no sections and are skipped, as are the few pages that define macros of their own.

    Raises:
        DataError: A file is damaged, or no page has the sections NAME and DESCRIPTION.
    """
    pages: dict[str, ManualPage] = {}
    for path in sorted(folder.glob("man[1-8]/*.gz")):
        page_id = path.name.removesuffix(".gz")
        # Other names of a page may be links in the file system.
        if not path.is_symlink() and (page := _page(page_id, path.parent.name[3:], _read(path))) is not None:
            pages[page_id] = page
    if not pages:
        wanted = "wanted usr/share/man with man1 to man8, of pages in the man macros"
        raise DataError(f"{folder} holds no manual page with NAME and DESCRIPTION; {wanted}.")
    return list(pages.values())


def _read(path: Path) -> str:
    try:
        with gzip.open(path) as file:
            return file.read().decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Cannot read the manual page {path}: {error}; unpack its package again.") from None


def _page(page_id: str, section: str, source: str) -> ManualPage | None:
    if _OWN_MACRO.search(source):
        return None
    found = sections(source)
    names, dash, summary = plain_text(found.get("NAME", [])).partition(" - ")
    description = paragraphs(found.get("DESCRIPTION", []))
    if not dash or not description:
        return None
    return ManualPage(page_id, section, tuple(names.split(", ")), summary, tuple(description))


def manual_pages_pairs(pages: Sequence[ManualPage]) -> list[TrainingPair]:
    """Pair every page's summary with its name and the beginning of its description (120 words at most).

    Negatives are pages of the same section whose names begin with the same four characters, unless the two
    describe a name in common.

    Raises:
        DataError: No page has a summary of two words.
    """
    by_id = {page.page_id: page for page in pages}
    texts = {page.page_id: _text(page) for page in pages}
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for page in pages:
        groups[_group(page)].append(page.page_id)

    def alike(entry: Entry) -> dict[str, str]:
        page = by_id[entry.item_id]
        others = [other for other in groups[_group(page)] if set(page.names).isdisjoint(by_id[other].names)]
        return {other: texts[other] for other in others}

    entries = [
        Entry(page.page_id, page.page_id, page.summary, texts[page.page_id])
        for page in pages
        if len(page.summary.split()) >= _LEAST_WORDS
    ]
    return training_pairs("manual_pages", entries, alike)


def _group(page: ManualPage) -> tuple[str, str]:
    return page.section, page.names[0][:_PREFIX_LENGTH].casefold()


def _text(page: ManualPage) -> str:
    """The first paragraph, and those after it as long as they fit."""
    words = f"{page.names[0]}: {page.paragraphs[0]}".split()
    for paragraph in page.paragraphs[1:]:
        if len(words) + len(paragraph.split()) > _MOST_WORDS:
            break
        words += paragraph.split()
    # The list that such a sentence announces is not part of the text.
    return _ANNOUNCEMENT.sub("", " ".join(words[:_MOST_WORDS]))
