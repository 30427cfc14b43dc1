"""`search-r3 info` and `search-r3 doctor`: what a model is, and whether this machine runs it right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from search_r3.cli.loading import load_model, output
from search_r3.errors import InvalidOptionError, ModelError


def info(
    model: Annotated[str | None, typer.Argument(help="Model folder or Hub id [default: the embedded model].")] = None,
) -> None:
    """Show what a model is: base, size, template, embed token, dimensions, limits."""
    from search_r3.identity import fingerprint
    from search_r3.modules import ReasoningTransformer

    loaded = load_model(model)
    module = loaded[0]
    if not isinstance(module, ReasoningTransformer):
        raise ModelError(f"{model} is a {type(module).__name__} pipeline, not a Search-R3 model.")
    config = module.model.config
    parameters = sum(parameter.numel() for parameter in module.parameters())
    table = Table(show_header=False, box=None)
    for name, value in (
        ("architecture", f"{type(module.model).__name__}, {parameters / 1e6:.1f} M parameters, {loaded.dtype}"),
        ("layers", f"{config.get_text_config().num_hidden_layers}"),
        ("dimensions", f"{loaded.get_embedding_dimension()}"),
        ("embed token", f"{module.embed_token} (id {module.prompt_encoder.embed_token_id})"),
        ("limit", f"{module.max_seq_length} tokens of template and text"),
        ("positions", f"{config.get_text_config().max_position_embeddings}"),
        ("reasoning", f"{module.reasoning}, at most {module.max_reasoning_tokens} tokens"),
        ("truncation", module.on_truncation),
        ("query prompt", repr(module.query_prompt)),
        ("document prompt", repr(module.document_prompt)),
        ("role without task", module.default_role),
        ("query", f"{module.template['query_prefix']!r} text {module.template['query_suffix']!r} thought"),
        ("document", f"{module.template['document_prefix']!r} text {module.template['document_suffix']!r}"),
        ("fingerprint", fingerprint(loaded)),
    ):
        table.add_row(name, _escaped(value))
    output.print(table)


def doctor(
    model: Annotated[str | None, typer.Argument(help="Model folder or Hub id [default: the embedded model].")] = None,
    write_golden: Annotated[
        bool, typer.Option("--write-golden", help="Store this machine's vectors as the model's golden ones.")
    ] = False,
) -> None:
    """Check versions, find the fast dtype and thread count, and compare with the model's golden vectors."""
    from search_r3 import golden
    from search_r3.diagnosis import packages, speeds
    from search_r3.embedded_model import default_model
    from search_r3.modules import ReasoningTransformer

    problems = []
    for package in packages():
        if not package.fits:
            problems.append(
                f"{package.name} {package.installed or 'is missing'}, wanted {package.wanted}: "
                f"pip install '{package.name}{package.wanted}'"
            )
        if not package.optional or package.installed:
            state = "ok" if package.fits else "WRONG"
            output.print(f"{package.name:28} {package.installed or '-':14} {package.wanted:18} {state}", markup=False)

    loaded = load_model(model)
    module = loaded[0]
    if not isinstance(module, ReasoningTransformer):
        raise ModelError(f"{model} is a {type(module).__name__} pipeline, not a Search-R3 model.")
    config = module.model.config.get_text_config()
    measured = speeds(config.hidden_size, config.intermediate_size)
    for speed in measured:
        output.print(f"{speed.dtype:28} {speed.threads} threads     {speed.milliseconds:8.2f} ms")
    best = min(measured, key=lambda speed: speed.milliseconds)
    output.print(
        f"fastest here: {best.dtype} with {best.threads} threads"
        + (". Thoughts are only promised to be the same in any batch in float32." if best.dtype != "float32" else "")
    )

    folder = default_model() if model is None else Path(model)
    path = folder / golden.GOLDEN_FILE
    if write_golden:
        if not folder.is_dir():
            raise InvalidOptionError(f"--write-golden needs a model folder, got {model}.")
        output.print(f"wrote {golden.write_golden(loaded, folder)}", markup=False)
    elif path.is_file():
        report = golden.check_golden(loaded, path)
        output.print(f"golden vectors: worst cosine {report.worst_cosine:.7f}, wanted {report.wanted}")
        if not report.passed:
            problems.append(
                "this machine computes other vectors than the model's author: compare the versions above with "
                "config_sentence_transformers.json, and load the model in float32"
            )
    else:
        output.print(f"golden vectors: none in {folder} (make them with --write-golden)", markup=False)

    for problem in problems:
        output.print(f"problem: {problem}", markup=False)
    if problems:
        raise typer.Exit(1)
    output.print("all well")


def _escaped(value: str) -> str:
    from rich.markup import escape

    return escape(value)
