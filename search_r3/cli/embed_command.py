"""`search-r3 embed`: vectors to a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from search_r3.cli.console import say
from search_r3.cli.loading import load_model
from search_r3.cli.options import (
    BatchSizeOption,
    IdFieldOption,
    MaxReasoningTokensOption,
    ModelOption,
    ReasoningOption,
    SourcesArgument,
    StrictOption,
    TextFieldOption,
)
from search_r3.cli.reading import read_files
from search_r3.errors import InvalidOptionError
from search_r3.extras import needs_extra
from search_r3.files import atomic_path, sync

_COLUMNS = ("id", "thought", "thought_ending")
"""What stands beside the vectors."""


def embed(
    sources: SourcesArgument,
    target: Annotated[
        Path,
        typer.Argument(
            help="A .parquet file, or a .npy file with ids and thoughts beside it in a .json file."
        ),
    ],
    role: Annotated[
        Literal["document", "query"],
        typer.Option("--as", help="What the texts are; queries think as the model does by default."),
    ] = "document",
    model: ModelOption = None,
    reasoning: ReasoningOption = None,
    max_reasoning_tokens: MaxReasoningTokensOption = None,
    batch_size: BatchSizeOption = 16,
    strict: StrictOption = False,
    id_field: IdFieldOption = None,
    text_field: TextFieldOption = None,
) -> None:
    """Embed texts as documents, or as queries with their thoughts."""
    if target.suffix not in (".npy", ".parquet"):
        raise InvalidOptionError(f"Got the output {target}, wanted a name ending in .npy or .parquet.")
    if not target.absolute().parent.is_dir():
        raise InvalidOptionError(f"There is no folder {target.absolute().parent} to write {target.name} to.")
    if target.suffix == ".parquet":
        with needs_extra("parquet"):
            import pyarrow.parquet  # noqa: F401 - look now, and not after the embedding
    _refuse_to_overwrite(sources, target)
    texts = read_files(
        sources, strict=strict, id_field=id_field, text_field=text_field, as_queries=role == "query"
    ).items
    loaded = load_model(model)
    inputs = [item.text for item in texts]
    columns: dict[str, Any] = {"id": [item.doc_id for item in texts]}
    if role == "query":
        encoding = loaded.encode_query_with_thoughts(
            inputs,
            batch_size=batch_size,
            show_progress_bar=True,
            reasoning=reasoning,
            max_reasoning_tokens=max_reasoning_tokens,
        )
        vectors = encoding.embeddings
        columns["thought"] = [thought.text for thought in encoding.thoughts]
        columns["thought_ending"] = [thought.ending for thought in encoding.thoughts]
    else:
        vectors = loaded.encode_document(inputs, batch_size=batch_size, show_progress_bar=True)
    _write(target, columns, vectors)
    say(f"{target}: {vectors.shape[0]} vectors of {vectors.shape[1]} dimensions")


def _refuse_to_overwrite(sources: Sequence[Path], target: Path) -> None:
    """Refuse to overwrite a source, or a file beside the target that this command did not write.

    Raises:
        InvalidOptionError: One of them is a source, or the file beside the target is somebody else's.
    """
    beside = target.with_suffix(".json") if target.suffix == ".npy" else None
    for path in (target, beside):
        for source in sources:
            if path is not None and path.exists() and _holds(source, path):
                raise InvalidOptionError(
                    f"Got {target} as the output, which would overwrite {source}. Choose another name."
                )
    if beside is None or not beside.exists():
        return
    try:
        columns = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        columns = None
    if not isinstance(columns, dict) or "id" not in columns or not set(columns) <= set(_COLUMNS):
        raise InvalidOptionError(
            f"The ids of {target} go into {beside}, which exists and was not written by this command. "
            "Choose another name for the output, or move that file away."
        )


def _holds(source: Path, path: Path) -> bool:
    """Whether a source is this file, or a folder that has it."""
    if not source.exists():
        return False
    return path.samefile(source) or source.resolve() in path.resolve().parents


def _write(target: Path, columns: dict[str, Any], vectors: Any) -> None:
    import numpy as np

    with atomic_path(target) as part:
        if target.suffix == ".npy":
            np.save(part, vectors)
            with atomic_path(target.with_suffix(".json")) as beside:
                beside.write_text(json.dumps(columns), encoding="utf-8")
                # Both are on the disk before the old vectors go, and these go before the new ids come. So at
                # no moment do vectors stand beside the ids of others.
                sync(part)
                sync(beside)
                target.unlink(missing_ok=True)
        else:
            with needs_extra("parquet"):
                import pyarrow as pa
                import pyarrow.parquet as pq
            flat = pa.array(vectors.reshape(-1), type=pa.float32())
            embedding = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
            pq.write_table(pa.table({**columns, "embedding": embedding}), part)
