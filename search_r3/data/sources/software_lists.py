"""Video games and other software of home computers and consoles: records of MAME's software lists."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from search_r3.data.sources.named_records import NamedRecord, known, unique
from search_r3.errors import DataError

_EDITION = re.compile(r"\s*[(\[].*$")
_MEDIUM = re.compile(
    r"\s*(?:\([^)]*\)\s*)?(?:cleanly cracked|cartridge|cassette|disk|CD-ROM|GD-ROM|floppy|original).*$",
    re.IGNORECASE,
)
_NO_TITLE = re.compile(
    r"\b(?:unknown|demo|sampler|bios|prototype|untitled|diagnostic|test|\d+[- ]in[- ]1|in 1)\b", re.IGNORECASE
)
_LETTERS = re.compile(r"[A-Za-z]{3}")
_YEAR = re.compile(r"(?:19|20)\d\d")


def read_software_lists(folder: Path) -> list[NamedRecord]:
    """Titles of every list in a folder; alike are those of a platform and year, or of a publisher.

    A title is taken once for each platform, without what stands in brackets about the edition.

    Raises:
        DataError: There is no list, or one is not XML.
    """
    paths = sorted(folder.glob("*.xml"))
    if not paths:
        raise DataError(f"{folder} holds no .xml file; wanted the software lists of MAME.")
    found: dict[str, NamedRecord] = {}
    for path in paths:
        for record in _read_list(path):
            found.setdefault(record.record_id.casefold(), record)
    return unique(found.values(), "software")


def _read_list(path: Path) -> list[NamedRecord]:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
    platform = _MEDIUM.sub("", root.get("description", "")).strip()
    records = []
    for software in root.iter("software"):
        title = _EDITION.sub("", software.findtext("description", "")).strip()
        if software.get("cloneof") or not _LETTERS.search(title) or _NO_TITLE.search(title):
            continue
        publisher, year = software.findtext("publisher", ""), software.findtext("year", "")
        publisher = "" if "<" in publisher or publisher.lower() == "unknown" else publisher
        year = year if _YEAR.fullmatch(year) else ""
        serials = [info.get("value", "") for info in software.iter("info") if info.get("name") == "serial"]
        original = [
            info.get("value", "") for info in software.iter("info") if info.get("name") == "alt_title"
        ]
        if not (publisher and year):
            continue
        fields = {
            "platform": platform,
            "publisher": publisher,
            "year": year,
            "original": _EDITION.sub("", original[0]) if original else None,
            "serial": serials[0].split(",")[0] if serials else None,
        }
        groups = (f"{platform}/{year}", publisher, platform)
        records.append(NamedRecord(f"{platform}/{title}", title, known(fields), groups))
    return records
