"""Lintian tags: the short name of a packaging fault finds its explanation."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, read_lines, training_pairs
from search_r3.errors import DataError

_MOST_WORDS = 120
_FIELD = re.compile(r"([A-Za-z-]+):\s*(.*)")
_MARKUP = re.compile(r"</?[a-zA-Z][^>]*>")
_URL_LINE = re.compile(r"^\s*https?://\S+\s*$")


@dataclass(frozen=True)
class LintianTag:
    """One fault that lintian looks for.

    Attributes:
        name: Such as alien-tag.
        check: The check that finds it, such as debian/lintian-overrides/mystery.
        paragraphs: Its explanation, without markup.
    """

    name: str
    check: str
    paragraphs: tuple[str, ...]


def read_lintian_tags(folder: Path) -> list[LintianTag]:
    """Read every .tag file below a folder, by path.

    Raises:
        DataError: There is none, or one lacks its name, check or explanation.
    """
    paths = sorted(folder.rglob("*.tag"))
    if not paths:
        raise DataError(f"{folder} holds no .tag file; wanted usr/share/lintian/tags of lintian.")
    return [_read_tag(path) for path in paths]


def _read_tag(path: Path) -> LintianTag:
    fields: dict[str, list[str]] = defaultdict(list)
    name = ""
    for line in read_lines(path):
        if found := _FIELD.match(line):
            name = found[1]
            fields[name].append(found[2])
        elif line.startswith(" ") and name:
            fields[name].append(line[1:])
    if missing := [field for field in ("Tag", "Check", "Explanation") if not any(fields[field])]:
        raise DataError(f"{path} lacks {', '.join(missing)}; wanted a lintian tag with all of them.")
    paragraphs = re.split(r"\n\.[ \t]*(?:\n|$)", "\n".join(fields["Explanation"]))
    texts = [_clean(paragraph) for paragraph in paragraphs]
    tag, check = fields["Tag"][0].strip(), fields["Check"][0].strip()
    # The name of such a tag says little without that of its check, and lintian prints both.
    full_name = f"{check}/{tag}" if fields["Name-Spaced"][:1] == ["yes"] else tag
    return LintianTag(full_name, check, tuple(filter(None, texts)))


def _clean(paragraph: str) -> str:
    lines = [line for line in paragraph.split("\n") if not _URL_LINE.match(line)]
    return " ".join(html.unescape(_MARKUP.sub("", " ".join(lines))).split())


def lintian_pairs(tags: Sequence[LintianTag]) -> list[TrainingPair]:
    """Pair every tag's name, in words, with the first paragraphs of its explanation (120 words at most).

    Negatives are explanations of other tags of the same check; if there is none, of tags whose names begin
    with the same word. Names of a single word are too vague for a query, and left out.

    Raises:
        DataError: No tag has a name of several words.
    """
    texts = {tag.name: _beginning(tag.paragraphs) for tag in tags}
    checks = {tag.name: tag.check for tag in tags}
    by_check: dict[str, dict[str, str]] = defaultdict(dict)
    by_word: dict[str, dict[str, str]] = defaultdict(dict)
    for tag in tags:
        by_check[tag.check][tag.name] = texts[tag.name]
        by_word[_words(tag.name)[0]][tag.name] = texts[tag.name]

    def related(entry: Entry) -> dict[str, str]:
        same_check = by_check[checks[entry.item_id]]
        return same_check if len(same_check) > 1 else by_word[_words(entry.item_id)[0]]

    entries = [
        Entry(tag.name, tag.name, " ".join(_words(tag.name)), texts[tag.name])
        for tag in tags
        if len(_words(tag.name)) > 1
    ]
    return training_pairs("lintian", entries, related)


def _words(name: str) -> list[str]:
    return re.findall(r"[^-/_]+", name)


def _beginning(paragraphs: Sequence[str]) -> str:
    """The first paragraph, and those after it as long as they fit."""
    chosen = list(paragraphs[:1])
    for paragraph in paragraphs[1:]:
        if len(" ".join([*chosen, paragraph]).split()) > _MOST_WORDS:
            break
        chosen.append(paragraph)
    return " ".join(" ".join(chosen).split()[:_MOST_WORDS])
