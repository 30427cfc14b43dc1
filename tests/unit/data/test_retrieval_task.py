import hashlib
import json
from pathlib import Path

import pytest

from search_r3.data import catalogue, mini
from search_r3.data.retrieval_task import RetrievalTask, read_beir, write_beir
from search_r3.errors import DataError, InvalidOptionError

CODE_TASK = Path(__file__).parents[2] / "fixtures" / "code_task"


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
        ({"a": "x"}, {"a": "y"}, {"a": {"a": 1}}, r"both query and document: \['a'\]"),
        ({"q": "x"}, {"a": "y"}, {"q": {"a": 1, "b": 0}}, r"documents that do not exist: \['b'\]"),
        ({"q": "x"}, {"a": "y"}, {"q": {"a": 0}}, "'q' has no relevant document"),
        ({"q": "x"}, {"a": "y"}, {"q": {"a": -1}}, "'q' has no relevant document"),
        ({"q": "x"}, {"a": "y"}, {"q": {}}, "'q' has no relevant document"),
    ],
)
def test_inconsistent_task_raises(queries, corpus, qrels, said):
    """A task that cannot be measured cannot be made; the message names the odd id."""
    with pytest.raises(DataError, match=said):
        RetrievalTask(queries, corpus, qrels)


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


ODD_TEXTS = [
    "text",
    '"quoted" and \\ back',
    "a\nb\r\nc\td\u2028e\x85f\x00g",
    "naïve 東京 🎉",
    "",
    "two  spaces  inside",
]


@pytest.mark.parametrize("text", [*ODD_TEXTS, "def f(self):\n        return 1", "\ufeffmark"])
def test_beir_round_trip_keeps_every_document(tmp_path, text):
    """What is written is read back to the character, with the same hash."""
    task = RetrievalTask({"q": text}, {"d": text}, {"q": {"d": 1}})
    write_beir(task, tmp_path)
    assert read_beir(tmp_path) == task
    assert read_beir(tmp_path).data_hash() == task.data_hash()


@pytest.mark.parametrize("text", ["    def f(self):\n        return 1", "trailing \n", " "])
def test_documents_are_stripped_and_queries_are_not(tmp_path, text):
    """As in mteb and BEIR; a document that would be read back as another text is not written."""
    with pytest.raises(DataError, match="document 'd' with outer whitespace"):
        write_beir(RetrievalTask({"q": text}, {"d": text}, {"q": {"d": 1}}), tmp_path)
    record = json.dumps({"_id": "d", "title": "", "text": text}).encode()
    query = json.dumps({"_id": "q", "text": text}).encode()
    write(tmp_path, corpus=record, queries=query)
    assert read_beir(tmp_path) == RetrievalTask({"q": text}, {"d": text.strip()}, {"q": {"d": 1}})


def test_beir_round_trip_of_odd_ids(tmp_path):
    """Ids with quotes, spaces, colons and letters beyond ASCII survive the table of judgements."""
    corpus = {key: str(place) for place, key in enumerate(('"', "a b", "HP:1/2", "é", "'", "#x"))}
    task = RetrievalTask({f"q{key}": "x" for key in corpus}, corpus, {f"q{key}": {key: 1} for key in corpus})
    write_beir(task, tmp_path, split="dev")
    assert read_beir(tmp_path, split="dev") == task
    assert not list(tmp_path.rglob("*.part"))


def test_written_files_are_those_of_beir(tmp_path):
    """The three files have BEIR's names, fields, header and order."""
    write_beir(RetrievalTask({"q": "é?"}, {"b": "x", "a": "y"}, {"q": {"b": 2, "a": 0}}), tmp_path)
    assert (tmp_path / "corpus.jsonl").read_text(encoding="utf-8") == (
        '{"_id": "b", "title": "", "text": "x"}\n{"_id": "a", "title": "", "text": "y"}\n'
    )
    assert (tmp_path / "queries.jsonl").read_text(encoding="utf-8") == '{"_id": "q", "text": "é?"}\n'
    assert (tmp_path / "qrels" / "test.tsv").read_text(encoding="utf-8") == (
        "query-id\tcorpus-id\tscore\nq\tb\t2\nq\ta\t0\n"
    )


def write(folder, corpus=None, queries=None, qrels=None):
    (folder / "qrels").mkdir()
    for name, content, usual in (
        ("corpus.jsonl", corpus, b'{"_id": "d", "title": "T", "text": "x"}\n'),
        ("queries.jsonl", queries, b'{"_id": "q", "text": "x"}\n{"_id": "unjudged", "text": "y"}\n'),
        ("qrels/test.tsv", qrels, b"query-id\tcorpus-id\tscore\nq\td\t1\n"),
    ):
        if content != b"absent":
            (folder / name).write_bytes(usual if content is None else content)


def test_title_goes_before_the_text_and_unjudged_queries_stay_out(tmp_path):
    """Other people's BEIR folders have titles, extra fields and queries of other splits."""
    write(tmp_path, corpus=b'{"_id": "d", "title": "T", "text": "x", "metadata": {}}\n'
          b'{"_id": "e", "title": null, "text": "y"}\n{"_id": "g", "text": " z "}\n')  # fmt: skip
    assert read_beir(tmp_path) == RetrievalTask({"q": "x"}, {"d": "T x", "e": "y", "g": "z"}, {"q": {"d": 1}})


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("corpus", b"absent", r"corpus\.jsonl"),
        ("queries", b"absent", r"queries\.jsonl"),
        ("qrels", b"absent", r"test\.tsv"),
        ("corpus", b'{"_id": "d", "text": "x"}\n{"_id": "e"}\n', r"corpus\.jsonl, line 2: .*'text'"),
        ("corpus", b'{"_id": 7, "text": "x"}\n', r"corpus\.jsonl, line 1: .*'_id'"),
        ("corpus", b'{"_id": "d", "title": 7, "text": "x"}\n', r"corpus\.jsonl, line 1: .*'title'"),
        ("corpus", b'{"_id": "d", "text": "x"}\n{"_id": "e", "te\n', r"corpus\.jsonl, line 2"),
        ("corpus", b'{"_id": "d", "text": "x"}\n\n', r"corpus\.jsonl, line 2"),
        ("queries", b'["q", "x"]\n', r"queries\.jsonl, line 1"),
        ("corpus", b'{"_id": "d", "text": "\xff"}\n', r"corpus\.jsonl"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\td\n", r"test\.tsv"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\td\tmuch\n", r"test\.tsv"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\td\t\xff\n", r"test\.tsv"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\t" + b"d" * 140_000 + b"\t1\n", r"test\.tsv"),
        ("qrels", b"query-id\tcorpus-id\tscore\nother\td\t1\n", "'other'"),
        ("qrels", b"query-id\tcorpus-id\tscore\nq\tother\t1\n", "'other'"),
    ],
)
def test_malformed_folder_raises_and_names_the_place(tmp_path, file, content, said):
    """A missing or damaged file is a DataError with its name and, for a line of records, its number."""
    write(tmp_path, **{file: content})
    with pytest.raises(DataError, match=said):
        read_beir(tmp_path)


def test_committed_code_task_reads():
    """The fixture is what its maker promises: 40 queries, 160 functions, one answer each."""
    task = read_beir(CODE_TASK)
    assert (len(task.queries), len(task.corpus), task.judgements) == (40, 160, 40)


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
