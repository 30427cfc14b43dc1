import subprocess
import sys

import pytest

from search_r3.errors import InvalidOptionError
from search_r3.retrieval.bm25 import BM25Index, bm25_run

CORPUS = {"a": "red apple", "b": "red red", "c": "green pear"}


def test_scores_and_order_by_hand():
    # All documents have the mean length, so a word found tf times in a document scores idf * tf / (1.5 + tf),
    # with idf = ln(1 + (N - df + 0.5) / (df + 0.5)), N = 3:
    #   "red" in 2 documents:  ln(1 + 1.5/2.5) = 0.470004; a: * 1/2.5 = 0.188001, b: * 2/3.5 = 0.268574
    #   "pear" in 1 document:  ln(1 + 2.5/1.5) = 0.980829; c: * 1/2.5 = 0.392332
    run = bm25_run(CORPUS, {"q": "Red pear"})
    assert list(run["q"].items()) == [
        ("c", pytest.approx(0.392332, abs=1e-5)),
        ("b", pytest.approx(0.268574, abs=1e-5)),
        ("a", pytest.approx(0.188001, abs=1e-5)),
    ]
    assert all(type(score) is float for score in run["q"].values())


def test_shorter_document_scores_higher():
    # Mean length 2; the divisor is 1.5 * (0.25 + 0.75 * length/2) + 1: 1.9375 for 1 word, 3.0625 for 3 words.
    # idf = ln(1 + 0.5/2.5) = 0.182322
    run = bm25_run({"long": "apple pie crust", "short": "apple"}, {"q": "apple"})
    assert list(run["q"].items()) == [
        ("short", pytest.approx(0.182322 / 1.9375, abs=1e-5)),
        ("long", pytest.approx(0.182322 / 3.0625, abs=1e-5)),
    ]


def test_documents_without_a_word_of_the_query_are_left_out():
    assert bm25_run(CORPUS, {"q": "pear"}).keys() == {"q"}
    assert list(bm25_run(CORPUS, {"q": "pear"})["q"]) == ["c"]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "?!", "zebra"])
def test_query_without_a_word_to_find_has_no_documents(query):
    run = bm25_run(CORPUS, {"before": "pear", "q": query, "after": "apple"})
    assert run["q"] == {}
    assert (list(run["before"]), list(run["after"])) == (["c"], ["a"])


def test_k_limits_the_documents_and_equal_scores_keep_the_corpus_order():
    corpus = {f"d{number}": "same words here" for number in range(50)} | {"best": "same same words"}
    run = bm25_run(corpus, {"q": "same"}, k=3)
    assert list(run["q"]) == ["best", "d0", "d1"]
    assert len(bm25_run(corpus, {"q": "same"}, k=1000)["q"]) == 51


@pytest.mark.parametrize("corpus", [{}, {"a": ""}, {"a": "the", "b": "of"}])
def test_corpus_without_words(corpus):
    assert bm25_run(corpus, {"q": "apple", "r": ""}) == {"q": {}, "r": {}}


def test_empty_document_among_others_and_no_queries():
    assert list(bm25_run({"a": "", "b": "apple"}, {"q": "apple"})["q"]) == ["b"]
    assert bm25_run(CORPUS, {}) == {}


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1_raises(k):
    with pytest.raises(InvalidOptionError, match=f"k={k}"):
        bm25_run(CORPUS, {"q": "apple"}, k=k)


def test_silent_and_root_logging_unchanged():
    # In a fresh process, as the import of bm25s is what sets levels, with a handler that prints all it gets.
    script = """
import logging, sys, warnings
warnings.simplefilter("always")
logging.basicConfig(level=logging.WARNING)
root = logging.getLogger()
before = (root.level, list(root.handlers), root.disabled, logging.root.manager.disable)
import search_r3.retrieval.bm25
assert "bm25s" not in sys.modules
search_r3.retrieval.bm25.bm25_run({"a": "red apple"}, {"q": "apple", "empty": "", "stop": "the"})
assert "bm25s" in sys.modules
assert (root.level, list(root.handlers), root.disabled, logging.root.manager.disable) == before
assert logging.getLogger("bm25s").handlers == []
assert logging.getLogger("bm25s").getEffectiveLevel() == logging.WARNING
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_level_set_by_the_application_is_kept():
    script = """
import logging
logging.getLogger("bm25s").setLevel(logging.ERROR)
import search_r3.retrieval.bm25
search_r3.retrieval.bm25.bm25_run({"a": "apple"}, {"q": "apple"})
assert logging.getLogger("bm25s").level == logging.ERROR
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_index_serves_several_searches():
    """Searching an index twice gives what two runs over the corpus give."""
    corpus = {"a": "red apple tree", "b": "blue sea", "c": ""}
    index = BM25Index(corpus)
    for queries in ({"q": "apple"}, {"q": "sea", "r": "tree"}, {}):
        assert index.search(queries, k=2) == bm25_run(corpus, queries, k=2)
    assert list(index.search({"q": "apple"})["q"]) == ["a"]
