"""Where things are kept, by the variables that say so."""

from pathlib import Path

import pytest

from search_r3.errors import InvalidOptionError
from search_r3.paths import cache_dir, data_dir


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("SEARCH_R3_CACHE", raising=False)
    monkeypatch.delenv("SEARCH_R3_DATA", raising=False)
    return tmp_path


@pytest.mark.parametrize(("value", "wanted"), [("~/c", "c"), ("~", "."), ("", "xdg/search-r3")])
def test_cache(home, monkeypatch, value, wanted):
    """A tilde is the home folder; an empty variable counts as unset."""
    monkeypatch.setenv("SEARCH_R3_CACHE", value)
    assert cache_dir() == home / wanted
    assert data_dir() == home / wanted / "data"


@pytest.mark.parametrize("value", [None, "~/c"])
def test_without_a_home_folder_the_variable_is_named(monkeypatch, value):
    """As in a container that runs under a user id without an entry in the list of users."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("os.getuid", lambda: 987654)
    if value:
        monkeypatch.setenv("SEARCH_R3_CACHE", value)
    with pytest.raises(InvalidOptionError, match=r"HOME is not set.*Set SEARCH_R3_CACHE"):
        cache_dir()


def test_data_has_a_variable_of_its_own(home, monkeypatch):
    monkeypatch.setenv("SEARCH_R3_DATA", "~/d")
    assert data_dir() == home / "d"
    monkeypatch.setenv("SEARCH_R3_DATA", "relative/~/d")  # a tilde elsewhere is a name
    assert data_dir() == Path("relative/~/d")
