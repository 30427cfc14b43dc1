"""Sets about names: their templates, the kinds they are made of, and what they leave out."""

from importlib.resources import files

import pytest

from search_r3.data.name_records import KINDS
from search_r3.data.name_sets import NAME_SETS
from search_r3.data.names_task import QUERIES
from search_r3.data.sources.record_texts import read_templates
from search_r3.data.training_sets import TRAINING_SETS


@pytest.mark.parametrize("kind", KINDS)
def test_every_query_has_a_passage_with_its_fields(kind):
    """Otherwise it would never be asked; and there are 12 queries and 6 passages or more, none twice."""
    templates = read_templates(kind)
    for query in templates.queries:
        assert any(query.facts <= passage.facts for passage in templates.passages), query.text
    assert len({query.text for query in templates.queries}) == len(templates.queries) >= 12
    assert len({passage.text for passage in templates.passages}) == len(templates.passages) >= 6
    assert all("name" in passage.named for passage in templates.passages)


@pytest.mark.parametrize("kind", KINDS)
def test_queries_ask_by_name_and_by_field(kind):
    """Some queries name the record, others describe it."""
    by_name = {"name" in query.named for query in read_templates(kind).queries}
    assert by_name == {True, False}


@pytest.mark.parametrize("kind", QUERIES)
def test_test_passages_hold_the_name_and_shared_fields_only(kind):
    """Ten documents of a test query can differ in the name alone, and every query has the name."""
    templates = read_templates(kind)
    for passage in templates.test_passages:
        assert passage.facts <= set(templates.shared)
        assert "name" in passage.named
    for query in templates.test_queries:
        assert "name" in query.named
        assert query.named <= {"name", *templates.shared}
    assert len(templates.test_queries) >= 4
    assert len(templates.test_passages) >= 2


def test_every_template_file_is_of_a_kind():
    """No file is left over, and no kind is without one."""
    names = {path.name for path in files("search_r3.data").joinpath("name_templates").iterdir()}
    assert names == {f"{kind}.toml" for kind in KINDS}


def test_sets_are_training_sets_with_a_licence():
    """At least eight sets, named names_..., each with its licence, among the other training sets."""
    assert len(NAME_SETS) == 14
    for name, described in NAME_SETS.items():
        assert name.startswith("names_")
        assert described.licence and described.description
        assert TRAINING_SETS[name] is described


def test_the_test_set_has_300_queries():
    """Of twelve kinds of records."""
    assert sum(QUERIES.values()) == 300
    assert len(QUERIES) == 12
    assert set(QUERIES) <= set(KINDS)
