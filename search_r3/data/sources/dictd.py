"""Dictionaries for dictd (FOLDOC, GCIDE): a definition finds its headword."""

from __future__ import annotations

import gzip
import re
import string
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources import definitions
from search_r3.data.sources.entries import Entry, read_lines, training_pairs
from search_r3.errors import DataError

_DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_LEAST_WORDS, _MOST_WORDS = 4, 60
_MOST_HEADWORDS = 3


@dataclass(frozen=True)
class DictionaryArticle:
    """One article.

    Attributes:
        offset: Where it begins in the uncompressed dictionary, in bytes.
        index_words: The words it is found under, as the index spells them.
        text: Headwords and definitions, in the dictionary's own layout.
    """

    offset: int
    index_words: tuple[str, ...]
    text: str


def read_dictd(index_path: Path) -> list[DictionaryArticle]:
    """Read NAME.index and NAME.dict.dz beside it; the articles by their offset in the dictionary.

    Raises:
        DataError: A file is missing or damaged, or the index does not fit the dictionary or lists no article.
    """
    content = _read_dictionary(index_path.with_name(f"{index_path.stem}.dict.dz"))
    words: dict[tuple[int, int], list[str]] = {}
    for line in filter(None, read_lines(index_path)):
        fields = line.split("\t")
        try:
            word, span = fields[0], (_number(fields[1]), _number(fields[2]))
        except (ValueError, IndexError):
            wanted = "wanted a word, an offset and a length in base 64, with tabs between"
            raise DataError(f"{index_path} has the line {line!r}; {wanted}.") from None
        if sum(span) > len(content):
            raise DataError(
                f"{index_path} lists {word!r} beyond the end of its dictionary; they do not match."
            )
        # What begins with 00- is about the dictionary itself.
        if not word.startswith("00-"):
            words.setdefault(span, []).append(word)
    if not words:
        raise DataError(f"{index_path} lists no article; wanted the index of a dictd dictionary.")
    return [
        DictionaryArticle(
            start, tuple(words[start, length]), content[start : start + length].decode("utf-8", "replace")
        )
        for start, length in sorted(words)
    ]


def _read_dictionary(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Cannot read the dictionary {path}: {error}; unpack its package again.") from None


def _number(digits: str) -> int:
    """Read a number in dictd's base 64, most significant digit first."""
    value = 0
    for digit in digits:
        value = value * 64 + _DIGITS.index(digit)
    return value


def foldoc_pairs(articles: Sequence[DictionaryArticle]) -> list[TrainingPair]:
    """Pair the first sentence of every FOLDOC article with its headword.

    Raises:
        DataError: No article has a usable definition.
    """
    return _pairs("foldoc", articles, definitions.foldoc_definition)


def gcide_pairs(articles: Sequence[DictionaryArticle]) -> list[TrainingPair]:
    """Pair the first sense of every GCIDE article with its headword.

    Raises:
        DataError: No article has a usable definition.
    """
    return _pairs("gcide", articles, definitions.gcide_definition)


def _pairs(
    source: str, articles: Sequence[DictionaryArticle], define: Callable[[str], tuple[list[str], str]]
) -> list[TrainingPair]:
    entries: list[Entry] = []
    headwords_of: dict[str, set[str]] = {}
    for article in articles:
        headwords, definition = define(article.text)
        if headwords and _is_usable(definition, [*headwords, *article.index_words]):
            entry_id = f"{source}-{article.offset}"
            entries.append(Entry(entry_id, entry_id, definition, headwords[0]))
            headwords_of.setdefault(definition.casefold(), set()).add(headwords[0].casefold())
    # Synonyms are welcome; what explains more words than that ("a genus of fishes") explains none.
    clear = [entry for entry in entries if len(headwords_of[entry.query.casefold()]) <= _MOST_HEADWORDS]
    return training_pairs(source, clear)


def _is_usable(definition: str, headwords: Sequence[str]) -> bool:
    if not _LEAST_WORDS <= len(definition.split()) <= _MOST_WORDS:
        return False
    # The headword or its plural gives the answer away.
    folded = definition.casefold()
    return not any(
        re.search(rf"(?<!\w){re.escape(word)}(?:e?s)?(?!\w)", folded)
        for word in {headword.casefold() for headword in headwords}
        if word in folded
    )
