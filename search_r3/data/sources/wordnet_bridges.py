"""Glosses of WordNet as questions in two hops: what the gloss of a noun says of a proper name in it.

"A river of central Italy; flows through Rome to the Tyrrhenian Sea" is the gloss of *Tiber*, and *Tyrrhenian
Sea* has a gloss of its own. The question is the gloss without the name, or it tells the kind of thing alone:
"the sea that Tiber is connected with". The names are of people, places, peoples, species, works and events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from search_r3.data.sources.bridges import Bridge, digest, mentions
from search_r3.data.sources.hierarchy import Hierarchy
from search_r3.data.sources.named_records import NamedRecord, is_held_out
from search_r3.data.sources.proper_names import ProperNames, is_part_of_longer, without
from search_r3.data.sources.wordnet import Synset

_FEWEST_WORDS = 5
_MOST_QUESTIONS = 12
"""Questions that lead to one name, so that continents and large countries are not most of them."""
_NEIGHBOURS = 3

_GAPS = (
    ("which {kind}", "{about}: {text}?"),
    ("what", "{about}: {text}"),
    ("...", "Which {kind} is left out? {about}: {text}"),
    ("that {kind}", "{text}. Who or what is that, said of {about}?"),
    ("[?]", "{about} | {text}"),
)
"""Placeholder and frame of a question that is the gloss without the name."""

_KINDS = (
    "the {kind} that {about} is connected with",
    "What is the {kind} named in the entry on {about}?",
    "Which {kind} has to do with {about}?",
    "{about}, {kind}",
    "Describe the {kind} that one finds under {about}.",
)
"""A question that tells the kind of the name alone; it gives no word of the gloss."""


def wordnet_bridges(synsets: Sequence[Synset]) -> list[Bridge]:
    """Find the questions in two hops, the same ones in the same order every time.

    Names of several synsets are left out, and names that are held out for the test of names.

    Args:
        synsets: All synsets of WordNet.
    """
    found = _Bridges(synsets)
    bridges = [bridge for synset in synsets if synset.pos == "n" for bridge in found.of(synset)]
    counts: Counter[str] = Counter()
    kept = []
    for bridge in sorted(bridges, key=lambda bridge: digest(bridge.key)):
        counts[bridge.name] += 1
        if counts[bridge.name] <= _MOST_QUESTIONS:
            kept.append(bridge)
    return kept


class _Bridges:
    def __init__(self, synsets: Sequence[Synset]) -> None:
        self._nouns = {synset.synset_id: synset for synset in synsets if synset.pos == "n"}
        self._hierarchy = Hierarchy({key: synset.hypernyms for key, synset in self._nouns.items()})
        meanings: dict[str, list[Synset]] = defaultdict(
            list
        )  # of all parts of speech: European is a noun too
        for synset in synsets:
            for lemma in synset.lemmas:
                meanings[lemma].append(synset)
        self._named: Mapping[str, Synset] = {
            lemma: those[0]
            for lemma, those in meanings.items()
            if len(those) == 1 and those[0].pos == "n" and not _is_held_out(lemma)
        }
        self._names = ProperNames(self._named)

    def of(self, synset: Synset) -> Iterator[Bridge]:
        about = synset.lemmas[0]
        if any(_is_held_out(lemma) for lemma in synset.lemmas):
            return
        for name in self._names.find(synset.gloss):
            target = self._named[name]
            key = f"wordnet-{synset.synset_id}/{name}"
            if target is synset or not self._is_usable(synset, name, target):
                continue
            question = self._question(synset, name, target, key)
            if mentions(question, name):
                continue  # the kind of thing has the name in it
            alike = [self._nouns[other] for other in self._hierarchy.siblings(target.synset_id)]
            alike.sort(key=lambda one: digest(f"{key}/{one.synset_id}"))
            yield Bridge(
                key,
                f"wordnet-{synset.synset_id}",
                about,
                question,
                self._passage(synset, key),
                name,
                f"{name}: {target.gloss}",
                f"wordnet-{target.synset_id}",
                tuple(f"{one.lemmas[0]}: {one.gloss}" for one in alike[:_NEIGHBOURS]),
            )

    def _is_usable(self, synset: Synset, name: str, target: Synset) -> bool:
        if len(synset.gloss.split()) < _FEWEST_WORDS or is_part_of_longer(synset.gloss, name):
            return False
        if any(mentions(lemma, name) or mentions(name, lemma) for lemma in synset.lemmas):
            return False  # the question would say the answer
        return not any(mentions(target.gloss, lemma) for lemma in synset.lemmas)

    def _kind(self, synset: Synset) -> str:
        above = [self._nouns[key] for key in synset.hypernyms if key in self._nouns]
        return above[0].lemmas[0] if above else "thing"

    def _question(self, synset: Synset, name: str, target: Synset, key: str) -> str:
        number = digest(key)[2]
        words = {"about": synset.lemmas[0], "kind": self._kind(target)}
        if number % 2:
            return _KINDS[number // 2 % len(_KINDS)].format(**words)
        placeholder, frame = _GAPS[number // 2 % len(_GAPS)]
        text = without(synset.gloss, name, placeholder.format(**words))
        return frame.format(text=text, **words)

    def _passage(self, synset: Synset, key: str) -> str:
        """The gloss, alone or as a sentence, or among those of things of its kind, as in a longer article."""
        number = digest(key)[3]
        gloss, about = synset.gloss, synset.lemmas[0]
        if number % 4 == 0:
            return f"{' or '.join(synset.lemmas)} ({self._kind(synset)}): {gloss}"
        if number % 4 == 1:
            return f"{about} is {gloss}."
        if number % 4 == 2:
            return f"{about}: {gloss}"
        alike = [self._nouns[other] for other in self._hierarchy.siblings(synset.synset_id)]
        alike.sort(key=lambda one: digest(f"{key}/beside/{one.synset_id}"))
        entries = [f"{one.lemmas[0]}: {one.gloss}." for one in alike[:_NEIGHBOURS]]
        entries.insert(number // 4 % (len(entries) + 1), f"{about}: {gloss}.")
        return " ".join(entries)


def _is_held_out(name: str) -> bool:
    return is_held_out(NamedRecord(name, name, {}))
