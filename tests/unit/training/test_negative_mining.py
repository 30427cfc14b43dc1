"""Mined negatives: what is written, what a run reads, what is not done twice and what is refused."""

import json
import sys
from dataclasses import replace

import pytest

from search_r3.cli import main
from search_r3.data.pairs import TrainingPair, read_pairs, write_pairs
from search_r3.errors import DataError, InvalidOptionError
from search_r3.training import negative_mining
from search_r3.training.negative_mining import mine_sources, read_mined, read_notes
from search_r3.training.sft_config import DataConfig
from search_r3.training.training_data import load_training_data

WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A training set of 60 pairs; every other one has a negative of its own."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    pairs = [
        TrainingPair(
            f"{WORDS[n % 12]} {n}",
            f"{WORDS[(n + n // 12) % 12]} {WORDS[n % 12]} {n}",
            ("given",) if n % 2 else (),
            "words",
            f"q{n}",
            f"d{n}",
        )
        for n in range(60)
    ]
    write_pairs(pairs, tmp_path / "data" / "training" / "words.parquet")
    return tmp_path


def mine(model, built, *, pairs=40, sources=("words",)):
    steps = []
    mine_sources(
        model, sources, built / "mined", pairs=pairs, max_tokens=32, batch_size=8, on_step=steps.append
    )
    return steps


def mined_pairs(built):
    notes = read_notes(built / "mined", ["words"])
    return read_mined(built / "mined", "words", notes, notes["words"]["source_hash"])


def test_negatives_are_wrong_documents_of_the_sample(fresh_tiny, built):
    """40 of the 60 pairs; negatives are others' positives, then the given ones; queries do not think."""
    mine(fresh_tiny, built)
    found = mined_pairs(built)
    every = {pair.query_id: pair for pair in read_pairs(built / "data" / "training" / "words.parquet")}
    assert len(found) == 40 and {pair.query_id for pair in found} < set(every)
    positives = {pair.positive for pair in found}
    mined = 0
    for pair in found:
        own = every[pair.query_id]
        assert (pair.query, pair.positive, pair.doc_id) == (own.query, own.positive, own.doc_id)
        new = [text for text in pair.negatives if text != "given"]
        assert pair.negatives == (*new, *own.negatives)
        assert set(new) <= positives - {pair.positive}
        mined += bool(new)
    assert mined > 20
    notes = json.loads((built / "mined" / "mined.json").read_text())
    assert notes["sources"]["words"]["pairs"] == 40
    assert fresh_tiny[0].reasoning == "never"


def test_negatives_are_the_nearest(fresh_tiny, built):
    """The five documents that the direct vectors rank first, below 95% of the positive's similarity."""
    mine(fresh_tiny, built, pairs=60)
    found = mined_pairs(built)
    texts = list(dict.fromkeys(pair.positive for pair in found))
    documents = fresh_tiny.encode_document(texts)
    queries = fresh_tiny.encode_query([pair.query for pair in found], reasoning="never")
    compared = 0
    for query, pair in zip(queries, found, strict=True):
        scores = dict(zip(texts, documents @ query, strict=True))
        limit = 0.95 * scores[pair.positive]
        nearest = sorted((text for text in texts if scores[text] < limit), key=scores.get, reverse=True)
        mined = [text for text in pair.negatives if text != "given"]
        if mined:
            # Equal but for the order of equals.
            assert [scores[text] for text in mined] == pytest.approx(
                [scores[text] for text in nearest[: len(mined)]], abs=1e-4
            )
            compared += 1
    assert compared > 20


def test_what_is_right_outside_of_the_sample_is_no_negative(fresh_tiny, built, monkeypatch):
    """A pair that is not in the sample says that a document of the sample is right for a query."""
    path = built / "data" / "training" / "words.parquet"
    every = read_pairs(path)
    monkeypatch.setattr(
        negative_mining,
        "mine_negatives",
        lambda chosen, model, **options: [replace(pair, negatives=("RIGHT too", "wrong")) for pair in chosen],
    )
    asked = every[0]
    extra = [replace(asked, query_id=f"extra{n}", positive="right too") for n in range(30)]
    write_pairs([*every, *extra], path)
    mine(fresh_tiny, built, pairs=80)
    found = {pair.query_id: pair for pair in mined_pairs(built)}
    assert any(key not in found for key in ("q0", *(pair.query_id for pair in extra)))
    for pair in found.values():
        mined = [text for text in pair.negatives if text != "given"]
        assert mined == (["wrong"] if pair.query == asked.query else ["RIGHT too", "wrong"])


def test_what_is_there_is_not_mined_again(fresh_tiny, built, monkeypatch):
    """A second call does nothing, unless the training set is another one. Other options are refused."""
    assert "with negatives" in mine(fresh_tiny, built)[0]
    monkeypatch.setattr(negative_mining, "mine_negatives", lambda *args, **options: pytest.fail("again"))
    assert mine(fresh_tiny, built) == ["words: mined before"]
    with pytest.raises(InvalidOptionError, match="mined with another pairs"):
        mine(fresh_tiny, built, pairs=30)
    monkeypatch.undo()
    monkeypatch.setenv("SEARCH_R3_DATA", str(built / "data"))
    path = built / "data" / "training" / "words.parquet"
    write_pairs(read_pairs(path)[1:], path)
    notes = read_notes(built / "mined", ["words"])
    with pytest.raises(DataError, match="another state of the training set words"):
        read_mined(built / "mined", "words", notes, "another")
    assert "with negatives" in mine(fresh_tiny, built)[0]
    write_pairs([], built / "mined" / "words.parquet")
    with pytest.raises(DataError, match="is not what was mined"):
        mined_pairs(built)


def test_a_run_trains_on_the_mined_pairs_alone(fresh_tiny, built):
    """But for those of the dev split, which is that of a run without them; its answers are no negatives."""
    mine(fresh_tiny, built)
    shared = {"sources": {"words": {"examples": 50, "negatives": 1}}, "dev_queries": 5, "dev_documents": 20}
    plain = load_training_data(DataConfig.model_validate(shared), 0)
    found = load_training_data(DataConfig.model_validate({**shared, "negatives": built / "mined"}), 0)
    dev = found.dev["words"]
    assert dev.data_hash() == plain.dev["words"].data_hash()
    mined = {pair.query: pair.negatives for pair in mined_pairs(built)}
    asked = {example.query for example in found.examples}
    assert asked == set(mined) - set(dev.queries.values())
    answers = {dev.corpus[key] for grades in dev.qrels.values() for key, grade in grades.items() if grade}
    assert answers & {text for texts in mined.values() for text in texts}  # else the next line says nothing
    for example in found.examples:
        wanted = [text for text in mined[example.query] if text not in answers]
        assert example.negatives == tuple(wanted[:1])
    assert set(found.hashes) == {"words", "words, mined"} and set(plain.hashes) == {"words"}


def test_what_is_not_there(fresh_tiny, built):
    """A source without a training set, a folder without negatives, or with none of this run's sources."""
    with pytest.raises(DataError, match=r"no training set .*others"):
        mine(fresh_tiny, built, sources=("others",))
    with pytest.raises(DataError, match="search-r3 mine"):
        read_notes(built / "nowhere", ["words"])
    mine(fresh_tiny, built)
    with pytest.raises(DataError, match="mined negatives of words, and of none of this run's sources"):
        read_notes(built / "mined", ["others"])


@pytest.mark.parametrize("by", ["source", "config"])
def test_the_command(tiny_folder, built, capsys, by):
    """It mines with a model folder the sources it is told, or those of a run, and says what it did."""
    config = built / "run.toml"
    config.write_text('output = "runs/x"\n[data.sources.words]\nexamples = 9\n', encoding="utf-8")
    sources = {"source": ["--source", "words"], "config": ["--config", str(config)]}
    arguments = ["search-r3", "mine", *sources[by], "--output", str(built / "mined")]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", [*arguments, "--model", str(tiny_folder), "--pairs", "40"])
        main()
    assert not ended.value.code
    shown = capsys.readouterr()
    assert "words: 40 pairs" in shown.err and str(built / "mined") in shown.out + shown.err
    assert len(mined_pairs(built)) == 40


@pytest.mark.parametrize("given", [[], ["--source", "words", "--config", "run.toml"]])
def test_the_command_wants_sources_or_a_run(built, capsys, given):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["search-r3", "mine", *given, "--output", str(built / "mined")])
        main()
    assert ended.value.code
    assert "wanted either" in " ".join(capsys.readouterr().err.split())
