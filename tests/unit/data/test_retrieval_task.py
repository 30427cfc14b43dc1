import hashlib
import json

import pytest

from search_r3.data import catalogue, mini
from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidOptionError


def small() -> RetrievalTask:
    return RetrievalTask(
        {"q1": "first", "q2": "second"},
        {"a": "one", "b": "two", "c": "three"},
        {"q1": {"a": 2, "b": 0}, "q2": {"b": 1, "c": 3, "a": -1}},
    )


@pytest.mark.parametrize(
    ("queries", "corpus", "qrels", "said"),
    [
        ({"q": "x"}, {"a": "y"}, {}, r"without judgements or the reverse: \['q'\]"),
        ({}, {"a": "y"}, {"q": {"a": 1}}, r"without judgements or the reverse: \['q'\]"),
        ({"q": "x"}, {"a": "y"}, {"q": {}}, r"without judgements or the reverse: \['q'\]"),
        ({"q": "x"}, {"a\tb": "y"}, {"q": {"a": 1}}, r"the id 'a\\tb', wanted one without tabs"),
        ({"": "x"}, {"a": "y"}, {"": {"a": 1}}, r"the id '', wanted one without tabs"),
    ],
)
def test_inconsistent_task_raises(queries, corpus, qrels, said):
    """A task that cannot be measured cannot be made; the message names the odd id."""
    with pytest.raises(DataError, match=said):
        RetrievalTask(queries, corpus, qrels)


def test_what_cannot_be_scored_is_counted_and_named():
    """Each kind has its number and its first three ids; a task in which all can be found has none."""
    queries = {key: f"text {key}" for key in ("1", "2", "3", "q4", "q5")}
    corpus = {key: f"text {key}" for key in ("1", "2", "3", "9")}
    grades = {"1": {"9": 1, "g1": 1}, "2": {"2": 1, "g2": 0}, "3": {"9": 0, "g1": -1}, "q4": {"g3": 1}}
    task = RetrievalTask(queries, corpus, {**grades, "q5": {"1": 1, "q5": 2}})
    assert [note.split("; ")[0] for note in task.unscored()] == [
        "judgements of documents that are not in the corpus: 5 (g1, g2, g1, ...)",
        "queries with the id of a document: 3 (1, 2, 3)",
        "queries whose document of the same id is judged relevant: 1 (2)",
        "queries without a relevant document: 1 (3)",
    ]
    assert small().unscored() == []


def test_answerable_keeps_what_can_be_found():
    """Absent documents, a query's own document and queries that are left without an answer are taken out."""
    task = RetrievalTask(
        {"1": "a", "2": "b", "3": "c", "4": "d"},
        {"1": "a", "2": "b", "9": "e"},
        {"1": {"9": 2, "gone": 3, "1": 1, "2": 0}, "2": {"2": 1}, "3": {"9": 0}, "4": {"gone": 1}},
    )
    assert task.answerable() == RetrievalTask({"1": "a"}, task.corpus, {"1": {"9": 2, "2": 0}})
    assert small().answerable() == small()


def test_judgements_counts_relevant_ones_only():
    """Grades of 0 and below are no judgement of relevance: a of q1, b and c of q2 are left."""
    assert small().judgements == 3


def test_data_hash_is_the_documented_one():
    """The hash is SHA-256 over a count and one JSON list a record, in the order of the ids."""
    lines = [
        'queries 1\n["q", "caf\\u00e9"]\n',
        'corpus 2\n["a", "one"]\n["b", "two"]\n',
        'qrels 1\n["q", {"a": 1, "b": 2}]\n',
    ]
    task = RetrievalTask({"q": "café"}, {"b": "two", "a": "one"}, {"q": {"b": 2, "a": 1}})
    assert task.data_hash() == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_data_hash_ignores_order_and_sees_every_change():
    """Dictionary order does not count; a text, a grade, an id or a judgement of grade 0 does."""
    task = small()
    turned = RetrievalTask(
        dict(reversed(task.queries.items())),
        dict(reversed(task.corpus.items())),
        {key: dict(reversed(grades.items())) for key, grades in reversed(task.qrels.items())},
    )
    assert turned.data_hash() == task.data_hash()
    others = [
        RetrievalTask({**task.queries, "q1": "first "}, task.corpus, task.qrels),
        RetrievalTask(task.queries, {**task.corpus, "a": "One"}, task.qrels),
        RetrievalTask(task.queries, {**task.corpus, "d": "four"}, task.qrels),
        RetrievalTask(task.queries, task.corpus, {**task.qrels, "q1": {"a": 1, "b": 0}}),
        RetrievalTask(task.queries, task.corpus, {**task.qrels, "q1": {"a": 2}}),
    ]
    assert len({task.data_hash(), *(other.data_hash() for other in others)}) == 6


def test_subset_keeps_order_and_drops_judgements_of_other_documents():
    """A subset is in the task's order, whatever the order asked for."""
    cut = small().subset(["q2"], ["c", "b"])
    assert list(cut.corpus.items()) == [("b", "two"), ("c", "three")]
    assert (cut.queries, cut.qrels) == ({"q2": "second"}, {"q2": {"b": 1, "c": 3}})


@pytest.mark.parametrize(
    ("queries", "documents", "said"),
    [
        (["q1", "zz"], ["a"], r"does not have: \['zz'\] \(1 in all\)"),
        (["q1"], ["a", "q1"], r"does not have: \['q1'\] \(1 in all\)"),
        (["q1"], ["b", "c"], "'q1' has no relevant document"),
    ],
)
def test_subset_that_is_none_raises(queries, documents, said):
    """Unknown ids, and a query that loses its answers, are errors."""
    with pytest.raises(DataError, match=said):
        small().subset(queries, documents)


def install(monkeypatch, tmp_path, hashes):
    package = tmp_path / "package"
    (package / "mini").mkdir(parents=True)
    (package / "hashes.json").write_text(json.dumps(hashes))
    monkeypatch.setattr(catalogue, "files", lambda _: package)
    monkeypatch.setattr(mini, "files", lambda _: package)
    monkeypatch.setattr(catalogue, "data_dir", lambda: tmp_path / "data")
    return package


def test_load_task_checks_the_pinned_hash(tmp_path, monkeypatch):
    """A built task is read if it is the pinned data; otherwise the message says what to run."""
    task = RetrievalTask({"q": "ask"}, {"d": "not\n    indented"}, {"q": {"d": 1}})
    install(monkeypatch, tmp_path, {"CodeDoc": {"mini": task.data_hash(), "full": "0" * 64}})
    folder = catalogue.task_folder("CodeDoc", "mini")
    assert folder == tmp_path / "data" / "evaluation" / "CodeDoc" / "mini"
    with pytest.raises(DataError, match=r"CodeDoc \(mini\) is not in .*search-r3 data"):
        catalogue.load_task("CodeDoc", "mini")
    write_beir(task, folder)
    assert catalogue.load_task("CodeDoc", "mini") == task
    write_beir(task, catalogue.task_folder("CodeDoc", "full"))
    with pytest.raises(DataError, match=f"wanted {'0' * 16}.*search-r3 data"):
        catalogue.load_task("CodeDoc", "full")


@pytest.mark.parametrize(("name", "size"), [("Nothing", "full"), ("CodeDoc", "huge"), ("../CodeDoc", "full")])
def test_unknown_task_or_size_raises(tmp_path, monkeypatch, name, size):
    """An unknown name or size is refused before any file is looked for."""
    install(monkeypatch, tmp_path, {"CodeDoc": {"full": "x", "mini": "y"}})
    with pytest.raises(InvalidOptionError, match=r"wanted one of \['CodeDoc', 'HPOLay'"):
        catalogue.load_task(name, size)


def test_cards_are_under_their_own_names():
    """The table's keys are the cards' names, and no card has an empty field."""
    assert all(name == card.name and all(vars(card).values()) for name, card in catalogue.TASKS.items())
    assert len(catalogue.TASKS) == 6


def many(queries=6, documents=40) -> RetrievalTask:
    return RetrievalTask(
        {f"q{number}": f"query {number}" for number in range(queries)},
        {f"d{number}": f"document {number}" for number in range(documents)},
        {f"q{number}": {f"d{number}": 1, f"d{number + 10}": 0} for number in range(queries)},
    )


def test_hard_documents_come_in_turns_from_both_rankings():
    """Two thirds of the room go to hard documents, half from each retriever, each skipping what is chosen."""
    task = many(queries=1)
    # d0 is relevant. Room 10 - 1 = 9, of which 2 * 9 // 3 = 6 hard: turns x, y, x, y, x, y.
    #   x: d0 is in: d20; y: d20 is in: d30; x: d21; y: d31; x: d30 is in: d22; y: d32. Then 3 at random.
    x = {"q0": ["d0", "d20", "d21", "d30", "d22", "d23", "d24"]}
    y = {"q0": ["d20", "d30", "d31", "d32", "d33", "d34"]}
    got = mini.select(task, [x, y], seed="s", queries=1, documents=10)
    hard = {"d0", "d20", "d30", "d21", "d31", "d22", "d32"}
    by_hash = sorted(task.corpus, key=lambda key: hashlib.sha256(f"s:{key}".encode()).digest())
    rest = [key for key in by_hash if key not in hard][:3]
    assert set(got.doc_ids) == hard | set(rest)
    assert (got.query_ids, got.full_hash) == (("q0",), task.data_hash())


def test_a_short_ranking_leaves_its_turns_to_the_other():
    """A retriever that has no more to give drops out; the room it leaves is still filled with hard ones."""
    task = many(queries=1)
    got = mini.select(
        task, [{"q0": ["d20"]}, {"q0": [f"d{n}" for n in range(30, 40)]}], seed="s", documents=10
    )
    # 6 hard ones: d20 from the first, d30 to d34 from the second.
    assert {"d0", "d20", "d30", "d31", "d32", "d33", "d34"} <= set(got.doc_ids)
    assert len(got.doc_ids) == 10


def test_selection_does_not_depend_on_dictionary_order():
    """The same ids whatever the order of the task's dictionaries; another seed gives others."""
    task = many()
    ranking = {key: [f"d{number}" for number in range(39, 5, -1)] for key in task.queries}
    turned = RetrievalTask(*(dict(reversed(table.items())) for table in vars(task).values()))
    one, two = (mini.select(each, [ranking], seed="s", queries=3, documents=20) for each in (task, turned))
    assert (set(one.query_ids), set(one.doc_ids)) == (set(two.query_ids), set(two.doc_ids))
    assert one.full_hash == two.full_hash
    assert list(one.doc_ids) == [key for key in task.corpus if key in set(one.doc_ids)]
    assert list(two.doc_ids) == [key for key in turned.corpus if key in set(one.doc_ids)]
    other = mini.select(task, [ranking], seed="t", queries=3, documents=20)
    assert (other.query_ids, other.doc_ids) != (one.query_ids, one.doc_ids)


def test_all_relevant_documents_of_the_chosen_queries_are_in():
    """Relevant documents (grade above 0) are never cut, even when they are all there is room for."""
    task = many()
    got = mini.select(task, [{key: ["d30"] for key in task.queries}], seed="s", queries=4, documents=4)
    assert set(got.doc_ids) == {key.replace("q", "d") for key in got.query_ids}


def test_too_many_relevant_documents_raises():
    """Relevant documents beyond the size are an error, with both numbers."""
    with pytest.raises(InvalidOptionError, match="4 queries have 4 relevant documents; wanted at most 3"):
        mini.select(many(), [], seed="s", queries=4, documents=3)


@pytest.mark.parametrize("rankings", [[], [{f"q{number}": ["d1", "d39"] for number in range(6)}]])
def test_a_smaller_task_gives_all(rankings):
    """A task with fewer queries and documents than asked for is its own mini size."""
    got = mini.select(many(), rankings, seed="s")
    assert (got.query_ids, got.doc_ids) == (tuple(many().queries), tuple(many().corpus))


def test_mini_of_cuts_the_kept_selection_and_refuses_other_data(tmp_path, monkeypatch):
    """The ids kept beside the module give the same task back; another full task is an error."""
    task = many()
    package = install(monkeypatch, tmp_path, {})
    chosen = mini.select(task, [{key: ["d30"] for key in task.queries}], seed="s", queries=2, documents=9)
    (package / "mini" / "Mine.json").write_text(mini.to_json(chosen))
    cut = mini.mini_of("Mine", task)
    assert (tuple(cut.queries), tuple(cut.corpus)) == (chosen.query_ids, chosen.doc_ids)
    assert cut == task.subset(chosen.query_ids, chosen.doc_ids)
    changed = RetrievalTask(task.queries, {**task.corpus, "d39": "changed"}, task.qrels)
    with pytest.raises(DataError, match=rf"Mine has the data hash {changed.data_hash()[:16]}"):
        mini.mini_of("Mine", changed)
