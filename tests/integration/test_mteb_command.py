"""The evaluation's command line: `search-r3 mteb` and the benchmark scripts, on the tiny model."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from search_r3 import fingerprint
from search_r3.cli import main

mteb = pytest.importorskip("mteb")
pytest.importorskip("beir")

from search_r3.evaluation.mteb_tasks import retrieval_task  # noqa: E402
from search_r3.evaluation.results import read_results  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture
def search_r3(monkeypatch, capsys):
    """Run `search-r3 ...` in this process; returns (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["search-r3", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return call


@pytest.mark.filterwarnings("ignore")
def test_the_command_writes_mtebs_own_results(reference, search_r3, tiny_folder, tiny, built, tmp_path):
    """`search-r3 mteb` leaves a result in mteb's layout, which mteb reads, and prints score and path."""
    code, out, err = search_r3(
        *("mteb", "-m", tiny_folder, "-t", "CodeDocMini", "--arm", "never"),
        *("--output", tmp_path / "out"),
    )
    assert code == 0, err
    score = np.mean(list(reference(tiny, built, reasoning="never").values()))
    first, cost = out.splitlines()
    name, metric, printed, path = first.split()
    assert cost.startswith("  thought 0.0 tokens, finished by the model 0%; ")
    assert (name, metric) == ("CodeDocMini", "ndcg_at_10")
    assert float(printed) == pytest.approx(score, abs=1e-4)
    experiment = "instructions_False__max_reasoning_tokens_8__reasoning_never__seed_0"
    folder = (
        tmp_path / "out" / "results" / "local__tiny" / fingerprint(tiny)[:16] / "experiments" / experiment
    )
    assert Path(path) == folder / "CodeDocMini.json"
    stored = json.loads(Path(path).read_text())
    assert stored["scores"]["test"][0]["ndcg_at_10"] == float(printed)
    loaded = mteb.ResultCache(tmp_path / "out").load_results(
        models=["local/tiny"], tasks=[retrieval_task("CodeDocMini")], load_experiments="match_name"
    )
    assert loaded.model_results[0].task_results[0].get_score() == float(printed)


@pytest.mark.filterwarnings("ignore")
def test_the_command_measures_again_on_other_data(search_r3, tiny_folder, built, tmp_path):
    """A kept result is served again, with no cost; one that was measured on other data is not."""
    command = ("mteb", "-m", tiny_folder, "-t", "CodeDocMini", "--output", tmp_path / "out")
    _, out, _ = search_r3(*command)
    score, path = out.split()[2:4]
    _, again, _ = search_r3(*command)
    assert again.split()[2] == score
    assert "no cost was measured" in again
    kept = json.loads(Path(path).read_text())
    kept["dataset_revision"] = "of other data"
    kept["scores"]["test"][0].update(ndcg_at_10=0.99999, main_score=0.99999)
    Path(path).write_text(json.dumps(kept))
    _, anew, _ = search_r3(*command)
    assert anew.split()[2] == score
    assert "s per query" in anew


@pytest.mark.filterwarnings("ignore")
def test_errors_of_the_command(search_r3, tiny_folder, built, tmp_path, monkeypatch):
    """Wrong names, an official task offline, an empty cache and a missing mteb are one line each."""
    common = ("-m", tiny_folder, "--output", tmp_path / "out")
    for arguments, wanted_code, wanted in (
        (("-t", "SciFact"), 1, "error: The task SciFact needs the Hugging Face Hub (mteb/scifact)"),
        (("-t", "Nothing"), 2, "error: Got the task 'Nothing', wanted one of WikiTrivia"),
        (("-t", "CodeDocMini", "--overwrite-strategy", "x"), 2, "error: Got --overwrite-strategy x"),
        (("-t", "CodeDocMini", "--overwrite-strategy", "only-cache"), 1, "no results found in cache"),
    ):
        code, _, err = search_r3("mteb", *common, *arguments)
        assert code == wanted_code
        assert wanted in err
        assert len(err.strip().splitlines()) == 1
    code, _, err = search_r3("mteb", *common, "-t", "CodeDocMini", "--arm", "x")
    assert code == 2
    assert (
        "'x' is not one of 'never', 'always', 'auto', 'empty', 'echo', 'random', 'repeat', 'shuffled'" in err
    )
    monkeypatch.setitem(sys.modules, "mteb", None)
    for command in ("mteb", "evaluate"):
        code, _, err = search_r3(command, "-m", tiny_folder, "-t", "CodeDocMini")
        assert code == 1
        assert f"search-r3 {command} needs mteb" in err and "pip install 'search-r3[eval]'" in err


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """Run a benchmark script in this process; returns (exit code, stdout, stderr)."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")

    def call(name: str, *arguments: object) -> tuple[int, str, str]:
        rest = [*arguments, "--output", tmp_path / name, "--cache", tmp_path / "cache"]
        monkeypatch.setattr("sys.argv", [name, *map(str, rest)])
        with pytest.raises(SystemExit) as exit_info:
            runpy.run_path(str(ROOT / "benchmarks" / name), run_name="__main__")
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return call


@pytest.mark.parametrize("name", ["run_mteb.py", "run_beir.py"])
def test_a_script_without_network_ends_in_one_line(script, name):
    """An official task offline is one line on standard error that says the task needs the Hub."""
    code, out, err = script(name, "--model", "bm25", "--task", "SciFact")
    assert code == 1
    assert err.startswith("error: The task SciFact needs the Hugging Face Hub (mteb/scifact)")
    assert len(err.splitlines()) == 1
    assert out == ""


@pytest.mark.filterwarnings("ignore")
def test_each_harness_has_results_of_its_own(search_r3, built, tmp_path, monkeypatch):
    """Without --output they go below the current folder, those of BEIR apart from those of mteb."""
    monkeypatch.chdir(tmp_path)
    for harness, folder in (("mteb", "runs"), ("beir", "beir")):
        command = (
            "evaluate",
            "-m",
            "bm25",
            "-t",
            "CodeDocMini",
            "--harness",
            harness,
            "--cache",
            tmp_path / "c",
        )
        code, out, err = search_r3(*command)
        assert code == 0, err
        [result] = read_results(tmp_path / "benchmarks" / "results" / folder)
        assert (result.model, result.harness.split()[0]) == ("bm25", harness)
        assert out.split()[-1].startswith(f"benchmarks/results/{folder}/")


@pytest.mark.filterwarnings("ignore")
def test_both_scripts_write_the_same_scores(script, tiny_folder, built, tmp_path):
    """The scripts write one file per arm, with the same scores from mteb and from BEIR."""
    read = {}
    for name in ("run_mteb.py", "run_beir.py"):
        common = ("--task", "CodeDocMini", "--max-reasoning-tokens", 3, "--batch-size", 4, "--seed", 2)
        arms = ("--arm", "never", "--arm", "shuffled", "--arm", "always")
        assert script(name, "--model", tiny_folder, *common, *arms)[0] == 0
        code, out, _ = script(name, "--model", "bm25", *common)
        assert code == 0
        read[name] = {(result.model, result.arm): result for result in read_results(tmp_path / name)}
        bm25 = read[name]["bm25", None]
        score = f"{bm25.mean('ndcg_at_10'):.4f}"
        assert out.split()[:6] == ["CodeDocMini", "bm25", "-", "nDCG@10", score, "-"]
    ours, theirs = read["run_mteb.py"], read["run_beir.py"]
    assert ours.keys() == theirs.keys()
    assert ours.keys() == {("tiny", "never"), ("tiny", "shuffled"), ("tiny", "always"), ("bm25", None)}
    for key, result in ours.items():
        for measure_name, scores in result.per_query.items():
            assert theirs[key].per_query[measure_name] == pytest.approx(scores, abs=1e-4)
    assert {result.harness.split()[0] for result in ours.values()} == {"mteb"}
    assert {result.harness.split()[0] for result in theirs.values()} == {"beir"}
    shuffled = ours["tiny", "shuffled"]
    assert (shuffled.budget, shuffled.seed, shuffled.config["dtype"]) == (3, 2, "float32")
    assert shuffled.thoughts.mean_tokens == ours["tiny", "always"].thoughts.mean_tokens
