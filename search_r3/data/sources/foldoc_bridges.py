"""Cross references of FOLDOC as questions in two hops: what an article says of something that it names.

The article on A has a sentence that names B, and B has an article of its own, which does not mention A. The
question is the sentence with B replaced by a placeholder. The article on B answers it, but nothing in the
question leads there: one has to read the article on A first, and look up the name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search_r3.data.sentences import split_sentences
from search_r3.data.sources.bridges import Bridge, digest, mentions
from search_r3.data.sources.definitions import FOLDOC_NOTE, stripped_foldoc
from search_r3.data.sources.dictd import DictionaryArticle

MOST_WORDS = 60
"""Words of an article's first paragraphs that make its passage."""

_LINK = re.compile(r"\{([^{}]+)\}")
_FEWEST_WORDS, _MOST_SENTENCE_WORDS = 6, 40
_MOST_QUESTIONS = 12
"""Questions that lead to one article, so that none of computing's commonest words is most of them."""
_MOST_NAME_WORDS = 5

_QUESTIONS = (
    ("what", "{about}: {sentence}"),
    ("which thing", "{sentence} (of {about})"),
    ("___", "In the article on {about}, what is the gap? {sentence}"),
    ("something", "{about}. {sentence} What is that?"),
)
"""Placeholder and frame of a question; one of them is taken by a hash."""


@dataclass(frozen=True)
class _Entry:
    key: str
    headwords: tuple[str, ...]
    linked: str  # with the braces of its links
    plain: str

    @property
    def text(self) -> str:
        return f"{self.headwords[0]}: {self.plain}"


def foldoc_bridges(articles: Sequence[DictionaryArticle]) -> list[Bridge]:
    """Find every question in two hops, the same ones in the same order every time.

    Args:
        articles: All articles of FOLDOC.
    """
    entries = [entry for article in articles if (entry := _entry(article)) is not None]
    by_word: dict[str, _Entry] = {}
    for entry in entries:
        for word in entry.headwords:
            by_word.setdefault(word.casefold(), entry)
    unique: dict[str, Bridge] = {}  # of two sentences with one name, the first counts
    for entry in entries:
        for bridge in _bridges_of(entry, by_word):
            unique.setdefault(bridge.key, bridge)
    taken: Counter[str] = Counter()
    kept = set()
    for key in sorted(unique, key=digest):
        taken[unique[key].target_key] += 1
        if taken[unique[key].target_key] <= _MOST_QUESTIONS:
            kept.add(key)
    return [bridge for key, bridge in unique.items() if key in kept]


def _entry(article: DictionaryArticle) -> _Entry | None:
    head, _, body = article.text.strip("\n").partition("\n\n")
    headwords = tuple(dict.fromkeys(line.strip() for line in head.split("\n") if line.strip()))
    paragraphs = [" ".join(part.split()) for part in body.strip("\n").split("\n\n")]
    linked = stripped_foldoc(FOLDOC_NOTE.sub("", paragraphs[0])) if paragraphs else ""
    words = linked.split()
    if not headwords or len(words) < _FEWEST_WORDS:
        return None
    linked = " ".join(words[:MOST_WORDS])
    linked = linked[: linked.rindex("{")].rstrip() if linked.count("{") > linked.count("}") else linked
    return _Entry(f"foldoc-{article.offset}", headwords, linked, _LINK.sub(r"\1", linked))


def _bridges_of(entry: _Entry, by_word: dict[str, _Entry]) -> Iterator[Bridge]:
    named = {
        found[1]: target
        for found in _LINK.finditer(entry.linked)
        if (target := _target(found[1], by_word)) is not None and target.key != entry.key
    }
    for sentence in split_sentences(entry.linked, ".?!"):
        for name in dict.fromkeys(_LINK.findall(sentence)):
            target = named.get(name)
            if target is None or not _is_usable(sentence, name, entry, target):
                continue
            key = f"{entry.key}/{name.casefold()}"
            placeholder, frame = _QUESTIONS[digest(key)[0] % len(_QUESTIONS)]
            gap = _LINK.sub(r"\1", sentence.replace(f"{{{name}}}", placeholder))
            others = {other.key: other.text for other in named.values() if other.key != target.key}
            yield Bridge(
                key,
                entry.key,
                entry.headwords[0],
                frame.format(about=entry.headwords[0], sentence=gap),
                entry.text,
                name,
                target.text,
                target.key,
                tuple(others.values()),
            )


def _target(name: str, by_word: dict[str, _Entry]) -> _Entry | None:
    """The article under a name, or under its singular."""
    folded = name.casefold()
    return by_word.get(folded) or (by_word.get(folded[:-1]) if folded.endswith("s") else None)


def _is_usable(sentence: str, name: str, entry: _Entry, target: _Entry) -> bool:
    if not _FEWEST_WORDS <= len(sentence.split()) <= _MOST_SENTENCE_WORDS:
        return False
    if len(name.split()) > _MOST_NAME_WORDS or len(name) < 2:
        return False
    rest = _LINK.sub(r"\1", sentence.replace(f"{{{name}}}", ""))
    if mentions(rest, name) or mentions(entry.headwords[0], name):
        return False  # the question would say what it asks for
    return not any(mentions(target.plain, word) for word in entry.headwords)
