"""Verses of the King James Version, and the topics under which Nave's Topical Bible lists them."""

from __future__ import annotations

import html
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.sources.entries import read_lines
from search_r3.errors import DataError

# The books in their order, as SWORD abbreviates them.
_BOOKS = re.findall(
    r"\w+",
    "Gen Exod Lev Num Deut Josh Judg Ruth 1Sam 2Sam 1Kgs 2Kgs 1Chr 2Chr Ezra Neh Esth Job Ps Prov Eccl "
    "Song Isa Jer Lam Ezek Dan Hos Joel Amos Obad Jonah Mic Nah Hab Zeph Hag Zech Mal Matt Mark Luke John "
    "Acts Rom 1Cor 2Cor Gal Eph Phil Col 1Thess 2Thess 1Tim 2Tim Titus Phlm Heb Jas 1Pet 2Pet 1John 2John "
    "3John Jude Rev",
)
_PLACE = re.compile(r"^\s*(\d{7,8}): (\d+),$")
_ENTRY = re.compile(r'<entryFree n="([^"]*)">(.*?)</entryFree>', re.DOTALL)
_LINE = re.compile(r"<lb/>|<item>")
_REFERENCE = re.compile(r'<ref osisRef="([^"]*)">.*?</ref>')


@dataclass(frozen=True)
class Topic:
    """A line of the topical Bible.

    Attributes:
        subject: The heading it stands under, in capitals.
        aspect: What it says of the subject.
        verses: The verses that it lists, such as Gen.1.1; of chapters and of ranges, none.
        is_complete: Whether these are all that it refers to.
    """

    subject: str
    aspect: str
    verses: tuple[str, ...]
    is_complete: bool


def read_verses(path: Path) -> dict[str, str]:
    """Read the verses by their reference, such as Gen.1.1, out of the source of a module of pythonbible.

    The module holds one long text and two tables: where each verse begins, and where it ends. Brackets around
    words that the translators added are left out.

    Raises:
        DataError: It cannot be read, or is not such a module.
    """
    lines = read_lines(path)
    parts = "\n".join(lines).split('"""')
    places = [(int(found[1]), int(found[2])) for line in lines if (found := _PLACE.match(line))]
    half = len(places) // 2
    begins, ends = dict(places[:half]), dict(places[half:])
    if len(parts) != 3 or not begins or set(begins) != set(ends):
        raise DataError(f"{path} is not a text with two tables of places; wanted a Bible of pythonbible.")
    text = parts[1]
    verses = {}
    for verse, begin in begins.items():
        book, rest = divmod(verse, 1_000_000)
        chapter, number = divmod(rest, 1000)
        words = re.sub(r"[\[\]]", "", text[begin : ends[verse]]).split()
        verses[f"{_BOOKS[book - 1]}.{chapter}.{number}"] = " ".join(words)
    return verses


def read_topics(folder: Path) -> list[Topic]:
    """Read the lines of Nave's Topical Bible, a compressed dictionary of the SWORD project.

    Args:
        folder: With nave.zdx (place and size of each compressed block) and nave.zdt (the blocks).

    Raises:
        DataError: A file cannot be read, or is damaged.
    """
    topics: list[Topic] = []
    try:
        index, blocks = ((folder / name).read_bytes() for name in ("nave.zdx", "nave.zdt"))
        for begin, size in struct.iter_unpack("<II", index):
            for subject, body in _ENTRY.findall(_entries_of(zlib.decompress(blocks[begin : begin + size]))):
                topics += _topics(html.unescape(subject), body)
    except (OSError, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"Cannot read the dictionary in {folder}: {error}; unpack its package again."
        ) from None
    if not topics:
        raise DataError(f"{folder} holds no topic; wanted the dictionary of sword-dict-naves.")
    return topics


def _entries_of(block: bytes) -> str:
    """The entries of a block: their number, then place and size of each, then the entries."""
    (count,) = struct.unpack_from("<I", block)
    places = struct.iter_unpack("<II", block[4 : 4 + 8 * count])
    return "\n".join(block[begin : begin + size].rstrip(b"\0").decode() for begin, size in places)


def _topics(subject: str, body: str) -> Iterator[Topic]:
    for line in _LINE.split(body):
        references = _REFERENCE.findall(line)
        if not references or "<ref target" in line:
            continue
        verses = tuple(reference for reference in references if reference.count(".") == 2)
        text = re.sub(r"<[^>]*>", " ", _REFERENCE.sub(" ", line))
        aspect = " ".join(html.unescape(text).split()).lstrip("→ ")
        aspect = re.sub(r"[\s,;:.0-9-]+$", "", aspect)
        yield Topic(subject, aspect, verses, len(verses) == len(references))
