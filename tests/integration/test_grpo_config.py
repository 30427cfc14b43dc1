"""What the second stage reads: configurations, and the queries and documents of its sets."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest
from keyword_task import config
from pydantic import BaseModel, ValidationError

from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidOptionError
from search_r3.rl.grpo_config import PolicyModelConfig, RLConfig, read_config
from search_r3.rl.grpo_run import worse_than_start
from search_r3.rl.queries import load_queries
from search_r3.training.run_config import AdapterConfig

ROOT = Path(__file__).parents[2]


def test_queries_of_several_sets(toy):
    """One corpus, ids with the set's name, equal queries joined, nothing that the dev split asks."""
    queries = config(toy, "x").queries.model_copy(
        update={"dev_sources": ("words",), "dev_queries": 5, "dev_documents": 20}
    )
    sets = {**queries.sets, "words": next(iter(queries.sets.values())).model_copy(update={"documents": 30})}
    data = load_queries(queries.model_copy(update={"sets": sets}), 0)
    [dev] = data.dev.values()
    asked = set(dev.queries.values())
    assert len(asked) == 5 and not asked & set(data.task.queries.values())
    assert len(data.task.queries) == 32 and len(data.task.corpus) == 50
    assert sum(doc_id.startswith("words/") for doc_id in data.task.corpus) == 30
    assert load_queries(queries.model_copy(update={"sets": sets}), 0).task == data.task
    with pytest.raises(DataError, match="no set 'nothing'"):
        load_queries(queries.model_copy(update={"sets": {"nothing": sets["words"]}}), 0)


def test_other_wordings_of_a_dev_answer_are_not_asked(toy):
    """A query whose best answer holds a dev answer, alone or between semicolons, is not trained on."""
    queries = config(toy, "x").queries.model_copy(
        update={"dev_sources": ("words",), "dev_queries": 5, "dev_documents": 20}
    )
    [dev] = load_queries(queries, 0).dev.values()
    answer = dev.corpus[next(iter(next(iter(dev.qrels.values()))))]
    asked = next(iter(dev.queries.values()))
    task = RetrievalTask(
        {"same": "another wording", "part": "a third", "asked": "a fourth", "far": "a fifth"},
        {"a": answer, "b": f"x; {answer.upper()}; y", "c": f"{asked}; z", "d": "something else"},
        {"same": {"a": 1}, "part": {"b": 2, "d": 1}, "asked": {"c": 1}, "far": {"d": 2, "a": 1}},
    )
    write_beir(task, toy / "graded", split="train")
    some = next(iter(queries.sets.values()))
    data = load_queries(queries.model_copy(update={"sets": {str(toy / "graded"): some}}), 0)
    assert list(data.task.queries.values()) == ["a fifth"] and len(data.task.corpus) == 4


@pytest.mark.filterwarnings("ignore::search_r3.errors.DataWarning")
def test_only_queries_with_an_answer_are_asked(toy):
    """Absent documents, the document of the query's own id and grades of 0 are no answers."""
    queries = config(toy, "x").queries
    task = RetrievalTask(
        {"1": "ask one", "2": "ask two", "3": "ask three", "4": "ask four"},
        {"1": "ask one", "2": "two", "9": "nine"},
        {"1": {"9": 2, "gone": 3}, "2": {"2": 1}, "3": {"9": 0}, "4": {"gone": 1}},
    )
    write_beir(task, toy / "mine", split="train")
    name, some = str(toy / "mine"), next(iter(queries.sets.values()))
    data = load_queries(queries.model_copy(update={"sets": {name: some}}), 0)
    assert data.task.queries == {f"{name}/1": "ask one"}
    assert data.task.qrels == {f"{name}/1": {f"{name}/9": 2}} and len(data.task.corpus) == 3
    assert data.hashes[name] == task.data_hash()


def test_unknown_keys_fail(tmp_path):
    """A typo is an error that names the key."""
    (tmp_path / "a.toml").write_text('output = "x"\n[queries.sets.a]\nqueries = 1\ndocument = 3\n')
    with pytest.raises(InvalidOptionError, match="document"):
        read_config(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text(
        'output = "x"\n[queries.sets.a]\nqueries = 1\ndocuments = 3\n[trainer]\ntemperature = 2.0\n'
    )
    with pytest.raises(InvalidOptionError, match="decided by the other tables, or not used"):
        read_config(tmp_path / "b.toml")
    (tmp_path / "c.toml").write_text(
        'output = "x"\n[queries.sets.a]\nqueries = 1\ndocuments = 3\n[rollouts]\nmay_skip = false\n'
    )
    with pytest.raises(InvalidOptionError, match="wants direct_weight=0"):
        read_config(tmp_path / "c.toml")
    (tmp_path / "d.toml").write_text(
        'output = "x"\n[queries.sets.a]\nqueries = 1\ndocuments = 3\n'
        '[environment]\nnearest = 5\nrefresh = { policy = "selective", top = 6 }\n'
    )
    with pytest.raises(InvalidOptionError, match="top=6, but the environment keeps nearest=5"):
        read_config(tmp_path / "d.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "train" / "configs").glob("*/grpo*.toml")), ids=str)
def test_shipped_configurations_are_valid(path):
    """Every recipe is read, and its dev split is that of the supervised run beside it."""
    found = read_config(path)
    supervised = [path.with_name(name) for name in ("sft.toml", "reading.toml")]
    assert any(one.is_file() for one in supervised) and found.queries.dev_seed == 0


def test_every_option_is_set_by_a_shipped_configuration():
    """No option is without an example: train/configs/examples has those that no run needed."""
    used = set()
    for path in (ROOT / "train" / "configs").glob("*/grpo*.toml"):
        used |= set(keys(tomllib.loads(path.read_text(encoding="utf-8"))))
    options = set(fields(RLConfig))
    # Options of an adapter that this stage refuses.
    assert options - {"dropout", "start", "only_reading"} <= used
    assert {"cutoff", "every", "nearest", "perplexity", "group"} <= options  # sections and policies are seen


def keys(table):
    """Every key of nested tables."""
    for key, value in table.items():
        yield key
        if isinstance(value, dict):
            yield from keys(value)


def fields(section):
    """Every option of nested sections, those in unions and dictionaries included."""
    for name, field in section.model_fields.items():
        yield name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from fields(kind)


def test_a_run_that_only_made_it_worse_says_so():
    """The score of the start is in the log if it was evaluated there."""
    log = [{"step": 0, "eval_always": 0.8}, {"step": 5, "loss": 1.0}, {"step": 5, "eval_always": 0.75}]
    assert "= 0.7500, the start had 0.8000" in str(worse_than_start(log, "eval_always", 0.75))
    assert worse_than_start(log, "eval_always", 0.8) is None
    assert worse_than_start(log[1:], "eval_always", 0.75) is None
    assert worse_than_start(log, "eval_always", None) is None


@pytest.mark.parametrize(
    "options", [{"train_embed_token": True}, {"start": "folder"}, {"dropout": 0.1}, {"only_reading": True}]
)
def test_adapters_that_this_stage_cannot_train(options):
    with pytest.raises(ValidationError, match="wanted train_embed_token=false, no start"):
        PolicyModelConfig(adapter=AdapterConfig(**{"train_embed_token": False, **options}))
