"""Titles that stand in texts letter by letter, as proper names do."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_FEWEST_LETTERS = 4
_PROPER = re.compile(r"[A-Z]\w*[^\W\d]\w*(?:[ '\u2019.-]+\w+)*")
"""A title that can be found in a text: a capital first, no brackets, no number alone."""


class ProperNames:
    """Finds titles in texts.

    Args:
        titles: The titles; those that are no proper names, or shorter than four letters, are never found.
    """

    def __init__(self, titles: Iterable[str]) -> None:
        self._by_word: dict[str, list[str]] = defaultdict(list)  # with one first word, the longest first
        for title in sorted(titles, key=lambda title: (-len(title), title)):
            if len(title) >= _FEWEST_LETTERS and _PROPER.fullmatch(title):
                self._by_word[re.split(r"\W", title)[0]].append(title)

    def find(self, text: str) -> list[str]:
        """The titles in a text, in its order: at each place the longest one, and behind it the next."""
        found: dict[str, None] = {}
        end = 0
        for word in re.finditer(r"(?<!\w)[A-Z]\w*", text):
            if word.start() < end:
                continue
            for title in self._by_word.get(word[0], ()):
                if (
                    text.startswith(title, word.start())
                    and not text[word.start() + len(title) :][:1].isalnum()
                ):
                    found[title] = None
                    end = word.start() + len(title)
                    break
        return list(found)


def without(text: str, name: str, placeholder: str) -> str:
    """A text with something else in every place of a name."""
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", lambda _: placeholder, text)


def is_part_of_longer(text: str, name: str) -> bool:
    """Whether the name stands beside another word with a capital: it may be a part of a longer one."""
    pattern = rf"[A-Z][\w\u2019'.-]* {re.escape(name)}|{re.escape(name)} [A-Z]"
    return re.search(pattern, text) is not None
