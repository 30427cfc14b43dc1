"""Records of named things: a name and a few known facts, as tables and lists give them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search_r3.errors import DataError

_HELD_OUT_SHARE = 10
_LATIN_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_CONSONANT_SOUNDS = ("uni", "use", "euro", "one", "uk", "us ", "ubi", "ural", "ut")


@dataclass(frozen=True)
class NamedRecord:
    """A named thing.

    Attributes:
        record_id: Unique among the records of its kind.
        name: The name it is looked up by.
        fields: What is known about it by field name, as texts; an unknown field is absent.
        groups: Groups of alike records it belongs to, from the narrowest to the widest.
    """

    record_id: str
    name: str
    fields: Mapping[str, str]
    groups: tuple[str, ...] = ()

    def value(self, field: str) -> str | None:
        """A field's text, the name among them; None if it is unknown."""
        return self.name if field == "name" else self.fields.get(field)


def digest(text: str) -> int:
    """A number of 64 bits that depends on the text alone, to choose by."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def is_held_out(record: NamedRecord) -> bool:
    """Whether a record is for evaluation only: one in ten, by a hash of its name.

    Records with the same name are held out together, whatever their kind, or a name that is asked for would
    have been trained.
    """
    return digest(f"held out/{record.name.casefold()}") % _HELD_OUT_SHARE == 0


def known(fields: Mapping[str, object]) -> dict[str, str]:
    """The fields that have a text, with blanks run together."""
    texts = {name: " ".join(str(value).split()) for name, value in fields.items() if value is not None}
    return {name: text for name, text in texts.items() if text}


def unique(records: Iterable[NamedRecord], kind: str) -> list[NamedRecord]:
    """Check that no id is there twice, and that there is a record at all.

    Raises:
        DataError: There is none, or two have the same id.
    """
    found = list(records)
    if not found:
        raise DataError(f"Got no record of {kind}; check the files they were read from.")
    if len({record.record_id for record in found}) < len(found):
        raise DataError(f"Two records of {kind} have the same id; wanted unique ids: check their files.")
    return found


def with_article(words: str) -> str:
    """The words with a or an before them: an airport, a university; words that have an article keep it."""
    first = words.casefold()
    if first.split(" ")[0] in ("a", "an", "the", "one", "any", "either"):
        return words
    vowel = first[:1] in tuple("aeiou") and not first.startswith(_CONSONANT_SOUNDS)
    return f"{'an' if vowel else 'a'} {words}"


def counted(number: int) -> str:
    """A whole number with commas between the thousands."""
    return f"{number:,}"


def rounded(number: float, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent and trailing zeros."""
    if number == 0 or not math.isfinite(number):
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def coordinates(latitude: float, longitude: float) -> str:
    """Such as 51.05° N, 3.72° E."""
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.2f}° {north}, {abs(longitude):.2f}° {east}"


def is_latin(text: str) -> bool:
    """Whether most of its letters are of the English alphabet."""
    letters = [letter for letter in text.casefold() if letter.isalpha()]
    return bool(letters) and sum(letter in _LATIN_LETTERS for letter in letters) > len(letters) / 2


def another_name(record_id: str, name: str, names: Iterable[str]) -> str | None:
    """One of the other names, the same one every time."""
    others = [other for other in dict.fromkeys(names) if other.casefold() != name.casefold()]
    return min(others, key=lambda other: digest(f"{record_id}/{other}"), default=None)
