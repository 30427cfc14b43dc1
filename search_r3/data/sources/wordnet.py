"""WordNet: a gloss finds the words it explains, with the words of co-hyponyms as negatives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, read_lines, training_pairs
from search_r3.data.sources.hierarchy import Hierarchy
from search_r3.errors import DataError

_FILES = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_HYPERNYM = ("@", "@i")
_MARKER = re.compile(r"\((?:a|p|ip)\)$")
_EXAMPLE = re.compile(r'"([^"]+)"')


@dataclass(frozen=True)
class Synset:
    """Words with one meaning.

    Attributes:
        synset_id: Letter of the part of speech and offset in its file, such as n00001740.
        pos: n, v, a (satellites too) or r.
        lemmas: The words, with spaces.
        gloss: The definition, without the examples.
        examples: Phrases that show the use.
        hypernyms: Ids of the synsets it is a kind or an instance of.
    """

    synset_id: str
    pos: str
    lemmas: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    hypernyms: tuple[str, ...]


def read_wordnet(folder: Path) -> list[Synset]:
    """Read data.noun, data.verb, data.adj and data.adv in a folder.

    Raises:
        DataError: A file is missing or holds no synset, or a line is not one.
    """
    synsets: list[Synset] = []
    for name, pos in _FILES.items():
        path = folder / f"data.{name}"
        # Lines of the licence at the top begin with two spaces.
        lines = [line for line in read_lines(path, encoding="latin-1") if line and not line.startswith("  ")]
        if not lines:
            raise DataError(f"{path} holds no synset; wanted a data file of WordNet 3.0.")
        try:
            synsets += [_synset(line, pos) for line in lines]
        except (ValueError, IndexError):
            raise DataError(f"{path} is not a data file of WordNet 3.0: a line has another layout.") from None
    return synsets


def _synset(line: str, pos: str) -> Synset:
    fields, bar, text = line.partition(" | ")
    words = fields.split(" ")
    if not bar or not words[0].isdecimal():
        raise ValueError(line)
    # offset, lexicographer file, type, number of words (hex), word and lex_id each, number of pointers, then
    # symbol, offset, part of speech and source/target each.
    count = int(words[3], 16)
    pointers_at = 4 + 2 * count
    pointers = words[pointers_at + 1 :][: 4 * int(words[pointers_at])]
    first_example = text.find('"')
    return Synset(
        synset_id=pos + words[0],
        pos=pos,
        lemmas=tuple(_MARKER.sub("", word).replace("_", " ") for word in words[4:pointers_at:2]),
        gloss=(text if first_example < 0 else text[:first_example]).strip(" ;:"),
        examples=tuple(_EXAMPLE.findall(text)),
        hypernyms=tuple(
            target_pos + offset
            for symbol, offset, target_pos in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True)
            if symbol in _HYPERNYM
        ),
    )


def wordnet_pairs(synsets: Sequence[Synset]) -> list[TrainingPair]:
    """Pair every gloss with its lemmas.

    Negatives are lemmas of synsets with a common hypernym, of which none is a lemma of the positive.
    Adjectives and adverbs have no hypernyms, hence no negatives.

    Raises:
        DataError: No synset has a gloss.
    """
    by_id = {synset.synset_id: synset for synset in synsets}
    hierarchy = Hierarchy({synset.synset_id: synset.hypernyms for synset in synsets})
    lemmas = {synset.synset_id: {lemma.casefold() for lemma in synset.lemmas} for synset in synsets}

    def co_hyponyms(entry: Entry) -> dict[str, str]:
        own = lemmas[entry.item_id]
        others = hierarchy.siblings(entry.item_id)
        return {other: _text(by_id[other].lemmas) for other in others if own.isdisjoint(lemmas[other])}

    entries = [
        Entry(synset.synset_id, synset.synset_id, synset.gloss, _text(synset.lemmas))
        for synset in synsets
        if synset.gloss
    ]
    return training_pairs("wordnet", entries, co_hyponyms)


def _text(lemmas: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(lemmas))
