"""What a run trains and is measured on: the draw of the examples, the dev split, and reading both."""

import hashlib
import random
import re
from collections import Counter

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from search_r3.data.pairs import TrainingPair, pairs_hash, write_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import ThoughtRecord, write_thoughts
from search_r3.errors import DataError, InvalidOptionError
from search_r3.training.dev_split import DevEvaluator, split_pairs
from search_r3.training.examples import Example, draw_examples
from search_r3.training.sft_config import DataConfig, SourceConfig
from search_r3.training.training_data import load_training_data


def pair(number, source="a", *, query=None, positive=None, negatives=("bad 1", "bad 2")):
    texts = query or f"{source} query {number}", positive or f"{source} document {number}", tuple(negatives)
    return TrainingPair(*texts, source, f"q{number:04}", f"d{number}")


def thought(number, text="a thought", source="a", *, gain=0.5, rank_gain=1, origin="self", **more):
    return ThoughtRecord(source, f"q{number:04}", text, origin, gain, rank_gain, **more)


def about_all(*texts, **worth):
    return [thought(number, text, **worth) for number in range(2000) for text in texts]


PAIRS = [pair(number) for number in range(2000)]


def draw(
    known=(), *, pairs=PAIRS, examples=2000, seed=0, negatives=1, reversed_share=0.0, reads=0.0, **options
):
    source = SourceConfig(examples=examples, negatives=negatives, reversed=reversed_share, reads=reads)
    return draw_examples({"a": pairs}, known, DataConfig(sources={"a": source}, **options), seed)


def near(value, count):
    """Within four standard deviations of a share of ``count`` draws."""
    return pytest.approx(value, abs=4 * (value * (1 - value) / count) ** 0.5)


def test_draw_depends_on_the_seed_only():
    """The same seed draws the same examples, whatever order the pairs come in; another seed others."""
    options = {"known": about_all("x")[:50], "examples": 60}
    drawn = draw(pairs=PAIRS[:100], seed=3, **options)
    assert draw(pairs=PAIRS[:100], seed=3, **options) == drawn
    assert draw(pairs=PAIRS[99::-1], seed=3, **options) == drawn
    other = draw(pairs=PAIRS[:100], seed=4, **options)
    assert {one.query for one in other} != {one.query for one in drawn}


def test_counts_are_exact_and_sources_independent():
    """A source gives as many examples as asked, round after round, whatever other sources there are."""
    pairs = {name: [pair(number, name) for number in range(3)] for name in "abcd"}
    sources = {name: SourceConfig(examples=count) for name, count in (("c", 7), ("d", 0), ("a", 2), ("b", 3))}
    drawn = draw_examples(pairs, [], DataConfig(sources=sources), 0)
    assert [example.source for example in drawn] == ["c"] * 7 + ["a"] * 2 + ["b"] * 3
    queries = [example.query for example in drawn]
    assert set(queries[:3]) == set(queries[3:6]) == {one.query for one in pairs["c"]}  # 7 = 3 + 3 + 1
    assert (len(set(queries[7:9])), len(set(queries[9:]))) == (2, 3)
    for name, own in (("c", drawn[:7]), ("a", drawn[7:9]), ("b", drawn[9:])):
        assert draw_examples(pairs, [], DataConfig(sources={name: sources[name]}), 0) == own


def test_shares_of_the_exits():
    """Reversed, thinking, cut and direct examples come in the configured shares."""
    drawn = draw(about_all("x"), seed=1, reversed_share=0.2, thinking_share=0.4, cut_share=0.3)
    # 0.8 are not reversed; 0.4 of those think: 0.32; the other 0.6 are direct: 0.48.
    assert np.mean([one.query.startswith("a document") for one in drawn]) == near(0.2, 2000)
    assert {one.kept_share for one in drawn if one.thought is None} == {1.0}
    thinking = [one for one in drawn if one.thought is not None]
    assert len(thinking) / 2000 == near(0.32, 2000)
    cut = [one.kept_share for one in thinking if one.kept_share < 1]
    assert min(cut) > 0 and len(cut) / len(thinking) == near(0.3, 640)
    # Cut uniformly: mean 1/2, standard deviation 1/sqrt(12) of one.
    assert np.mean(cut) == pytest.approx(0.5, abs=4 / (12 * len(cut)) ** 0.5)


@pytest.mark.parametrize(("thinks", "is_cut"), [(0, 1), (1, 0), (1, 1)])
def test_shares_of_0_and_1_are_exact(thinks, is_cut):
    """A share of 0 never happens and a share of 1 always does."""
    drawn = draw(about_all("x"), thinking_share=thinks, cut_share=is_cut)
    wanted = ("x" if thinks else None, bool(thinks and is_cut))
    assert {(one.thought, one.kept_share < 1) for one in drawn} == {wanted}


def test_thoughts_that_help_are_taught():
    """A query's thoughts are read each as often; those that help are taught, the direct embedding is not."""
    known = about_all("moves up") + about_all("worse", gain=-0.1, rank_gain=0)
    known += about_all("wider", gain=0.1, rank_gain=0) + about_all("nothing", gain=0, rank_gain=0)
    drawn = draw(known)
    thinking = [one for one in drawn if one.thought is not None]
    for text in ("moves up", "worse", "wider", "nothing"):
        assert np.mean([one.thought == text for one in thinking]) == near(0.25, len(thinking))
    assert {one.thought for one in drawn if one.is_taught} == {"moves up", "wider"}
    assert all(one.is_taught for one in thinking if one.thought in ("moves up", "wider"))


def test_queries_no_thought_helps_are_taught_to_skip():
    """Their thoughts are read without being taught, and their direct embedding teaches the embed token."""
    drawn = draw(about_all("x", "y", gain=0, rank_gain=0))
    assert {(one.thought, one.is_taught) for one in drawn} == {("x", False), ("y", False), (None, True)}
    assert np.mean([one.is_taught for one in drawn]) == near(0.5, 2000)


@pytest.mark.parametrize(("own_gain", "skips"), [(None, False), (0.1, False), (-0.1, True)])
def test_terms_of_the_answer_decide_nothing_about_skipping(own_gain, skips):
    """They help nearly always, having seen the answer; whether thinking pays is told by blind thoughts."""
    known = about_all("seen", origin="terms")
    if own_gain is not None:
        known += about_all("blind", gain=own_gain, rank_gain=0)
    direct = [one for one in draw(known) if one.thought is None]
    assert {one.is_taught for one in direct} == {skips}


@pytest.mark.parametrize("known", [[], about_all("x", source="b")], ids=["none", "another source's"])
def test_queries_without_thoughts_leave_directly(known):
    """Where nothing is known of thinking, nothing is taught about it; thoughts belong to one source."""
    drawn = draw(known, thinking_share=1)
    assert {(one.thought, one.kept_share, one.is_taught) for one in drawn} == {(None, 1.0, False)}


def test_a_thought_brings_its_passages():
    """An example with the thought reads them; the direct one does not, and is not taught to skip by them."""
    known = about_all("a name", origin="bridge", evidence=("one passage", "another"), gain=-1, rank_gain=-1)
    drawn = draw(known)
    assert {(one.thought, one.evidence, one.is_taught) for one in drawn} == {
        ("a name", ("one passage", "another"), False),
        (None, (), False),
    }
    # The direct vector has to find what is read as often as what answers, and has no hard negative.
    direct = [one for one in drawn if one.thought is None]
    assert {one.negatives for one in direct} == {()}
    assert np.mean([one.positive == "one passage" for one in direct]) == near(0.5, len(direct))
    assert {one.negatives for one in drawn if one.evidence} == {("bad 1",)}
    assert all(Example.from_row(one.to_row()) == one for one in drawn[:20])


def test_what_one_search_answers_is_read_without_a_thought():
    """A share of what has no thoughts reads its positive or a negative, and learns to skip the thought."""
    drawn = draw(reversed_share=0.2, reads=0.25)
    reading = [one for one in drawn if one.evidence]
    assert len(reading) / 2000 == near(0.8 * 0.25, 2000)
    assert all((one.thought, one.is_taught, one.negatives) == ("", True, ()) for one in reading)
    kinds = Counter("positive" if one.evidence == (one.positive,) else one.evidence[0] for one in reading)
    assert set(kinds) == {"positive", "bad 1", "bad 2"}
    assert kinds["positive"] / len(reading) == near(1 / 3, len(reading))
    # The others are what they would have been, and what has thoughts keeps its own.
    assert [one for one in draw(reversed_share=0.2) if one in drawn] == [
        one for one in drawn if not one.evidence
    ]
    known = about_all("x")
    assert draw(known, reads=1.0) == draw(known)
    bare = [pair(number, negatives=()) for number in range(5)]
    assert not any(one.evidence for one in draw(pairs=bare, examples=5, reads=1.0))


def test_what_stands_in_the_place_of_a_thought_about_passages():
    """A name of the passage that is neither thought of nor asked about, or nothing; neither is taught."""
    pairs = [pair(number, query=f"who knows Ann Lee, {number}?") for number in range(2000)]
    passage = "Ann Lee was taught by Bo Ek and Cy in Oslo."
    known = about_all("Bo Ek", evidence=(passage,))
    options = {"thinking_share": 1.0, "cut_share": 0.5}
    drawn = draw(known, pairs=pairs, wrong_share=0.2, empty_share=0.3, **options)
    counts = Counter(example.thought for example in drawn)
    assert set(counts) == {"Bo Ek", "", "Cy", "Oslo"}
    assert counts[""] / 2000 == near(0.3, 2000)
    assert (counts["Cy"] + counts["Oslo"]) / 2000 == near(0.2, 2000)
    assert counts["Cy"] / (counts["Cy"] + counts["Oslo"]) == near(0.5, 350)
    for example in drawn:
        right = example.thought == "Bo Ek"
        assert example.is_taught == right and (right or example.kept_share == 1.0)
        assert example.evidence == (passage,)
    plain = draw(known, pairs=pairs, **options)
    assert [one for one in drawn if one.is_taught] == [
        one for one, changed in zip(plain, drawn, strict=True) if changed.is_taught
    ]
    nothing_else = about_all("Bo Ek", evidence=("Bo Ek knows.",))
    assert draw(nothing_else, pairs=pairs, wrong_share=1.0, **options) == draw(
        nothing_else, pairs=pairs, **options
    )
    assert draw(about_all("Bo Ek"), pairs=pairs, wrong_share=1.0, **options) == draw(
        about_all("Bo Ek"), pairs=pairs, **options
    )


def test_reversed_examples_are_the_pair_alone():
    """Asked the other way round, positive and query are swapped, without negatives, thought or teaching."""
    drawn = draw(about_all("x", gain=-1), pairs=PAIRS[:3], examples=3, reversed_share=1, thinking_share=1)
    assert sorted(drawn, key=lambda one: one.query) == [
        Example(f"a document {number}", None, 1.0, False, f"a query {number}", (), "a") for number in range(3)
    ]


@pytest.mark.parametrize(
    ("wanted", "found", "taken"),
    [(0, "xyz", ""), (1, "xyz", "x"), (3, "xyz", "xyz"), (2, "x", ""), (1, "", "")],
)
def test_negatives_are_the_first_ones_or_none(wanted, found, taken):
    """A pair gives as many negatives as asked, its first ones, or none if it has fewer."""
    (drawn,) = draw(pairs=[pair(1, negatives=found)], examples=1, negatives=wanted)
    assert drawn == Example("a query 1", None, 1.0, False, "a document 1", tuple(taken), "a")


@settings(max_examples=40, deadline=None)
@given(
    number=st.integers(0, 19),
    records=st.lists(st.tuples(st.text(), st.floats(-1, 1), st.integers(-1, 1)), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_another_thought_changes_its_own_query_only(number, records, seed):
    """Thoughts about one pair, whatever they are, leave all other pairs' examples as they were."""
    known = [thought(other, gain=other % 3 - 1, rank_gain=0) for other in range(0, 20, 2)]
    more = [thought(number, text, gain=gain, rank_gain=rank) for text, gain, rank in records]
    options = {"pairs": PAIRS[:20], "examples": 40, "seed": seed, "reversed_share": 0.3}
    before, after = draw(known, **options), draw([*known, *more], **options)
    own = {PAIRS[number].query, PAIRS[number].positive}
    others = [sorted((one for one in drawn if one.query not in own), key=repr) for drawn in (before, after)]
    assert others[0] == others[1]
    assert len(others[0]) == 38


def test_pairs_with_thoughts_are_drawn_first():
    """Of more pairs than examples, those come first that a thought was built for."""
    known = [thought(number) for number in range(0, 100, 5)]
    drawn = draw(known, pairs=PAIRS[:100], examples=30, thinking_share=1)
    assert sum(one.thought is not None for one in drawn) == 20
    assert len({one.query for one in drawn}) == 30


# ------------------------------------------------------------------------------------------- the dev split


def test_split_by_hand():
    """A tenth of the pairs is asked, among its positives, its negatives and other documents."""
    pairs = [pair(number, negatives=[f"hard {number}"]) for number in range(100)]
    split = split_pairs(pairs, queries=40, documents=30, seed=0)
    assert (len(split.training), len(split.dev.queries), len(split.dev.corpus)) == (90, 10, 30)
    asked = {one.query for one in pairs} - {one.query for one in split.training}
    assert set(split.dev.queries.values()) == asked
    for query_id, query in split.dev.queries.items():
        assert query.replace("a query", "hard") in split.dev.corpus.values()
        ((doc_id, grade),) = split.dev.qrels[query_id].items()
        assert (split.dev.corpus[doc_id], grade) == (query.replace("query", "document"), 1)


@pytest.mark.parametrize(
    ("queries", "documents", "asked", "corpus"),
    [(5, 10, 5, 10), (5, 3, 5, 5), (200, 12, 10, 12), (5, 1000, 5, 102)],
)
def test_size_of_the_dev_split(queries, documents, asked, corpus):
    """Queries and documents are as many as asked for, within what there is."""
    # No fewer than the relevant ones; a tenth of 100 at most; 100 positives and 2 negatives of all pairs.
    split = split_pairs(PAIRS[:100], queries=queries, documents=documents, seed=1)
    assert (len(split.dev.queries), len(split.dev.corpus)) == (asked, corpus)


def test_split_depends_on_the_seed_only():
    """The order of the pairs changes nothing; another seed holds other queries out."""
    one = split_pairs(PAIRS[:100], queries=8, documents=20, seed=5)
    assert split_pairs(PAIRS[99::-1], queries=8, documents=20, seed=5) == one
    other = split_pairs(PAIRS[:100], queries=8, documents=20, seed=6)
    assert set(other.dev.queries.values()) != set(one.dev.queries.values())


def assert_nothing_shared(split):
    """Nothing that is trained on tells the answer to a dev query, in whatever case it is written."""
    asked = {query.casefold() for query in split.dev.queries.values()}
    answers = {split.dev.corpus[key].casefold() for grades in split.dev.qrels.values() for key in grades}
    for one in split.training:
        assert one.query.casefold() not in asked | answers
        assert answers.isdisjoint(text.casefold() for text in (one.positive, *one.negatives))


def test_equal_texts_of_other_case_are_held_out():
    """A held-out query or answer in capitals takes a pair out of training, wherever it stands."""
    pairs = []
    for number in range(0, 300, 10):
        query, answer = f"query {number}", f"answer {number}"
        pairs += [
            pair(number, query=query, positive=answer),
            pair(number + 1, query=query.upper(), positive=f"second answer {number}"),
            pair(number + 2, query=f"second query {number}", positive=answer.upper()),
            pair(number + 3, query=answer.upper()),
            pair(number + 4, negatives=("x", answer.upper())),
            pair(number + 5, query=f"{query}?", positive=f"{answer}!", negatives=(f"not {answer}",)),
        ]
    split = split_pairs(pairs, queries=10, documents=50, seed=0)
    assert_nothing_shared(split)
    trained = {one.query_id for one in split.training}
    chosen = {one.query for one in pairs[::6]} & set(split.dev.queries.values())
    assert chosen
    for query in chosen:  # only the last of its six stays, whose texts merely contain the others
        own = [f"q{int(query.split()[1]) + index:04}" for index in range(6)]
        assert trained.intersection(own) == {own[5]}
    asked = {int(re.sub(r"\D", "", query)) // 10 for query in split.dev.queries.values()}
    assert {one.query_id for one in pairs if int(one.query_id[1:]) // 10 not in asked} < trained


TEXTS = st.text("abAB", min_size=1, max_size=3)
NEGATIVES = st.lists(st.one_of(TEXTS, TEXTS.map("document {}".format)), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.tuples(TEXTS, NEGATIVES), min_size=10, max_size=50),
    queries=st.integers(1, 5),
    documents=st.integers(1, 30),
    seed=st.integers(0, 9),
)
def test_dev_split_shares_nothing_and_judges_everything(texts, queries, documents, seed):
    """Whatever repeats: nothing is shared with training, and every dev query knows its answers."""
    # Queries that are equal but for case have one answer, which queries with the same two letters share.
    pairs = [
        pair(number, query=query, positive=f"document {query.casefold()[:2]}", negatives=negatives)
        for number, (query, negatives) in enumerate(texts)
    ]
    split = split_pairs(pairs, queries=queries, documents=documents, seed=seed)
    assert_nothing_shared(split)
    assert split.dev.queries
    judged = {key for grades in split.dev.qrels.values() for key in grades}
    for query_id, query in split.dev.queries.items():
        found = {split.dev.corpus[doc_id] for doc_id in split.dev.qrels[query_id]}
        assert found == {one.positive for one in pairs if one.query == query}
    assert len(set(split.dev.corpus.values())) == len(split.dev.corpus) <= max(documents, len(judged))
    assert set(split.training) <= set(pairs)


# ------------------------------------------------------------------------------------------- the evaluator

NOUNS = ("apple", "sea", "sun", "star", "book", "tree", "folder", "list", "number", "date", "story", "file")
DOCUMENTS = [f"the {one} of the {two}" for one in NOUNS for two in NOUNS if one != two]


def dev_task(seed, documents=40, queries=6, times=1):
    generator = random.Random(seed)
    texts = enumerate(generator.sample(DOCUMENTS, documents))
    corpus = {f"d{index}": " ".join([text] * times) for index, text in texts}
    asked = {f"q{index}": f"which {generator.choice(NOUNS)} {index}" for index in range(queries)}
    judged = {query_id: dict.fromkeys(generator.sample(sorted(corpus), 3), 1) for query_id in asked}
    return RetrievalTask(asked, corpus, judged)


def evaluator(*tasks, arms=("never", "always"), limit=64, query_limit=64):
    named = {f"task{index}": task for index, task in enumerate(tasks)}
    return DevEvaluator(
        named, arms, max_reasoning_tokens=3, max_query_tokens=query_limit, max_document_tokens=limit
    )


def by_hand(task, queries, documents):
    """Mean nDCG@10 out of pytrec_eval."""
    run = {
        query_id: dict(zip(task.corpus, map(float, row), strict=True))
        for query_id, row in zip(task.queries, queries @ documents.T, strict=True)
    }
    measured = pytrec_eval.RelevanceEvaluator(task.qrels, {"ndcg_cut.10"}).evaluate(run)
    return float(np.mean([measured[query_id]["ndcg_cut_10"] for query_id in task.queries]))


def test_evaluator_measures_ndcg(tiny):
    """Scores are nDCG@10 of the model's own vectors, by arm and source, and their means over sources."""
    tasks = [dev_task(1), dev_task(2, documents=25, queries=3)]
    wanted = {}
    for arm in ("never", "always"):
        scores = []
        for task in tasks:
            queries = tiny.encode_query(list(task.queries.values()), reasoning=arm, max_reasoning_tokens=3)
            scores.append(by_hand(task, queries, tiny.encode_document(list(task.corpus.values()))))
        wanted |= {f"{arm}_task0": scores[0], f"{arm}_task1": scores[1], f"{arm}_ndcg_at_10": np.mean(scores)}
    measure = evaluator(*tasks)
    assert measure(tiny) == pytest.approx(wanted, abs=1e-6)
    assert measure.primary_metric == "never_ndcg_at_10"  # that of the first arm
    assert 0 < wanted["never_task0"] != wanted["always_task0"] < 1


def test_evaluator_cuts_documents(fresh_tiny):
    """Documents are read up to the evaluator's limit, or up to the model's own if that is lower."""
    task = dev_task(3, times=4)
    queries = fresh_tiny.encode_query(list(task.queries.values()), reasoning="never")
    whole = fresh_tiny.encode_document(list(task.corpus.values()))
    fresh_tiny.max_seq_length = 32  # above the longest query, below the shortest document
    cut = fresh_tiny.encode_document(list(task.corpus.values()), on_truncation="ignore")
    assert by_hand(task, queries, cut) != by_hand(task, queries, whole)
    for own, limit, documents in ((128, 32, cut), (128, 4000, whole), (32, 4000, cut)):
        fresh_tiny.max_seq_length = own
        score = evaluator(task, arms=("never",), limit=limit)(fresh_tiny)["never_ndcg_at_10"]
        assert score == pytest.approx(by_hand(task, queries, documents), abs=1e-6)
        assert fresh_tiny.max_seq_length == own


def test_evaluator_that_fails_gives_the_limit_back(fresh_tiny):
    """The model's max_seq_length is what it was, also after a measurement that fails."""
    fresh_tiny.max_seq_length = 77
    with pytest.raises(InvalidOptionError, match="unheard"):  # when the documents are encoded already
        evaluator(dev_task(1, documents=10), arms=("unheard",), limit=32)(fresh_tiny)
    assert fresh_tiny.max_seq_length == 77


# --------------------------------------------------------------------------------------- reading the data

B_PAIRS = [pair(number, "b") for number in range(30)]
TWO = {"a": SourceConfig(examples=70), "b": SourceConfig(examples=10)}


@pytest.fixture
def built(tmp_path, monkeypatch):
    """The folder of built data, with the training sets a (60 pairs) and b (30)."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path))
    write_pairs(PAIRS[:60], tmp_path / "training" / "a.parquet")
    write_pairs(B_PAIRS, tmp_path / "training" / "b.parquet")
    return tmp_path


def test_load_training_data(built):
    """Sets are read by name, split, and drawn from; the hashes are those of whole sets and of the file."""
    path = built / "thoughts.parquet"
    write_thoughts([thought(number) for number in range(60)], path, {})
    config = DataConfig(sources=TWO, thoughts=path, dev_queries=4, dev_documents=20, thinking_share=1)
    data = load_training_data(config, 7)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert data.hashes == {"a": pairs_hash(PAIRS[:60]), "b": pairs_hash(B_PAIRS), "thoughts": digest}
    # 60 // 10 allows 6 queries, 4 are asked for; 30 // 10 allows 3.
    assert {name: len(task.queries) for name, task in data.dev.items()} == {"a": 4, "b": 3}
    found = Counter((example.source, example.thought) for example in data.examples)
    assert found == {("a", "a thought"): 70, ("b", None): 10}
    asked = {query for task in data.dev.values() for query in task.queries.values()}
    assert asked.isdisjoint(example.query for example in data.examples)
    assert load_training_data(config, 7) == data
    assert load_training_data(config, 8).dev != data.dev


def test_thoughts_that_a_set_comes_with_are_read(built):
    """Beside those of the configuration; those about queries that are not trained on are left out."""
    own = [thought(n, "a name", "a", origin="bridge", evidence=("a passage",)) for n in (0, 1, 9999)]
    write_thoughts(own, built / "thoughts" / "a.parquet", {})
    config = DataConfig(sources=TWO, dev_queries=0, thinking_share=1.0)
    data = load_training_data(config, 0)
    thinking = [one for one in data.examples if one.thought is not None]
    assert {(one.source, one.thought, one.evidence) for one in thinking} == {("a", "a name", ("a passage",))}
    assert set(data.hashes) == {"a", "b", "a, thoughts"}


def test_passages_of_the_dev_split_are_not_read(built):
    """A thought about a passage that the dev split answers with is left out, whatever set it is of."""
    config = DataConfig(sources=TWO, dev_queries=5, dev_documents=20, thinking_share=1.0)
    answer = next(iter(load_training_data(config, 0).dev["a"].corpus.values()))
    own = [
        thought(n, "a name", "b", origin="bridge", evidence=(text,))
        for n in range(60)
        for text in (answer, "fine")
    ]
    write_thoughts(own, built / "thoughts" / "b.parquet", {})
    read = {one.evidence for one in load_training_data(config, 0).examples if one.evidence}
    assert read == {("fine",)}


def test_load_without_dev_split_and_thoughts(built):
    """No dev queries means no dev tasks, and no file of thoughts no thinking examples."""
    data, other = (load_training_data(DataConfig(sources=TWO, dev_queries=0), seed) for seed in (0, 1))
    assert data.examples != other.examples
    assert (data.dev, set(data.hashes), {one.thought for one in data.examples}) == ({}, {"a", "b"}, {None})
    assert len({example.query for example in data.examples if example.source == "a"}) == 60


def test_missing_or_damaged_files(built):
    """A set that is missing is named, with the command that builds it; so is a file that is no Parquet."""
    config = DataConfig(sources={**TWO, "absent": SourceConfig(examples=1)})
    with pytest.raises(DataError) as caught:
        load_training_data(config, 0)
    index = built / "training" / "absent.parquet"
    assert str(caught.value) == (
        f"There is no training set {index}. Build all of them with: search-r3 data. Make one of your own "
        "pairs with: search-r3 import-pairs"
    )
    index.with_name("b.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"Cannot read the training pairs .*b\.parquet"):
        load_training_data(config, 0)
    with pytest.raises(DataError, match=r"Cannot read the thoughts .*absent\.parquet"):
        load_training_data(DataConfig(sources={"a": TWO["a"]}, thoughts=built / "absent.parquet"), 0)


@pytest.mark.parametrize("about", ["nothing", "another query", "another source", "a dev query"])
def test_thoughts_about_other_queries(built, about):
    """A file without one thought about a training query of the run is an error that names it."""
    path = built / "thoughts.parquet"
    config = DataConfig(sources=TWO, thoughts=path, dev_queries=1, dev_documents=10)
    held_out = load_training_data(DataConfig(sources=TWO, dev_queries=1), 0).dev["a"].queries["q0"]
    records = {
        "nothing": [],
        "another query": [thought(60)],
        "another source": [thought(1, source="c")],
        "a dev query": [thought(int(held_out.rsplit(" ", 1)[1]))],
    }
    write_thoughts(records[about], path, {})
    with pytest.raises(DataError, match=re.escape(f"{path} has no thought about a training query of this")):
        load_training_data(config, 0)
