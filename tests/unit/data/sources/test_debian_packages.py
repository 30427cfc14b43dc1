"""Debian descriptions: synopsis and long description of programs, without the parts of larger packages."""

import pytest

from search_r3.data.sources.debian_packages import (
    PackageDescription,
    debian_packages_pairs,
    read_debian_packages,
)
from search_r3.errors import DataError

TRANSLATION = """Package: teapot
Description-md5: 0123
Description-en: simulator of teapots
 Pours tea
 into cups.
 .
 It knows:
  * green tea
  * black tea

Package: bare
Description-en: no long text

Package: teapot
Description-en: simulator of pots
 An older text.
"""


def package(name, synopsis="", description=""):
    return PackageDescription(name, synopsis or f"synopsis of {name}", description or f"about {name}")


def test_fields(tmp_path):
    """Paragraphs and lists become one line; a package without long text is skipped, a second text too."""
    path = tmp_path / "Translation-en"
    path.write_text(TRANSLATION)
    assert read_debian_packages(path) == [
        PackageDescription(
            "teapot", "simulator of teapots", "Pours tea into cups. It knows: * green tea * black tea"
        )
    ]


def test_pairs():
    """A synopsis finds its description, under the package's name, without negatives."""
    (pair,) = debian_packages_pairs([package("teapot", "simulator of teapots", "Pours tea.")])
    assert (pair.query, pair.positive) == ("simulator of teapots", "Pours tea.")
    assert (pair.query_id, pair.doc_id, pair.source, pair.negatives) == (
        "teapot",
        "teapot",
        "debian_packages",
        (),
    )


@pytest.mark.parametrize(
    "name",
    [
        "libtea",
        "tea-dev",
        "tea-doc",
        "tea-dbg",
        "python3-tea",
        "tea-data",
        "tea-common",
        "fonts-tea",
        "tea-l10n",
        "tea-l10n-de",
        "task-tea-dev",
        "golang-tea",
        "node-tea",
        "ruby-tea",
        "tea-examples",
    ],
)
def test_parts_are_dropped(name):
    """Libraries, headers, documentation, data and the like are no programs."""
    assert [pair.query_id for pair in debian_packages_pairs([package(name), package("teapot")])] == ["teapot"]


@pytest.mark.parametrize("name", ["database", "commonmark", "devilspie", "docker", "x11-utils", "ruby"])
def test_programs_with_similar_names_stay(name):
    """A name that only resembles a part's is kept."""
    assert [pair.query_id for pair in debian_packages_pairs([package(name)])] == [name]


def test_empty_packages_are_dropped():
    """Transitional, dummy and metapackages describe no program."""
    packages = [
        package("a", description="This is a transitional package."),
        package("b", "tea things (metapackage)"),
        package("c", "dummy package"),
        package("d"),
    ]
    assert [pair.query_id for pair in debian_packages_pairs(packages)] == ["d"]


def test_same_synopsis_or_description_is_taken_once():
    """The first of packages with an equal synopsis or description is kept."""
    packages = [package("a", "Tea", "x"), package("b", "tea", "y"), package("c", "coffee", "X"), package("d")]
    assert [pair.query_id for pair in debian_packages_pairs(packages)] == ["a", "d"]


def test_refuses_other_files(tmp_path):
    """A missing file, or one without descriptions, is an error that says what is wanted."""
    path = tmp_path / "Packages"
    with pytest.raises(DataError, match="Cannot read"):
        read_debian_packages(path)
    path.write_text("Package: teapot\nDescription: simulator\n")
    with pytest.raises(DataError, match="holds no Package with a Description-en"):
        read_debian_packages(path)
