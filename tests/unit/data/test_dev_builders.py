"""The dev tasks' builders on small parsed inputs, and what every dev task must have."""

import json
import re
from importlib.resources import files

import pytest

from search_r3.data import dev_builders
from search_r3.data.beir import write_beir
from search_r3.data.bridge_sets import BRIDGE_TESTS
from search_r3.data.dev_tasks import DEV_TASKS, expected_dev_hash, load_dev_task
from search_r3.data.names_task import NAMES
from search_r3.data.pins import pinned_packages
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources.bible_topics import Topic
from search_r3.data.sources.constitution import LegalArticle
from search_r3.data.sources.earth_quantities import Quantity
from search_r3.data.sources.fhir_fields import RecordField
from search_r3.data.sources.occupations import Occupation
from search_r3.data.sources.pod import PodEntry
from search_r3.data.sources.r_help import HelpPage
from search_r3.data.sources.vim_help import HelpEntry
from search_r3.errors import DataError, InvalidOptionError

EIGHT = "one two three four five six seven eight"


def test_a_sample_keeps_all_answers_of_its_queries(monkeypatch):
    """Sizes are kept to, equal documents become one, and equal queries share their answers."""
    monkeypatch.setattr(dev_builders, "QUERIES", 5)
    monkeypatch.setattr(dev_builders, "DOCUMENTS", 12)
    corpus = {f"d{n}": f"text {n}" for n in range(40)} | {"twin": "Text 0"}
    queries = [(f"q{n}", f"query {n // 2}") for n in range(40)]
    task = dev_builders.sampled(queries, corpus, {f"q{n}": [f"d{n}"] for n in range(40)})
    assert (len(task.queries), len(task.corpus), task.judgements) == (5, 12, 10)
    assert "twin" not in task.corpus
    assert all(set(grades) <= set(task.corpus) for grades in task.qrels.values())
    twin = dev_builders.sampled([("q", "query")], {"a": "same", "b": "Same"}, {"q": ["b"]})
    assert twin == RetrievalTask({"q": "query"}, {"a": "same"}, {"q": {"a": 1}})


def test_perl_faq():
    """Answers lose who wrote them, messages their class; short texts are left out."""
    task = dev_builders.perl_faq(
        [
            PodEntry("How do I count?", (f"(contributed by A and B) {EIGHT}", "nine")),
            PodEntry("How do I stop?", ("Just stop.",)),
            PodEntry("Counting?", (EIGHT,)),
        ],
        [PodEntry("abs", (f"{EIGHT} functions",))],
        [PodEntry("too many %s", (f"(W counting) {EIGHT} messages",)), PodEntry("none", ())],
    )
    assert task == RetrievalTask(
        {"question-0": "How do I count?"},
        {
            "answer-0": f"{EIGHT} nine",
            "function-0": f"{EIGHT} functions",
            "message-0": f"{EIGHT} messages",
        },
        {"question-0": {"answer-0": 1}},
    )


@pytest.mark.parametrize(
    "topic",
    [
        Topic("TEA", "Green", ("a", "b"), True),
        Topic("TEA", "Green and black", ("a",), True),
        Topic("TEA", "Green and black", ("a", "b"), False),
        Topic("TEA", "Green and black", ("a", "x"), True),
        Topic("TEA", "2. Son of Cup", ("a", "b"), True),
        Topic("TEA", "INSTANCES OF", ("a", "b"), True),
        Topic("TEA", "General scriptures concerning", ("a", "b"), True),
    ],
)
def test_unclear_topics_make_no_query(topic):
    """One word, other than two to four verses, chapters, unknown verses, numbered persons, mere headings."""
    clear = Topic("GREEN TEA", "Should be warm", ("a", "b"), True)
    task = dev_builders.topic_verses([topic, clear], {"a": "verse a", "b": "verse b", "c": "verse c"})
    assert task.queries == {"topic-1": "Green Tea: should be warm"}
    assert task.qrels == {"topic-1": {"a": 1, "b": 1}}
    assert len(task.corpus) == 3


def test_record_titles():
    """Titles that are short, lists of codes or quoted by the definition make no query."""
    task = dev_builders.record_titles(
        [
            RecordField("Cup.size", "How much it holds", EIGHT),
            RecordField("Cup.colour", "What colour it has", f"{EIGHT}: what colour it has"),
            RecordField("Cup.kind", "tea | coffee | other", f"{EIGHT} kinds"),
            RecordField("Cup.handle", "The handle", f"{EIGHT} handles"),
            RecordField("Cup.use", "What it is for", "Its use"),
        ]
    )
    assert task.queries == {"title-of/Cup.size": "How much it holds"}
    assert set(task.corpus) == {"Cup.size", "Cup.colour", "Cup.kind", "Cup.handle"}


def test_first_sentences():
    """The rest of a paragraph answers its first sentence; too short or too long ones are left out."""
    rest = " ".join(["And so on for some time."] * 5)
    task = dev_builders.first_sentences(
        {
            "a": f"{EIGHT.capitalize()}. {rest}",
            "b": f"Too short. {rest}",
            "c": f"{EIGHT}. {rest * 5}",
            "d": "X.",
        }
    )
    assert task.queries == {"a": f"{EIGHT.capitalize()}."}
    assert task.corpus == {"rest-of/a": rest}


def test_occupations():
    """The first sentence goes; a name of one word is a document, and one that comes again is neither."""
    task = dev_builders.occupations(
        [
            Occupation("o1", "tea taster", f"Tea tasters taste. {EIGHT.capitalize()}."),
            Occupation("o2", "taster", f"Tasters taste. They {EIGHT}."),
            Occupation("o3", "cup maker", f"Cup makers make. A cup maker has {EIGHT}."),
            Occupation("o4", "cup breaker", "Cup breakers break. They do."),
        ]
    )
    assert task.queries == {"name-of/o1": "tea taster"}
    assert task.corpus == {"o1": f"{EIGHT.capitalize()}.", "o2": f"They {EIGHT}."}


def test_legal_articles():
    """Paragraphs are joined up to 60 words, all pieces are relevant, omitted articles are left out."""
    sixty, long = " ".join(["word"] * 60), " ".join(["more"] * 130)
    task = dev_builders.legal_articles(
        [
            LegalArticle("1", "Of tea and cups", (EIGHT, sixty, long)),
            LegalArticle("2", "Short title", (f"{EIGHT} nine",)),
            LegalArticle("3", "Something that was omitted", (f"{EIGHT} ten",)),
        ]
    )
    assert task.queries == {"title-of/1": "Of tea and cups"}
    assert task.corpus == {"1/0": f"{EIGHT} {sixty}", "1/1": " ".join(["more"] * 120), "2/0": f"{EIGHT} nine"}
    assert task.qrels == {"title-of/1": {"1/0": 1, "1/1": 1}}


def test_earth_quantities():
    """Sentences that three share, on naming, or that quote the name say nothing of a quantity."""
    shared = "Sea means all of the water that is salty."
    own = [
        Quantity(
            f"sea_{word}",
            f"{shared} The sea_{word} is {EIGHT}. The phrase X means {word}. It is the {word} of {EIGHT}.",
        )
        for word in ("heat", "salt", "level")
    ]
    task = dev_builders.earth_quantities(
        [*own, Quantity("sea_x", shared), Quantity("radioactivity_of_x", f"Of {EIGHT}.")]
    )
    assert task.queries == {f"words-of/sea_{word}": f"sea {word}" for word in ("heat", "salt", "level")}
    assert task.corpus["sea_heat"] == f"It is the heat of {EIGHT}."
    assert len(task.corpus) == 3


def test_editor_help():
    """An entry without a summary is a document, one with a short text is neither."""
    task = dev_builders.editor_help(
        [
            HelpEntry("tea", "when to drink", EIGHT),
            HelpEntry("cup", "", f"{EIGHT} cups"),
            HelpEntry("pot", "size of pot", "large"),
        ]
    )
    assert task.queries == {"summary-of/0-tea": "when to drink"}
    assert task.corpus == {"0-tea": EIGHT, "1-cup": f"{EIGHT} cups"}


def test_data_sets():
    """Pages on functions are documents; titles of one word, or of the text's own words, make no query."""
    task = dev_builders.data_sets(
        [
            HelpPage("a", "Tea Drunk Data", EIGHT, "In cups.", True),
            HelpPage("b", "Count Eight", f"{EIGHT} counted", "", True),
            HelpPage("c", "Tea", f"{EIGHT} c", "", True),
            HelpPage("d", "Pour the tea", f"{EIGHT} d", "", False),
            HelpPage("e", "Empty cups", "None.", "", True),
        ]
    )
    assert task.queries == {"title-of/0-a": "Tea Drunk Data"}
    assert task.corpus["0-a"] == f"{EIGHT} In cups."
    assert set(task.corpus) == {"0-a", "1-b", "2-c", "3-d"}


@pytest.mark.parametrize("name", DEV_TASKS)
def test_every_dev_task_has_a_hash_and_pinned_packages(name):
    """The hash is a SHA-256, and its packages serve nothing else."""
    card = DEV_TASKS[name]
    assert card.name == name
    assert re.fullmatch("[0-9a-f]{64}", expected_dev_hash(name))
    assert {pinned_packages()[package].use for package in card.packages} == {"dev"}


def test_the_hashes_are_those_of_the_tasks():
    """No hash is left over, no two tasks are the same, and every dev package is of a task."""
    text = files("search_r3.data").joinpath("dev_hashes.json").read_text(encoding="utf-8")
    hashes = json.loads(text)
    assert list(hashes) == [*DEV_TASKS, NAMES.name, *BRIDGE_TESTS]
    assert len(set(hashes.values())) == len(hashes)
    used = {package for card in DEV_TASKS.values() for package in card.packages}
    assert used == {name for name, package in pinned_packages().items() if package.use == "dev"}


def test_loading(monkeypatch, tmp_path):
    """Unknown names, tasks that are not built, and other data than the pinned are errors with advice."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path))
    with pytest.raises(InvalidOptionError, match="Got the dev task 'Tea', wanted one of PerlFAQ"):
        load_dev_task("Tea")
    with pytest.raises(DataError, match=r"PerlFAQ is not in .*search-r3 data"):
        load_dev_task("PerlFAQ")
    write_beir(RetrievalTask({"q": "a"}, {"d": "b"}, {"q": {"d": 1}}), tmp_path / "dev" / "PerlFAQ")
    with pytest.raises(DataError, match="Delete the folder and build it again"):
        load_dev_task("PerlFAQ")
