import json
import os
import re
import subprocess
import sys
from statistics import fmean

import pytest

from search_r3.demo.stdlib_corpus import collect_functions, demo_task
from search_r3.retrieval.bm25 import bm25_run
from search_r3.retrieval.metrics import ndcg_at_10
from search_r3.text import join_title


@pytest.fixture(scope="module")
def functions():
    return collect_functions()


@pytest.fixture(scope="module")
def task():
    return demo_task()


def test_a_few_hundred_functions_with_unique_names_and_texts(functions):
    assert 250 <= len(functions) <= 500
    assert len({function.name for function in functions}) == len(functions)
    assert len({(function.summary, function.details) for function in functions}) == len(functions)


def test_parts_of_a_python_function(functions):
    [copytree] = [function for function in functions if function.name == "shutil.copytree"]
    assert copytree.signature.startswith("(src, dst, symlinks=False")
    assert copytree.summary == "Recursively copy a directory tree and return the destination directory."
    assert copytree.details.startswith("If exception(s) occur, an Error is raised")
    assert copytree.details.endswith(" ...")  # its docstring is longer than 600 characters


def test_parts_of_a_c_function_with_the_signature_in_its_docstring(functions):
    [hypot] = [function for function in functions if function.name == "math.hypot"]
    assert hypot.signature.startswith("(*coordinates)")
    assert hypot.summary.startswith("Multidimensional Euclidean distance from the origin to a point.")


def test_parts_are_clean(functions):
    for function in functions:
        assert not any(part.startswith("_") for part in function.name.split(".")), function.name
        assert function.signature == "" or function.signature.startswith("("), function
        assert " at 0x" not in function.signature, function
        assert function.summary, function
        assert len(function.details) <= 600
        assert "\n" not in function.signature, function
        for part in (function.summary, function.details):
            assert part == " ".join(part.split()), function


def test_aliases_count_once(functions):
    names = {function.name for function in functions}
    # bisect.bisect is bisect.bisect_right, and random.shuffle is Random.shuffle of an instance.
    assert len(names & {"bisect.bisect", "bisect.bisect_right"}) == 1
    assert len(names & {"random.shuffle", "random.Random.shuffle"}) == 1


def test_about_60_queries_each_with_one_document(task):
    assert 50 <= len(task.queries) <= 60
    assert task.queries.keys() == task.qrels.keys()
    for grades in task.qrels.values():
        [(doc_id, grade)] = grades.items()
        assert doc_id in task.corpus
        assert grade == 1
    assert len({doc_id for grades in task.qrels.values() for doc_id in grades}) == len(task.queries)
    assert not task.queries.keys() & task.corpus.keys()
    assert len(set(task.queries.values())) == len(task.queries)
    assert len(set(task.corpus.values())) == len(task.corpus)


def test_no_query_occurs_in_any_document(task):
    texts = [text.casefold() for text in task.corpus.values()]
    for query in task.queries.values():
        assert not any(query.casefold().rstrip(".") in text for text in texts), query


def test_queries_are_useful_and_not_trivial(task):
    for query_id, query in task.queries.items():
        [name] = task.qrels[query_id]
        assert len(query.split()) >= 5
        bare_name = name.split(".")[-1].casefold()
        assert bare_name not in re.findall(r"\w+", query.casefold())


def test_documents_hold_the_parts_in_order(functions, task):
    held_out = {doc_id for grades in task.qrels.values() for doc_id in grades}
    assert list(task.corpus) == [function.name for function in functions]
    for function in functions:
        lines = [function.name + function.signature, function.summary, function.details]
        if function.name in held_out:
            del lines[1]
            assert len(function.details.split()) >= 12
        assert task.corpus[function.name] == "\n".join(line for line in lines if line)


def test_documents_are_texts_as_an_index_reads_them(task):
    """The demo does not go through a reader: its documents have no outer whitespace to begin with."""
    assert {key: join_title(None, text) for key, text in task.corpus.items()} == task.corpus


def test_queries_come_from_many_modules(task):
    modules = [next(iter(grades)).split(".")[0] for grades in task.qrels.values()]
    assert len(set(modules)) >= 12
    assert max(map(modules.count, modules)) <= 15


def test_same_in_every_call_and_every_process(task):
    assert demo_task() == task
    script = (
        "import json, sys, search_r3.demo.stdlib_corpus as s; t = s.demo_task(); "
        "json.dump([list(t.corpus.items()), list(t.queries.items()), list(t.qrels.items())], sys.stdout)"
    )
    wanted = [[list(item) for item in part.items()] for part in (task.corpus, task.queries, task.qrels)]
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, env=environment, check=True
        )
        assert json.loads(done.stdout) == wanted
        assert done.stderr == b""


def test_words_alone_find_some_documents_but_not_all(task):
    # A task that BM25 solves, or that has nothing to do with the words, would show nothing.
    assert 0.2 < fmean(ndcg_at_10(task.qrels, bm25_run(task.corpus, task.queries)).values()) < 0.8
