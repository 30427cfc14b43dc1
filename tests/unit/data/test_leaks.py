import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_r3.data.leaks import LeakCheck, normalise
from search_r3.data.pairs import SCHEMA, TrainingPair, pairs_hash, read_pairs, write_pairs
from search_r3.data.sources.python_functions import read_functions
from search_r3.errors import DataError

THIRTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Café-au-LAIT, naïve!", ["cafe", "au", "lait", "naive"]),
        ("snake_case x=1.5", ["snake", "case", "x", "1", "5"]),
        ("Straße ﬁne ² \uff37ide", ["strasse", "fine", "2", "wide"]),
        ("İstanbul ΣΊΣΥΦΟΣ", ["istanbul", "σισυφοσ"]),
        ("don't don\u2019t", ["don", "t", "don", "t"]),
        ("東京 is\u00a0big", ["東京", "is", "big"]),
        ("", []),
        (" \n\t…?!_", []),
    ],
)
def test_normalised_words(text, words):
    """Case, accents, punctuation, compatibility forms and kinds of space do not count."""
    assert normalise(text) == words


def test_composed_and_decomposed_letters_are_the_same():
    """A text does not escape by another encoding of its accents."""
    assert normalise("e\u0301te\u0301") == normalise("été") == ["ete"]


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("What is gravity?", True),
        ("what, IS grávity", True),
        ("What is gravity on Mars?", False),  # shorter than 13 words: only the whole text counts
        ("gravity is what", False),
        (f"before {THIRTEEN} after", True),
        (f"Before {THIRTEEN.replace(' ', ' - ').upper()}!", True),
        (" ".join(f"prefix {THIRTEEN}".split()[:13]), False),  # 12 in a row of 13
        (THIRTEEN.replace("seven", "7"), False),
        (" ".join(reversed(THIRTEEN.split())), False),
        ("", False),
        ("?!", False),
    ],
)
def test_leaks_by_hand(text, leaks):
    """Equal words leak, and 13 words in a row do; 12 do not, nor does an empty text."""
    check = LeakCheck(["What is gravity?", "", "...", f"zero {THIRTEEN} fourteen fifteen"])
    assert check.leaks(text) is leaks
    assert check.leaks(text) is leaks  # the kept answer


def test_12_words_in_common_at_both_ends_are_not_enough():
    """Two runs of 12 words, apart, are no run of 13; the run may be the text's first or last."""
    words = [f"w{number}" for number in range(40)]
    check = LeakCheck([" ".join(words)])
    assert not check.leaks(" ".join([*words[:12], "x", *words[20:32]]))
    assert check.leaks(" ".join([*words[:13], "x"]))
    assert check.leaks(" ".join(["x", *words[27:]]))
    assert not check.leaks(" ".join(["x", *words[28:]]))


def test_run_across_two_evaluation_texts_is_none():
    """Words that end one evaluation text and begin the next are no quotation."""
    words = THIRTEEN.split()
    check = LeakCheck([" ".join(["a"] * 9 + words[:6]), " ".join([*words[6:], *["b"] * 9])])
    assert not check.leaks(THIRTEEN)


@pytest.mark.parametrize("texts", [[], [""], ["short text"]])
def test_check_without_long_texts(texts):
    """With nothing of 13 words to quote, long texts do not leak."""
    assert not LeakCheck(texts).leaks(THIRTEEN)


def test_agrees_with_sets_of_word_tuples():
    """The hashes decide as a plain set of 13-tuples does, on random texts of two words."""
    rng = random.Random(20)

    def text() -> str:
        return " ".join(rng.choice(("yes", "no")) for _ in range(rng.randrange(30)))

    known = [text() for _ in range(60)]
    grams = {tuple(t.split()[i : i + 13]) for t in known for i in range(len(t.split()) - 12)}
    check, decided = LeakCheck(known), []
    for asked in (text() for _ in range(400)):
        words = asked.split()
        naive = (asked in known and bool(words)) or any(
            tuple(words[i : i + 13]) in grams for i in range(len(words) - 12)
        )
        assert check.leaks(asked) is naive, asked
        decided.append(naive)
    assert 50 < sum(decided) < 350  # both answers are tried


PAIRS = [
    TrainingPair("a query", "its answer", ("not\nthis", "né"), "set", "q1", "d1"),
    TrainingPair("", "x", (), "set", "q2", "d2"),
]


def test_pairs_round_trip(tmp_path):
    """Pairs come back equal and in order, with the same hash, in one Parquet file of the known schema."""
    path = tmp_path / "new" / "set.parquet"
    write_pairs(iter(PAIRS), path)
    assert read_pairs(path) == PAIRS
    assert pairs_hash(read_pairs(path)) == pairs_hash(PAIRS)
    assert pq.read_schema(path).equals(SCHEMA)
    assert [found.name for found in path.parent.iterdir()] == ["set.parquet"]
    write_pairs([], path)
    assert read_pairs(path) == []


def test_pairs_hash_sees_every_field_and_the_order():
    """Each field, the order of the negatives and that of the pairs count."""
    first = vars(PAIRS[0])
    changed = [[TrainingPair(**{**first, name: "other"}), PAIRS[1]] for name in first if name != "negatives"]
    changed.append([TrainingPair(**{**first, "negatives": ("né", "not\nthis")}), PAIRS[1]])
    changed.append(PAIRS[::-1])
    changed.append(PAIRS[:1])
    assert len(changed) == 8  # five texts, the negatives, the order, the number
    assert len({pairs_hash(PAIRS), *map(pairs_hash, changed)}) == 9


def test_missing_list_of_negatives_is_empty(tmp_path):
    """Another program's file may have null for no negatives."""
    row = {**vars(PAIRS[1]), "negatives": None}
    pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), tmp_path / "x.parquet")
    assert read_pairs(tmp_path / "x.parquet") == [PAIRS[1]]


@pytest.mark.parametrize("content", [None, b"", b"no parquet at all", "cut", "column", "type"])
def test_damaged_pairs_raise(tmp_path, content):
    """A file that is missing, damaged or of another schema is a DataError with its name."""
    path = tmp_path / "x.parquet"
    if content == "cut":
        write_pairs(PAIRS, path)
        path.write_bytes(path.read_bytes()[:-20])
    elif content == "column":
        pq.write_table(pa.table({"query": ["x"], "answer": ["y"]}), path)
    elif content == "type":
        rows = [{**vars(PAIRS[0]), "negatives": ["x"], "doc_id": 7}]
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.parquet"):
        read_pairs(path)


SOURCE = '''\
import os

@decorated
def run(a,
        b=1):
    # before
    """Run the thing at once.

    Args:
        a: run.
    """
    text = """  run
it runs"""
    run(a)
    return text


class Thing:
    def method(self):
        """Return what
        is in it.
        Returns
        -------
        """
        x = 1
        y = 2
        return x

    def __len__(self):
        """Count all the things."""
        a = 1
        b = 2
        return a

    async def later(self):
        """Wait a short while."""
        a = 1
        b = 2

        return a
'''


def test_functions_by_hand(tmp_path):
    """Summaries end at an empty line or a section; sources are without decorator, docstring, indentation."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text(SOURCE)
    got = read_functions(tmp_path, "pkg")
    assert [(f.function_id, f.summary) for f in got] == [
        ("pkg:pkg/a.py:run:4", "Run the thing at once."),
        ("pkg:pkg/a.py:method:19", "Return what is in it."),
        ("pkg:pkg/a.py:later:35", "Wait a short while."),
    ]
    assert got[0].source == (
        'def run(a,\n        b=1):\n    # before\n    text = """  run\n'
        'it runs"""\n    run(a)\n    return text'
    )
    assert got[0].anonymous_source == (
        'def f(a,\n        b=1):\n    # before\n    text = """  f\nit runs"""\n    f(a)\n    return text'
    )
    assert got[1].source == "def method(self):\n    x = 1\n    y = 2\n    return x"


BODY = "    a = 1\n    b = 2\n    return a\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", f'def g():\n    """Two words."""\n{BODY}'),
        ("a.py", 'def g():\n    """' + "word " * 61 + f'"""\n{BODY}'),
        ("a.py", f'def g():\n    """Naïve words are out."""\n{BODY}'),
        ("a.py", 'def g():\n    """Three words here."""\n    a = 1\n\n    return a\n'),
        ("a.py", 'def g():\n    """Three words here."""\n'),
        ("a.py", f'def __g__():\n    """Three words here."""\n{BODY}'),
        ("tests/a.py", f'def g():\n    """Three words here."""\n{BODY}'),
        ("x/_vendor/y/a.py", f'def g():\n    """Three words here."""\n{BODY}'),
        ("test_a.py", f'def g():\n    """Three words here."""\n{BODY}'),
        ("a.txt", f'def g():\n    """Three words here."""\n{BODY}'),
        ("a.py", f'def g():\n    """Three words here."""\n{BODY}\ndef broken(:\n'),
        ("a.py", f'def g():\n    """Three words here."""\n{BODY}\x00'),
        ("a.py", "x = " + "-" * 50_000 + f'1\ndef g():\n    """Three words here."""\n{BODY}'),
        ("folder.py/readme", "a folder with the name of a module"),
    ],
)
def test_functions_left_out(tmp_path, name, text):
    """What is to be left out is, as is a file Python cannot parse; to find no function is an error."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"no documented Python function .* sources of pkg"):
        read_functions(tmp_path, "pkg")


def test_functions_in_odd_files_are_read(tmp_path):
    """Windows line ends, form feeds and a byte order mark change nothing but the line ends."""
    for name, prefix, end in (("a.py", "", "\r\n"), ("b.py", "\f\n", "\n"), ("c.py", "\ufeff", "\n")):
        text = (
            f'{prefix}def g{name[0]}():\n    """Words of {name[0]} here."""\n{BODY.replace("1", repr(name))}'
        )
        (tmp_path / name).write_bytes(text.replace("\n", end).encode())
    assert [(f.name, f.source.split("\n")[1]) for f in read_functions(tmp_path, "p")] == [
        (f"g{letter}", f"    a = '{letter}.py'") for letter in "abc"
    ]


def test_repeated_functions_are_left_out(tmp_path):
    """The first of equal sources (whitespace aside) and of equal summaries (case aside) stays."""
    other = BODY.replace("1", "3")
    (tmp_path / "b.py").write_text(f'def g():\n    """Another summary of it."""\n{BODY.replace("= ", "=  ")}')
    (tmp_path / "a.py").write_text(f'def g():\n    """Three words here."""\n{BODY}')
    (tmp_path / "c.py").write_text(f'def h():\n    """THREE words here."""\n{other}')
    assert [f.function_id for f in read_functions(tmp_path, "p")] == ["p:a.py:g:1"]


def test_no_docstring_of_an_inner_function_is_in_the_source(tmp_path):
    """The outer function's source must not quote the query of the inner one, whose answer is another."""
    inner = '    def inner():\n        """Double the given number."""\n'
    inner += "        c = 1\n        d = 2\n        return c\n"
    (tmp_path / "a.py").write_text(f'def outer():\n    """Call the inner one."""\n{inner}{BODY}')
    got = {function.name: function for function in read_functions(tmp_path, "p")}
    assert got["inner"].summary == "Double the given number."
    assert got["inner"].summary not in got["outer"].source


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("naevus flammeus, port-wine stain; birthmark", True),
        ("Port wine STAIN", True),
        ("a port-wine stain, which is red", False),  # no term by itself
        ("fever, rash", False),  # single words are no query
        (", ".join(["a b"] * 6) + ", port-wine stain", False),  # 15 words: prose, for 13 words in a row
    ],
)
def test_listed_terms_are_looked_at_one_by_one(text, leaks):
    """A term among others leaks if it is an evaluation text of two words and more."""
    assert LeakCheck(["port-wine stain", "fever"]).leaks(text) is leaks
