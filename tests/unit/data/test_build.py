"""The build: leaks are dropped and then proved absent, finished work is kept, damaged work is made again."""

import json
import sys
from dataclasses import replace

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from search_r3.cli import app as cli
from search_r3.data import build, catalogue
from search_r3.data.beir import read_beir
from search_r3.data.build import Builder
from search_r3.data.dev_tasks import DEV_TASKS
from search_r3.data.mining import mine_negatives
from search_r3.data.pairs import TrainingPair, read_pairs, write_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import ThoughtRecord, read_thoughts, write_thoughts
from search_r3.data.training_set import TrainingSet
from search_r3.data.training_sets import GradedSet
from search_r3.errors import DataError

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
EVALUATION = RetrievalTask(
    {"q1": "What is it?", "q2": "And that?"},
    {"d1": "It is a lamp.", "d2": f"A long text: {LONG}.", "d3": "Nothing of note."},
    {"q1": {"d1": 1}, "q2": {"d2": 1}},
)
MINI = EVALUATION.subset(["q1"], ["d1", "d3"])
DEV = RetrievalTask({"v1": "Where is it?"}, {"e1": "It is at sea."}, {"v1": {"e1": 1}})


def pair(number, query, positive, *negatives):
    return TrainingPair(query, positive, negatives, "made", f"p{number}", f"d{number}")


PAIRS = [
    pair(0, "a clean query", "a clean document", "a clean negative", "It is a LAMP"),
    pair(1, "what is it", "the query is an evaluation query"),
    pair(4, "the document is a dev document", "it is at SEA"),
    pair(2, "quotes a long text", f"And so: {LONG.upper()}"),
    pair(3, "another clean query", "another clean document", "a clean document"),
]
GRADED = RetrievalTask(
    {"g1": "first", "g2": "And that", "g3": "third"},
    {"a": "lamp", "b": "Nothing, of note", "c": "other"},
    {"g1": {"a": 2, "b": 1}, "g2": {"a": 1}, "g3": {"b": 2, "c": 1}},
)


@pytest.fixture
def world(monkeypatch, tmp_path):
    """One task, one source and one graded set instead of the real ones; a list of what was made."""
    made = []

    def make(name, value):
        def made_of(_sources):
            made.append(name)
            return value

        return made_of

    monkeypatch.setattr(build, "TASKS", {"Toy": catalogue.TASKS["CodeDoc"]})
    monkeypatch.setattr(
        build, "expected_hash", lambda _, size: {"full": EVALUATION, "mini": MINI}[size].data_hash()
    )
    monkeypatch.setattr(build, "full_task", lambda name, _: make("task", EVALUATION)(name))
    monkeypatch.setattr(build, "mini_of", lambda *_: MINI)
    card = replace(DEV_TASKS["PerlFAQ"], name="ToyDev", build=make("dev", DEV))
    monkeypatch.setattr(build, "_dev_cards", lambda: {"ToyDev": card})
    monkeypatch.setattr(build, "expected_dev_hash", lambda _: DEV.data_hash())
    monkeypatch.setattr(
        build,
        "TRAINING_SETS",
        {
            "made": TrainingSet("x -> y", "MIT", make("pairs", PAIRS)),
            "mined": TrainingSet("x -> y", "MIT", make("mined", PAIRS[4:]), mined=True),
        },
    )
    monkeypatch.setattr(build, "GRADED_SETS", {"graded": GradedSet("x -> y", "MIT", make("graded", GRADED))})
    return tmp_path, made


def mined(pairs):
    return [replace(pair, negatives=("mined",)) for pair in pairs]


def run(folder):
    steps = []
    builder = Builder(folder, mined, steps.append)
    builder.build_evaluation()
    builder.build_dev()
    builder.build_training()
    assert builder.count_leaks() == 0
    return builder, steps


def test_leaking_pairs_and_negatives_are_dropped(world):
    """Pairs whose query is an evaluation query, or whose document quotes one, go; a leaking negative too."""
    folder, _ = world
    builder, _ = run(folder)
    kept = read_pairs(folder / "training" / "made.parquet")
    assert kept == [replace(PAIRS[0], negatives=("a clean negative",)), PAIRS[4]]
    facts = builder.manifest["training"]["made"]
    assert (facts["pairs"], facts["with_negatives"], facts["dropped_as_leaks"]) == (2, 2, 3)
    assert [pair.negatives for pair in read_pairs(folder / "training" / "mined.parquet")] == [("mined",)]


def test_leaking_graded_texts_are_dropped(world):
    """A leaking query goes, a leaking document too, and with its best document a query."""
    folder, _ = world
    run(folder)
    task = read_beir(folder / "graded" / "graded", split="train")
    assert task == RetrievalTask({"g1": "first"}, {"a": "lamp", "c": "other"}, {"g1": {"a": 2}})


def test_both_sizes_are_written(world):
    """The task lies in both sizes in BEIR's format, and the manifest counts them."""
    folder, _ = world
    builder, _ = run(folder)
    assert read_beir(folder / "evaluation" / "Toy" / "full") == EVALUATION
    assert read_beir(folder / "evaluation" / "Toy" / "mini") == MINI
    facts = builder.manifest["evaluation"]["Toy/mini"]
    assert (facts["queries"], facts["documents"], facts["judgements"]) == (1, 2, 1)


def test_finished_work_is_kept(world):
    """A second run makes nothing, says so, and has the same manifest."""
    folder, made = world
    first, _ = run(folder)
    assert made == ["task", "dev", "pairs", "mined", "graded"]
    second, steps = run(folder)
    assert made == ["task", "dev", "pairs", "mined", "graded"]
    assert sum(step.endswith("built before") for step in steps) == 5
    assert second.manifest == first.manifest == json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("file", "again"),
    [
        ("training/made.parquet", "pairs"),
        ("graded/graded/corpus.jsonl", "graded"),
        ("graded/graded/queries.jsonl", "graded"),
        ("graded/graded/qrels/train.tsv", "graded"),
        ("evaluation/Toy/mini/corpus.jsonl", "task"),
        ("evaluation/Toy/full/qrels/test.tsv", "task"),
        ("dev/ToyDev/corpus.jsonl", "dev"),
        ("dev/ToyDev/qrels/test.tsv", "dev"),
    ],
)
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_damaged_work_is_made_again(world, file, again, harm):
    """A file that was cut or deleted is made again, and nothing else is."""
    folder, made = world
    run(folder)
    path = folder / file
    whole = path.read_bytes()
    made.clear()
    if harm == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.unlink()
    run(folder)
    assert made == [again]
    assert path.read_bytes() == whole


def test_work_of_an_older_build_is_made_again(world, monkeypatch):
    """Raising the build number makes training sets anew."""
    folder, made = world
    run(folder)
    made.clear()
    monkeypatch.setattr(build, "_BUILD", build._BUILD + 1)
    run(folder)
    assert made == ["pairs", "mined", "graded"]


def test_other_data_than_the_pinned_is_refused(world, monkeypatch):
    """A task that comes out with another hash stops the build and names both hashes."""
    folder, _ = world
    monkeypatch.setattr(build, "expected_hash", lambda *_: "f" * 64)
    with pytest.raises(DataError, match=f"Toy.*{EVALUATION.data_hash()[:16]}.*wanted {'f' * 16}"):
        Builder(folder, mined, lambda _: None).build_evaluation()
    assert not (folder / "evaluation" / "Toy" / "full").exists()


def test_a_leak_in_a_finished_file_fails_the_build(world):
    """The last check reads the files themselves: a leak that was smuggled in is found and shown."""
    folder, _ = world
    builder, _ = run(folder)
    path = folder / "training" / "made.parquet"
    write_pairs([*read_pairs(path), pair(9, "fine", "fine too", "fine", "it is a lamp")], path)
    with pytest.raises(DataError, match=r"made holds a text.*it is a lamp"):
        builder.count_leaks()


def test_command_prints_the_tables(world, monkeypatch):
    """`search-r3 data` builds in the folder, and prints counts and the number of leaks."""
    folder, _ = world
    monkeypatch.setattr("search_r3.cli.data_command._mine", lambda _, pairs: mined(pairs))
    shown = CliRunner().invoke(cli.app, ["data", "--folder", str(folder)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "leaks found in the finished files: 0" in shown.output
    assert "Toy/full" in shown.output
    assert "ToyDev" in shown.output
    assert "│ made   │     2 │" in shown.output


def test_evaluation_only_needs_no_training_source(world):
    """`--evaluation-only` builds the tasks and nothing else."""
    folder, made = world
    shown = CliRunner().invoke(cli.app, ["data", "--folder", str(folder), "--evaluation-only"])
    assert shown.exit_code == 0, shown.output
    assert made == ["task"]
    assert not (folder / "training").exists()


def test_mined_negatives_are_close_and_never_right(tiny):
    """Negatives come from other pairs, at most five, none of them an answer to the same query."""
    pairs = [
        pair(i, f"query about {word}", f"{word} is a thing") for i, word in enumerate("abcdefghijklmnop")
    ]
    pairs.append(pair(90, "query about a", "b is a thing"))  # so "b is a thing" answers this query too
    found = mine_negatives(pairs, tiny)
    assert [replace(pair, negatives=()) for pair in found] == pairs
    documents = {pair.positive for pair in pairs}
    assert any(pair.negatives for pair in found)
    for one in found:
        right = {other.positive for other in pairs if other.query == one.query}
        assert len(one.negatives) <= 5
        assert set(one.negatives) <= documents - right


def test_sets_without_all_dev_tasks_are_made_again(world, monkeypatch):
    """A dev task that cannot be built stops nothing; once it is there, texts are held against it."""
    folder, made = world

    def missing(_sources):
        raise DataError("no such Debian package")

    whole = build._dev_cards()
    broken = {"ToyDev": replace(whole["ToyDev"], build=missing)}
    monkeypatch.setattr(build, "_dev_cards", lambda: broken)
    builder = Builder(folder, mined, lambda _: None)
    builder.build_evaluation()
    assert builder.build_dev() == {"ToyDev": "no such Debian package"}
    builder.build_training()
    assert len(read_pairs(folder / "training" / "made.parquet")) == 3
    monkeypatch.setattr(build, "_dev_cards", lambda: whole)
    made.clear()
    run(folder)
    assert made == ["dev", "pairs", "mined", "graded"]
    assert len(read_pairs(folder / "training" / "made.parquet")) == 2


def test_a_set_that_cannot_be_made_again_is_used_by_nothing(world, monkeypatch):
    """Its file of another build leaves the manifest, and with it the leak count and the pool."""
    folder, _ = world
    builder, _ = run(folder)
    assert "made" in builder.manifest["training"]

    def missing(_sources):
        raise DataError("no such Debian package")

    sets = build.TRAINING_SETS
    monkeypatch.setattr(build, "_BUILD", 99)
    monkeypatch.setattr(build, "TRAINING_SETS", {**sets, "made": replace(sets["made"], make=missing)})
    builder = Builder(folder, mined, lambda _: None)
    builder.build_dev()
    assert builder.build_training() == {"made": "no such Debian package"}
    assert list(builder.manifest["training"]) == ["mined"]
    monkeypatch.setattr(build, "TRAINING_SETS", {"made": sets["made"]})
    Builder(folder, mined, lambda _: None).build_training()
    assert list(Builder(folder, mined, lambda _: None).manifest["training"]) == ["made"]


def test_what_a_set_goes_without_is_noted(world, monkeypatch):
    """A set made of several packages names those that could not be had, in the manifest and on the way."""
    folder, _ = world
    made = build.TRAINING_SETS["made"].make

    def partly(sources):
        sources.missing["curl"] = "no such version"
        return made(sources)

    sets = build.TRAINING_SETS
    monkeypatch.setattr(build, "TRAINING_SETS", {**sets, "made": replace(sets["made"], make=partly)})
    builder, steps = run(folder)
    assert builder.manifest["training"]["made"]["missing_packages"] == ["curl"]
    assert "missing_packages" not in builder.manifest["training"]["mined"]
    assert "training pairs made: goes without curl: no such version" in steps
    monkeypatch.setattr(build, "TRAINING_SETS", sets)
    builder, steps = run(folder)  # the package is there again
    assert "missing_packages" not in builder.manifest["training"]["made"]
    assert "training pairs made" in steps and "training pairs mined: built before" in steps


def test_missing_datasets_is_said_before_any_work(world, monkeypatch, capsys):
    """Without `datasets` the whole build refuses at once, with the line to install it."""
    folder, made = world
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setattr("sys.argv", ["search-r3", "data", "--folder", str(folder)])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "pip install 'search-r3[eval]'" in capsys.readouterr().err
    assert made == []


def test_a_set_that_cannot_be_built_does_not_stop_the_others(world, monkeypatch):
    """Its reason is printed, the other sets are built and checked, and the exit code is 1."""
    folder, made = world

    def missing(_sources):
        raise DataError("no such Debian package")

    sets = {"gone": TrainingSet("x -> y", "MIT", missing), **build.TRAINING_SETS}
    monkeypatch.setattr(build, "TRAINING_SETS", sets)
    monkeypatch.setattr("search_r3.cli.data_command._mine", lambda _, pairs: mined(pairs))
    shown = CliRunner().invoke(cli.app, ["data", "--folder", str(folder)], env={"COLUMNS": "200"})
    assert shown.exit_code == 1
    assert "error: gone could not be built: no such Debian package" in shown.output
    assert "leaks found in the finished files: 0" in shown.output
    assert made == ["task", "dev", "pairs", "mined", "graded"]


def test_two_builds_in_one_folder_are_refused(world, monkeypatch, capsys):
    """The second build says that another one is at work, and touches nothing."""
    folder, made = world
    monkeypatch.setattr("sys.argv", ["search-r3", "data", "--folder", str(folder), "--evaluation-only"])
    with FileLock(folder / ".lock"), pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "Another process is building the data" in capsys.readouterr().err
    assert made == []


def test_the_hash_of_an_unpinned_source_is_noted(world, monkeypatch):
    """A source without a pin is named by its SHA-256 in the manifest."""
    folder, _ = world
    (folder / "list.txt").write_text("abc")
    unpinned = replace(build.TRAINING_SETS["made"], unpinned=lambda _: folder / "list.txt")
    monkeypatch.setattr(build, "TRAINING_SETS", {"made": unpinned})
    builder, _ = run(folder)
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2
    assert builder.manifest["training"]["made"]["source_sha256"] == wanted


def test_thoughts_that_a_set_comes_with_are_built_beside_it(world, monkeypatch):
    """Those about pairs that leaked go, and those with a passage that does; they are kept and checked too."""
    folder, made = world

    def about(number, *evidence):
        return ThoughtRecord("made", f"p{number}", "a name", "bridge", 0.0, 1, True, evidence)

    records = [
        about(0, "a passage"),
        about(1, "a passage"),
        about(3, "fine", "it is a lamp"),
        about(3, "fine"),
    ]
    bridges = replace(build.TRAINING_SETS["made"], thoughts=lambda _: made.append("thoughts") or records)
    monkeypatch.setattr(build, "TRAINING_SETS", {"made": bridges})
    builder, _ = run(folder)
    path = folder / "thoughts" / "made.parquet"
    assert read_thoughts(path) == [records[0], records[3]]
    assert builder.manifest["training"]["made"]["thoughts"] == 2
    run(folder)
    assert made.count("thoughts") == 1
    write_thoughts([about(0, "it is a lamp")], path, {})
    with pytest.raises(DataError, match=r"made holds a text.*it is a lamp"):
        builder.count_leaks()
    run(folder)  # the file is not the noted one: it is made again
    assert made.count("thoughts") == 2 and read_thoughts(path) == [records[0], records[3]]
