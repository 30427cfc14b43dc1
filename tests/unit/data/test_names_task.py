"""The test set of names: held-out records, documents that differ in the name alone."""

import re

import pytest

from search_r3.data import names_task
from search_r3.data.dev_tasks import DEV_TASKS, expected_dev_hash
from search_r3.data.names_task import DOCUMENTS, build_names_task
from search_r3.data.sources.named_records import NamedRecord, is_held_out
from search_r3.data.sources.record_texts import Templates, parse_template
from search_r3.errors import DataError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = [f"{a}{b}{c}ton".capitalize() for a in LETTERS for b in LETTERS for c in LETTERS]
TEMPLATES = Templates(
    queries=(parse_template("{name}"),),
    passages=(parse_template("{name} is in {country}."),),
    test_queries=(parse_template("where is {name}"), parse_template("about {name}")),
    test_passages=(parse_template("Map of {country}: {name}"), parse_template("{name}, {country}")),
    shared=("country",),
)
RECORDS = [
    NamedRecord(str(index), name, {"country": "Belgium" if index % 2 else "France", "people": str(index)})
    for index, name in enumerate(NAMES[:1500])
]
BY_NAME = {record.name: record for record in RECORDS}


def task(records=RECORDS, wanted=5):
    return build_names_task(lambda _: records, lambda _: TEMPLATES, {"town": wanted})


def tens(made):
    """Each query's text with the texts of its ten documents, the right one first."""
    ids = list(made.corpus)
    for index, (query_id, text) in enumerate(made.queries.items()):
        ten = ids[index * DOCUMENTS : (index + 1) * DOCUMENTS]
        assert made.qrels[query_id] == {ten[0]: 1}
        yield text, [made.corpus[doc_id] for doc_id in ten]


def name_in(text):
    (name,) = [word for word in text.replace(",", " ").split() if word in BY_NAME]
    return name


def test_ten_documents_a_query():
    """Five queries have fifty different documents, and each has one right one: that with its name."""
    made = task()
    assert (len(made.queries), len(made.corpus), len(set(made.corpus.values()))) == (5, 50, 50)
    assert made.unscored() == []
    for query, documents in tens(made):
        assert name_in(query) == name_in(documents[0])
        assert [name_in(query) in document for document in documents] == [True] + [False] * 9


def test_the_ten_differ_in_the_name_alone():
    """With the name taken out the ten are the same text, and each of them is true."""
    for _, documents in tens(task()):
        assert len({document.replace(name_in(document), "_") for document in documents}) == 1
        for document in documents:
            assert BY_NAME[name_in(document)].fields["country"] in document


def test_all_names_are_held_out():
    """No query and no document has the name of a training record."""
    made = task()
    for text in (*made.queries.values(), *made.corpus.values()):
        assert is_held_out(BY_NAME[name_in(text)])


def test_no_name_contains_another():
    """A name inside another one would make two documents right."""
    records = [*RECORDS, *(NamedRecord(f"new {record.name}", f"New {record.name}", {}) for record in RECORDS)]
    for _, documents in tens(task(records)):
        names = [name_in(document) for document in documents]
        assert not [(a, b) for a in names for b in names if a != b and a in b]


def test_half_of_the_wrong_names_look_like_the_right_one():
    """The first five share more letters with it than the last four do."""

    def shared(query, documents):
        return sum(len(set(name_in(query)) & set(name_in(text))) for text in documents) / len(documents)

    alike, others = zip(
        *((shared(query, ten[1:6]), shared(query, ten[6:])) for query, ten in tens(task())), strict=True
    )
    assert sum(alike) > sum(others)


def test_the_same_task_every_time():
    """The order of the records does not matter; other records give another task."""
    assert task().data_hash() == task(list(reversed(RECORDS))).data_hash()
    assert task().data_hash() != task(RECORDS[:1000]).data_hash()


def test_a_name_is_used_once_over_all_kinds():
    """A second kind with the same records gets other names."""
    made = build_names_task(lambda _: RECORDS, lambda _: TEMPLATES, {"town": 3, "city": 3})
    names = [name_in(text) for text in made.corpus.values()]
    assert len(set(names)) == len(names) == 60


def test_a_name_in_two_groups_is_used_once():
    """A town of the same name in both countries would be a second right answer."""
    twins = [
        NamedRecord(f"{record.record_id} {country}", record.name, {"country": country})
        for record in RECORDS
        for country in ("Belgium", "France")
    ]
    names = [name_in(text) for text in task(twins, wanted=10).corpus.values()]
    assert len(set(names)) == len(names) == 100


def test_the_real_task_is_pinned():
    """Its hash stands with those of the dev tasks, but it is not one of them: it chooses nothing."""
    assert re.fullmatch("[0-9a-f]{64}", expected_dev_hash(names_task.NAMES.name))
    assert names_task.NAMES.name not in DEV_TASKS


def test_too_few_records_are_refused():
    """The message tells how many queries could be made."""
    with pytest.raises(DataError, match="Got 0 queries about town, wanted 5"):
        task(RECORDS[:20])
