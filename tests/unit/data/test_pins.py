"""What is pinned belongs together: hashes, mini selections, packages; and the hash itself does not drift."""

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from search_r3.data.beir import read_beir
from search_r3.data.catalogue import SIZES, TASKS, expected_hash
from search_r3.data.pins import pinned_packages
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.task_builders import HELD_OUT_PACKAGES

FIXTURE = Path(__file__).parents[2] / "fixtures" / "code_task"


def selection(name: str) -> dict:
    return json.loads(files("search_r3.data").joinpath("mini", f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_hash_for_each_size_and_a_selection_of_that_data(name):
    """Both hashes are SHA-256 sums, and the mini size was chosen from the pinned full one."""
    hashes = [expected_hash(name, size) for size in SIZES]
    assert len(set(hashes)) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
    chosen = selection(name)
    assert chosen["full_hash"] == expected_hash(name, "full")
    assert len(chosen["query_ids"]) == len(set(chosen["query_ids"])) == 100
    assert len(chosen["doc_ids"]) == len(set(chosen["doc_ids"])) == 1000
    assert not set(chosen["query_ids"]) & set(chosen["doc_ids"])


def test_selections_hold_ids_and_no_texts():
    """The texts are under licences that forbid committing them: an id has no blank in it."""
    for name in TASKS:
        chosen = selection(name)
        assert not [key for key in (*chosen["query_ids"], *chosen["doc_ids"]) if " " in key]


def test_the_hash_is_the_documented_one():
    """SHA-256 over the counted tables, sorted by id, one JSON pair a line, in any dictionaries' order."""
    task = RetrievalTask({"q": "é?"}, {"b": "B", "a": "A"}, {"q": {"b": 2, "a": 1}})
    lines = [
        "queries 1",
        '["q", "\\u00e9?"]',
        "corpus 2",
        '["a", "A"]',
        '["b", "B"]',
        "qrels 1",
        '["q", {"a": 1, "b": 2}]',
    ]
    wanted = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    assert task.data_hash() == wanted
    assert RetrievalTask(task.queries, {"a": "A", "b": "B"}, {"q": {"a": 1, "b": 2}}).data_hash() == wanted


def test_the_fixture_is_the_committed_one():
    """A change of the reader, the hash or the fixture itself shows here."""
    task = read_beir(FIXTURE)
    assert (len(task.queries), len(task.corpus), task.judgements) == (40, 160, 40)
    assert task.data_hash().startswith("0f614e256436df0f")


def test_packages_are_pinned_and_licensed():
    """Every package has an exact version, a SHA-256, a licence, and files to keep."""
    packages = pinned_packages()
    text = files("search_r3.data").joinpath("packages.toml").read_text(encoding="utf-8")
    assert len(packages) == text.count("[[package]]") == 314  # no name is there twice
    for name, package in packages.items():
        assert name == package.name
        assert package.registry in ("pypi", "debian", "npm")
        assert re.fullmatch("[0-9a-f]{64}", package.sha256)
        assert package.version and package.licence and package.use and package.keep
    assert len({package.sha256 for package in packages.values()}) == len(packages)


def test_held_out_packages_are_never_mined_for_training():
    """The packages of CodeDoc are marked as held out, and no other package is."""
    held_out = {package.name for package in pinned_packages().values() if package.use == "held-out code"}
    assert held_out == set(HELD_OUT_PACKAGES)
