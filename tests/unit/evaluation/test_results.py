import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_r3.errors import DataError, InvalidInputError
from search_r3.evaluation.results import (
    Result,
    ThoughtStatistics,
    read_result,
    read_results,
    result_paths,
    write_result,
)
from search_r3.model.thoughts import Thought
from search_r3.provenance import describe_environment


def result(**changes):
    scores = {"q1": 0.5, "q2": 0.25}
    values = {
        "task": "Words",
        "size": "mini",
        "data_hash": "abc",
        "harness": "mteb 2.26.24",
        "model": "org/model",
        "fingerprint": "f",
        "arm": "always",
        "config": {"max_reasoning_tokens": 64, "rate": 1e-9},
        "seed": 0,
        "per_query": {"ndcg_at_10": scores, "recall_at_100": scores, "reciprocal_rank": scores},
        "thoughts": ThoughtStatistics(4.5, 4.0, 8, 0.5, 0.5, 0.0, 0.0),
        "tokens_per_query": 20.5,
        "seconds": {"documents": 1.0, "queries": 2.0, "total": 3.5},
        "environment": {"commit": None},
    }
    return Result(**{**values, **changes})


def test_round_trip(tmp_path):
    """What is written is read again: facts in the first line, then a line for each query."""
    scores = {"q\u2028": 0.5, "q1": 0.25}  # a line separator inside of an id does not end the line
    written = result(per_query={"recall_at_100": {"q1": 1.0, "q\u2028": 0.0}, "ndcg_at_10": scores})
    path = write_result(written, tmp_path)
    assert path == tmp_path / "Words" / "org_model--always--64--mini.jsonl"
    assert read_result(path) == written
    assert read_results(tmp_path) == [written]
    facts, *queries = path.read_text(encoding="utf-8").split("\n")
    found = json.loads(facts)
    assert list(found) == sorted(found)
    assert (found["per_query"], found["queries"]) == (["ndcg_at_10", "recall_at_100"], 2)
    assert queries == ['["q1",0.25,1.0]', '["q\u2028",0.5,0.0]', ""]
    assert list(path.parent.iterdir()) == [path]  # nothing half-written is left


SCORES = st.floats(0, 1).map(lambda score: round(score, 6))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), SCORES, min_size=1))
def test_any_scores_come_back(scores):
    """Whatever the ids and the scores are, the file gives them back."""
    with tempfile.TemporaryDirectory() as folder:
        written = result(per_query={"ndcg_at_10": scores})
        assert read_result(write_result(written, Path(folder))) == written


def test_measured_numbers_are_rounded_and_the_config_is_not(tmp_path):
    """Scores have 6 decimals; a small number in the config stays what it was."""
    third = {"ndcg_at_10": {"q": 1 / 3}}
    read = read_result(write_result(result(per_query=third), tmp_path))
    assert read.per_query == {"ndcg_at_10": {"q": 0.333333}}
    assert read.config["rate"] == 1e-9


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"arm": None, "thoughts": None}, "org_model--none--mini.jsonl"),
        ({"arm": "never"}, "org_model--never--mini.jsonl"),
        ({"seed": 3}, "org_model--always--64--mini--seed3.jsonl"),
        ({"model": '../a:b?"'}, "a_b--always--64--mini.jsonl"),
        ({"size": "full"}, "org_model--always--64--full.jsonl"),
    ],
)
def test_file_names(tmp_path, changes, name):
    """The name tells the run, and holds nothing that leaves the folder or that a file system refuses."""
    assert write_result(result(**changes), tmp_path) == tmp_path / "Words" / name


def test_only_the_same_run_is_replaced(tmp_path):
    """A second run takes the place of the first; one of another harness or model does not."""
    path = write_result(result(), tmp_path)
    assert write_result(result(data_hash="new"), tmp_path) == path
    for other in (result(harness="beir 2.2.0"), result(model="org:model")):
        with pytest.raises(DataError, match="another run"):
            write_result(other, tmp_path)
    assert read_result(path).data_hash == "new"


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1, "0.5", None])
def test_scores_are_numbers_between_0_and_1(value):
    """A score that is none is refused by query."""
    with pytest.raises(DataError, match="query 'q'"):
        result(per_query={"ndcg_at_10": {"q": value}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"per_query": {}}, "without a query"),
        ({"per_query": {"ndcg_at_10": {}}}, "without a query"),
        ({"per_query": {"ndcg_at_10": {"a": 1.0}, "recall_at_100": {"b": 1.0}}}, r"'a' \(2 in all\)"),
        ({"tokens_per_query": math.nan}, "tokens_per_query"),
        ({"seconds": {"total": -1.0}}, "total=-1.0"),
        ({"thoughts": ThoughtStatistics(math.nan, 0, 0, 0, 0, 1, 0)}, "mean_tokens"),
        ({"config": {}}, "max_reasoning_tokens=None"),
    ],
)
def test_malformed_results_are_refused(changes, message):
    """Nothing that breaks the promises of a result can be made."""
    with pytest.raises(DataError, match=message):
        result(**changes)


def test_nan_is_never_written(tmp_path):
    """A NaN in the config is an error before a file is there."""
    with pytest.raises(ValueError, match="JSON"):
        write_result(result(config={"max_reasoning_tokens": 1, "x": math.nan}), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.update(schema_version=1), "schema version 1, wanted 2"),
        (lambda facts: facts.pop("seed"), "seed"),
        (lambda facts: facts.update(other=1), "other"),
        (lambda facts: facts.update(per_query=[1]), "names of measures"),
        (lambda facts: facts.update(per_query="ndcg_at_10"), "names of measures"),
        (lambda facts: facts.update(thoughts={"x": 1}), "x"),
        (lambda facts: facts.update(tokens_per_query=math.nan), "NaN"),
    ],
)
def test_malformed_facts_are_named(tmp_path, change, message):
    """A file of another form or version is refused by its path and first line."""
    path = write_result(result(), tmp_path)
    facts, queries = path.read_text(encoding="utf-8").split("\n", 1)
    data = json.loads(facts)
    change(data)
    path.write_text(f"{json.dumps(data)}\n{queries}", encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_results(tmp_path)
    assert f"{path}, line 1:" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('["q2",0.25,0.25', "delimiter"),
        ('["q2",0.25,0.25]]', "Extra data"),
        ("{}", "wanted a query's id and its ndcg_at_10, recall_at_100, reciprocal_rank"),
        ('["q2",0.25,0.25]', "wanted a query's id"),
        ("[2,0.25,0.25,0.25]", "wanted a query's id"),
        ('["q2",0.25,"high",0.25]', "recall_at_100='high' for query 'q2'"),
        ('["q2",0.25,1.5,0.25]', "recall_at_100=1.5 for query 'q2'"),
        ('["q2",0.25,NaN,0.25]', "NaN"),
        ('["q1",0.25,0.25,0.25]', "'q1' a second time"),
    ],
)
def test_malformed_queries_are_named(tmp_path, line, message):
    """A query that is damaged is refused by its path and line."""
    path = write_result(result(), tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[2] == '["q2",0.25,0.25,0.25]'
    path.write_text("\n".join([*lines[:2], line, ""]), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_results(tmp_path)
    assert f"{path}, line 3:" in str(caught.value)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_file_that_was_cut_is_refused(tmp_path, kept):
    """Queries that are missing at the end are noticed, even where a line ends."""
    path = write_result(result(), tmp_path)
    path.write_text("\n".join(path.read_text().splitlines()[: 1 + kept]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"got {kept} queries where the first line says 2") as caught:
        read_result(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_files_that_are_no_object(tmp_path, text):
    """A first line that is no JSON object is refused by its path."""
    path = tmp_path / "x.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl, line 1"):
        read_result(path)


def test_files_of_the_format_before_are_refused(tmp_path):
    """Leaving them out would make a report of the others alone."""
    write_result(result(), tmp_path)
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"old\.json: got a JSON file among results \(1 in all\)"):
        read_results(tmp_path)


def test_folder_without_results(tmp_path):
    """No result at all is an error, not an empty report."""
    with pytest.raises(DataError, match="no result file"):
        read_results(tmp_path)


def test_what_a_killed_writer_left_is_no_result(tmp_path):
    """A hidden file beside the results, complete or cut, is neither read nor an error."""
    path = write_result(result(), tmp_path)
    path.with_name(f".part-0123abcd-{path.name}").write_bytes(path.read_bytes())
    path.with_name(f".part-89ef4567-{path.name}").write_bytes(path.read_bytes()[:40])
    assert result_paths(tmp_path) == [path]
    assert read_results(tmp_path) == [result()]


def test_mean():
    """The mean is over the queries; an unknown measure is refused."""
    assert result().mean("ndcg_at_10") == 0.375
    with pytest.raises(InvalidInputError, match="wanted one of ndcg_at_10"):
        result().mean("map")


def test_statistics_of_thoughts():
    """Lengths and shares are those of the thoughts."""
    endings = ["embed_token", "budget", "skipped", "budget"]
    thoughts = [Thought("", (0,) * n, end) for n, end in zip((2, 8, 0, 8), endings, strict=True)]
    # mean (2 + 8 + 0 + 8) / 4, median between 2 and 8
    assert ThoughtStatistics.of(thoughts) == ThoughtStatistics(4.5, 5.0, 8, 0.25, 0.5, 0.25, 0.0)
    assert ThoughtStatistics.of([Thought("", (1,), "given")]).given == 1.0
    with pytest.raises(InvalidInputError, match="no thoughts"):
        ThoughtStatistics.of([])


def test_environment_is_json_and_complete(tmp_path):
    """The description names code, machine and versions, and can be written."""
    described = describe_environment()
    assert described.keys() == {"commit", "dirty", "hardware", "versions", "created"}
    assert described["versions"].keys() >= {"python", "torch", "search-r3"}
    assert described["hardware"]["cores"] >= 1
    assert described["created"].endswith("+00:00")
    path = write_result(replace(result(), environment=described), tmp_path)
    assert read_result(path).environment == described
