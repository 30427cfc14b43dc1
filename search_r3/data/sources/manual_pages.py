"""Manual pages: the line that says what a page is about finds the beginning of its description."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, training_pairs
from search_r3.data.sources.mdoc import to_man_macros
from search_r3.data.sources.roff import paragraphs, plain_text, sections
from search_r3.errors import DataError

_MOST_WORDS = 120
_LEAST_WORDS = 2
_PREFIX_LENGTH = 4
_DEFINITION = re.compile(r"^\.\s*de1?\s+(\S+).*?^\.\.\s*$", re.MULTILINE | re.DOTALL)
# What pod2man, docutils, Asciidoctor and Tcl define: breaks, margins and boxes, which text can do without.
_KNOWN_MACROS = {"Sp", "Vb", "Ve", "IX", "rstReportMargin", "INDENT", "UNINDENT", "URL", "EX", "EE", "SP"}
_KNOWN_MACROS |= {
    "AP",
    "AS",
    "BS",
    "BE",
    "VS",
    "VE",
    "CS",
    "CE",
    "SO",
    "SE",
    "OP",
    "DS",
    "DE",
    "MT",
    "QR",
    "UL",
}
_KNOWN_MACROS |= {"QW", "PQ", "^B"}
_NO_SUMMARY = re.compile(r"[\\#]|\bSYNOPSIS\b")
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
    if not (pages := find_manual_pages(folder)):
        wanted = "wanted usr/share/man with man1 to man9, of pages in the man or mdoc macros"
        raise DataError(f"{folder} holds no manual page with NAME and DESCRIPTION; {wanted}.")
    return pages


def find_manual_pages(folder: Path) -> list[ManualPage]:
    """Read the pages as above, but a folder may have none.

    Raises:
        DataError: A file is damaged.
    """
    pages: dict[str, ManualPage] = {}
    for page_id, source in page_sources(folder):
        section = page_id.rpartition(".")[2][:1]
        if (page := _page(page_id, section, to_man_macros(source))) is not None:
            pages[page_id] = page
    return list(pages.values())


def page_sources(folder: Path, man_sections: str = "123456789n") -> Iterator[tuple[str, str]]:
    """The id and the source of every page below a folder, by path, in these sections of the manual.

    Links in the file system are skipped, and so are pages that define macros of their own.

    Raises:
        DataError: A file is damaged.
    """
    for path in sorted(folder.glob(f"man[{man_sections}]/*.gz")):
        # Other names of a page may be links.
        if not path.is_symlink():
            source = _read(path)
            if set(_DEFINITION.findall(source)) <= _KNOWN_MACROS:
                yield path.name.removesuffix(".gz"), _DEFINITION.sub("", source)


def _read(path: Path) -> str:
    try:
        with gzip.open(path) as file:
            return file.read().decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Cannot read the manual page {path}: {error}; unpack its package again.") from None


def _page(page_id: str, section: str, source: str) -> ManualPage | None:
    found = sections(source)
    names, dash, summary = plain_text(found.get("NAME", [])).partition(" - ")
    description = paragraphs(found.get("DESCRIPTION", []))
    if not dash or not description:
        return None
    return ManualPage(page_id, section, tuple(names.split(", ")), summary, tuple(description))


def manual_pages_pairs(pages: Sequence[ManualPage], source: str = "manual_pages") -> list[TrainingPair]:
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
        if len(page.summary.split()) >= _LEAST_WORDS and not _NO_SUMMARY.search(page.summary)
    ]
    return training_pairs(source, entries, alike)


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
