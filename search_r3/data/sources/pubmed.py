"""PubMed records: abstracts in labelled sections, and the topics that NLM's indexers gave them."""

from __future__ import annotations

import gzip
import re
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import DataError

# Labels of sections to which the record gives no category, by what they contain.
_LABELS = (
    ("CONCLUSIONS", "CONCLU"),
    ("OBJECTIVE", "OBJECTIVE|AIM|PURPOSE|QUESTION"),
    ("RESULTS", "RESULT|FINDING"),
    ("METHODS", "METHOD"),
    ("BACKGROUND", "BACKGR|INTRO"),
)


@dataclass(frozen=True)
class Article:
    """One record.

    Attributes:
        pmid: PubMed's id, a number.
        title: Its title.
        sections: Text of the abstract by category (OBJECTIVE, METHODS, RESULTS, CONCLUSIONS, BACKGROUND, or
            TEXT for what has no label), in the order of the abstract.
        major_topics: MeSH headings that are a main point of the article, by heading or by qualifier; sorted.
    """

    pmid: str
    title: str
    sections: dict[str, str]
    major_topics: tuple[str, ...]

    @property
    def abstract(self) -> str:
        """All sections, joined by spaces."""
        return " ".join(self.sections.values())


def read_articles(path: Path) -> list[Article]:
    """Read a gzipped file of PubMed's yearly baseline.

    Raises:
        DataError: The file cannot be read, is damaged, or holds no record.
    """
    try:
        articles = list(_articles(path))
    except (OSError, EOFError, ET.ParseError, zlib.error) as error:
        raise DataError(f"Cannot read the PubMed records {path}: {error}.") from None
    if not articles:
        raise DataError(f"{path} holds no PubmedArticle.")
    if odd := [article.pmid for article in articles if not article.pmid.isdecimal()]:
        raise DataError(f"{path} has a record with the PMID {odd[0]!r}, wanted a number.")
    return articles


def _articles(path: Path) -> Iterator[Article]:
    with gzip.open(path) as stream:
        for _, element in ET.iterparse(stream):
            if element.tag != "PubmedArticle":
                continue
            citation = element.find("MedlineCitation")
            record = None if citation is None else citation.find("Article")
            if citation is not None and record is not None:
                yield Article(
                    pmid=_text(citation.find("PMID")),
                    title=_text(record.find("ArticleTitle")),
                    sections=_sections(record),
                    major_topics=_major_topics(citation),
                )
            element.clear()


def _text(element: ET.Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


def _sections(record: ET.Element) -> dict[str, str]:
    sections: dict[str, str] = {}
    for part in record.findall("Abstract/AbstractText"):
        category = (part.get("NlmCategory") or "").upper()
        if category in ("", "UNASSIGNED"):
            label = (part.get("Label") or "").upper()
            category = next((name for name, words in _LABELS if re.search(words, label)), "TEXT")
        if text := _text(part):
            sections[category] = f"{sections[category]} {text}" if category in sections else text
    return sections


def _major_topics(citation: ET.Element) -> tuple[str, ...]:
    """Descriptors that are major themselves or by one of their qualifiers."""
    headings = citation.findall("MeshHeadingList/MeshHeading")
    return tuple(
        sorted(
            {
                _text(heading.find("DescriptorName"))
                for heading in headings
                if any(part.get("MajorTopicYN") == "Y" for part in heading)
            }
        )
    )
