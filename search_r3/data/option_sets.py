"""Training sets of commands, options, configuration keys and manuals of free software."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.parsed import Sources
from search_r3.data.pins import pinned_packages
from search_r3.data.sources.explained_items import ExplainedItem, explained_item_pairs
from search_r3.data.sources.info_nodes import InfoNode, info_items, info_nodes_pairs, read_info_nodes
from search_r3.data.sources.manual_pages import ManualPage, find_manual_pages, manual_pages_pairs
from search_r3.data.sources.option_lists import read_option_lists
from search_r3.data.training_set import TrainingSet

_OPTIONS = ("system", "network", "media", "development")
_FREE = "GPL, BSD, MIT, Apache-2.0 and other free licences, per package"
_FREE_MANUALS = "GFDL without invariant sections, GPL, gnuplot's and other free licences, per manual"


def _folders(sources: Sources, use: str, folder: str) -> tuple[Path, ...]:
    """A folder of every package pinned for this use."""
    names = [package.name for package in pinned_packages().values() if package.use == f"training {use}"]
    return tuple(sources.files(names, f"usr/share/{folder}").values())


# A set of nodes and a set of items are made from the same manuals, one after the other.
@lru_cache(maxsize=1)
def _read_nodes(folders: tuple[Path, ...]) -> list[InfoNode]:
    return [node for folder in folders for node in read_info_nodes(folder)]


def _nodes(subject: str) -> Callable[[Sources], list[TrainingPair]]:
    def make(sources: Sources) -> list[TrainingPair]:
        nodes = _read_nodes(_folders(sources, f"info {subject}", "info"))
        return info_nodes_pairs(f"info_{subject}", nodes)

    return make


def _items(subject: str) -> Callable[[Sources], list[TrainingPair]]:
    def make(sources: Sources) -> list[TrainingPair]:
        nodes = _read_nodes(_folders(sources, f"info {subject}", "info"))
        return explained_item_pairs(f"info_items_{subject}", info_items(nodes))

    return make


def _options(subject: str) -> Callable[[Sources], list[TrainingPair]]:
    def make(sources: Sources) -> list[TrainingPair]:
        folders = _folders(sources, f"options {subject}", "man")
        items = (item for folder in folders for item in read_option_lists(folder))
        return explained_item_pairs(f"options_{subject}", items)

    return make


def _read_pages(sources: Sources, use: str) -> list[ManualPage]:
    pages: dict[str, ManualPage] = {}
    for folder in _folders(sources, use, "man"):
        for page in find_manual_pages(folder):
            # Programs in several packages share a page.
            pages.setdefault(page.page_id, page)
    return list(pages.values())


def _program_pages(sources: Sources) -> list[TrainingPair]:
    pages = {
        page.page_id: page for subject in _OPTIONS for page in _read_pages(sources, f"options {subject}")
    }
    return manual_pages_pairs(list(pages.values()), "pages_programs")


def _library_pages(sources: Sources) -> list[TrainingPair]:
    return manual_pages_pairs(_read_pages(sources, "pages libraries"), "pages_libraries")


def _function_pages(sources: Sources) -> list[TrainingPair]:
    """Every page of this library has the same summary, but its description says what the function does."""
    pages = _read_pages(sources, "pages functions")
    return explained_item_pairs(
        "pages_functions",
        (ExplainedItem(page.page_id, "Allegro", page.names[:1], page.paragraphs) for page in pages),
    )


def _info_sets(subject: str, about: str) -> dict[str, TrainingSet]:
    return {
        f"info_{subject}": TrainingSet(
            f"title of a node -> its text, of GNU info manuals on {about}", _FREE_MANUALS, _nodes(subject)
        ),
        f"info_items_{subject}": TrainingSet(
            f"explanation -> option, function or key, of GNU info manuals on {about}",
            _FREE_MANUALS,
            _items(subject),
        ),
    }


OPTION_SETS: dict[str, TrainingSet] = {
    **_info_sets("tools", "command-line tools"),
    **_info_sets("science", "mathematics, statistics and astronomy"),
    **_info_sets("programming", "programming languages and editors"),
    **_info_sets("network", "mail, cryptography and other applications"),
    **{
        f"options_{subject}": TrainingSet(
            f"explanation -> option or key, of manual pages on {about}", _FREE, _options(subject)
        )
        for subject, about in (
            ("system", "the system"),
            ("network", "network services"),
            ("media", "media and maps"),
            ("development", "development"),
        )
    },
    "pages_programs": TrainingSet(
        "one-line summary -> description of a program's manual page", _FREE, _program_pages
    ),
    "pages_libraries": TrainingSet(
        "one-line summary -> description of a function's or driver's manual page", _FREE, _library_pages
    ),
    "pages_functions": TrainingSet("explanation -> function of a library for games", "Zlib", _function_pages),
}
"""Pairs of documentation, by name."""
