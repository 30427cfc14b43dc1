"""`search-r3 report` in a small checkout: what it writes, and what --check notices."""

import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from search_r3.cli.report_command import report
from search_r3.errors import DataError
from search_r3.evaluation.results import Result, ThoughtStatistics, write_result
from search_r3.reporting.project import BEGIN, END, MODELS, PICTURES

ROOT = Path(__file__).parents[3]
DEFAULT, THINKING = MODELS
CARD = f"model_cards/{THINKING}.md"
PIECES = [piece for pieces in MODELS.values() for piece in pieces]


def write_run(root, model, arm, score, size="mini", task="HPOLay"):
    thinks = arm in ("always", "shuffled")
    one = Result(
        task=task,
        size=size,
        data_hash="0123456789",
        harness="mteb 2.26.24",
        model=model,
        fingerprint=None,
        arm=arm,
        config={"dtype": "float32", **({"max_reasoning_tokens": 12} if thinks else {})},
        seed=0,
        per_query={"ndcg_at_10": {"a": score, "b": 0.5}},
        thoughts=ThoughtStatistics(3.0 * thinks, 3, 3, 1, 0, 0, 0) if arm else None,
        tokens_per_query=None if model == "bm25" else 20.0 + 4 * thinks,
        seconds={"queries": 1.0},
        environment={"commit": "abcdef0", "dirty": False, "created": "2026-01-01T00:00:00+00:00"},
    )
    return write_result(one, root / "benchmarks" / "results" / "runs")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A checkout with a few results, in which the command has written everything."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "README.md").write_text(f"head\n{BEGIN}\nold table\n{END}\ntail\n")
    kept = [f"training/{name}.json" for name in PIECES] + ["refresh/refresh.json"]
    for name in [
        "model_cards/template.md",
        "benchmarks/search_r3_models.py",
        *(f"benchmarks/results/{one}" for one in kept),
    ]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    scores = {"never": 0.4, "always": 0.6, "shuffled": 0.3}
    for arm, score in scores.items():
        write_run(root, THINKING, arm, score)
    write_run(root, DEFAULT, "never", 0.7, "full")
    for size in ("mini", "full"):
        write_run(root, "all-MiniLM-L6-v2", None, 0.2, size)
        write_run(root, "bm25", None, 0.1, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        done = call("--project")
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def checkout(written, tmp_path, monkeypatch):
    """A copy of it, in which the test runs."""
    shutil.copytree(written, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


def call(*options):
    app = typer.Typer()
    app.command()(report)
    return CliRunner().invoke(app, options)


def test_project_files_are_written(checkout):
    """README has its table between the markers, the cards their numbers, docs/assets the pictures."""
    head, table = (checkout / "README.md").read_text().split(BEGIN)
    assert head == "head\n" and table.endswith(f"{END}\ntail\n") and "old table" not in table
    assert "| mean of 1 real tasks, 2 queries |" in table
    assert "| **default model** | **0.600** | 20 |" in table  # (0.7 + 0.5) / 2
    assert "| BM25 | 0.300 | \N{EN DASH} |" in table
    card = (checkout / CARD).read_text()
    assert "license: apache-2.0" in card and "0.550" in card and "`always` does" in card
    direct = (checkout / f"model_cards/{DEFAULT}.md").read_text()
    assert "license: gemma" in direct and "subject to the Gemma Terms of Use" in direct
    assert "0.600" in direct and "always" not in direct and "think first" in direct
    assert "plain texts, teacher all-MiniLM-L6-v2 (30000)" in direct
    averaged = "The model has the mean of the last two adapters."
    assert averaged in direct and averaged not in card
    for name in PICTURES:
        drawn = (checkout / "benchmarks" / "results" / name).read_text()
        assert (checkout / "docs" / "assets" / Path(name).name).read_text() == drawn
        assert len(drawn) < 60_000
    assert call("--project", "--check").exit_code == 0


def test_check_notices_what_is_out_of_date(checkout):
    """Every text and picture that differs is named, no other is, and nothing is written."""
    changes = {
        "README.md": ("**0.600**", "**0.601**"),
        CARD: ("0.550", "0.551"),
        "benchmarks/results/report.md": ("0.550", "0.551"),
        "benchmarks/results/report.html": ("0.550", "0.551"),
        "docs/assets/quality-by-task-mini.svg": ("<path ", "<path  "),
        "benchmarks/results/training/smollm2-135m-sft.svg": ("<path ", "<path  "),
    }
    changed = {}
    for name, (old, new) in changes.items():
        text = (checkout / name).read_text()
        changed[name] = text.replace(old, new, 1)
        assert changed[name] != text
        (checkout / name).write_text(changed[name])
    found = call("--project", "--check")
    assert found.exit_code == 1
    named = found.stderr.removeprefix("out of date: ").partition(";")[0].split(", ")
    assert {str(Path(name).resolve()) for name in named} == {str(checkout / name) for name in changes}
    assert {name: (checkout / name).read_text() for name in changes} == changed


def test_check_needs_what_is_committed_and_no_more(checkout):
    """Pictures of the documentation must exist; what every run of the command makes again need not."""
    results = checkout / "benchmarks" / "results"
    for path in [*results.rglob("*.svg"), results / "report.html"]:
        path.unlink()
    assert call("--project", "--check").exit_code == 0
    assert not list(results.rglob("*.svg"))
    (checkout / "docs" / "assets" / "refresh.svg").unlink()
    found = call("--project", "--check")
    assert found.exit_code == 1 and "refresh.svg" in found.stderr


def test_check_notices_a_new_result(checkout):
    """A result that changed makes tables, card and pictures out of date."""
    write_run(checkout, THINKING, "always", 0.8)
    write_run(checkout, DEFAULT, "never", 0.8, "full")
    found = call("--project", "--check")
    for name in ("README.md", CARD, "report.md", "docs/assets/quality-by-task-mini.svg"):
        assert name in found.stderr


def test_readme_counts_the_tasks_that_all_rows_have(checkout):
    """A task that one of them lacks is left out of the means, the queries and the provenance."""
    write_run(checkout, "bm25", None, 0.9, "full", task="WikiTrivia")
    assert call("--project").exit_code == 0
    table = (checkout / "README.md").read_text()
    assert "| mean of 1 real tasks, 2 queries |" in table and "| BM25 | 0.300 |" in table
    assert "WikiTrivia" not in table


def test_check_renders_the_page(checkout):
    """A page that cannot be rendered fails the check, though it is not committed."""
    (checkout / "benchmarks" / "results" / "queries.json").write_text("{")
    with pytest.raises(DataError, match=r"queries\.json"):
        raise call("--project", "--check").exception


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("README.md", r"no README\.md;"),
        ("model_cards/template.md", r"no model_cards/template\.md;"),
        (
            f"benchmarks/results/training/{PIECES[0]}.json",
            rf"no benchmarks/results/training/{PIECES[0]}\.json;",
        ),
    ],
)
def test_other_folders_are_refused(checkout, name, message):
    """Outside of a checkout --project says what is missing."""
    (checkout / name).unlink()
    with pytest.raises(DataError, match=message):
        raise call("--project").exception


def test_readme_without_markers_is_refused(checkout):
    """The table needs to know where it belongs."""
    (checkout / "README.md").write_text(f"head\n{BEGIN}\n")
    with pytest.raises(DataError, match=rf"no {END} in README\.md"):
        raise call("--project").exception
    assert call("--check").exit_code == 0  # which does not look at README
