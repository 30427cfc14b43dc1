"""Debian packages: the one-line synopsis finds the long description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, read_lines, training_pairs
from search_r3.errors import DataError

# Parts of a larger package: their descriptions repeat its own, with a line on the part.
_PART = re.compile(
    r"^(?:lib|python3?-|x?fonts-|ttf-|golang-|node-|ruby-|r-(?:cran|bioc)-|linux-|(?:hun|my|a)spell-)"
    r"|-(?:dev|docs?|dbg|dbgsym|data|common|l10n|i18n|fonts|headers|source|examples|tests?|locales?)$"
    r"|-(?:l10n|i18n|help|locale|doc|dev|lang)-|-(?:perl|cil|java|ocaml)$"
)
_DUMMY = re.compile(r"\b(?:transitional|dummy|meta-?) ?package\b|\bmetapackage\b", re.IGNORECASE)


@dataclass(frozen=True)
class PackageDescription:
    """What Debian says about a package.

    Attributes:
        package: Its name.
        synopsis: One line.
        description: All paragraphs and lists, in one line.
    """

    package: str
    synopsis: str
    description: str


def read_debian_packages(path: Path) -> list[PackageDescription]:
    """Read an uncompressed Translation-en file; of a package described twice, the first description.

    Raises:
        DataError: It cannot be read, or holds no package with an English description.
    """
    stanzas = "\n".join(read_lines(path)).split("\n\n")
    packages: dict[str, PackageDescription] = {}
    for stanza in stanzas:
        # Versions of a package may differ in their descriptions; the file has each of them.
        if (found := _package(stanza)) is not None:
            packages.setdefault(found.package, found)
    if not packages:
        wanted = "wanted an uncompressed Translation-en file (apt-helper cat-file decompresses it)"
        raise DataError(f"{path} holds no Package with a Description-en; {wanted}.")
    return list(packages.values())


def _package(stanza: str) -> PackageDescription | None:
    name = synopsis = ""
    body: list[str] = []
    for line in stanza.split("\n"):
        if line.startswith("Package: "):
            name = line.removeprefix("Package: ").strip()
        elif line.startswith("Description-en: "):
            synopsis = line.removeprefix("Description-en: ").strip()
        elif line.startswith(" ") and synopsis and line != " .":
            body.append(line)
    description = " ".join(" ".join(body).split())
    return PackageDescription(name, synopsis, description) if name and synopsis and description else None


def debian_packages_pairs(packages: Sequence[PackageDescription]) -> list[TrainingPair]:
    """Pair synopsis and description of the packages that are programs in their own right.

    Parts of a larger package (libraries, headers, documentation, data) and empty packages are left out. Of
    packages with the same synopsis or the same description, the first is taken.

    Raises:
        DataError: No package is left.
    """
    seen: set[str] = set()
    entries = []
    for package in packages:
        texts = {package.synopsis.casefold(), package.description.casefold()}
        if _PART.search(package.package) or _DUMMY.search(f"{package.synopsis} {package.description}"):
            continue
        if seen.isdisjoint(texts):
            entries.append(Entry(package.package, package.package, package.synopsis, package.description))
            seen |= texts
    return training_pairs("debian_packages", entries)
