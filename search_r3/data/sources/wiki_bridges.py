"""Articles of an encyclopedia as questions in two hops: what an article says of something that it names.

The article on A has a sentence with the title of the article on B, which does not mention A. The question is
the sentence with B replaced by a placeholder, as in :mod:`search_r3.data.sources.foldoc_bridges`. There are
no links in the articles: a title counts where it stands letter by letter, as a proper name does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from search_r3.data.sentences import split_sentences
from search_r3.data.sources.bridges import Bridge, digest, mentions
from search_r3.data.sources.proper_names import ProperNames, is_part_of_longer, without

MOST_WORDS = 60
"""Words of an article that make its passage."""

_FEWEST_SENTENCE_WORDS, _MOST_SENTENCE_WORDS = 8, 40

_QUESTIONS = (
    ("which one", "About {about}: {sentence}"),
    ("that one", "{sentence} Who or what is that, in the story of {about}?"),
    ("X", "{sentence} What is X? We are speaking of {about}."),
    ("[?]", "{about} | {sentence}"),
)
"""Placeholder and frame of a question; one of them is taken by a hash."""


def wiki_bridges(articles: Mapping[str, str]) -> list[Bridge]:
    """Find every question in two hops, the same ones in the same order every time.

    Args:
        articles: Texts by title.
    """
    passages = {title: " ".join(text.split()[:MOST_WORDS]) for title, text in articles.items()}
    names = ProperNames(passages)
    unique: dict[str, Bridge] = {}  # of two sentences with one name, the first counts
    for title in passages:
        for bridge in _bridges_of(title, passages, names):
            unique.setdefault(bridge.key, bridge)
    return list(unique.values())


def _bridges_of(about: str, passages: Mapping[str, str], names: ProperNames) -> Iterator[Bridge]:
    passage = passages[about]
    named = [name for name in names.find(passage) if name != about]
    for sentence in split_sentences(passage, ".?!"):
        for name in names.find(sentence):
            if not _is_usable(sentence, name, about, passages[name]):
                continue
            key = f"wiki-{about}/{name}"
            placeholder, frame = _QUESTIONS[digest(key)[0] % len(_QUESTIONS)]
            gap = without(sentence, name, placeholder)
            yield Bridge(
                key,
                f"wiki-{about}",
                about,
                frame.format(about=about, sentence=gap),
                f"{about}: {passage}",
                name,
                f"{name}: {passages[name]}",
                f"wiki-{name}",
                tuple(f"{other}: {passages[other]}" for other in named if other != name),
            )


def _is_usable(sentence: str, name: str, about: str, target: str) -> bool:
    if not _FEWEST_SENTENCE_WORDS <= len(sentence.split()) <= _MOST_SENTENCE_WORDS:
        return False
    if sentence[-1] not in ".?!" or is_part_of_longer(sentence, name):
        return False  # cut, or a part of a longer name
    if sentence.startswith(name) or mentions(about, name) or mentions(name, about):
        return False  # a common noun at the start has a capital too; and the question would say the answer
    last = about.split()[-1]  # a person is mentioned by the last name
    return not mentions(target, about) and not mentions(target, last)
