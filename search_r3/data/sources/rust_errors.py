"""Rust's error index: what an error says finds the explanation with code."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, read_lines, training_pairs
from search_r3.data.sources.markup import html_text, sentences
from search_r3.errors import DataError

_MOST_WORDS = 150
_LEAST_WORDS = 4
_ERROR = re.compile(r'<h2 id="(E\d{4})"')
_PART = re.compile(r"<(p|ul|ol)>(.*?)</\1>|<pre\b[^>]*>(.*?)</pre>", re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class CompilerError:
    """An error code with its explanation.

    Attributes:
        code: Such as E0382.
        summary: The first paragraph.
        explanation: The paragraphs and programs after it.
    """

    code: str
    summary: str
    explanation: tuple[str, ...]


def read_rust_errors(path: Path) -> list[CompilerError]:
    """Read error-index.html, by code.

    Raises:
        DataError: It cannot be read, or explains no error.
    """
    pieces = _ERROR.split("\n".join(read_lines(path)))
    errors = []
    for code, markup in zip(pieces[1::2], pieces[2::2], strict=True):
        parts = [
            html_text(part[1]) if part[0] else html.unescape(_TAG.sub("", part[2])).strip()
            for part in _PART.findall(markup)
        ]
        if len(parts) > 1:
            errors.append(CompilerError(code, parts[0], tuple(parts[1:])))
    if not errors:
        raise DataError(f"{path} explains no error; wanted error-index.html of rust-doc.")
    return errors


def rust_errors_pairs(errors: Sequence[CompilerError]) -> list[TrainingPair]:
    """Pair the first paragraph with what follows it, up to 150 words; negatives have neighbouring codes.

    Raises:
        DataError: No error has a summary of four words.
    """
    entries = []
    for error in errors:
        # A sentence that ends in a colon belongs to the program below.
        query = " ".join(part for part in sentences(error.summary) if not part.endswith(":"))
        if len(query.split()) >= _LEAST_WORDS:
            kept = list(error.explanation[:1])
            for part in error.explanation[1:]:
                if len(" ".join([*kept, part]).split()) > _MOST_WORDS:
                    break
                kept.append(part)
            entries.append(Entry(error.code, error.code, query, "\n".join(kept)))
    return training_pairs("rust_errors", entries, group_neighbours(entries, lambda _: None))
