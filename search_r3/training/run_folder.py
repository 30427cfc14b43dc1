"""What a run leaves in its output folder: its metadata, its checkpoints, the adapter and the merged model."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import TrainingArguments

from search_r3.errors import DataError, InvalidOptionError
from search_r3.files import write_text

FINAL = "final"
"""Folder of the model that a run ends in, inside its output."""

ADAPTER = "adapter"
"""Folder of the adapter that was merged, inside a run's output."""

METADATA = "run.json"
"""One entry for the run, and one for every time it was resumed."""

TRAINER_STATE = "trainer_state.json"
"""The trainer's state inside a checkpoint; transformers writes it after all its other files."""

_MUST_AGREE = ("config", "base_fingerprint", "data_hashes", "processes")

_REMOVED_OPTIONS = {("environment", "corrects"): False}
"""Options of earlier versions, with the value under which a run was what it is without them."""

_ADDED_OPTIONS = {
    ("loss", "ranking"): 0.0,
    ("loss", "teacher_temperature"): 0.05,
    ("data", "negatives"): None,
}
"""Options that earlier versions lacked, with the value under which a run is what it was then."""

_ADDED_SECTION = "dev"
"""A section that supervised runs of earlier versions lacked; without tasks it changes nothing."""


def write_run_metadata(output: Path, facts: dict[str, Any]) -> None:
    """Write ``run.json``; the facts of a resumed run are appended.

    Args:
        output: The run's folder.
        facts: ``config``, ``base_fingerprint``, ``data_hashes`` and ``processes``, which must not change, and
            others.

    Raises:
        InvalidOptionError: The folder holds another run, or its ``run.json`` is damaged.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = output / METADATA
    try:
        runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    except ValueError as error:
        raise InvalidOptionError(
            f"{path} is damaged ({error}), so that nothing says which run this is. Restore the file, or "
            "choose another output."
        ) from None
    for name in _MUST_AGREE:
        if runs and _in_todays_options(runs[0], facts)[name] != facts[name]:
            raise InvalidOptionError(
                f"{path} is of a run with another {name}: going on would mix the two. Choose another output."
            )
    write_text(path, json.dumps([*runs, facts], indent=2) + "\n")


def newest_checkpoint(output: Path, required: Sequence[str] = ()) -> Path | None:
    """Find the newest whole checkpoint; None if there is none.

    A run that is killed during a save leaves a checkpoint that lacks its last files, or that has one of them
    in part. It is passed over, and so is one that was damaged later.

    Args:
        output: The run's folder.
        required: Files that a checkpoint of this stage has beside the trainer's state.
    """
    checkpoints = [
        path
        for path in output.glob("checkpoint-*")
        if path.name.removeprefix("checkpoint-").isdecimal() and _is_whole(path, required)
    ]
    return max(checkpoints, key=lambda path: int(path.name.removeprefix("checkpoint-")), default=None)


def checkpoint_to_resume(output: Path, required: Sequence[str], *, resume: bool) -> str | None:
    """Find the checkpoint that a run goes on from; None if it begins anew.

    Newer checkpoints, which a kill left in part, are renamed to ``torn-checkpoint-...``.

    Args:
        output: The run's folder.
        required: As for :func:`newest_checkpoint`.
        resume: Whether the user asked to go on.

    Raises:
        InvalidOptionError: There is a checkpoint, and the user did not ask to go on.
    """
    checkpoint = newest_checkpoint(output, required)
    if checkpoint is None:
        return None
    if not resume:
        raise InvalidOptionError(
            f"{output} holds checkpoints of a run. Pass --resume to go on with it, or choose another output."
        )
    for path in output.glob("checkpoint-*"):
        number = path.name.removeprefix("checkpoint-")
        if number.isdecimal() and int(number) > int(checkpoint.name.removeprefix("checkpoint-")):
            # Left by a kill. The run will save under this name again; old files must not mix with new ones.
            with suppress(OSError):  # another process of the run was faster
                path.rename(path.with_name(f"torn-{path.name}-{time.time_ns()}"))
    return str(checkpoint)


def read_log(output: Path) -> list[dict[str, float]]:
    """Read the log in the state of a run's newest checkpoint, one entry per logged step or evaluation.

    Raises:
        DataError: There is no checkpoint, or its state has no log.
    """
    newest = newest_checkpoint(output)
    if newest is None:
        raise DataError(f"{output} holds no whole checkpoint of a run.")
    path = newest / TRAINER_STATE
    try:
        log: list[dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))["log_history"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"Cannot read {path}: {error}.") from None
    return log


def trainer_files(arguments: TrainingArguments) -> tuple[str, ...]:
    """Files of transformers' trainer in a whole checkpoint, beside the model's own.

    Every process writes the state of its random generators, some perhaps after the first one is done.
    """
    if arguments.save_only_model:
        return ()
    count = arguments.world_size
    generators = [f"rng_state_{index}.pth" for index in range(count)] if count > 1 else ["rng_state.pth"]
    return ("scheduler.pt", *generators)


def _in_todays_options(facts: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What an earlier version wrote about a run, as today's would have."""
    config = dict(facts["config"])
    section_now = now["config"].get(_ADDED_SECTION)
    if _ADDED_SECTION not in config and section_now is not None and not section_now["tasks"]:
        config[_ADDED_SECTION] = section_now
    for (section, name), value in _ADDED_OPTIONS.items():
        if section in config and name in now["config"].get(section, {}):
            config[section] = {name: value, **config[section]}
    for (section, name), value in _REMOVED_OPTIONS.items():
        options = config.get(section, {})
        if options.get(name) == value:
            config[section] = {key: kept for key, kept in options.items() if key != name}
    return facts | {"config": config}


def _is_whole(checkpoint: Path, required: Sequence[str]) -> bool:
    try:
        json.loads((checkpoint / TRAINER_STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return all((checkpoint / name).is_file() for name in required) and all(
        _is_complete(path)
        for path in checkpoint.rglob("*")
        if path.is_file() and not path.name.startswith(".")  # what an interrupted write left is no part of it
    )


def _is_complete(path: Path) -> bool:
    """Whether a file of weights or state has its end; files of other kinds are taken as they are."""
    if path.suffix == ".safetensors":
        try:
            with safe_open(str(path), "numpy"):
                return True
        except (SafetensorError, OSError):
            return False
    # What torch and numpy save is a zip archive, whose directory stands at its end.
    return path.suffix not in (".pt", ".pth", ".npz") or zipfile.is_zipfile(path)
