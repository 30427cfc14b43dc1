"""Options, keys and functions with their explanations: the beginning of one finds the thing and the rest."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from search_r3.data.pairs import TrainingPair
from search_r3.data.sentences import split_sentences
from search_r3.data.sources.entries import MOST_NEGATIVES, Entry, training_pairs

_MOST_WORDS = 120
_LEAST_QUERY_WORDS = 4
_LEAST_REST_WORDS = 8
_SHORT_QUERY_WORDS = 8
_LONGEST_QUERY_WORDS = 60
_LONGEST_NAME = 90
_OPTION = re.compile(r"(?<![\w-])[-+]{1,2}[A-Za-z0-9?][\w-]*")
_KEY = re.compile(r"[A-Za-z_][\w.:/@-]*")
_NO_NAME = re.compile(
    r"^[\W\d_]*$|^[\[(]?\d+[.)\]]?$|\.$|^(?:Note|NOTE|Example|Default)\b|https?:|@\w+\.\w|^\(?[ivx]+\)"
)
_PLAIN_WORD = re.compile(r"[A-Za-z]?[a-z]+")
# Everything has these, and their explanations say no more than that.
_EVERYWHERE = re.compile(r"(?:^|[\s,])(?:--?(?:help|version|usage)|-h|-V|-\?)(?=$|[\s,=])")
_SAYS_NOTHING = re.compile(
    r"^(?:see|same|like|as|alias|synonym|short|obsolete|deprecated|equivalent|ditto|reserved|unused|ignored)\b"
    r"|^(?:this|the) (?:option|is|variable|function|command|directive|parameter|setting) (?:is )?"
    r"(?:an? )?(?:alias|synonym|obsolete|deprecated|ignored|equivalent|identical|the same|like)"
    r"|\b(?:equivalent to|synonym for|synonymous with|alias (?:for|of)|same as|documented elsewhere)\b"
    r"|\b(?:see|described|explained|listed) (?:above|below|there)"
    r"|^(?:the )?(?:default|initial)(?: value| setting)?(?:s|:| is)\b|^this (?:command|option) takes no\b"
    r"|^you (?:may|can) specify only one\b|^\S+\(\d\w*\)(?:,|$)|\bthis function$",
    re.IGNORECASE,
)
# What some manuals put before the explanation proper.
_LABEL = re.compile(
    r"^(?:New in version [\d.]+\.\s*|Default(?: value)?: ?(?:\S+|'[^']*')\s+(?=[A-Z])|Description: |"
    r"Package:\S+ (?:GCL specific: )?|\([^)]{1,40}\)\s+(?=[A-Z])|(?:\[[^\]]*\] ?|\(alias: [^)]*\) ?)+)"
)
# A parameter of a function, in a paragraph of its own.
_PARAMETER = re.compile(r"^[A-Z][A-Z0-9_]*: ")
_BEGINS_AS_PROSE = re.compile(r"[\w\"'\u2018\u201c<$/]")
_ANNOUNCES = re.compile(r"[:,]$")


@dataclass(frozen=True)
class ExplainedItem:
    """Something that a manual explains.

    Attributes:
        item_id: Unique in the source.
        owner: What it belongs to: a program, or a file of configuration.
        names: Its names as the manual writes them, with their arguments, such as ("-n NUM", "--lines=NUM").
        paragraphs: What the manual says about it.
        topic: Heading that it stands under, if it tells more than the owner does.
    """

    item_id: str
    owner: str
    names: tuple[str, ...]
    paragraphs: tuple[str, ...]
    topic: str = ""


def explained_item_pairs(source: str, items: Iterable[ExplainedItem]) -> list[TrainingPair]:
    """Pair the first sentence of an explanation, without the name, with the name and the rest.

    Where an explanation is one sentence, the name stands alone as the document. A short sentence gets the
    owner in parentheses, for many programs have an option like it. An item that repeats
    another word by word is left out. Negatives are documents of the same owner and topic, or of the owner if
    the topic has few.

    Raises:
        DataError: No item is left.
    """
    entries: list[Entry] = []
    groups: dict[str, tuple[str, str]] = {}
    by_topic: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    by_owner: dict[str, dict[str, str]] = defaultdict(dict)
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for item in items:
        # Pages of a family, and programs made with the same library, repeat each other.
        if (item.names, item.paragraphs) in seen:
            continue
        seen.add((item.names, item.paragraphs))
        if (texts := _texts(item)) is not None:
            entries.append(Entry(item.item_id, item.item_id, *texts))
            groups[item.item_id] = item.owner, item.topic
            by_topic[item.owner, item.topic][item.item_id] = texts[1]
            by_owner[item.owner][item.item_id] = texts[1]

    def neighbours(entry: Entry) -> Mapping[str, str]:
        group = groups[entry.item_id]
        same_topic = by_topic[group]
        return same_topic if len(same_topic) > MOST_NEGATIVES else by_owner[group[0]]

    return training_pairs(source, entries, neighbours)


def _texts(item: ExplainedItem) -> tuple[str, str] | None:
    """The query and the document, or nothing where they would not say enough."""
    name = ", ".join(item.names)
    if len(name) > _LONGEST_NAME or _NO_NAME.search(name) or _EVERYWHERE.search(name):
        return None
    text = " ".join(paragraph for paragraph in item.paragraphs if not _PARAMETER.match(paragraph))
    first, *others = split_sentences(_LABEL.sub("", text), ".!?")
    query = _without_names(first, item.names)
    words = len(query.split())
    if not _LEAST_QUERY_WORDS <= words <= _LONGEST_QUERY_WORDS or _SAYS_NOTHING.search(query):
        return None
    if not _BEGINS_AS_PROSE.match(query):
        return None
    if words < _SHORT_QUERY_WORDS:
        query = f"{query.rstrip('.')} ({item.owner})"
    rest = _rest(others)
    owner = f"{item.owner} ({item.topic})" if item.topic else item.owner
    named = name if name.startswith(item.owner) else f"{owner} {name}"
    return query, f"{named}: {rest}" if len(rest.split()) >= _LEAST_REST_WORDS else named


def _rest(sentences: Sequence[str]) -> str:
    """The sentences that fit; the last one is left out if it announces an example."""
    words: list[str] = []
    for sentence in sentences:
        if words and len(words) + len(sentence.split()) > _MOST_WORDS:
            break
        words += sentence.split()
    kept = " ".join(words[:_MOST_WORDS])
    return re.sub(r"(?:^|(?<=[.!?]) )[^.!?]*:$", "", kept).strip() if _ANNOUNCES.search(kept) else kept


def _without_names(sentence: str, names: Sequence[str]) -> str:
    """The sentence with its own names replaced by "this"; plain words stay, for they say what it means."""
    for bare, plain in sorted(_bare_names(names), key=lambda named: len(named[0]), reverse=True):
        if bare not in sentence:
            continue
        # A plain word is the name only where it is quoted; elsewhere it says what the sentence means.
        quotes = (
            ("[\u2018\u201c\"'(]", "[\u2019\u201d\"')]")
            if plain
            else ("[\u2018\u201c\"'(]?", "[\u2019\u201d\"')]?")
        )
        around = rf"{quotes[0]}(?<![\w-]){re.escape(bare)}(?![\w-])=?{quotes[1]}(?:\(\))?"
        sentence = re.sub(rf"^(?:The )?{around}(?: option)? (?:is|are) ", "", sentence)
        sentence = re.sub(rf"(?:\bthe )?{around}(?: option)?", "this", sentence)
    sentence = _ANNOUNCES.sub("", sentence.strip())
    return sentence[:1].upper() + sentence[1:]


def _bare_names(names: Sequence[str]) -> set[tuple[str, bool]]:
    """Names without their arguments, and whether they are plain words."""
    found: set[tuple[str, bool]] = set()
    for name in names:
        options = _OPTION.findall(name)
        found.update((option, False) for option in options)
        if not options and (key := _KEY.search(name)):
            found.add((key[0], bool(_PLAIN_WORD.fullmatch(key[0]))))
    return found
