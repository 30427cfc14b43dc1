import math
import random

import pytest

from search_r3.errors import InvalidInputError
from search_r3.retrieval.metrics import all_at_10, drop_same_id, measure, ndcg_at_10


def test_one_relevant_document_at_each_rank():
    # One relevant document: the ideal DCG is 1/log2(2) = 1, so nDCG is 1/log2(rank + 1).
    for rank in range(1, 11):
        run = {"q": {f"d{other:02}": 100.0 - other for other in range(1, 13)}}
        assert ndcg_at_10({"q": {f"d{rank:02}": 1}}, run) == {"q": pytest.approx(1 / math.log2(rank + 1))}


def test_rank_11_counts_nothing():
    run = {"q": {f"d{rank:02}": 100.0 - rank for rank in range(1, 13)}}
    assert ndcg_at_10({"q": {"d11": 1}}, run) == {"q": 0.0}


def test_graded_documents_have_linear_gain():
    # Ranking: b (1), x (not judged), a (3).
    #   DCG  = 1/log2(2) + 0/log2(3) + 3/log2(4) = 1 + 0 + 1.5 = 2.5
    # Ideal:   a (3), b (1), c (0).
    #   IDCG = 3/log2(2) + 1/log2(3) = 3 + 0.6309298 = 3.6309298
    #   nDCG = 2.5 / 3.6309298 = 0.6885289
    # With the gain 2^grade - 1 it would be (1 + 7/2) / (7 + 0.6309298) = 0.5897053.
    qrels = {"q": {"a": 3, "b": 1, "c": 0}}
    run = {"q": {"a": 0.1, "b": 0.9, "x": 0.5}}
    assert ndcg_at_10(qrels, run)["q"] == pytest.approx(0.6885289, abs=1e-6)


def test_relevant_document_that_is_not_retrieved():
    # Ranking: a (2); b (1) is not found. DCG = 2, IDCG = 2 + 1/log2(3) = 2.6309298, nDCG = 0.7601875.
    assert ndcg_at_10({"q": {"a": 2, "b": 1}}, {"q": {"a": 1.0}})["q"] == pytest.approx(0.7601875, abs=1e-6)


def test_negative_grades_gain_nothing():
    # Ranking: bad (-1, counts 0), a (1). DCG = 1/log2(3), IDCG = 1.
    measured = ndcg_at_10({"q": {"a": 1, "bad": -1}}, {"q": {"bad": 2.0, "a": 1.0}})
    assert measured["q"] == pytest.approx(1 / math.log2(3))


def test_query_missing_from_the_run_counts_0():
    qrels = {"found": {"a": 1}, "missing": {"a": 1}, "empty": {"a": 1}}
    assert ndcg_at_10(qrels, {"found": {"a": 1.0}, "empty": {}}) == {
        "found": 1.0,
        "missing": 0.0,
        "empty": 0.0,
    }
    assert ndcg_at_10(qrels, {}) == {"found": 0.0, "missing": 0.0, "empty": 0.0}


def test_query_without_judgements_is_left_out():
    assert ndcg_at_10({"q": {"a": 1}}, {"q": {"a": 1.0}, "other": {"a": 1.0}}) == {"q": 1.0}


def test_equal_scores_are_ordered_by_last_id_first():
    # In single precision 1 + 1e-9 is 1, so these are equal as well: rank 2 for "a".
    for score in (1.0, 1.0 + 1e-9):
        assert ndcg_at_10({"q": {"a": 1}}, {"q": {"a": score, "b": 1.0}})["q"] == pytest.approx(
            1 / math.log2(3)
        )


@pytest.mark.parametrize("grades", [{"a": 0}, {"a": -1, "b": 0}])
def test_query_without_relevant_document_counts_0(grades):
    # As in trec_eval, and so in the means of mteb and BEIR.
    run = {"fine": {"a": 1.0}, "q": {"a": 1.0}}
    nothing = {"ndcg_at_10": 0.0, "recall_at_100": 0.0, "reciprocal_rank": 0.0}
    assert measure({"fine": {"a": 1}, "q": grades}, run)["q"] == nothing


def test_query_that_is_not_judged_at_all_raises():
    with pytest.raises(InvalidInputError, match="query 'q' without a judgement") as raised:
        ndcg_at_10({"fine": {"a": 1}, "q": {}}, {})
    assert raised.value.item == "q"


def test_relevant_document_outside_of_the_corpus_counts_as_missed():
    # Ranking: x (not judged), a (1); gone (1) is nowhere. DCG = 1/log2(3), IDCG = 1 + 1/log2(3).
    measured = measure({"q": {"a": 1, "gone": 1}}, {"q": {"x": 2.0, "a": 1.0}})["q"]
    assert measured["ndcg_at_10"] == pytest.approx(0.6309298 / 1.6309298, abs=1e-6)
    assert measured["recall_at_100"] == 0.5


def test_document_of_the_same_id_is_dropped():
    run = {"1": {"1": 3.0, "2": 2.0}, "2": {"1": 3.0}, "q": {}}
    drop_same_id(run)
    assert run == {"1": {"2": 2.0}, "2": {"1": 3.0}, "q": {}}


def test_score_that_is_not_a_number_raises():
    with pytest.raises(InvalidInputError, match="NaN for document 'b' of query 'q'"):
        ndcg_at_10({"q": {"a": 1}}, {"q": {"a": 1.0, "b": math.nan}})


def reference_ndcg(grades, scores):
    ranking = sorted(scores, key=scores.get, reverse=True)[:10]
    gains = [grades.get(doc_id, 0) for doc_id in ranking]
    ideal = sorted(grades.values(), reverse=True)[:10]
    dcg, ideal_dcg = (sum(g / math.log2(r + 2) for r, g in enumerate(x)) for x in (gains, ideal))
    return dcg / ideal_dcg


def test_agrees_with_a_reference_on_random_data():
    generator = random.Random(7)
    qrels, run = {}, {}
    for query in range(200):
        doc_ids = [f"d{number}" for number in range(40)]
        judged = generator.sample(doc_ids, 20)
        qrels[f"q{query}"] = {doc_id: generator.randrange(4) for doc_id in judged} | {judged[0]: 1}
        retrieved = generator.sample(doc_ids, generator.randrange(1, 30))
        # Whole numbers are exact in single precision, so no two scores become equal.
        scores = generator.sample(range(10_000), len(retrieved))
        run[f"q{query}"] = dict(zip(retrieved, map(float, scores), strict=True))
    measured = ndcg_at_10(qrels, run)
    assert measured.keys() == qrels.keys()
    for query_id, value in measured.items():
        assert value == pytest.approx(reference_ndcg(qrels[query_id], run[query_id]), abs=1e-6)


def test_measures_of_one_ranking():
    """A ranking of 101 documents, with its relevant ones at ranks 3, 100 and 101, worked out by hand."""
    # Ranks 3 and 100 are within the first 100: recall 2/3. The first relevant rank is 3: 1/3.
    #   DCG@10 = 1/log2(4) = 0.5; IDCG = 1/log2(2) + 1/log2(3) + 1/log2(4) = 2.1309298; nDCG = 0.2346393.
    run = {"q": {f"d{rank:03}": 1000.0 - rank for rank in range(1, 102)}}
    measured = measure({"q": {"d003": 1, "d100": 1, "d101": 1, "d001": 0}}, run)["q"]
    assert measured == {
        "ndcg_at_10": pytest.approx(0.2346393, abs=1e-6),
        "recall_at_100": pytest.approx(2 / 3),
        "reciprocal_rank": pytest.approx(1 / 3),
    }


def test_reciprocal_rank_looks_at_the_whole_run():
    """A first relevant document at rank 200 still has a reciprocal rank, though no recall at 100."""
    run = {"q": {f"d{rank:03}": 1000.0 - rank for rank in range(1, 301)}}
    measured = measure({"q": {"d200": 1}}, run)["q"]
    assert measured == {"ndcg_at_10": 0.0, "recall_at_100": 0.0, "reciprocal_rank": pytest.approx(1 / 200)}


def test_every_measure_of_a_missing_query_is_0():
    """A judged query that the run lacks, or for which nothing was retrieved, scores 0 and is not left out."""
    zeros = {"ndcg_at_10": 0.0, "recall_at_100": 0.0, "reciprocal_rank": 0.0}
    qrels = {"found": {"a": 1}, "missing": {"a": 1}, "empty": {"a": 1}}
    measured = measure(qrels, {"found": {"a": 0.5}, "empty": {}, "unjudged": {"a": 1.0}})
    assert measured == {"found": dict.fromkeys(zeros, 1.0), "missing": zeros, "empty": zeros}


def test_all_at_10_by_hand():
    """Ranks 1 and 10 count, 1 and 11 do not; graded 0 is not relevant; ties are as in trec_eval."""
    ranked = {f"d{n:02}": 1.0 - n / 100 for n in range(12)}
    qrels = {
        "in": {"d00": 1, "d09": 2},
        "out": {"d00": 1, "d10": 1},
        "zero": {"d00": 1, "d11": 0},
        "none": {"d00": 0},
        "absent": {"d00": 1},
        "tied": {"d00": 1},
    }
    run = dict.fromkeys(("in", "out", "zero", "none"), ranked)
    run["tied"] = dict.fromkeys(ranked, 0.5)  # the last ids first: d11 to d02
    found = all_at_10(qrels, run)
    assert found == {"in": 1.0, "out": 0.0, "zero": 1.0, "none": 0.0, "absent": 0.0, "tied": 0.0}
