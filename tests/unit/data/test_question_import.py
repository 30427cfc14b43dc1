"""Questions in several hops: the three forms of files, the task, the hops, and the command."""

import gzip
import json
import sys

import pytest

from search_r3.cli import main
from search_r3.data.beir import read_beir
from search_r3.data.pairs import read_pairs
from search_r3.data.question_import import (
    MultihopQuestion,
    Passage,
    question_bridges,
    question_task,
    read_questions,
)
from search_r3.data.thought_records import read_thoughts
from search_r3.errors import DataError

SONG = Passage("The Song (1990)", "It was written by KEPLER in a day.")
LIFE = Passage("Kepler (musician)", "A musician born in Weil.")
SEA = Passage("Red Sea", "A sea.")
QUESTION = MultihopQuestion("1", "Where was the author of the song born?", (SONG, LIFE), (SEA,))

HOTPOT = {
    "_id": "1",
    "question": QUESTION.question,
    "context": [
        ["Red Sea", ["A sea."]],
        ["The Song (1990)", ["It was written by KEPLER", " in a day."]],
        ["Kepler (musician)", ["A musician ", "born in Weil."]],
    ],
    "supporting_facts": [["Kepler (musician)", 1], ["The Song (1990)", 0], ["The Song (1990)", 1]],
}
MUSIQUE = {
    "id": "1",
    "question": QUESTION.question,
    "paragraphs": [
        {"title": one.title, "paragraph_text": one.text, "is_supporting": one is not SEA}
        for one in (SONG, SEA, LIFE)
    ],
}
OWN = {
    "id": "1",
    "question": QUESTION.question,
    "hops": [{"title": one.title, "text": one.text} for one in (SONG, LIFE)],
    "others": [{"title": SEA.title, "text": SEA.text}],
}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "text", [json.dumps([HOTPOT]), lines(MUSIQUE), lines(OWN)], ids=["hotpotqa", "musique", "own"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_forms_give_the_same(tmp_path, text, packed):
    """HotpotQA's file, MuSiQue's, and lines of one's own, plain and packed."""
    path = tmp_path / ("q.json.gz" if packed else "q.json")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert read_questions(path) == [QUESTION]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps([HOTPOT, {**HOTPOT, "supporting_facts": []}]), "question 2: .*no supporting passage"),
        (json.dumps([HOTPOT, "x"]), "no list of objects"),
        ("[1, ", "Cannot read"),
        (lines({"question": "x"}), "question 1: KeyError.*Wanted the form of HotpotQA"),
        (lines({**OWN, "question": 5}), "question 1: .*5 where a text belongs"),
        (lines({**OWN, "question": " "}), "where a text belongs"),
        (lines({**OWN, "others": [{"title": "x", "text": None}]}), "None where a text belongs"),
        (lines(OWN, OWN), "the id '1' more than once"),
        ("", "holds no question"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    """The message names the question and says what is wanted."""
    path = tmp_path / "q.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_questions(path)


def test_the_task_has_each_text_once():
    """Two questions share a passage; those that a question takes are relevant to it."""
    other = MultihopQuestion("2", "What is red?", (SEA,), (SONG,))
    task = question_task([QUESTION, other])
    assert task.queries == {"1": QUESTION.question, "2": "What is red?"}
    assert list(task.corpus.values()) == [SONG.document, LIFE.document, SEA.document]
    assert task.qrels == {"1": {"p0": 1, "p1": 1}, "2": {"p2": 1}}


def test_hops_by_hand():
    """The name is written as the passage has it, without what tells titles apart."""
    [bridge] = question_bridges([QUESTION])
    assert (bridge.question, bridge.passage, bridge.name) == (QUESTION.question, SONG.document, "KEPLER")
    assert (bridge.target, bridge.others) == (LIFE.document, (SEA.document,))


def test_a_passage_without_a_title_leads_nowhere(tmp_path):
    """An absent title is none, and no name."""
    path = tmp_path / "q.jsonl"
    untitled = [{"text": "None of it is known."}, {"title": None, "text": "None."}]
    path.write_text(lines({**OWN, "hops": untitled, "others": []}), encoding="utf-8")
    [found] = read_questions(path)
    assert [passage.document for passage in found.supporting] == ["None of it is known.", "None."]
    assert question_bridges([found]) == []


def test_sentences_stay_apart(tmp_path):
    """As in 2WikiMultihopQA, whose sentences have no space between them."""
    path = tmp_path / "q.json"
    row = {**HOTPOT, "context": [["A", ["One.", "Two."]], ["B", ["Three."]]], "supporting_facts": [["A", 0]]}
    path.write_text(json.dumps([row]), encoding="utf-8")
    assert read_questions(path)[0].supporting == (Passage("A", "One. Two."),)


def test_a_name_beyond_what_is_read_is_no_hop():
    """It would be cut off: the model would be taught to write what it does not see."""
    far = Passage("The Song", "word " * 60 + "by KEPLER")
    assert question_bridges([MultihopQuestion("1", "Where?", (far, LIFE), ())]) == []
    near = Passage("The Song", "word " * 59 + "KEPLER")
    assert len(question_bridges([MultihopQuestion("1", "Where?", (near, LIFE), ())])) == 1


def test_what_the_question_names_is_no_hop():
    """Nor is a title of two letters, or one that no passage names."""
    named = MultihopQuestion("1", "Is Kepler the author of the song?", (SONG, LIFE), ())
    short = MultihopQuestion("1", "Who?", (Passage("A", "It is up to X."), Passage("it", "A word.")), ())
    assert question_bridges([named, short, MultihopQuestion("1", "Who?", (SEA, LIFE), ())]) == []


def run(*arguments):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["search-r3", "import-questions", *map(str, arguments)])
        main()
    return ended.value.code


def test_the_command(tmp_path, monkeypatch, capsys):
    """It writes the training set with its thoughts, or the task; of neither and both it says so."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    path = tmp_path / "q.jsonl"
    path.write_text(lines(OWN), encoding="utf-8")
    assert not run(path, "--source", "hops")
    assert "1 pairs" in " ".join(capsys.readouterr().out.split())
    assert not run(path, "--folder", tmp_path / "task")
    assert "1 questions, 3 passages" in " ".join(capsys.readouterr().out.split())
    [pair] = read_pairs(tmp_path / "data" / "training" / "hops.parquet")
    assert (pair.query, pair.positive, pair.source) == (QUESTION.question, LIFE.document, "hops")
    assert pair.negatives == (SONG.document, SEA.document)
    records = read_thoughts(tmp_path / "data" / "thoughts" / "hops.parquet")
    assert (records[0].query_id, records[0].thought) == (pair.query_id, "KEPLER")
    assert records[0].evidence == (SONG.document,)
    assert read_beir(tmp_path / "task").data_hash() == question_task([QUESTION]).data_hash()
    for options, message in (((), "neither of"), (("--source", "x", "--folder", tmp_path / "y"), "both of")):
        assert run(path, *options)
        assert f"{message} --source and --folder" in " ".join(capsys.readouterr().err.split())
    path.write_text(lines({**OWN, "hops": OWN["others"]}), encoding="utf-8")
    assert run(path, "--source", "none")
    assert not (tmp_path / "data" / "training" / "none.parquet").exists()
