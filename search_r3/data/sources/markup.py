"""Plain text from what registries ship: HTML, Markdown and the like, one line each."""

from __future__ import annotations

import html
import re

MOST_WORDS = 120
"""A document is cut to this many words."""

_HIDDEN = re.compile(r"<!--.*?-->|<(script|style|pre)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
_BLOCK = re.compile(r"</?(?:p|li|ul|ol|div|br|dd|dt|dl|td|tr|h[1-6]|note|important)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BAD_SPACE = re.compile(r"\s+([.,;:!?)\]])(?=\s|$)")
_FENCE = re.compile(r"^([ \t]*)(```|~~~).*?^\1\2[ \t]*$", re.DOTALL | re.MULTILINE)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\[\]]+)\](?:\([^()\s]*(?:\s\"[^\"]*\")?\)|\[[^\[\]]*\])")
_AUTOLINK = re.compile(r"<(https?://[^<>\s]+)>")
_EMPHASIS = re.compile(r"(\*\*|__|\*)(?=\S)(.+?)(?<=\S)\1(?!\w)")
_LINE_MARK = re.compile(r"^\s*(?:[-*+]\s+|#+\s+|>\s*|\d+\.\s+)", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[A-Z0-9\"'(`])")


def html_text(markup: str) -> str:
    """The text of HTML on one line, without scripts, styles and program listings."""
    text = _TAG.sub("", _BLOCK.sub(" ", _HIDDEN.sub(" ", markup)))
    return one_line(html.unescape(text))


def markdown_text(markdown: str) -> str:
    """The text of Markdown on one line, without program listings, images and the targets of links."""
    text = _IMAGE.sub(" ", _FENCE.sub(" ", markdown))
    text = _LINK.sub(r"\1", _AUTOLINK.sub(r"\1", _LINE_MARK.sub("", text)))
    text = _EMPHASIS.sub(r"\2", text).replace("`", "")
    return html_text(text)


def one_line(text: str) -> str:
    """The text with single blanks, and none before punctuation."""
    return _BAD_SPACE.sub(r"\1", " ".join(text.split()))


def sentences(text: str) -> list[str]:
    """Split a text after full stops, question and exclamation marks that a capital or a digit follows."""
    return _SENTENCE_END.split(text)


def shortened(text: str, most: int = MOST_WORDS) -> str:
    """The sentences that fit into a number of words; of a first sentence that does not, its beginning."""
    if len(text.split()) <= most:
        return text
    kept: list[str] = []
    for sentence in sentences(text):
        if len(" ".join([*kept, sentence]).split()) > most:
            break
        kept.append(sentence)
    return " ".join(kept) if kept else " ".join(text.split()[:most])


def words_of_name(name: str) -> str:
    """An identifier as words: getUserName, GetUserName, get_user-name and get.user.name give the same."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.split(r"[\s_.\-/]+", spaced)).strip().lower()
