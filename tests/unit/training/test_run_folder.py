"""What a run leaves behind: metadata that one run alone may write, and checkpoints that are whole."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from search_r3.errors import DataError, InvalidOptionError
from search_r3.training.run_folder import (
    METADATA,
    TRAINER_STATE,
    checkpoint_to_resume,
    newest_checkpoint,
    read_log,
    trainer_files,
    write_run_metadata,
)

REQUIRED = ("adapter_model.safetensors", "environment.npz")
CONTENT = {".safetensors": safetensors.numpy.save({"a": np.zeros(3)}), ".npz": None, ".pt": None}
buffer = io.BytesIO()
np.savez(buffer, a=np.zeros(3))
CONTENT[".npz"] = CONTENT[".pt"] = buffer.getvalue()
FACTS = {"config": {"seed": 0}, "base_fingerprint": "f", "data_hashes": {"a": "1"}, "processes": 1, "x": 1}


def checkpoint(output, step, *, without=(), state='{"log_history": []}'):
    """A checkpoint with all its files, or as a kill left it."""
    folder = output / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in {*REQUIRED} - {*without}:
        (folder / name).write_bytes(CONTENT[Path(name).suffix])
    if TRAINER_STATE not in without:
        (folder / TRAINER_STATE).write_text(state, encoding="utf-8")
    return folder


def test_newest_is_by_number_not_by_name_or_time(tmp_path):
    """Checkpoint 100 is newer than 20, whatever was written last."""
    for step in (100, 20, 9):
        checkpoint(tmp_path, step)
    assert newest_checkpoint(tmp_path, REQUIRED) == tmp_path / "checkpoint-100"


@pytest.mark.parametrize("missing", [*REQUIRED, TRAINER_STATE])
def test_a_checkpoint_without_one_of_its_files_is_passed_over(tmp_path, missing):
    """Whichever file a killed save did not write, the checkpoint before is the newest."""
    checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20, without=[missing])
    assert newest_checkpoint(tmp_path, REQUIRED) == tmp_path / "checkpoint-10"


@pytest.mark.parametrize("state", ["", '{"log_history": [{"loss": 1.', "\x00\x00\x00"])
def test_a_state_that_was_half_written_is_passed_over(tmp_path, state):
    """The trainer's state is written last, and not atomically: a file of that name is not enough."""
    checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20, state=state)
    assert newest_checkpoint(tmp_path, REQUIRED) == tmp_path / "checkpoint-10"


@pytest.mark.parametrize("name", [*REQUIRED, "optimizer.pt"])
@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_file_that_was_cut_is_passed_over(tmp_path, name, kept):
    """Also one that is there beyond the required ones, such as the optimizer's."""
    checkpoint(tmp_path, 10)
    folder = checkpoint(tmp_path, 20)
    (folder / name).write_bytes(CONTENT[Path(name).suffix][:kept])
    assert newest_checkpoint(tmp_path, REQUIRED) == tmp_path / "checkpoint-10"
    (folder / name).write_bytes(CONTENT[Path(name).suffix])
    assert newest_checkpoint(tmp_path, REQUIRED) == folder


def test_a_leftover_of_a_write_is_no_part_of_a_checkpoint(tmp_path):
    """A killed write leaves a hidden file; the checkpoint that was saved again there is whole."""
    folder = checkpoint(tmp_path, 10)
    (folder / ".part-0123abcd-environment.npz").write_bytes(b"PK")
    assert newest_checkpoint(tmp_path, REQUIRED) == folder


def test_resuming_puts_torn_checkpoints_aside(tmp_path):
    """The run will save under their names again; their old files must not pass for its own."""
    checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20, without=["environment.npz"])
    assert checkpoint_to_resume(tmp_path, REQUIRED, resume=True) == str(tmp_path / "checkpoint-10")
    assert not (tmp_path / "checkpoint-20").exists()
    [aside] = tmp_path.glob("torn-checkpoint-20-*")
    assert (aside / TRAINER_STATE).is_file()


def test_damaged_metadata_is_named(tmp_path):
    """Without it nothing says whether the run is the same."""
    write_run_metadata(tmp_path, FACTS)
    path = tmp_path / METADATA
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(InvalidOptionError, match=r"run\.json is damaged.*Restore the file"):
        write_run_metadata(tmp_path, FACTS)


def test_nothing_whole_is_nothing(tmp_path):
    """No folder, an empty one, other names, and broken checkpoints alone give none."""
    assert newest_checkpoint(tmp_path / "absent") is None
    assert newest_checkpoint(tmp_path) is None
    checkpoint(tmp_path, "best")
    checkpoint(tmp_path, 5, without=[TRAINER_STATE])
    assert newest_checkpoint(tmp_path) is None
    assert checkpoint_to_resume(tmp_path, REQUIRED, resume=False) is None


def test_going_on_must_be_asked_for(tmp_path):
    """A folder with a whole checkpoint is refused without it, and gives its path with it."""
    folder = checkpoint(tmp_path, 5)
    with pytest.raises(InvalidOptionError, match="holds checkpoints of a run"):
        checkpoint_to_resume(tmp_path, REQUIRED, resume=False)
    assert checkpoint_to_resume(tmp_path, REQUIRED, resume=True) == str(folder)


@pytest.mark.parametrize(
    ("processes", "only_model", "expected"),
    [
        (1, False, {"scheduler.pt", "rng_state.pth"}),
        (2, False, {"scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"}),
        (2, True, set()),
    ],
)
def test_files_of_the_trainer(processes, only_model, expected):
    """Every process writes a state of its own, unless only the model is saved."""
    arguments = SimpleNamespace(world_size=processes, save_only_model=only_model)
    assert set(trainer_files(arguments)) == expected


def test_log_of_the_newest_whole_checkpoint(tmp_path):
    """What a broken one has is not read; without a whole one it is an error, as is a state without a log."""
    checkpoint(tmp_path, 5, state=json.dumps({"log_history": [{"step": 5, "loss": 1.0}]}))
    checkpoint(tmp_path, 9, state='{"log')
    assert read_log(tmp_path) == [{"step": 5, "loss": 1.0}]
    with pytest.raises(DataError, match="no whole checkpoint"):
        read_log(tmp_path / "absent")
    checkpoint(tmp_path, 12, state="{}")
    with pytest.raises(DataError, match=r"Cannot read .*checkpoint-12"):
        read_log(tmp_path)


def test_metadata_of_a_resumed_run_is_appended(tmp_path):
    """Facts that may differ are kept for each start; the file is valid JSON after each."""
    write_run_metadata(tmp_path / "new", FACTS)
    write_run_metadata(tmp_path / "new", FACTS | {"x": 2})
    assert json.loads((tmp_path / "new" / METADATA).read_text()) == [FACTS, FACTS | {"x": 2}]


@pytest.mark.parametrize(
    "change",
    [{"config": {"seed": 1}}, {"base_fingerprint": "g"}, {"data_hashes": {"a": "2"}}, {"processes": 2}],
    ids=lambda change: next(iter(change)),
)
def test_another_run_is_refused(tmp_path, change):
    """What decides a run must agree; the file stays as it was."""
    write_run_metadata(tmp_path, FACTS)
    with pytest.raises(InvalidOptionError, match=f"of a run with another {next(iter(change))}"):
        write_run_metadata(tmp_path, FACTS | change)
    assert json.loads((tmp_path / METADATA).read_text()) == [FACTS]


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    """An option that is gone and was off makes no other run; one that was on does."""
    now = FACTS | {"config": {"seed": 0, "environment": {"probe": 10}}}
    for corrects in (False, True):
        before = FACTS | {"config": {"seed": 0, "environment": {"probe": 10, "corrects": corrects}}}
        output = tmp_path / str(corrects)
        output.mkdir()
        (output / METADATA).write_text(json.dumps([before]))
        if corrects:
            with pytest.raises(InvalidOptionError, match="another config"):
                write_run_metadata(output, now)
        else:
            write_run_metadata(output, now)
            assert json.loads((output / METADATA).read_text()) == [before, now]


def test_dev_tasks_make_another_run_of_one_from_before_them(tmp_path):
    """A run without the section measured its dev split."""
    (tmp_path / METADATA).write_text(json.dumps([FACTS | {"config": {"seed": 0}}]))
    with pytest.raises(InvalidOptionError, match="another config"):
        write_run_metadata(tmp_path, FACTS | {"config": {"seed": 0, "dev": {"tasks": ["PerlFAQ"]}}})


def test_a_run_from_before_an_option_goes_on(tmp_path):
    """An option that was added counts as it was then; with another value it is another run."""
    before = FACTS | {"config": {"seed": 0, "loss": {"temperature": 0.05}}}
    for ranking in (0.0, 1.0):
        added = {"ranking": ranking, "teacher_temperature": 0.05, "temperature": 0.05}
        now = FACTS | {"config": {"seed": 0, "loss": added, "dev": {"tasks": [], "limit": None}}}
        output = tmp_path / str(ranking)
        output.mkdir()
        (output / METADATA).write_text(json.dumps([before]))
        if ranking:
            with pytest.raises(InvalidOptionError, match="another config"):
                write_run_metadata(output, now)
        else:
            write_run_metadata(output, now)
            assert json.loads((output / METADATA).read_text()) == [before, now]
