import hashlib

import pytest

from search_r3.data import task_builders as evaluation
from search_r3.data.graded import graded_phenotypes, graded_topics
from search_r3.data.pubmed_pairs import sentence_pairs, title_pairs, topic_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources.obo import Synonym, Term
from search_r3.data.sources.pubmed import Article
from search_r3.data.sources.python_functions import PythonFunction
from search_r3.data.sources.trivia import Question
from search_r3.data.task_builders import is_held_out
from search_r3.data.training_pairs import code_pairs, phenotype_pairs, trainable_terms, trivia_pairs
from search_r3.errors import DataError


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def words(number: int, word: str = "word") -> str:
    return " ".join([word] * number)


def test_wiki_trivia_by_hand():
    """Answered questions are queries, all articles are documents, equal questions share their answers."""
    articles = {"Mercury": "Hot.", "Mercury (element)": "Wet.", "Mars": "Red.", "Rome": ""}
    questions = [
        Question("a-0", "Which is nearest to the Sun?", ("Mercury",)),
        Question("a-1", "Which planet is red to us?", ("Mars", "The red one")),
        Question("b-0", "WHICH planet is red to us?", ("Rome",)),
        Question("b-1", "What has no article at all?", ("Nothing",)),
        Question("b-2", "Who was the god of war, Mars or Rome?", ("Mars",)),
    ]
    mercury, element, mars, rome = (f"wiki-{short(title)}" for title in articles)
    assert evaluation.wiki_trivia(questions, articles) == RetrievalTask(
        {"a-0": "Which is nearest to the Sun?", "a-1": "Which planet is red to us?"},
        {
            mercury: "Mercury. Hot.",
            element: "Mercury (element). Wet.",
            mars: "Mars. Red.",
            rome: "Rome. ",
        },
        {"a-0": {mercury: 1}, "a-1": {mars: 1, rome: 1}},
    )


def lay(text: str) -> Synonym:
    return Synonym(text, True, "EXACT")


def exact(text: str) -> Synonym:
    return Synonym(text, False, "EXACT")


def test_hpo_lay_by_hand():
    """Lay wordings of two words that share no stem are queries; a wording of two terms finds both."""
    terms = [
        Term(
            "HP:1",
            "Arthralgia",
            "Aching.",
            (
                exact("Painful joint"),  # not lay
                lay("Joint pain"),
                lay("Ache"),  # one word
                lay("Arthralgic trouble"),  # shares the stem "arthr"
                lay("Sore limbs"),
            ),
            (),
        ),
        Term("HP:2", "Gout", "Crystals.", (lay("JOINT PAIN"),), ()),
        Term("HP:3", "Undefined", "", (lay("No definition"),), ()),
        Term("HP:4", "Disease with fever", "Heat.", (lay("Warm with the chills"),), ()),  # "with" is no stem
    ]
    assert evaluation.hpo_lay(terms) == RetrievalTask(
        {"HP:1/1": "Joint pain", "HP:1/4": "Sore limbs", "HP:4/0": "Warm with the chills"},
        {"HP:1": "Arthralgia: Aching.", "HP:2": "Gout: Crystals.", "HP:4": "Disease with fever: Heat."},
        {"HP:1/1": {"HP:1": 1, "HP:2": 1}, "HP:1/4": {"HP:1": 1}, "HP:4/0": {"HP:4": 1}},
    )


def article(pmid: int, topics=(), title: str | None = None, text: str | None = None, **sections) -> Article:
    body = sections or {"TEXT": (f"{pmid} " * 200)[:199] + "." if text is None else text}
    return Article(str(pmid), f"Title {pmid}" if title is None else title, body, tuple(topics))


@pytest.mark.parametrize(("number", "asked"), [(2, False), (3, True), (15, True), (16, False)])
def test_topic_pairs_have_3_to_15_abstracts(number, asked):
    """A pair of topics is asked for if 3 to 15 abstracts of 200 characters and more have both."""
    found = [article(pmid, ["A", "B"]) for pmid in range(1, number + 1)]
    enough = [article(pmid, ["C", "D"]) for pmid in range(101, 104)]
    brief = article(90, ["A", "B"], text="x" * 199)
    task = evaluation.topic_pairs([*found, brief, *enough])
    query_id = f"topics-{short('A|B')}"
    assert (query_id in task.queries) is asked
    if asked:
        assert task.queries[query_id] == "Studies of A and B"
        assert task.qrels[query_id] == {f"pmid-{pmid}": 1 for pmid in range(1, number + 1)}
    assert task.qrels[f"topics-{short('C|D')}"] == {"pmid-101": 1, "pmid-102": 1, "pmid-103": 1}
    assert "pmid-90" not in task.corpus
    assert task.corpus["pmid-1"] == "Title 1 " + "1 " * 99 + "1."


def test_topic_pairs_of_three_topics_and_twins():
    """Three topics give three pairs; a document with the text of a relevant one is relevant too."""
    found = [article(pmid, ["A", "B", "C"]) for pmid in (1, 2, 3)]
    twin = article(4, [], title="Title 1", text=found[0].abstract)
    task = evaluation.topic_pairs([*found, twin])
    assert set(task.queries.values()) == {"Studies of A and B", "Studies of A and C", "Studies of B and C"}
    assert all(set(grades) == {f"pmid-{pmid}" for pmid in (1, 2, 3, 4)} for grades in task.qrels.values())


def test_the_same_record_twice_counts_once():
    """Two versions of a record, as a file may hold, are one abstract: here two are left, not three."""
    found = [article(pmid, ["A", "B"]) for pmid in (1, 2, 2)]
    assert evaluation.topic_pairs(found).queries == {}


def test_pubmed_objective_by_hand():
    """Documents are conclusions of 12 words; queries are the first sentences of 8 words that state an aim."""
    task = evaluation.pubmed_objective(
        [
            article(
                1,
                OBJECTIVE="Pain is common. Our aim was to see if it helps. The aim is wide.",
                CONCLUSIONS=words(12),
            ),
            article(2, OBJECTIVE=words(8, "aim"), CONCLUSIONS=words(11)),
            article(3, OBJECTIVE=words(7, "aim"), CONCLUSIONS=words(12, "end")),
            article(4, OBJECTIVE=words(8, "aim"), CONCLUSIONS=words(12, "last")),
            article(5, OBJECTIVE="OUR aim was to see if it HELPS. More.", CONCLUSIONS=words(13)),
            article(6, CONCLUSIONS=words(12).upper()),
            article(
                7,
                OBJECTIVE="Asthma is a common disease of the lungs in children.",
                CONCLUSIONS=words(12, "only"),
            ),
        ]
    )
    assert task == RetrievalTask(
        {"objective-1": "Our aim was to see if it helps.", "objective-4": words(8, "aim")},
        {
            "pmid-1": words(12),
            "pmid-3": words(12, "end"),
            "pmid-4": words(12, "last"),
            "pmid-5": words(13),
            "pmid-6": words(12).upper(),
            "pmid-7": words(12, "only"),
        },
        # Articles 1 and 5 ask the same, and the text of 6 is that of 1.
        {"objective-1": {"pmid-1": 1, "pmid-6": 1, "pmid-5": 1}, "objective-4": {"pmid-4": 1}},
    )


def test_pubmed_claim_by_hand():
    """Documents are results of 25 words; queries are first sentences of conclusions, if of 8 words."""
    task = evaluation.pubmed_claim(
        [
            article(1, RESULTS=words(25), CONCLUSIONS=f"{words(8, 'claim')}. More of it."),
            article(2, RESULTS=words(24), CONCLUSIONS=words(8, "two")),
            article(3, RESULTS=words(25, "r"), CONCLUSIONS=f"{words(7, 'claim')}. {words(9, 'More')}."),
            article(4, RESULTS=words(26, "s"), CONCLUSIONS=f"{words(7, 'claim')}? Yes. No."),
            article(5, RESULTS=words(25, "t")),
        ]
    )
    assert task == RetrievalTask(
        {"claim-1": f"{words(8, 'claim')}.", "claim-4": f"{words(7, 'claim')}? Yes."},
        {"pmid-1": words(25), "pmid-3": words(25, "r"), "pmid-4": words(26, "s"), "pmid-5": words(25, "t")},
        {"claim-1": {"pmid-1": 1}, "claim-4": {"pmid-4": 1}},
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "Contingency learning, i.e. learning of pairs, was studied in adults.",
        "Nearly 20% of U.S. adults have a chronic pain of the back.",
        "We wanted to know whether E. coli grows in warm milk.",
        "We compared surgery vs. radiation in old patients with cancer.",
    ],
)
def test_a_sentence_does_not_end_in_an_abbreviation(sentence):
    """A query is a whole sentence: real ones hold i.e., U.S., vs. and initials of species."""
    task = evaluation.pubmed_claim([article(1, CONCLUSIONS=f"{sentence} Then more.", RESULTS=words(25))])
    assert task.queries == {"claim-1": sentence}


@pytest.mark.parametrize(
    ("sentence", "states_an_aim"),
    [
        ("To assess pain in adults with a chronic disease.", True),
        ("Assess pain in adults with any chronic disease today.", True),
        ("Here, we aimed to measure pain in some adults.", True),
        ("We compared two drugs against pain in some adults.", True),
        ("This study is about the pain of some adults.", True),
        ("Biopsy is the gold standard for assessing pain in adults.", False),
        ("Pain is lower in adults compared with some children.", False),
        ("Studies of pain usually look at adults with a disease.", False),
        ("Tomography shows the pain of adults with a disease.", False),
    ],
)
def test_objectives_are_told_from_background(sentence, states_an_aim):
    """A section called OBJECTIVE may open with background, which no conclusion answers."""
    task = evaluation.pubmed_objective([article(1, OBJECTIVE=sentence, CONCLUSIONS=words(12))])
    assert task.queries == ({"objective-1": sentence} if states_an_aim else {})


def function(name: str, summary: str, body: str = "return 1", line: int = 1, **place) -> PythonFunction:
    package, module = place.get("package", "p"), place.get("module", "m.py")
    return PythonFunction(package, module, name, line, summary, f"def {name}():\n    {body}")


def test_code_doc_by_hand():
    """Names are replaced; equal summaries, and sources equal but for the name, share their judgements."""
    functions = [
        function("a", "Do it."),
        function("b", "do IT.", "return 2"),
        function("c", "Another.", "return a.c"),
        function("d", "Fourth."),
    ]
    got = evaluation.code_doc(functions)
    a, b, c, d = (f"p:m.py:{name}:1" for name in "abcd")
    assert got.corpus == {
        a: "def f():\n    return 1",
        b: "def f():\n    return 2",
        c: "def f():\n    return a.f",
        d: "def f():\n    return 1",
    }
    first = min(
        (a, b), key=short
    )  # queries are in the order of a hash: the first of the two equal ones stays
    assert got.queries == {
        f"doc-of/{first}": "Do it." if first == a else "do IT.",
        f"doc-of/{c}": "Another.",
        f"doc-of/{d}": "Fourth.",
    }
    assert got.qrels == {
        f"doc-of/{first}": {a: 1, b: 1, d: 1},
        f"doc-of/{c}": {c: 1},
        f"doc-of/{d}": {a: 1, d: 1},
    }


def test_code_doc_asks_500_whatever_the_order():
    """All functions are documents, 500 are asked for, and their order in the packages does not matter."""
    functions = [function(f"g{n}", f"Summary {n}.", f"return {n}") for n in range(520)]
    task = evaluation.code_doc(functions)
    assert (len(task.queries), len(task.corpus), task.judgements) == (500, 520, 500)
    assert evaluation.code_doc(functions[::-1]).data_hash() == task.data_hash()


def test_held_out_records_never_train():
    """Odd PMIDs are evaluated on and even ones trained on: every record is in one of them, none in both."""
    articles = [article(pmid, ["A", "B"]) for pmid in range(100, 112)]
    held = evaluation.topic_pairs(each for each in articles if is_held_out(each))
    graded, pairs = graded_topics(articles), title_pairs(articles)
    even = {f"pmid-{pmid}" for pmid in range(100, 112, 2)}
    assert set(held.corpus) == {f"pmid-{pmid}" for pmid in range(101, 112, 2)}
    assert set(graded.corpus) == {f"pmid-{pair.doc_id}" for pair in pairs} == even
    held_texts = {each.abstract for each in articles if is_held_out(each)}
    assert held_texts.isdisjoint(text for pair in pairs for text in (pair.positive, *pair.negatives))
    assert all(pair.negatives for pair in pairs)


def test_graded_topics_by_hand():
    """Both topics: grade 2; one of them: grade 1; a pair with two abstracts is not asked for."""
    articles = [
        *(article(pmid, ["A", "B"]) for pmid in (2, 4, 6)),
        article(8, ["A"]),
        article(10, ["B", "C"]),
        article(12, ["B", "C"]),
        article(14, ["C"]),
        article(16, ["A", "B"], text="x" * 199),
        article(17, ["A", "B"]),
    ]
    task = graded_topics(articles)
    assert task.queries == {"both/A/B": "Studies of A and B"}
    both, one = (
        dict.fromkeys(["pmid-2", "pmid-4", "pmid-6"], 2),
        dict.fromkeys(["pmid-8", "pmid-10", "pmid-12"], 1),
    )
    assert task.qrels == {"both/A/B": both | one}
    assert set(task.corpus) == {f"pmid-{pmid}" for pmid in (2, 4, 6, 8, 10, 12, 14)}


ONTOLOGY = [
    Term("R", "Root", "", (), ()),
    Term(
        "A", "Alpha", "Defined alpha.", (exact("First letter"), exact("Letter one"), exact("single")), ("R",)
    ),
    Term("B", "Beta", "", (Synonym("Second of them", False, "BROAD"),), ("R",)),
    Term("C", "Gamma", "", (exact("Third letter"), exact("GAMMA"), exact("Third LETTER")), ("A",)),
    Term("D", "Delta", "", (exact("delta"),), ("A",)),
    Term("H", "Held", "Kept for evaluation.", (lay("Strange thing"), exact("Held back")), ("A",)),
    Term("U", "Undefined", "", (lay("No such words"),), ("H",)),
]


def test_graded_phenotypes_by_hand():
    """Itself 3, parents and children 2, siblings 1; the asked wording is not in its own document."""
    task = graded_phenotypes(ONTOLOGY)
    assert task.queries == {
        "wording-of/A": "Letter one",
        "wording-of/C": "Third LETTER",
        "wording-of/U": "No such words",
    }
    assert task.corpus == {
        "R": "Root",
        "A": "Alpha; First letter; single",
        "B": "Beta; Second of them",
        "C": "Gamma; GAMMA",
        "D": "Delta; delta",
        "U": "Undefined",
    }
    assert task.qrels == {
        "wording-of/A": {"A": 3, "R": 2, "C": 2, "D": 2, "B": 1},
        "wording-of/C": {"C": 3, "A": 2, "D": 1},  # B is no sibling, H is held out
        "wording-of/U": {"U": 3},  # its parent H is held out
    }


def test_answers_of_hpo_lay_never_train():
    """Terms that answer a query of HPOLay, and all definitions, stay out of names, wordings and negatives."""
    assert [term.term_id for term in trainable_terms(ONTOLOGY)] == ["R", "A", "B", "C", "D", "U"]
    pairs = phenotype_pairs(ONTOLOGY)
    graded = graded_phenotypes(ONTOLOGY)
    trained = {text for pair in pairs for text in (pair.query, pair.positive, *pair.negatives)}
    trained |= set(graded.queries.values()) | set(graded.corpus.values())
    held = ("Held", "Strange thing", "Kept for evaluation", "Defined alpha")
    assert not [text for text in trained if any(word in text for word in held)]


def test_phenotype_pairs_by_hand():
    """Exact wordings find the name, unless they are the name; negatives are names of siblings."""
    assert [
        (pair.query, pair.positive, set(pair.negatives), pair.query_id, pair.doc_id, pair.source)
        for pair in phenotype_pairs(ONTOLOGY)
    ] == [
        ("First letter", "Alpha", {"Beta"}, "A/0", "A", "phenotypes"),
        ("Letter one", "Alpha", {"Beta"}, "A/1", "A", "phenotypes"),
        ("single", "Alpha", {"Beta"}, "A/2", "A", "phenotypes"),
        ("Third letter", "Gamma", {"Delta"}, "C/0", "C", "phenotypes"),
        ("No such words", "Undefined", set(), "U/0", "U", "phenotypes"),
    ]


def test_title_pairs_by_hand():
    """Titles find abstracts; negatives share a topic; short, untitled and held-out records are in no pair."""
    articles = [
        article(2, ["A"]),
        article(4, ["A", "B"]),
        article(6, ["B"]),
        article(8, ["A"], title=""),
        article(10, ["A"], text="x" * 199),
        article(11, ["A"]),
        article(12, []),
    ]
    text = {each.pmid: each.abstract for each in articles}
    assert [(p.query, p.positive, set(p.negatives), p.query_id, p.doc_id) for p in title_pairs(articles)] == [
        ("Title 2", text["2"], {text["4"]}, "2", "2"),
        ("Title 4", text["4"], {text["2"], text["6"]}, "4", "4"),
        ("Title 6", text["6"], {text["4"]}, "6", "6"),
        ("Title 12", text["12"], set(), "12", "12"),
    ]


def test_sentence_pairs_by_hand():
    """The aim finds the last sentence, which finds those before it; negatives are neighbours' same parts."""
    aim = "This study asks whether tea is hot."
    long_aim = "This study asks whether tea of number {} is hot enough."
    rest = " ".join(f"Cup {place} held tea for an hour." for place in range(8))
    last = "We conclude that tea number {} was hot in all of the cups."
    short = "Tea number {} was hot in every cup."
    articles = [
        article(2, ["A"], text=f"{long_aim.format(2)} {rest} {last.format(2)}"),
        article(4, ["A"], text=f"{aim} {rest} {last.format(4)}"),  # the aim has seven words
        article(6, ["A"], text=f"{long_aim.format(6)} {rest} {short.format(6)}"),  # the last one has eight
        article(8, ["A"], text=f"{rest} {long_aim.format(8)}"),  # the aim is the last one
        article(10, ["A"], text=f"{long_aim.format(10)} {rest} Tea was hot."),
        article(11, ["A"], text=f"{long_aim.format(11)} {rest} {last.format(11)}"),  # held out
    ]
    before = {
        "2": f"{long_aim.format(2)} {rest}",
        "4": f"{aim} {rest}",
        "6": f"{long_aim.format(6)} {rest}",
        "8": rest,
    }
    asked = {"2": last.format(2), "4": last.format(4), "6": short.format(6), "8": long_aim.format(8)}
    expected = [
        (
            asked[pmid],
            before[pmid],
            {text for other, text in before.items() if other != pmid},
            f"{pmid}/claim",
        )
        for pmid in before
    ]
    expected.insert(1, (long_aim.format(2), last.format(2), set(), "2/aim"))
    got = [(p.query, p.positive, set(p.negatives), p.query_id) for p in sentence_pairs(articles)]
    assert got == expected
    assert [p.doc_id for p in sentence_pairs(articles)][:2] == ["2/before", "2/last"]


def test_trivia_pairs_by_hand():
    """Questions that WikiTrivia asks, or whose answer it asks for, are not trained on."""
    questions = [
        Question("g-0", "Which planet is the red one?", ("Mars",)),  # there is an article
        Question("g-1", "Which planet has the name of a god of war?", ("The Mars!", "Ares")),
        Question("g-2", "Who wrote the epic poems?", ("Homer", "homeros")),
        Question("g-3", "How many legs has a spider?", ("8", "eight")),
        Question("g-4", "Is the moon made of green cheese?", ("False",)),
        Question("g-5", "Who is the father of Telemachus?", ("Odysseus",)),
    ]
    pairs = trivia_pairs(questions, ["Mars", "Spider"])
    assert [(pair.query, pair.positive, pair.query_id) for pair in pairs] == [
        ("Who wrote the epic poems?", "Homer", "g-2"),
        ("Who is the father of Telemachus?", "Odysseus", "g-5"),
    ]


def test_topic_pairs_by_hand():
    """Three abstracts with both topics; negatives have one of the two."""
    articles = [article(number, ["A", "B"]) for number in (2, 4, 6, 8)]
    articles += [article(10, ["A"]), article(12, ["B"]), article(14, ["C"]), article(11, ["A", "B"])]
    text = {each.pmid: f"{each.title} {each.abstract}" for each in articles}
    pairs = topic_pairs(articles)
    assert len(pairs) == 3 and {pair.query for pair in pairs} == {"Studies of A and B"}
    both = {text[pmid] for pmid in ("2", "4", "6", "8")}
    assert len({pair.positive for pair in pairs}) == 3 and {pair.positive for pair in pairs} < both
    assert [set(pair.negatives) for pair in pairs] == [{text["10"], text["12"]}] * 3
    assert {pair.query_id for pair in pairs} == {f"both/A/B {pair.doc_id}" for pair in pairs}


def test_code_pairs_by_hand():
    """Negatives are of the same file and package and have another name; names are replaced in all texts."""
    functions = [
        function("a", "Do a.", "return a()"),
        function("a", "Do a again.", "return 2", line=9),
        function("b", "Do b.", "return 3", line=5),
        function("c", "Do c.", "return 4", module="n.py"),
        function("d", "Do d.", "return 5", package="o"),
    ]
    a, again, b, c, d = (each.anonymous_source for each in functions)
    assert a == "def f():\n    return f()"
    assert [(p.query, p.positive, set(p.negatives), p.query_id) for p in code_pairs(functions)] == [
        ("Do a.", a, {b}, "p:m.py:a:1"),
        ("Do a again.", again, {b}, "p:m.py:a:9"),
        ("Do b.", b, {a, again}, "p:m.py:b:5"),
        ("Do c.", c, set(), "p:n.py:c:1"),
        ("Do d.", d, set(), "o:m.py:d:1"),
    ]


def test_code_pairs_take_3000_of_a_package():
    """A large package gives 3,000 pairs, the same ones in any order; a small one gives all."""
    large = [function(f"g{n}", f"Do {n}.", f"return {n}", module=f"{n}.py") for n in range(3005)]
    small = [function("a", "Do a.", "return -1", package="o")]
    ids = {pair.query_id for pair in code_pairs([*large, *small])}
    assert len(ids) == 3001 and "o:m.py:a:1" in ids
    assert {pair.query_id for pair in code_pairs([*small, *large[::-1]])} == ids


@pytest.mark.parametrize(
    ("build", "items"),
    [(code_pairs, []), (title_pairs, [article(1)]), (phenotype_pairs, [Term("R", "Root", "x", (), ())])],
)
def test_no_pair_at_all_raises(build, items):
    """A source that gives nothing is an error, not an empty training set."""
    with pytest.raises(DataError, match="gave no pair"):
        build(items)
