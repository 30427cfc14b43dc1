"""`search-r3 doctor`: whether this machine runs a model right, and what is fast on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from search_r3.cli.console import say
from search_r3.cli.loading import load_model
from search_r3.cli.options import ModelArgument
from search_r3.errors import InvalidOptionError


def doctor(
    model: ModelArgument = None,
    write_golden: Annotated[
        bool, typer.Option("--write-golden", help="Store this machine's vectors as the model's golden ones.")
    ] = False,
) -> None:
    """Check versions, find the fast dtype and thread count, and compare with the model's golden vectors."""
    from search_r3.model.default import EMBEDDED_MODELS

    problems = _check_packages()
    loaded = load_model(model)
    _show_speeds(loaded)
    name = model or "default"
    folder = EMBEDDED_MODELS[name]() if name in EMBEDDED_MODELS else Path(name)
    problems += _check_golden(loaded, folder, write_golden)
    for problem in problems:
        say(f"problem: {problem}")
    if problems:
        raise typer.Exit(1)
    say("all well")


def _check_packages() -> list[str]:
    from search_r3.cli.diagnosis import dependencies

    problems = []
    for package in dependencies():
        if not package.fits:
            problems.append(
                f"{package.name} {package.installed or 'is missing'}, wanted {package.wanted}: "
                f"pip install '{package.name}{package.wanted}'"
            )
        if not package.optional or package.installed:
            state = "ok" if package.fits else "WRONG"
            version = package.installed or "-"
            say(f"{package.name:38} {version:14} {package.wanted:14} {state}")
    return problems


def _show_speeds(loaded: Any) -> None:
    from search_r3.cli.diagnosis import speeds

    config = loaded[0].model.config.get_text_config()
    measured = speeds(config.hidden_size, config.intermediate_size)
    for speed in measured:
        say(f"{speed.dtype}, {speed.threads} threads: {speed.milliseconds:.2f} ms per layer product")
    best = min(measured, key=lambda speed: speed.milliseconds)
    say(f"fastest here: {best.dtype} with {best.threads} threads")
    if best.dtype != "float32":
        say("(thoughts are promised to be the same in every batch in float32 only)")


def _check_golden(loaded: Any, folder: Path, write: bool) -> list[str]:
    from search_r3.model import golden

    path = folder / golden.GOLDEN_FILE
    if write:
        if not folder.is_dir():
            raise InvalidOptionError(f"--write-golden needs a model folder, got {folder}.")
        say(f"wrote {golden.write_golden(loaded, folder)}")
        return []
    if not path.is_file():
        say(f"golden vectors: none in {folder} (make them with --write-golden)")
        return []
    report = golden.check_golden(loaded, path)
    say(f"golden vectors: worst cosine {report.worst_cosine:.7f}, wanted {report.wanted}")
    if report.passed:
        return []
    return [
        "this machine computes other vectors than the model's author did: compare the versions above with "
        "those in config_sentence_transformers.json, and load the model in float32"
    ]
