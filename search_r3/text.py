"""How the fields of a record become the text that is embedded."""

from __future__ import annotations

TITLE_FIELD = "title"
"""Name of the field or column that holds a document's title."""


def join_title(title: str | None, text: str) -> str:
    """Return the text of a document: title, space and text, without outer whitespace.

    This is the string that mteb and BEIR embed. Every reader of documents uses this function, so one record
    has one text in an index, in an evaluation and in training. A query is embedded as it is: neither joined
    with a title nor stripped.

    Args:
        title: The document's title; None and an empty title mean that there is none.
        text: The document's text.
    """
    return f"{title or ''} {text}".strip()
