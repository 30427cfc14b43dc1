"""Articles of a constitution, out of a JSON table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import DataError


@dataclass(frozen=True)
class LegalArticle:
    """An article.

    Attributes:
        number: Such as 243ZL.
        title: Its heading.
        paragraphs: Its clauses and provisos.
    """

    number: str
    title: str
    paragraphs: tuple[str, ...]


def read_constitution(path: Path) -> list[LegalArticle]:
    """Read a list of objects with ``article``, ``title`` and ``description``.

    Raises:
        DataError: The file cannot be read, or is not such a list.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        articles = [
            LegalArticle(
                str(row["article"]),
                " ".join(row["title"].split()),
                tuple(filter(None, (" ".join(part.split()) for part in row["description"].split("\n")))),
            )
            for row in table
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a list of articles with titles: {error!r}.") from None
    if not articles:
        raise DataError(f"{path} holds no article; wanted those of a constitution.")
    return articles
