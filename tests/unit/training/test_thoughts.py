"""Thoughts to train on: their file, where they come from, what none may quote, and what each is worth."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_r3.data.pairs import TrainingPair
from search_r3.data.thought_records import (
    SCHEMA,
    ThoughtRecord,
    read_provenance,
    read_thoughts,
    write_thoughts,
)
from search_r3.errors import DataError
from search_r3.training.thought_filter import ThoughtFilter
from search_r3.training.thought_sources import SalientTerms, quotes, sample_thoughts, words


def record(gain=0.5, rank_gain=1, **values):
    return ThoughtRecord(
        **{"source": "s", "query_id": "q", "thought": "t", "origin": "terms", **values},
        gain=gain,
        rank_gain=rank_gain,
    )


# ------------------------------------------------------------------------------------------------ the file


@pytest.mark.parametrize(
    ("rank_gain", "gain", "helps"),
    [
        (1, 0.1, True),
        (1, 0.0, True),
        (1, -0.1, True),  # it moved up, past others than the best
        (0, 0.1, True),
        (0, 0.0, False),
        (0, -0.1, False),
        (-1, 0.1, False),
        (-1, 0.0, False),
        (-1, -0.1, False),
    ],
)
def test_what_helps(rank_gain, gain, helps):
    """A thought helps if the positive moved up, or stayed and won distance."""
    assert record(gain, rank_gain).helps is helps


RECORDS = [
    record(0.5, 3, source="code", query_id="q1", thought="sort, then\nsearch", origin="self"),
    record(-0.25, 0, source="code", query_id="q1", thought="naïve 数", origin="teacher", is_finished=False),
    record(0.0, -7, source="words", query_id="q2", thought="", origin="terms"),
    record(0.0, 1, source="words", query_id="q3", thought="Oslo", origin="bridge", evidence=("one", "two")),
]


def test_thoughts_round_trip(tmp_path):
    """Records come back equal and in order, and how they were made stands in the file's metadata."""
    path = tmp_path / "new" / "thoughts.parquet"
    write_thoughts(iter(RECORDS), path, {"seed": "7", "model": "thé"})
    assert read_thoughts(path) == RECORDS
    assert read_provenance(path) == {"seed": "7", "model": "thé"}
    assert pq.read_schema(path).remove_metadata().equals(SCHEMA)
    assert [found.name for found in path.parent.iterdir()] == ["thoughts.parquet"]
    write_thoughts([], path, {})  # replaces it
    assert read_thoughts(path) == []


def test_files_from_before_there_was_evidence_are_read(tmp_path):
    """Their thoughts are about no passage."""
    path = tmp_path / "old.parquet"
    write_thoughts(RECORDS[:3], path, {})
    pq.write_table(pq.read_table(path).drop_columns(["evidence"]), path)
    assert read_thoughts(path) == RECORDS[:3]


def test_failed_write_keeps_the_old_file(tmp_path):
    """A record that cannot be written leaves what was there."""
    path = tmp_path / "thoughts.parquet"
    write_thoughts(RECORDS, path, {})
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_thoughts([record(rank_gain="many")], path, {})
    assert read_thoughts(path) == RECORDS


@pytest.mark.parametrize("content", [None, b"", b"no parquet at all", "cut"])
def test_unreadable_thoughts(tmp_path, content):
    """A file that is missing or damaged is a DataError with its name."""
    path = tmp_path / "x.parquet"
    if content == "cut":
        write_thoughts(RECORDS, path, {})
        path.write_bytes(path.read_bytes()[:-20])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"Cannot read the thoughts .*x\.parquet"):
        read_thoughts(path)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"query_id": ["q"], "thought": ["t"]}),
        pa.Table.from_pylist([vars(RECORDS[0])]),  # gain in 64 bits
        pa.Table.from_pylist([vars(RECORDS[0])], schema=SCHEMA).append_column("more", pa.array([1])),
    ],
    ids=["columns missing", "other types", "one more"],
)
def test_thoughts_of_another_schema(tmp_path, table):
    """Columns that are not the known ones are named, beside those that are wanted."""
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    with pytest.raises(DataError) as caught:
        read_thoughts(path)
    assert str(caught.value) == (
        f"{path} has the columns {table.schema.names}, wanted ['source', 'query_id', 'thought', 'origin', "
        "'gain', 'rank_gain', 'is_finished', 'evidence'] of known types. Build it again."
    )


def test_unknown_origins(tmp_path):
    """Origins nobody knows are named, in order, beside the known ones."""
    path = tmp_path / "x.parquet"
    write_thoughts([*RECORDS, record(origin="oracle"), record(origin="elf")], path, {})
    with pytest.raises(DataError) as caught:
        read_thoughts(path)
    wanted = "thoughts of the origins ['elf', 'oracle'], wanted ('self', 'teacher', 'terms', 'bridge')."
    assert str(caught.value) == f"{path} has {wanted}"


# ----------------------------------------------------------------------------------------- words and terms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sort the list, then stop.", ["Sort", "the", "list", "then", "stop"]),
        ("read_csv_file", ["read", "csv", "file"]),
        ("__init__", ["init"]),
        ("parseUrlOf", ["parse", "Url", "Of"]),
        ("HTTPServer parseHTML", ["HTTPServer", "parse", "HTML"]),  # capitals in a row stay together
        ("max_seqLength", ["max", "seq", "Length"]),
        ("utf8decode x2y v2", ["utf", "decode"]),  # digits part words, single letters are none
        ("port-wine mother's don't", ["port-wine", "mother", "don"]),
        ("a I 42 -- __", []),
        ("Größe naïveté 数学", ["Größe", "naïveté", "数学"]),
        ("", []),
    ],
)
def test_words(text, found):
    """Words have two letters and more; identifiers in snake and camel case are taken apart."""
    assert words(text) == found


def corpus(**counts):
    """A hundred documents, in which each word is in so many; the other documents are of one word each."""
    documents = ["filler" for _ in range(100)]
    for word, count in counts.items():
        for index in range(count):
            documents[index] += f" {word} {word}"  # a document counts once
    return documents


LONG = "Zinc melts with copper; ZINC and copper and brass are metals of old"


def test_salient_words_by_hand():
    """A passage gives its rarest words, a repeated one worth more, spelt and ordered as in the passage."""
    # Of 100 documents 3 to 5 must have a word: "zinc" (6) and "metals" (2) are out. Worth: copper
    # (1 + ln 2) ln(100/5) = 5.07, brass ln(100/3) = 3.51, old ln(100/4) = 3.22, melts ln(100/5) = 3.00.
    documents = corpus(zinc=6, metals=2, copper=5, brass=3, old=4, melts=5)
    found = [SalientTerms(documents, most_words=most).thought("which one?", LONG) for most in range(1, 6)]
    assert found == [
        "copper",
        "copper brass",
        "copper brass old",
        "melts copper brass old",
        "melts copper brass old",
    ]


def test_a_repeated_word_is_worth_more_than_a_rarer_one():
    """How often the passage says a word counts by its logarithm plus 1."""
    # copper twice (1 + ln 2) ln(100/5) = 5.07, once ln(100/5) = 3.00; brass ln(100/3) = 3.51.
    once = LONG.replace("; ZINC and copper", "; ZINC and tin")
    terms = SalientTerms(corpus(copper=5, brass=3), most_words=1)
    assert terms.thought("", LONG) == "copper"
    assert terms.thought("", once) == "brass"


def test_first_spelling_is_taken():
    """A word is counted whatever its case, and spelt as where it stands first."""
    terms = SalientTerms(corpus(zinc=4))
    assert terms.thought("which metal?", LONG) == "Zinc"
    assert terms.thought("which metal?", LONG.replace("Zinc", "zinc")) == "zinc"


def test_words_of_the_query_are_left_out():
    """What the query has already is nothing new, in another case or inflection (five letters decide)."""
    terms = SalientTerms(corpus(copper=4, brass=4))
    assert terms.thought("", LONG) == "copper brass"
    assert terms.thought("Coppery things", LONG) == "brass"
    assert terms.thought("coppice", LONG) == "copper brass"  # "coppi" is not "coppe"
    assert terms.thought("brass and copper", LONG) == ""


@pytest.mark.parametrize(
    ("query", "positive", "found"),
    [
        ("a red mark", "port-wine stain", "port-wine stain"),
        ("a red mark", "naevus flammeus, port-wine stain; birthmark", "naevus flammeus"),
        ("a red mark", "birthmark; stain, mark", "birthmark"),
        ("stains of the skin", "port-wine stain", "port-wine stain"),  # one word is new
        ("STAINED", "stain", ""),
        ("sort numbers", "sort number", ""),
        ("anything", "42", ""),
        ("anything", "", ""),
    ],
)
def test_term_is_named_whole(query, positive, found):
    """A positive of few words is a term (the first of several), named unless the query has all its words."""
    assert SalientTerms([]).thought(query, positive) == found


def test_limit_between_a_term_and_a_passage():
    """most_words is the longest term; one word more and only salient words are taken."""
    terms = SalientTerms(corpus(two=3), most_words=3)
    assert terms.thought("", "one two six") == "one two six"
    assert terms.thought("", "one two six ten") == "two"


PASSAGE = "one two three four five six seven eight nine ten"  # ten words


@pytest.mark.parametrize(
    ("thought", "positive", "is_quote"),
    [
        ("one two three four five six seven eight", PASSAGE, True),  # the first eight
        ("so: three four five six seven eight nine ten!", PASSAGE, True),  # the last eight
        ("one two three four five six seven", PASSAGE, False),
        ("one two three four five six seven ten", PASSAGE, False),
        ("one two three four and five six seven eight nine", PASSAGE, False),
        ("ONE, two-three four: five six seven eight nine", PASSAGE, False),  # two-three is one word
        ("ONE, two. Three four: five_six SEVEN eight", PASSAGE, True),
        ("one two three four five six seven eight", "one two three four five six seven eight", False),
        ("one two three four five six seven eight", "one two three four five six seven eight nine", True),
        ("ten nine eight seven six five four three two one", PASSAGE, False),
        ("", PASSAGE, False),
        (PASSAGE, "", False),
    ],
)
def test_quotes(thought, positive, is_quote):
    """Eight words in a row of a longer positive are a quotation; seven are none, nor is naming a term."""
    assert quotes(thought, positive) is is_quote


NUMBERS = st.lists(st.sampled_from(["one", "two"]), max_size=14)


@given(thought=NUMBERS, positive=NUMBERS)
def test_quotes_agrees_with_a_search_in_the_text(thought, positive):
    """On plain words it decides as a search for every eight of them in the other text does."""
    text = f" {' '.join(positive)} "
    runs = [f" {' '.join(thought[index : index + 8])} " for index in range(len(thought) - 7)]
    assert quotes(" ".join(thought), " ".join(positive)) is (
        len(positive) > 8 and any(run in text for run in runs)
    )


# ------------------------------------------------------------------------------------------------ sampling

QUERIES = ["who wrote the book?", "red apples", "a long question about the sea and the sun", "stars"]


def sampled(model, queries=QUERIES, *, samples=4, tokens=6, seed=0, **options):
    """The texts alone."""
    found = sample_thoughts(
        model, queries, samples=samples, temperature=1.0, max_reasoning_tokens=tokens, seed=seed, **options
    )
    return [[text for text, _ in some] for some in found]


def finished(*thoughts):
    return [(thought, True) for thought in thoughts]


def test_a_thought_says_whether_it_came_to_its_end(tiny):
    """What the budget cut is marked, so that its end is not taught."""
    found = sample_thoughts(
        tiny, QUERIES, samples=6, temperature=1.0, max_reasoning_tokens=4, seed=0, batch_size=4
    )
    flags = {is_finished for some in found for _, is_finished in some}
    assert flags == {True, False}
    last = tiny.encode_query_with_thoughts(
        QUERIES, reasoning="always", temperature=1.0, seed=5, max_reasoning_tokens=4
    )
    for some, thought in zip(found, last.thoughts, strict=True):
        if text := thought.text.strip():
            assert dict(some)[text] == (thought.ending == "embed_token")


def test_first_thought_is_greedy(tiny):
    """The first thought is the model's own at temperature 0, the others are samples by consecutive seeds."""
    options = {"reasoning": "always", "max_reasoning_tokens": 6}
    runs = [tiny.encode_query_with_thoughts(QUERIES, **options)]
    runs += [
        tiny.encode_query_with_thoughts(QUERIES, **options, temperature=1.0, seed=5 + n) for n in range(1, 4)
    ]
    texts = [[run.thoughts[index].text.strip() for run in runs] for index in range(len(QUERIES))]
    assert sampled(tiny, seed=5) == [list(dict.fromkeys(filter(None, some))) for some in texts]
    assert sampled(tiny, samples=1, seed=9) == [some[:1] for some in texts]  # no seed in the greedy one
    assert min(len(set(some)) for some in texts) > 1


def test_samples_depend_on_seed_and_query_only(tiny):
    """The same seed gives the same thoughts, alone or in a batch; another seed gives others."""
    thoughts = sampled(tiny)
    assert sampled(tiny) == thoughts
    assert sampled(tiny, batch_size=1) == thoughts
    assert sampled(tiny, QUERIES[2:3]) == thoughts[2:3]
    assert sampled(tiny, seed=100) != thoughts


def test_a_scorer_that_thinks_reads_the_thought_as_its_own(tiny):
    """The thought stands where the scorer's own would, and is measured against having none."""
    pairs = [pair("red sea", "the sea", "a star"), pair("sun", "the sun", number=2)]
    [found] = ThoughtFilter(pairs, tiny).records(pairs[:1], [finished("blue")], "self")
    documents = tiny.encode_document(["the sea", "a star", "the sun"])
    before = tiny.encode_query("red sea", reasoning="never")
    after = tiny.encode_query([("red sea", "blue")])[0]
    margins = [(vector @ documents[0]) - max(documents[1:] @ vector) for vector in (before, after)]
    assert found.gain == pytest.approx(margins[1] - margins[0], abs=1e-5)


def test_no_thought_is_empty_or_twice(tiny):
    """Of many short samples each is kept once, stripped; a budget of nothing gives no thought."""
    for some in sampled(tiny, samples=30, tokens=1):
        assert 1 < len(some) < 30  # a vocabulary of 448: the samples did repeat
        assert len(set(some)) == len(some)
        assert all(thought and thought == thought.strip() for thought in some)
    assert sampled(tiny, tokens=0) == [[], [], [], []]
    assert sampled(tiny, []) == []


# --------------------------------------------------------------------------------------- what one is worth


class Scorer:
    """Texts to given vectors of two dimensions, asked for as sentence-transformers is."""

    def __init__(self, vectors):
        self.vectors = vectors

    def get_embedding_dimension(self):
        return 2

    def encode_query(self, texts, *, batch_size, show_progress_bar, normalize_embeddings):
        found = np.array([self.vectors[text] for text in texts], dtype=float)
        return found / np.linalg.norm(found, axis=1, keepdims=True) if normalize_embeddings else found

    encode_document = encode_query


def pair(query, positive, *negatives, number=1):
    return TrainingPair(query, positive, negatives, "s", f"q{number}", f"d{number}")


# Four documents, not of unit length; the last one is another query's.
DOCUMENTS = {"right": (2, 0), "wrong": (0, 5), "away": (-1, 0), "other": (8, 6)}
PAIRS = [pair("ask", "right", "wrong", "away"), pair("else", "other", number=2)]


def test_gains_by_hand():
    """Rank and margin of the positive, before and after the thought, are measured among all documents."""
    asked = {"ask": (3, 4), "ask up": (1, 0), "ask down": (0, 1), "ask aside": (-3, 4), "else": (7, 24)}
    asked |= {"ask same": (6, 8), "else near": (8, 6)}
    judge = ThoughtFilter(PAIRS, Scorer(DOCUMENTS | asked))
    found = judge.records(
        PAIRS, [[*finished("up", "down", "aside"), ("same", False)], finished("near")], "teacher"
    )
    # Cosines with right, wrong, away, other = (1, 0), (0, 1), (-1, 0), (0.8, 0.6):
    #   ask        ( 0.6, 0.8)    0.6   0.8   -0.6  0.96   rank 3, margin  0.6 - 0.96 = -0.36
    #   ask up     ( 1,   0)      1     0     -1    0.8    rank 1, margin  1 - 0.8    =  0.2
    #   ask down   ( 0,   1)      0     1      0    0.6    rank 3, margin  0 - 1      = -1
    #   ask aside  (-0.6, 0.8)   -0.6   0.8    0.6  0      rank 4, margin -0.6 - 0.8  = -1.4
    #   else       ( 0.28, 0.96)  0.28  0.96 -0.28  0.8    rank 2, margin  0.8 - 0.96 = -0.16
    #   else near  ( 0.8, 0.6)    0.8   0.6   -0.8  1      rank 1, margin  1 - 0.8    =  0.2
    assert [(one.query_id, one.thought, one.rank_gain) for one in found] == [
        ("q1", "up", 2),
        ("q1", "down", 0),
        ("q1", "aside", -1),
        ("q1", "same", 0),
        ("q2", "near", 1),
    ]
    assert [one.gain for one in found] == pytest.approx([0.56, -0.64, -1.04, 0, 0.36], abs=1e-6)
    assert {(one.source, one.origin) for one in found} == {("s", "teacher")}
    assert [one.is_finished for one in found] == [True, True, True, False, True]


def test_pairs_may_be_some_of_the_sources():
    """A thought about one pair is ranked against the documents of all."""
    judge = ThoughtFilter(PAIRS, Scorer(DOCUMENTS | {"else": (7, 24), "else near": (8, 6)}))
    (found,) = judge.records(PAIRS[1:], [finished("near")], "self")
    assert (found.query_id, found.rank_gain) == ("q2", 1)


def test_equal_documents_do_not_compete():
    """A positive that two queries share stands once in the ranking; one as near as it does not outrank it."""
    pairs = [pair("one", "right", "wrong"), pair("two", "right", number=2)]
    vectors = {**DOCUMENTS, "one": (1, 1), "two": (0, 1), "one thought": (4, 3), "two thought": (1, 1)}
    found = ThoughtFilter(pairs, Scorer(vectors)).records(pairs, [finished("thought")] * 2, "terms")
    # one: (right, wrong) 0.71 and 0.71, rank 1 and margin 0; with the thought 0.8 and 0.6.
    # two: 0 and 1, rank 2 and margin -1; with the thought 0.71 and 0.71.
    assert [one.rank_gain for one in found] == [0, 1]
    assert [one.gain for one in found] == pytest.approx([0.2, 1.0], abs=1e-6)


def test_only_document_competes_with_none():
    """Without another document the margin is that over the farthest there could be, of cosine -1."""
    vectors = {**DOCUMENTS, "ask": (0, 1), "ask well": (3, 4)}
    only = [pair("ask", "right")]
    (found,) = ThoughtFilter(only, Scorer(vectors)).records(only, [finished("well")], "self")
    assert (found.rank_gain, found.gain) == (0, pytest.approx(0.6, abs=1e-6))  # 1.6 - 1
    assert found.helps
    # A cosine below 0 counts as it is: 0.6 + 0.6 = 1.2 before, 0 + 0 after.
    two = [pair("ask", "right", "away")]
    scorer = Scorer({**DOCUMENTS, "ask": (3, 4), "ask well": (0, 1)})
    (found,) = ThoughtFilter(two, scorer).records(two, [finished("well")], "self")
    assert (found.rank_gain, found.gain) == (0, pytest.approx(-1.2, abs=1e-6))


def test_thoughts_that_quote_are_left_out():
    """Eight words of the query's own positive in a row are no thought; of another's positive they may be."""
    quote = "two three four five six seven eight nine"
    pairs = [pair("ask", PASSAGE), pair("else", "right", number=2)]
    asked = dict.fromkeys(("ask", "else", f"ask {quote[4:]}", f"else {quote}"), (1, 1))
    judge = ThoughtFilter(pairs, Scorer({**DOCUMENTS, PASSAGE: (1, 2), **asked}))
    found = judge.records(pairs, [finished(quote, quote[4:]), finished(quote)], "self")
    assert [(one.query_id, one.thought) for one in found] == [("q1", quote[4:]), ("q2", quote)]
    assert judge.records(pairs, [finished(quote), []], "self") == []
    assert judge.records([], [], "self") == []
