"""AppStream: English texts of programs, and negatives of the same menu."""

import pytest

from search_r3.data.sources.desktop_programs import (
    DesktopProgram,
    desktop_programs_pairs,
    read_desktop_programs,
)
from search_r3.errors import DataError

DEP11 = """---
File: DEP-11
Version: '0.16'
---
Type: desktop-application
ID: teapot.desktop
Name:
  de: Teekanne
  C: Teapot
Summary:
  C: Pours tea into cups
  de: Gießt Tee
Description:
  de: >-
    <p>Tee.</p>
  C: >-
    <p>Pours tea.</p>

    <p>And &amp; more.</p>
Categories:
- Game
- Simulation
Icon: [not, parsed
---
Type: generic
ID: bare
Name:
  C: Bare
Summary:
  C: Has no description
"""


def program(name, *categories):
    return DesktopProgram(name, name.title(), f"a {name} for all", f"It is a {name}.", categories)


def test_fields(tmp_path):
    """Only English is read, wherever it stands; other fields are not parsed; one text needs the other."""
    path = tmp_path / "components.yml"
    path.write_text(DEP11)
    assert read_desktop_programs(path) == [
        DesktopProgram(
            "teapot.desktop",
            "Teapot",
            "Pours tea into cups",
            "Pours tea. And & more.",
            ("Game", "Simulation"),
        )
    ]


def test_pairs():
    """Programs of the same categories are negatives, or else of the first one."""
    programs = [program("a", "Game", "Tea"), program("b", "Game", "Tea"), program("c", "Game"), program("d")]
    pairs = {pair.query_id: pair for pair in desktop_programs_pairs(programs)}
    assert (pairs["a"].query, pairs["a"].positive) == ("a a for all", "A: It is a a.")
    assert pairs["a"].negatives == ("B: It is a b.",)
    assert set(pairs["c"].negatives) == {"A: It is a a.", "B: It is a b."}
    assert pairs["d"].negatives == ()


def test_refuses_other_files(tmp_path):
    """A missing file, or one without programs, is an error."""
    path = tmp_path / "components.yml"
    with pytest.raises(DataError, match="Cannot read"):
        read_desktop_programs(path)
    path.write_text("---\nFile: DEP-11\n")
    with pytest.raises(DataError, match="describes no program"):
        read_desktop_programs(path)
