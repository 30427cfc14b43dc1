"""A release goes to a Hub over HTTP and comes back: the same vectors, nothing twice, no token in sight."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_hub import FakeHub

from search_r3 import fingerprint
from search_r3.errors import DataError
from search_r3.evaluation.results import Result, ThoughtStatistics, write_result
from search_r3.reporting.card import Release, read_training, render_card
from search_r3.reporting.publishing import require_committed

pytest.importorskip("mteb")

from mteb._hf_integration.eval_result_model import HFEvalResults

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "benchmarks" / "results" / "training" / "smollm2-135m-sft.json"
TOKEN = "hf_" + "s3cret" * 6
PUBLISH = """
import runpy, sys
from search_r3 import provenance
found = provenance.describe_environment()
provenance.describe_environment = lambda: {**found, "commit": "1" * 40, "dirty": DIRTY}
sys.argv = ["publish.py", *sys.argv[1:]]
runpy.run_path(PATH, run_name="__main__")
"""


@pytest.fixture
def hub():
    hub = FakeHub()
    yield hub
    hub.close()


@pytest.fixture
def results(tiny, tmp_path):
    """Result files of the tiny model in two arms, and of a baseline."""

    def write(model, arm, scores, print_of):
        thoughts = None if arm in (None, "never") else ThoughtStatistics(2.0, 2.0, 4, 0.5, 0.5, 0.0, 0.0)
        result = Result(
            task="CodeDoc",
            size="mini",
            data_hash="d" * 64,
            harness="mteb 2.26.24",
            model=model,
            fingerprint=print_of,
            arm=arm,
            config={"dtype": "float32", "max_reasoning_tokens": 8, "instructions": False},
            seed=0,
            per_query={"ndcg_at_10": {f"q{n}": score for n, score in enumerate(scores)}},
            thoughts=thoughts,
            tokens_per_query=9.0,
            seconds={"documents": 1.0, "queries": 1.0, "total": 2.0},
            environment={
                "commit": "1" * 40,
                "dirty": False,
                "hardware": {},
                "created": "2026-11-25T12:00:00+00:00",
            },
        )
        return write_result(result, tmp_path / "results")

    write("tiny", "never", [0.5, 0.6, 0.1, 0.4], fingerprint(tiny))
    write("tiny", "always", [0.6, 0.6, 0.2, 0.5], fingerprint(tiny))
    write("bm25", None, [0.9, 0.8, 0.7, 0.9], None)
    return tmp_path / "results"


def run(hub, tmp_path, program, *arguments, cwd=ROOT):
    """Run Python with the Hub's address and a token of its own; returns the process."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment, cwd=cwd, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def publish(hub, tmp_path, tiny_folder, results, *options, dirty=False, cwd=ROOT):
    program = PUBLISH.replace("DIRTY", str(dirty)).replace("PATH", repr(str(ROOT / "train" / "publish.py")))
    # Copies, so that it does not matter what the checkout has in no commit.
    kept, template = (shutil.copy(path, tmp_path) for path in (KEPT, ROOT / "model_cards" / "template.md"))
    shared = ("org/tiny", "--name", "tiny", "--model", tiny_folder, "--results", results)
    shared += ("--training", kept, "--template", template, "--base", "org/base")
    done = run(hub, tmp_path, program, *shared, *options, cwd=cwd)
    assert TOKEN not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_there_and_back(hub, results, tiny, tiny_folder, tmp_path):
    """Dry run, upload, the same again, download by id; the card's own snippets run on what came back."""
    dry = publish(hub, tmp_path, tiny_folder, results, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "nothing was uploaded" in dry.stdout and "model.safetensors" in dry.stdout
    assert not hub.repos

    done = publish(hub, tmp_path, tiny_folder, results)
    assert done.returncode == 0, done.stderr
    assert f"{hub.endpoint}/org/tiny/commit/" in done.stdout
    assert f"Bearer {TOKEN}" in hub.tokens
    files = hub.repos["org/tiny"]["main"]
    shown = re.findall(r"^ *[\d,]+  [0-9a-f]{12}  (.+)$", dry.stdout, re.MULTILINE)
    assert files.keys() == {*shown, "SHA256SUMS"}
    assert {"README.md", "LICENSE", "modeling_search_r3.py", ".eval_results/CodeDoc.yaml"} <= files.keys()
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)

    again = publish(hub, tmp_path, tiny_folder, results)
    assert again.returncode == 0, again.stderr
    assert len(hub.commits["org/tiny"]) == 1  # nothing had changed

    [entry] = HFEvalResults.model_validate(yaml.safe_load(files[".eval_results/CodeDoc.yaml"])).root
    assert entry.value == pytest.approx(100 * np.mean([0.6, 0.6, 0.2, 0.5]))
    assert (entry.dataset.id, entry.dataset.task_id) == ("search-r3/CodeDoc", "CodeDocMini")

    card = files["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "apache-2.0" and front["pipeline_tag"] == "sentence-similarity"
    assert "| smollm2-135m-sft | 370472b, 765123f | 0 | 295 |" in card  # two sittings
    assert "bm25 is better than both `never` and `always` on CodeDoc." in card
    assert "| always@8 | never | 1 | 4 | +0.075 |" in card
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 2 and 'SentenceTransformer("org/tiny", trust_remote_code=True)' in snippets[0]
    program = "\n".join(snippets) + (
        "\nimport json, sys\n"
        "texts = ['red sea', 'copy a folder']\n"
        "found = [model.encode_query(texts), model.encode_query(texts, reasoning='never'), "
        "model.encode_document(texts)]\n"
        "json.dump([one.tolist() for one in found], open(sys.argv[1], 'w'))\n"
        "assert 'search_r3' not in sys.modules\n"
    )
    loaded = run(hub, tmp_path, program, tmp_path / "vectors.json")
    assert loaded.returncode == 0, loaded.stderr
    texts = ["red sea", "copy a folder"]
    wanted = [
        tiny.encode_query(texts),
        tiny.encode_query(texts, reasoning="never"),
        tiny.encode_document(texts),
    ]
    for found, want in zip(json.loads((tmp_path / "vectors.json").read_text()), wanted, strict=True):
        np.testing.assert_allclose(found, want, atol=1e-5)

    request = publish(hub, tmp_path, tiny_folder, results, "--create-pr", "--direct")
    assert request.returncode == 0, request.stderr
    assert "discussions/1" in request.stdout
    changed = hub.repos["org/tiny"]["refs/pr/1"]
    assert "modeling_search_r3" not in changed["modules.json"].decode()
    assert "modeling_search_r3.py" not in changed  # of the release before
    assert "trust_remote_code" not in changed["README.md"].decode()
    [entry] = yaml.safe_load(changed[".eval_results/CodeDoc.yaml"])
    assert entry["value"] == pytest.approx(40)  # of the arm never
    assert len(hub.commits["org/tiny"]) == 1


@pytest.mark.slow
def test_what_is_refused(hub, results, tiny_folder, tmp_path):
    """Changes that are in no commit, a model without results, and one that was changed since."""
    dirty = publish(hub, tmp_path, tiny_folder, results, dirty=True)
    assert dirty.returncode == 1 and "uncommitted changes" in dirty.stderr
    unscored = publish(hub, tmp_path, tiny_folder, results, "--name", "other")
    assert unscored.returncode == 1 and "no results under this name" in unscored.stderr
    [path] = results.glob("*/tiny--never--mini.jsonl")
    path.write_text(re.sub(r'"fingerprint":"\w+"', f'"fingerprint":"{"0" * 64}"', path.read_text()))
    changed = publish(hub, tmp_path, tiny_folder, results)
    assert changed.returncode == 1 and "of another model" in changed.stderr
    path.unlink()
    [path] = results.glob("*/tiny--always*--mini.jsonl")
    path.write_text(path.read_text().replace('"max_reasoning_tokens":8', '"max_reasoning_tokens":9'))
    elsewhere = publish(hub, tmp_path, tiny_folder, results)
    assert elsewhere.returncode == 1 and "Got no result of mteb for tiny as it is" in elsewhere.stderr
    outside = publish(hub, tmp_path, tiny_folder, results, cwd=tmp_path)
    assert outside.returncode == 1
    assert "There is no LICENSE" in outside.stderr and "run the command in its top folder" in outside.stderr
    assert not hub.repos


def test_evidence_in_the_checkout_has_to_be_committed(tmp_path):
    """Results and logs do not make a checkout dirty, so they are looked at by themselves."""
    checkout = tmp_path / "checkout"
    evidence = checkout / "results" / "one.json"
    evidence.parent.mkdir(parents=True)
    evidence.write_text("{}")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path / "checkout")]
    subprocess.run([*git, "init", "-q"], check=True)
    with pytest.raises(DataError, match="uncommitted evidence, results/"):
        require_committed([evidence.parent], checkout)
    require_committed([tmp_path / "results of others"], checkout)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "evidence"], check=True)
    require_committed([evidence.parent], checkout)
    evidence.write_text("{ }")
    with pytest.raises(DataError, match=r"uncommitted evidence, results/one\.json"):
        require_committed([evidence], checkout)


def test_a_card_says_how_much_each_comparison_rests_on():
    """Thinking was run on one of two tasks: its line, and what is better than it, say so."""

    def result(task, model, arm, scores):
        return Result(
            task=task,
            size="mini",
            data_hash="d" * 64,
            harness="mteb 2.26.24",
            model=model,
            fingerprint=None,
            arm=arm,
            config={"dtype": "bfloat16", "max_reasoning_tokens": 8} if arm else {},
            seed=0,
            per_query={"ndcg_at_10": {f"q{n}": score for n, score in enumerate(scores)}},
            thoughts=None,
            tokens_per_query=None,
            seconds={},
            environment={"commit": "1" * 40, "dirty": False, "hardware": {}},
        )

    results = [
        result("One", "r3", "never", [0.5, 0.5]),
        result("Two", "r3", "never", [0.1, 0.2, 0.3]),
        result("One", "r3", "always", [0.6, 0.4]),
        result("One", "bm25", None, [0.9, 0.9]),
        result("Two", "bm25", None, [0.1, 0.2, 0.9]),
    ]
    template = (ROOT / "model_cards" / "template.md").read_text(encoding="utf-8")
    release = Release("org/r3", "r3", "org/base", 1, 96)
    card = render_card(template, release, results=results, training=[read_training(KEPT)])
    assert "### Size mini (2 tasks, 5 queries)" in card
    assert "| never | bm25 | 2 | 5 | -0.280 |" in card  # (0.4 + 0.4 + 0 + 0 + 0.6) / 5
    assert "| always@8 | bm25 | 1 | 2 | -0.400 |" in card
    assert "bm25 is better than both `never` and `always` on One, Two (`never` alone was run)." in card
    assert "precision: r3 bfloat16" in card


def test_sittings_and_dirty_checkouts_are_told(tmp_path):
    """A run in three sittings, two of them at one commit, one with changes in no commit."""
    kept = json.loads(KEPT.read_text())
    first = kept["run"][0]
    kept["run"] = [
        {**first, "environment": {**first["environment"], "commit": commit * 40, "dirty": dirty}}
        for commit, dirty in (("a", False), ("b", True), ("b", True))
    ]
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    assert read_training(tmp_path / "kept.json").commits == ("aaaaaaa", "bbbbbbb (dirty)")
