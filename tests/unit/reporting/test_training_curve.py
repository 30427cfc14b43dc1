import json

import pytest

from search_r3.reporting.compact import compact_json
from search_r3.reporting.training_curve import keep_run, training_curve

LOG = [{"step": 1, "contrastive": 0.5}, {"step": 2, "contrastive": 0.25, "eval_never_ndcg_at_10": 0.75}]


def test_compact_json_has_a_line_for_every_part():
    """It is JSON, and an entry that changes changes one line."""
    data = {"run": [{"a": [1.0, 2]}], "hours": None, "log": [{"x": 1e-9}, {"y": "\u2028"}], "none": []}
    text = compact_json(data)
    assert json.loads(text) == data
    assert text.splitlines() == [
        *("{", '"run":[', '{"a":[1.0,2]}', "],", '"hours":null,'),
        *('"log":[', '{"x":1e-09},', '{"y":"\\u2028"}', "],", '"none":[]', "}"),
    ]


def test_a_run_is_kept(tmp_path):
    """Facts, log and samples of thoughts, under the name of the run's folder."""
    run = tmp_path / "mine"
    (run / "thoughts").mkdir(parents=True)
    (run / "thoughts" / "step-5.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(OSError, match=r"run\.json"):
        keep_run(run, LOG, tmp_path / "kept")
    (run / "run.json").write_text('[{"config": {}}]')
    kept, sample = keep_run(run, LOG, tmp_path / "kept")
    assert (kept.name, sample.name) == ("mine.json", "mine-thoughts-step-5.jsonl")
    assert json.loads(kept.read_text()) == {"run": [{"config": {}}], "hours": None, "log": LOG}
    assert sample.read_text() == '{"a": 1}\n'


def test_the_curve_shows_the_log():
    """Losses above, dev scores below; an RL run has its own panels."""
    losses, scores = training_curve(LOG).axes
    assert [line.get_xydata().tolist() for line in losses.lines] == [[[1, 0.5], [2, 0.25]]]
    assert [line.get_xydata().tolist() for line in scores.lines] == [[[2, 0.75]]]
    panels = training_curve([{"step": 3, "reward/thinking": 0.5, "reward/direct": 0.25}]).axes
    assert len(panels) == 10
    assert [line.get_xydata().tolist() for line in panels[0].lines] == [[[3, 0.5]], [[3, 0.25]]]
