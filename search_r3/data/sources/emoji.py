"""Emoji and symbols: keywords find the character with its name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, training_pairs, unambiguous
from search_r3.errors import DataError

_SKIN = "skin tone"


@dataclass(frozen=True)
class Emoji:
    """A character or a sequence of them.

    Attributes:
        characters: What is shown.
        name: Its short name.
        keywords: What it is looked for with.
    """

    characters: str
    name: str
    keywords: tuple[str, ...]


def read_emoji(paths: Iterable[Path]) -> list[Emoji]:
    """Read annotations of the Unicode CLDR in one language, in their order, without variants of skin.

    Raises:
        DataError: A file is no XML, or none has a name with keywords.
    """
    names: dict[str, str] = {}
    keywords: dict[str, tuple[str, ...]] = {}
    for path in paths:
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise DataError(f"Cannot read the annotations {path}: {error}; unpack them again.") from None
        for annotation in root.iter("annotation"):
            characters, text = annotation.get("cp", ""), annotation.text or ""
            if annotation.get("type") == "tts":
                names.setdefault(characters, text.strip())
            else:
                keywords.setdefault(characters, tuple(word.strip() for word in text.split("|")))
    found = [
        Emoji(characters, name, keywords[characters])
        for characters, name in names.items()
        if keywords.get(characters) and _SKIN not in name
    ]
    if not found:
        raise DataError("The annotations hold no name with keywords; wanted those of the Unicode CLDR.")
    return found


def emoji_pairs(emoji: Sequence[Emoji]) -> list[TrainingPair]:
    """Pair the keywords that are not the name with character and name; negatives stand beside it.

    Keywords that several characters have are left out.

    Raises:
        DataError: Nothing has a keyword besides its name.
    """
    entries = []
    for number, found in enumerate(emoji):
        others = [word for word in found.keywords if word.casefold() != found.name.casefold()]
        if others:
            item = f"{number}/{found.name}"
            entries.append(Entry(item, item, ", ".join(others), f"{found.characters} {found.name}"))
    chosen = unambiguous(entries)
    return training_pairs("emoji", chosen, group_neighbours(chosen, lambda _: None))
