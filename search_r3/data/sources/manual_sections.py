"""Manuals: a heading finds the section below it, and a section's first sentence finds what comes after it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sentences import split_sentences
from search_r3.data.sources.entries import MOST_NEGATIVES, Entry, training_pairs
from search_r3.data.sources.headings import Heading, is_left_out, queries
from search_r3.data.sources.html_sections import PageSection, read_html_sections
from search_r3.data.sources.xml_sections import read_xml_sections
from search_r3.errors import DataError

_MOST_WORDS = 120
_LEAST_WORDS = 18
_LEAST_WORDS_OF_TERM = 12
_SENTENCE_WORDS = range(8, 31)
_NEAR = 8
"""Negatives are among so many sections before a section, and as many after it."""

_BOILERPLATE_SECTIONS = 4
"""A paragraph that this many sections of a manual share says nothing about any of them."""

_LEAST_LETTERS = 0.75
_FOOTNOTE = re.compile(r" \[\d{1,2}\](?= |$)")
_ANNOUNCEMENT = re.compile(r"(?<=[.!?]) [^.!?]*:$")
_BOILERPLATE = re.compile(
    r"(?:source code:|(?:new|changed|added) in |deprecated since|copyright|©|availability:|compatibility:|"
    r"last updated|available languages|see also|prev\b|next\b|up\b|home\b|permission is granted|ES: )",
    re.IGNORECASE,
)
# Sentences that point to something before them or after them say nothing by themselves.
_POINTING = re.compile(
    r"^(?:this|these|that|those|it|its|they|he|she|we|here|there|such|however|but|and|or|also|so|then|thus|"
    r"therefore|otherwise|again|in this|in these|for this|for example|as (?:a|you|we|the|noted|"
    r"mentioned)|the "
    r"(?:following|above|same|latter|former|second|next|last|other)|another|both|if you|note|see|once|now|"
    r"(?:to|by) do(?:ing)? (?:so|this|that)|click|select|choose|enter|press|the (?:name|type|value|"
    r"number) of)\b"
    r"|\b(?:below|above|following|follows?|chapter|this (?:section|page|document|manual|guide|option|"
    r"function|"
    r"command|dialog|tool|example|menu|tutorial|module|class|method)|previous|aforementioned|shown)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ManualSection:
    """A section of a manual.

    Attributes:
        subject: What the manual is about.
        page: The manual's id and the page's path within it.
        section: What it says, below which headings.
    """

    subject: str
    page: str
    section: PageSection


def read_manual(
    folder: Path, manual_id: str, subject: str, pattern: str = "*.html", skip: str = ""
) -> list[ManualSection]:
    """Read the pages below a folder, by path.

    Args:
        folder: Where the manual is.
        manual_id: Tells its pages from those of other manuals in the same source.
        subject: What the manual is about, for headings of a word or two without a title above them.
        pattern: Of the names of its pages; those that are not HTML are DocBook or Mallard.
        skip: Regular expression of the paths of pages that are left out, such as release notes.

    Raises:
        DataError: There is no page with a section, or one cannot be read.
    """
    found = []
    for path in sorted(folder.rglob(pattern)):
        page = path.relative_to(folder).as_posix()
        # Other names of a page may be links in the file system.
        if not path.is_symlink() and path.is_file() and not (skip and re.search(skip, page)):
            read = read_html_sections if "htm" in path.suffix else read_xml_sections
            found += [ManualSection(subject, f"{manual_id}/{page}", section) for section in read(_read(path))]
    if not found:
        raise DataError(f"{folder} holds no page {pattern} with sections; wanted a manual: unpack it again.")
    return found


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Cannot read the page {path}: {error}; unpack its package again.") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")  # pages of old tools


def manual_pairs(source: str, sections: Sequence[ManualSection]) -> list[TrainingPair]:
    """Pair headings with the first paragraphs below them, and first sentences with the paragraphs after them.

    A document has 120 words at most. A heading that is vague, short, or there several times gets the titles
    above it, as many as it needs; one that still is there several times is left out. Negatives are other
    sections of the same page, and of the pages next to it if the page has too few.

    Args:
        source: Name of the source.
        sections: Sections of one manual or several.

    Raises:
        DataError: No section is left.
    """
    texts = _useful(sections)
    heads = {key: _text(paragraphs) for key, (_, paragraphs) in texts.items()}
    tails = {key: _text(paragraphs[1:]) for key, (_, paragraphs) in texts.items() if len(paragraphs) > 1}
    asked = queries(
        {
            key: Heading(item.subject, item.section.titles, item.section.is_term)
            for key, (item, _) in texts.items()
        }
    )
    entries = []
    seen: set[str] = set()
    for key, (item, paragraphs) in texts.items():
        head, tail = heads[key], tails.get(key, "")
        if key in asked and head.casefold() not in seen and _says_enough(head, item.section.is_term):
            seen.add(head.casefold())
            entries.append(Entry(key, key, asked[key], head))
        sentence = split_sentences(paragraphs[0], ".?!")[0]
        follows = not item.section.is_term and tail.casefold() not in seen and _says_enough(tail, False)
        if follows and _stands_alone(sentence):
            seen.add(tail.casefold())
            entries.append(Entry(f"{key}/next", f"{key}/next", sentence, tail))
    nearby = _nearby([(key, item.page) for key, (item, _) in texts.items()])

    def others(entry: Entry) -> Mapping[str, str]:
        key = entry.entry_id.removesuffix("/next")
        chosen = {**heads, **tails} if key != entry.entry_id else heads
        return {other: chosen[other] for other in nearby[key] if len(chosen[other].split()) >= _LEAST_WORDS}

    return training_pairs(source, entries, others)


def _useful(sections: Sequence[ManualSection]) -> dict[str, tuple[ManualSection, tuple[str, ...]]]:
    """Sections with the paragraphs that say something, by a key made of the page and a number."""
    common = Counter(text for item in sections for text in {*item.section.paragraphs})
    useful = {}
    for index, item in enumerate(sections):
        if any(map(is_left_out, item.section.titles)):
            continue
        title = item.section.titles[-1].casefold()
        paragraphs = tuple(
            _FOOTNOTE.sub("", text)
            for text, after in pairwise((*item.section.paragraphs, ""))
            if common[text] < _BOILERPLATE_SECTIONS
            and len(text.split()) > 2
            and not _BOILERPLATE.match(text)
            # A summary may repeat the heading, or how the text begins.
            and text.rstrip(".").casefold() != title
            and not after.startswith(text.rstrip("."))
        )
        if paragraphs:
            useful[f"{item.page}#{index}"] = (item, paragraphs)
    return useful


def _text(paragraphs: Sequence[str]) -> str:
    """The first paragraph, and those after it as long as they fit."""
    words = paragraphs[0].split()
    for paragraph in paragraphs[1:]:
        if len(words) + len(paragraph.split()) > _MOST_WORDS:
            break
        words += paragraph.split()
    # The list that such a sentence announces is not part of the text.
    return _ANNOUNCEMENT.sub("", " ".join(words[:_MOST_WORDS]))


def _says_enough(text: str, is_term: bool) -> bool:
    letters = sum(letter.isalpha() or letter == " " for letter in text)
    least = _LEAST_WORDS_OF_TERM if is_term else _LEAST_WORDS
    return len(text.split()) >= least and letters >= _LEAST_LETTERS * len(text)


def _stands_alone(sentence: str) -> bool:
    return (
        len(sentence.split()) in _SENTENCE_WORDS
        and sentence[-1] in ".?!"
        and sentence[0].isupper()
        and not _POINTING.search(sentence)
    )


def _nearby(keys: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """For every section the nearest ones of its page, or of the pages around it if its own has too few."""
    sizes = Counter(page for _, page in keys)
    found = {}
    for index, (key, page) in enumerate(keys):
        alone = sizes[page] <= MOST_NEGATIVES
        around = keys[max(0, index - _NEAR) : index + _NEAR + 1]
        found[key] = [other for other, its_page in around if other != key and (alone or its_page == page)]
    return found
