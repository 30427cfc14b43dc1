"""The scripts beside the library: pairs of one's own, the shipped adapter, and the whole way on a toy set."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from search_r3.cli import main
from search_r3.data.beir import write_beir
from search_r3.data.pairs import TrainingPair, read_pairs, write_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import read_provenance, read_thoughts
from search_r3.errors import InvalidOptionError
from search_r3.evaluation.results import read_results
from search_r3.files import file_sha256
from search_r3.model import default as embedded_model
from search_r3.model.adapter import merge_adapter
from search_r3.model.default import load_model
from search_r3.model.golden import check_golden
from search_r3.training.distillation_config import DistillationConfig
from search_r3.training.lora import add_adapter
from search_r3.training.run_config import AdapterConfig
from search_r3.training.run_folder import read_log
from search_r3.training.sft_config import TrainingConfig

ROOT = Path(__file__).parents[2]


def import_pairs(folder, *lines):
    """Run the script on lines; returns the outcome."""
    (folder / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, ROOT / "train" / "import_pairs.py", folder / "pairs.jsonl", "--source", "mine"]
    environment = {**os.environ, "SEARCH_R3_DATA": str(folder / "data")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_pairs_of_ones_own_become_a_training_set(tmp_path):
    """Ids and negatives are kept; where there are no ids, equal texts have equal ones."""
    outcome = import_pairs(
        tmp_path,
        '{"query": "a", "positive": "A", "negatives": ["x", "y"], "query_id": "q1", "doc_id": "d1"}',
        "",
        '{"query": "ä", "positive": "B"}',
        '{"query": "c", "positive": "B"}',
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "3 pairs, 1 with negatives" in outcome.stdout
    first, second, third = read_pairs(tmp_path / "data" / "training" / "mine.parquet")
    assert first == TrainingPair("a", "A", ("x", "y"), "mine", "q1", "d1")
    assert (second.query, second.positive, second.negatives) == ("ä", "B", ())
    assert second.doc_id == third.doc_id and second.query_id != third.query_id


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not valid JSON"),
        ("[1]", "line 2: a JSON list and not an object"),
        ('{"query": "a"}', "line 2: no field 'positive'; wanted a string"),
        ('{"query": " ", "positive": "A"}', "line 2: got ' ' for query"),
        (
            '{"query": "a", "positive": "A", "negatives": [3]}',
            "field 'negatives[0]' is of type int",
        ),
        (
            '{"query": "a", "positive": "A", "negatives": "x y"}',
            "line 2: got 'x y' for negatives, wanted",
        ),
        ('{"query": "a", "positive": "A", "answer": "B"}', "line 2: got the keys ['answer']"),
        ('{"query": "a", "positive": "A"}', "line 2: the query_id"),
    ],
)
def test_lines_that_are_no_pairs_are_named(tmp_path, line, message):
    """Nothing is written, and the message says which line and why."""
    outcome = import_pairs(tmp_path, '{"query": "a", "positive": "A"}', line)
    assert outcome.returncode == 1
    assert message in outcome.stderr and "Traceback" not in outcome.stderr
    assert not (tmp_path / "data").exists()


def test_a_folder_in_beirs_format_becomes_a_training_set(tmp_path):
    """Every relevant document of a query is a pair, or the best few; documents of grade 0 are none."""
    corpus = {f"d{number}": f"text {number}" for number in range(4)}
    task = RetrievalTask({"q": "asked"}, corpus, {"q": {"d0": 1, "d1": 0, "d2": 2, "d3": 1}})
    write_beir(task, tmp_path / "task", split="train")
    command = [sys.executable, ROOT / "train" / "import_pairs.py", tmp_path / "task", "--source", "mine"]
    environment = {**os.environ, "SEARCH_R3_DATA": str(tmp_path / "data")}
    for most, wanted in ((), {"d0", "d2", "d3"}), (("--positives", "1"), {"d2"}):
        subprocess.run([*command, *most], check=True, env=environment, timeout=120)
        pairs = read_pairs(tmp_path / "data" / "training" / "mine.parquet")
        assert {pair.doc_id for pair in pairs} == wanted
        assert {(pair.query, pair.positive) for pair in pairs} == {("asked", corpus[key]) for key in wanted}


def test_thoughts_are_built_once_for_each_source_and_origin(tmp_path, tiny_folder, monkeypatch, capsys):
    """Two origins of one source, a third one added later; what is there is not built again."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    pairs = [
        TrainingPair(
            f"query {n}",
            f"{word} is what this long answer of several words is about",
            (),
            "mine",
            f"q{n}",
            f"d{n}",
        )
        for n, word in enumerate(["apple", "sea", "sun", "star", "book", "story"])
    ]
    write_pairs(pairs, tmp_path / "data" / "training" / "mine.parquet")
    output = tmp_path / "thoughts.parquet"

    def thoughts(*options):
        command = ["search-r3", "thoughts", "--source", "mine", "--output", output, "--queries", 4]
        command += ["--scorer", tiny_folder, "--model", tiny_folder, "--max-reasoning-tokens", 3, *options]
        monkeypatch.setattr(sys, "argv", [str(part) for part in command])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    assert "self" in thoughts("--origin", "self", "--samples", 2)
    first = read_thoughts(output)
    assert {record.origin for record in first} == {"self"} and len({one.query_id for one in first}) <= 4
    assert {record.source for record in first} == {"mine"}
    shown = thoughts("--origin", "self", "--origin", "teacher", "--samples", 1)
    records = read_thoughts(output)
    assert records[: len(first)] == first
    assert {record.origin for record in records[len(first) :]} == {"teacher"}
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [["mine", "self"], ["mine", "teacher"]]
    made = {name: json.loads(text)["arguments"] for name, text in read_provenance(output).items()}
    assert made.keys() == {"mine self", "mine teacher"}
    assert (made["mine self"]["samples"], made["mine teacher"]["samples"]) == ("2", "1")
    assert made["mine self"]["output"] == str(output)


def test_a_shipped_adapter_is_the_default_model(adapted_tiny, tiny_folder, tmp_path, monkeypatch):
    """Rounded to bfloat16, without the folder it was made in, and with golden vectors that hold."""
    monkeypatch.syspath_prepend(str(ROOT / "train"))
    from ship_adapter import ship

    model = adapted_tiny
    model.save(str(tmp_path / "run"), create_model_card=False)
    monkeypatch.setenv("SEARCH_R3_CACHE", str(tmp_path / "cache"))
    there = {"adapter": tmp_path / "shipped", "golden": tmp_path / "golden.safetensors"}
    for name, known in embedded_model.SHIPPED.items():
        monkeypatch.setitem(embedded_model.SHIPPED, name, replace(known, **there))
    bases = []

    def base_folder(name):
        bases.append(name)
        return tiny_folder

    monkeypatch.setattr(embedded_model, "embedded_base_folder", base_folder)
    with pytest.raises(InvalidOptionError, match="wanted one of gemma3-270m, smollm2-135m"):
        ship(tmp_path / "run", "gemma")
    ship(tmp_path / "run", "smollm2-135m")
    assert bases == ["smollm2-135m"]
    ship(tmp_path / "run")
    shipped = embedded_model.default_model()
    assert bases == ["smollm2-135m", "gemma3-270m"]
    texts = ["red apple", "the sea and the sun"]
    assert np.abs(shipped.encode_document(texts) - model.encode_document(texts)).max() < 0.02
    config = json.loads((tmp_path / "shipped" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] is None
    weights = load_file(tmp_path / "shipped" / "adapter_model.safetensors")
    assert {values.dtype for values in weights.values()} == {torch.bfloat16}
    assert check_golden(shipped, tmp_path / "golden.safetensors").passed

    reader = load_model(tiny_folder)
    add_adapter(reader, AdapterConfig(rank=2, train_embed_token=False))
    with torch.no_grad():
        for values in reader.parameters():
            if values.requires_grad:
                values.add_(0.1)
    reader.save(str(tmp_path / "reading"), create_model_card=False)
    ship(tmp_path / "reading", reading=True)
    reads, evidence = embedded_model.default_model(), [["a star"], ["the sky"]]
    assert (reads.encode_document(texts) == shipped.encode_document(texts)).all()
    found, before = (model.encode_query(texts, evidence=evidence) for model in (reads, shipped))
    assert np.abs(found - before).max() > 0.01
    assert check_golden(reads, tmp_path / "golden.safetensors").passed
    assert not check_golden(shipped, tmp_path / "golden.safetensors").passed


def test_the_mean_of_two_adapters(adapted_tiny, tiny_folder, tmp_path, monkeypatch):
    """A quarter of the way from the first to the second; only when the second was trained from the first."""
    monkeypatch.syspath_prepend(str(ROOT / "train"))
    from average_adapters import average

    first, second, output = tmp_path / "first", tmp_path / "run" / "adapter", tmp_path / "mean"
    adapted_tiny.save(str(first), create_model_card=False)
    shutil.copytree(first, second)
    weights = load_file(first / "adapter_model.safetensors")
    moved = {name: values + 0.4 for name, values in weights.items()}
    save_file(moved, second / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(InvalidOptionError, match=r"run.json says nothing"):
        average(first, second, output)
    metadata = second.parent / "run.json"
    metadata.write_text("[{}]", encoding="utf-8")
    with pytest.raises(InvalidOptionError, match=r"run.json says nothing .*start_hash"):
        average(first, second, output)
    facts = {
        "start_hash": "0" * 64,
        "base_fingerprint": "1" * 64,
        "thinking_examples": 0,
        "reading_examples": 0,
        "config": {
            "model": {"base": str(tiny_folder)},
            "data": {"max_thought_tokens": 7, "max_passage_tokens": 20, "max_evidence_tokens": 30},
        },
    }
    metadata.write_text(json.dumps([facts]), encoding="utf-8")
    with pytest.raises(InvalidOptionError, match="did not start from"):
        average(first, second, output)
    start = file_sha256(first / "adapter_model.safetensors")
    metadata.write_text(json.dumps([facts | {"start_hash": start}]), encoding="utf-8")
    average(first, second, output, weight=0.25)
    mean = load_file(output / "adapter" / "adapter_model.safetensors")
    assert mean.keys() == weights.keys()
    for name, values in mean.items():
        torch.testing.assert_close(values, weights[name] + 0.1)
    merged = merge_adapter(load_model(tiny_folder), output / "adapter")
    saved = load_model(output / "final")
    assert saved.reasoning_module.reasoning == "never"
    texts = ["red apple", "the sea and the sun"]
    np.testing.assert_allclose(saved.encode_document(texts), merged.encode_document(texts), atol=1e-6)
    assert np.abs(saved.encode_document(texts) - adapted_tiny.encode_document(texts)).max() > 1e-3
    written = json.loads((output / "run.json").read_text(encoding="utf-8"))[0]
    assert written["data_hashes"][str(first)] == start and written["config"]["weight"] == 0.25
    learnt = {"start_hash": start, "thinking_examples": 3, "reading_examples": 2}
    metadata.write_text(json.dumps([facts | learnt]), encoding="utf-8")
    average(first, second, tmp_path / "reader")
    reader = load_model(tmp_path / "reader" / "final").reasoning_module
    assert (reader.reasoning, reader.max_reasoning_tokens) == ("always", 7)
    assert (reader.max_passage_tokens, reader.max_evidence_tokens) == (20, 30)
    del moved[min(moved)]
    save_file(moved, second / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(InvalidOptionError, match="different layers or ranks"):
        average(first, second, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("file", "kind"), [("sweep", TrainingConfig), ("sweep-distillation", DistillationConfig)]
)
def test_points_of_the_sweep_differ_in_one_thing(monkeypatch, file, kind):
    """Every point is a run with one value of the base changed, in a folder of its own.

    A scale goes with its rank: alpha / rank is what multiplies the update.
    """
    monkeypatch.syspath_prepend(str(ROOT / "train"))
    from sweep import read_points

    path = ROOT / "train" / "configs" / "smollm2-135m" / f"{file}.toml"
    points = {name: config.model_dump() for name, config in read_points(path, kind).items()}
    assert len({config.pop("output") for config in points.values()}) == len(points) > 5
    for config in points.values():
        config["model"]["adapter"]["alpha"] /= config["model"]["adapter"]["rank"]
    base = leaves(points.pop("base"))
    for config in points.values():
        found = leaves(config)
        assert found.keys() == base.keys()
        assert sum(found[key] != base[key] for key in base) == 1


def leaves(settings, path=()):
    """Every value of nested tables, by its path."""
    found = {}
    for key, value in settings.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('output = "x"\n[data.sources.a]\nexamples = 1\n', "has no \\[points\\]"),
        ('output = "x"\n[points.one.loss]\ntemprature = 1.0\n', "The point one of .*temprature"),
        ("output = ", "Cannot read"),
    ],
)
def test_a_sweep_that_is_none(tmp_path, monkeypatch, text, message):
    """No points, unknown keys in one, or no TOML: an error that says so."""
    monkeypatch.syspath_prepend(str(ROOT / "train"))
    from sweep import read_points

    (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidOptionError, match=f"(?s){message}"):
        read_points(tmp_path / "sweep.toml")


PIECES = ("distillation", "contrastive", "contrastive-terms", "contrastive-domains", "mean")


@pytest.mark.slow
def test_the_whole_way_on_the_toy_set():
    """Pairs, thoughts, training and every arm, with the real LLM: it finds what it could not find before."""
    outcome = subprocess.run(
        [ROOT / "train" / "run_tiny.sh"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": str(os.cpu_count())},
        timeout=1200,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    results = {result.arm: result for result in read_results(ROOT / "runs" / "tiny" / "results")}
    assert set(results) == {"never", "always", "auto", "random", "repeat", "shuffled"}
    # 60 queries, 240 words: chance is 0.019, the untrained LLM is at 0.02 to 0.04.
    assert results["never"].mean("ndcg_at_10") > 0.2
    assert results["always"].mean("ndcg_at_10") > 0.2


@pytest.mark.slow
def test_the_reference_run_on_the_toy_set(tmp_path):
    """Distillation, contrast three times, the mean, with the real LLM; run again, it has nothing to do."""
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": str(os.cpu_count()),
        "SEARCH_R3_DATA": str(tmp_path / "data"),
    }
    runs = [ROOT / "runs" / f"tiny-reference-{piece}" for piece in PIECES]
    for folder in runs:
        shutil.rmtree(folder, ignore_errors=True)
    train = ROOT / "train"
    imports = [sys.executable, train / "import_pairs.py", train / "toy" / "pairs.jsonl", "--source", "toy"]
    reference = [train / "run_reference.sh", "--configs", "train/configs/tiny-reference", "--skip-data"]
    for command in (imports, reference, reference):
        outcome = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1200)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert not outcome.stdout  # of the second time
    # 20 queries among 100 documents: chance is 0.05. Seen of the first and the last: 0.28 and 0.35.
    for folder, least in ((runs[1], 0.15), (runs[2], 0.15), (runs[3], 0.2)):
        assert max(entry.get("eval_never_ndcg_at_10", 0) for entry in read_log(folder)) > least
    trained = runs[1:4]
    starts = [json.loads((folder / "run.json").read_text())[0]["start_hash"] for folder in trained]
    assert len(set(starts)) == 3 and None not in starts


def test_a_finished_point_is_kept_only_for_its_configuration(tmp_path, monkeypatch):
    """Its scores are read again without training; after a change of the file it is an error."""
    monkeypatch.syspath_prepend(str(ROOT / "train"))
    from sweep import read_points, run_point

    config = read_points(ROOT / "train" / "configs" / "smollm2-135m" / "sweep.toml")["base"]
    config = config.model_copy(update={"output": tmp_path})
    done = {"config": json.loads(config.model_dump_json()), "scores": {"never": 0.25}}
    (tmp_path / "scores.json").write_text(json.dumps(done), encoding="utf-8")
    assert run_point(config) == {"never": 0.25}
    with pytest.raises(InvalidOptionError, match="of another configuration"):
        run_point(config.model_copy(update={"seed": 1}))
