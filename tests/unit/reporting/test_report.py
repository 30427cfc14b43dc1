import re
import subprocess
import sys
from pathlib import Path

import pytest

from search_r3.errors import DataError
from search_r3.evaluation.results import Result, ThoughtStatistics, write_result
from search_r3.reporting.plots import (
    Difference,
    Series,
    differences_by_task,
    quality_against_tokens,
    quality_by_task,
    show_the_same,
    to_svg,
)
from search_r3.reporting.report import page_template
from search_r3.reporting.tables import collect, compare_rows, quality_table, render, without_sweep

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "report.py"


def result(task, arm, scores, **changes):
    """A result of the queries q0, q1, ... with these nDCG values."""
    thinks = arm not in (None, "never", "empty")
    values = {
        "task": task,
        "size": "mini",
        "data_hash": f"{task}-0123456789",
        "harness": "mteb 2.26.24",
        "model": "bm25" if arm is None else "r3",
        "fingerprint": None,
        "arm": arm,
        "config": {"max_reasoning_tokens": 32} if thinks else {},
        "seed": 0,
        "per_query": {"ndcg_at_10": {f"q{place}": score for place, score in enumerate(scores)}},
        "thoughts": None if arm is None else ThoughtStatistics(8.0 * thinks, 8, 8, 0.75, 0.25, 0, 0),
        "tokens_per_query": None if arm is None else 12.0 + 8.0 * thinks,
        "seconds": {"queries": 3.0},
        "environment": {"commit": "abcdef0123", "dirty": False, "hardware": {"cpu": "CPU", "cores": 2}},
    }
    return Result(**{**values, **changes})


def three():
    return [
        result("One", "always", [0.5, 1.0]),  # mean 0.75
        result("One", None, [0.5, 0.0], environment={"commit": "fedcba987", "dirty": True}),  # mean 0.25
        result("Two", "always", [0.2, 0.3, 0.4]),  # mean 0.3; both tasks (0.75 + 0.3) / 2 = 0.525
    ]


def line_of(table, *cells):
    """The cells of the only line that begins with these."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    (found,) = [line for line in lines if tuple(line[: len(cells)]) == cells]
    return found


def test_known_numbers_stand_in_known_cells():
    """Means by task, mean of means, cost; the best is bold; what is missing is a dash."""
    (rows,) = collect(three()).values()
    table = quality_table(rows)
    assert line_of(table, "model")[2:5] == ["One", "Two", "mean"]
    # (3 s / 2 queries + 3 s / 3 queries) / 2 tasks = 1.25 s
    assert line_of(table, "r3", "always@32")[2:] == [
        *("**0.750**", "**0.300**", "**0.525**"),
        *("20.0", "8.0", "0.75", "1.250"),
    ]
    assert line_of(table, "bm25")[1:] == ["\N{EN DASH}", "0.250", *["\N{EN DASH}"] * 6]


def test_bold_is_the_best_as_shown():
    """The larger number is bold in its own column; numbers that look alike are both bold."""
    runs = [result("One", "never", [0.3001]), result("One", "always", [0.3002]), result("One", None, [0.2])]
    runs += [result("Two", "never", [0.1]), result("Two", "always", [0.2]), result("Two", None, [0.4])]
    (rows,) = collect(runs).values()
    table = quality_table(rows)
    assert line_of(table, "r3", "never")[2:5] == ["**0.300**", "0.100", "0.200"]
    assert line_of(table, "r3", "always@32")[2:5] == ["**0.300**", "0.200", "0.250"]
    assert line_of(table, "bm25")[2:5] == ["0.200", "**0.400**", "**0.300**"]


def test_comparisons_are_the_promised_ones():
    """Arms against `never`, controls against `always` of the same budget; by task and pooled by query."""
    runs = [result("One", "never", [0.0, 0.0]), result("Two", "never", [0.0, 0.0, 0.0])]
    runs += [*three(), result("One", "random", [0.5, 0.0])]
    other = {"max_reasoning_tokens": 64}
    runs += [result("One", "always", [0.0, 0.0], config=other)]
    (rows,) = collect(runs).values()
    found = {
        (line.row.arm_label, line.baseline.arm_label, line.task): line.comparison
        for line in compare_rows(rows)
        if line.baseline.model == "r3"
    }
    assert found.keys() == {
        ("always@32", "never", "One"),
        ("always@32", "never", "Two"),
        ("always@32", "never", None),
        ("always@64", "never", "One"),
        ("random@32", "never", "One"),
        ("random@32", "always@32", "One"),
    }
    # Pooled: (0.5 + 1 + 0.2 + 0.3 + 0.4) / 5 queries = 0.48; all five won: p = 2 / 2^5.
    pooled = found["always@32", "never", None]
    assert (pooled.difference, pooled.p_value) == pytest.approx((0.48, 0.0625))
    assert (pooled.queries, pooled.wins) == (5, 5)
    assert found["random@32", "always@32", "One"].difference == pytest.approx(-0.5)


def test_report_holds_adjusted_values_and_provenance():
    """Each table has its sources below it; p-values are adjusted over all comparisons of all sizes."""
    runs = [*three(), result("One", "never", [0.0, 0.0]), result("One", "never", [0.0, 0.0], size="full")]
    runs += [result("One", "always", [0.0, 0.0], size="full")]
    text = render(runs)
    # p: mini 2/4 = 0.5, full 1. Benjamini-Yekutieli of (0.5, 1): 0.5 * 2 * 1.5 = 1.5, at most 1.
    assert line_of(text, "r3", "always@32", "never", "One", "+0.750")[6:] == ["0.5000", "1.0000", "2/0/0"]
    assert line_of(text, "r3", "always@32", "never", "One", "+0.000")[5:] == [
        *("[+0.000, +0.000]", "1.0000", "1.0000", "0/2/0")
    ]
    assert text.count("\n\nFrom ") == 4
    assert (
        "From 4 result files; commits: abcdef0, fedcba9; 1 of them from a dirty checkout; seeds: 0; "
        "data: One One-0123, Two Two-0123; harness: mteb 2.26.24; precision: unknown; "
        "hardware: CPU x 2, unknown x ?."
    ) in text
    assert render(list(reversed(runs))) == text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1, "data_hash": "new"}, "different data hashes for .*One"),
        ({"seed": 1, "fingerprint": "new"}, "different fingerprints for r3"),
        ({"harness": "mteb 2.27.0"}, "different settings for r3: mteb 2.26.24, .* and mteb 2.27.0"),
        ({}, r"two results of r3 always@32 on One \(mteb 2.26.24 and mteb 2.26.24\)"),
    ],
)
def test_results_that_do_not_belong_together_are_refused(changes, message):
    """Other data, another model of the same name, or a second result for one cell is an error."""
    with pytest.raises(DataError, match=message):
        collect([*three(), result("One", "always", [0.5, 1.0], **changes)])


def test_plots_show_the_numbers_and_are_the_same_every_time(tmp_path):
    """Points and bars are where the numbers say; the same text twice."""
    series = [
        Series("bm25", None, "bm25", {"One": 0.25}, 0.25, None),
        Series("r3", "always", "r3 always@32", {"One": 0.75, "Two": 0.3}, 0.525, 20.0),
        Series("r3", "never", "r3 never", {"Two": 0.1}, None, None),
    ]
    axes = quality_against_tokens(series).axes[0]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines] == [
        ([0, 1], [0.25, 0.25]),
        ([20.0], [0.525]),
    ]
    bars = quality_by_task(series).axes[0]
    assert [bar.get_height() for bar in bars.patches] == [0.25, 0.75, 0.3, 0.1]
    assert [label.get_text() for label in bars.get_xticklabels()] == ["One", "Two"]
    assert quality_against_tokens(series).axes[1].get_ylim()[0] > 0.25  # drawn larger: without the worse half
    for draw in (quality_against_tokens, quality_by_task):
        assert to_svg(draw(series)) == to_svg(draw(series))


def test_pictures_are_compared_by_text_or_by_numbers():
    """Of one version of matplotlib the text counts, of two versions the numbers that are shown."""
    now, later = (
        to_svg(quality_by_task([Series("r3", "never", "r3 never", {"One": score}, None, None)]))
        for score in (0.5, 0.501)
    )
    moved = now.replace("<path ", "<path  ", 1)
    assert moved != now
    assert show_the_same(now, now)
    assert not show_the_same(now, later)
    assert not show_the_same(now, moved)
    other = re.sub(r"<dc:title>Matplotlib v[^,]*", "<dc:title>Matplotlib v0.1", now)
    assert other != now
    assert show_the_same(other.replace("<path ", "<path  ", 1), now)
    assert not show_the_same(other, later)
    assert not show_the_same("<svg/>", now)


def test_a_sweep_of_budgets_is_a_line_with_its_budgets():
    """Thoughts of one model are joined in the order of their cost; on the right the budgets stand beside."""
    series = [
        Series("r3", "always", f"r3 always@{budget}", {"One": mean}, mean, tokens, budget)
        for budget, mean, tokens in ((32, 0.6, 30.0), (8, 0.5, 20.0))
    ]
    left, right = quality_against_tokens(series).axes
    for axes in (left, right):
        assert ([20.0, 30.0], [0.5, 0.6]) in [(list(x.get_xdata()), list(x.get_ydata())) for x in axes.lines]
    assert not left.texts
    assert [(text.get_text(), text.xy) for text in right.texts] == [("8", (20.0, 0.5)), ("32", (30.0, 0.6))]


def test_rows_without_the_sweep_have_one_budget():
    """The one that other arms have too; a model with no other arms keeps all its budgets."""
    swept = [result("One", "always", [0.5], config={"max_reasoning_tokens": one}) for one in (8, 32, 64)]
    rest = [result("One", arm, [0.5]) for arm in (None, "never", "shuffled")]
    rows = collect([*swept, *rest])["mini"]
    assert [row.arm_label for row in without_sweep(rows)] == ["\u2013", "never", "always@32", "shuffled@32"]
    for others in (rest[:2], [*rest[:2], result("One", "empty", [0.5])]):  # which has no budget
        alone = collect([*swept, *others])["mini"]
        assert without_sweep(alone) == alone


def test_differences_stand_where_the_numbers_say():
    """A panel for each task, a line for each arm, the interval as wide as it is."""
    figure = differences_by_task(
        [
            Difference("always", "always@12", "all queries", 0.02, 0.01, 0.05),
            Difference("random", "random@12", "all queries", -0.03, -0.04, -0.01),
            Difference("always", "always@12", "One", 0.1, -0.1, 0.2),
        ]
    )
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["all queries", "One"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["always@12", "random@12"]

    def intervals(axes):
        return [
            [round(float(x), 6) for x in bar.get_segments()[0][:, 0]]
            for container in axes.containers
            for bar in container.lines[2]
        ]

    assert intervals(first) == [[0.01, 0.05], [-0.04, -0.01]]
    assert intervals(second) == [[-0.1, 0.2]]


def run_script(tmp_path, *options):
    folders = ("--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "out"))
    command = [sys.executable, str(SCRIPT), *folders, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_script_writes_the_report(tmp_path):
    """The script writes tables and plots; without results it says so and fails."""
    failed = run_script(tmp_path)
    assert failed.returncode == 1
    assert "no result file" in failed.stderr
    assert "Traceback" not in failed.stderr
    runs = [*three(), result("One", "never", [0.5, 0.5])]
    for one in runs:
        write_result(one, tmp_path / "runs")
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "differences-mini-r3.svg",
        "quality-by-task-mini.svg",
        "report.html",
        "report.md",
    ]
    assert (tmp_path / "out" / "report.md").read_text(encoding="utf-8") == render(runs)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") == 2 and "<td>always@32</td>" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # needs no other file
    assert run_script(tmp_path, "--check").returncode == 0
    (tmp_path / "out" / "report.md").write_text("old")
    stale = run_script(tmp_path, "--check")
    assert stale.returncode == 1 and "report.md" in stale.stderr
    assert (tmp_path / "out" / "report.md").read_text() == "old"


@pytest.mark.slow
def test_the_projects_report_card_and_readme_are_up_to_date():
    """The repository's texts and pictures are those that `report --project` makes of its result files."""
    command = [sys.executable, str(SCRIPT), "--project", "--check"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, cwd=SCRIPT.parents[1], check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_shows_queries_and_escapes_them():
    """Text of a corpus is text: no markup of it reaches the page."""
    from search_r3.reporting.page import Plot, render_page

    hits = [{"text": "<script>alert(1)</script>", "relevant": True}, {"text": "other", "relevant": False}]
    query = {
        "query": "a <b>query</b>",
        "task": "One",
        "thoughts": [{"model": "this model", "text": '"red" & <i>', "tokens": 3}],
        "never": {"ndcg": 0.5, "rank": 2, "hits": hits},
        "always": {"ndcg": 1.0, "rank": 1, "hits": hits},
    }
    template = page_template()
    plot = Plot("tokens", "a <title>", "note", "<svg/>")
    where = {"commit": "1" * 40, "dirty": False, "fingerprint": "2" * 64, "dtype": "float32"}
    where |= {"model": "runs/rl/final", "before": "default", "before_fingerprint": "4" * 64}
    shown = {**where, "data": {"One": "3" * 64}, "queries": [query]}
    table = "| a |\n| --- |\n| 1 |\n| <img src=x onerror=alert(2)> p <0.0001 |"
    report = f"# Evaluation\n\nNotes.\n\n## Quality, size mini\n\n{table}\n"
    page = render_page(template, report=report, plots=[plot], shown=shown)
    assert "<img src=x" not in page and "p &lt;0.0001" in page
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page and "<b>query" not in page
    assert "this model: runs/rl/final (222222222222), before: default (444444444444), in float32" in page
    assert "0.500 without a thought, 1.000 with its own" in page
    assert "<td>1</td>" in page and 'class="answer"' in page


def test_package_does_not_load_scipy_or_matplotlib():
    """Result files can be written without the libraries that only the report needs."""
    program = (
        "import sys, search_r3, search_r3.evaluation, search_r3.evaluation.results\n"
        "sys.exit(bool({'scipy', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_what_thinks_is_compared_with_models_that_do_not():
    """`never`, `always` and `auto` against each of them, over all queries together; controls are not."""
    runs = [*three(), result("Two", None, [0.0, 0.0, 0.0]), result("One", "random", [0.0, 0.0])]
    (rows,) = collect(runs).values()
    found = {
        (line.row.arm_label, line.baseline.label, line.task): line.comparison.difference
        for line in compare_rows(rows)
        if line.baseline.model == "bm25"
    }
    # (0.5 - 0.5) + (1 - 0) + 0.2 + 0.3 + 0.4 = 1.9 over 5 queries
    assert found == {("always@32", "bm25", None): pytest.approx(0.38)}


def test_a_model_is_compared_with_the_one_before():
    """Each arm against the same arm, by task and pooled; not controls, nor another budget."""
    runs = [*three(), result("One", "never", [0.5, 0.5]), result("One", "random", [0.0, 0.0])]
    runs += [result("One", "always", [0.5, 0.5], config={"max_reasoning_tokens": 64})]
    after = {"model": "trained"}
    runs += [result("One", "never", [0.5, 0.7], **after), result("One", "random", [0.0, 0.0], **after)]
    runs += [result("One", "always", [0.6, 1.0], **after), result("Two", "always", [0.2, 0.3, 0.9], **after)]
    (rows,) = collect(runs).values()
    found = {
        (line.row.arm_label, line.baseline.arm_label, line.task): line.comparison.difference
        for line in compare_rows(rows, "r3")
        if (line.row.model, line.baseline.model) == ("trained", "r3")
    }
    assert found == {
        ("never", "never", "One"): pytest.approx(0.1),
        ("always@32", "always@32", "One"): pytest.approx(0.05),
        ("always@32", "always@32", "Two"): pytest.approx(0.5 / 3),
        ("always@32", "always@32", None): pytest.approx(0.6 / 5),
    }
    assert [line for line in compare_rows(rows, "r3") if line.row.model == "r3"] == [
        line for line in compare_rows(rows) if line.row.model == "r3"
    ]
    assert line_of(render(runs, "r3"), "trained", "never", "r3 never")[3:5] == ["One", "+0.100"]
    with pytest.raises(DataError, match="'r4' to compare with; wanted one of bm25, r3, trained"):
        render(runs, "r4")
    with pytest.raises(DataError, match="nothing to compare with 'bm25'"):
        render([one for one in runs if one.model == "bm25"], "bm25")


def test_empty_is_not_compared():
    """It is `never` by construction, and would only weaken the correction of the others."""
    (rows,) = collect([result("One", "never", [0.5, 0.1]), result("One", "empty", [0.5, 0.1])]).values()
    assert compare_rows(rows) == []


@pytest.mark.parametrize("change", [{"harness": "mteb 2.27.0"}, {"config": {"instructions": True}}])
def test_settings_of_a_model_are_not_mixed(change):
    """Results of two versions of a harness, or with and without instructions, cannot stand in one report."""
    with pytest.raises(DataError, match="different settings for r3"):
        collect([result("One", "never", [0.5]), result("Two", "never", [0.5], **change)])


def test_harnesses_are_not_compared_with_each_other():
    """They differ where a query is a document too, whosever results they are."""
    with pytest.raises(DataError, match="different harnesses for size mini"):
        collect([result("One", "never", [0.5]), result("One", None, [0.5], harness="beir 2.2.0")])
    collect([result("One", "never", [0.5]), result("One", None, [0.5], harness="mteb 2.27.0")])


def test_time_of_supplied_thoughts_is_not_shown():
    """Replaying a thought costs less than having it: no seconds in that cell."""
    given = ThoughtStatistics(8.0, 8, 8, 0, 0, 0, 1)
    (rows,) = collect([result("One", "random", [0.5], thoughts=given)]).values()
    assert line_of(quality_table(rows), "r3", "random@32")[4:] == ["20.0", "8.0", *["\N{EN DASH}"] * 2]
