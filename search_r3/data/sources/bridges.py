"""A question in two hops, whatever source it comes from."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Bridge:
    """A question in two hops: a passage names the thing whose text answers it.

    Attributes:
        key: Unique.
        article_key: Key of what is asked about.
        about: Its name (A).
        question: The question, which does not name B.
        passage: A's text, in which the name stands.
        name: The name as the passage has it (B).
        target: Text of the thing that the name leads to; it does not mention A.
        target_key: That thing's own key.
        others: Texts that are like the target, or that the passage names as well.
    """

    key: str
    article_key: str
    about: str
    question: str
    passage: str
    name: str
    target: str
    target_key: str
    others: tuple[str, ...]


def digest(key: str) -> bytes:
    """What orders keys at random, and in the same way every time."""
    return hashlib.sha256(key.encode()).digest()


def mentions(text: str, name: str) -> bool:
    """Whether a text has a name as whole words, in whatever case."""
    return re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", text.casefold()) is not None
