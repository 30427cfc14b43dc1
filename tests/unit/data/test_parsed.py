"""The packages' files: one package that cannot be had does not cost a set made of several."""

import pytest

from search_r3.data.parsed import Sources
from search_r3.errors import DataError


def test_packages_that_cannot_be_had_are_left_out_and_named(monkeypatch, tmp_path):
    """The others are given; if none can be had, the first one's reason is told."""

    def file(self, package, pattern):
        if package.startswith("gone"):
            raise DataError(f"{package} is not there")
        return tmp_path / package / pattern

    monkeypatch.setattr(Sources, "file", file)
    sources = Sources(tmp_path)
    assert sources.files(["one", "gone-two", "three"], "man") == {
        "one": tmp_path / "one" / "man",
        "three": tmp_path / "three" / "man",
    }
    assert sources.missing == {"gone-two": "gone-two is not there"}
    with pytest.raises(DataError, match="none of gone-a, gone-b: gone-a is not there"):
        sources.files(["gone-a", "gone-b"], "man")
