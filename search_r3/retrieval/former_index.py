"""Indexes that earlier versions wrote: vectors, texts and the model in three parts, each written whole.

``model.json`` records the format, which says how titles were joined:

- Format 1 (version 0.1, not recorded): a title and its text by a line break.
- Format 2: as :func:`search_r3.text.join_title` does.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import VectorIndexError
from search_r3.json_lines import json_objects
from search_r3.retrieval.vector_index import VectorIndex


@dataclass(frozen=True)
class FormerIndex:
    """An index of format 1 or 2.

    Attributes:
        vectors: One vector per document.
        texts: Document id to the text that was embedded; may have more documents than ``vectors``.
        model: What to load the model by.
    """

    vectors: VectorIndex
    texts: dict[str, str]
    model: str


def is_former(folder: Path) -> bool:
    """Whether ``folder`` holds such an index."""
    return (folder / "vectors" / "index.json").is_file()


def read_former(folder: Path) -> FormerIndex:
    """Read it.

    Raises:
        VectorIndexError: A part of it is missing or damaged, or its format is not known, or it is of format 1
            and may hold titles.
    """
    vectors = VectorIndex.load(folder / "vectors")
    try:
        recorded = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        model, version = recorded["model"], recorded.get("format_version", 1)
        texts = {row["_id"]: row["text"] for _, row in json_objects(folder / "documents.jsonl")}
    except FileNotFoundError as error:
        raise VectorIndexError(
            f"{folder} is damaged: it has no {Path(error.filename).name}. Remove it and build it again."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise VectorIndexError(f"{folder} is damaged ({error}). Remove it and build it again.") from None
    if missing := [doc_id for doc_id in vectors.doc_ids if doc_id not in texts]:
        raise VectorIndexError(
            f"{folder} is damaged: {len(missing)} vectors have no text, such as {missing[0]!r}. Remove it "
            "and build it again."
        )
    former = FormerIndex(vectors, texts, model)
    _check_format(former, folder, version)
    return former


def remove_former(folder: Path) -> None:
    """Delete its parts, after they were copied; what :func:`is_former` looks at goes last."""
    for name in ("documents.jsonl", "model.json"):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / "vectors").iterdir():
        if path.name != "index.json":
            path.unlink()
    shutil.rmtree(folder / "vectors")


def _check_format(former: FormerIndex, folder: Path, version: object) -> None:
    """Refuse an index whose documents may have been embedded as other texts than today's."""
    if version == 2:
        return
    if version != 1:
        raise VectorIndexError(
            f"Got {folder}, an index of format {version!r}; wanted format 1, 2 or 3. Use the version of "
            "search-r3 that wrote it, or remove the folder and build the index again."
        )
    # Format 1 joined a title by a line break, and kept only the joined text. A text without a line break
    # therefore has no title. One with a line break may have had it from its source, but nothing says so.
    suspect = next((doc_id for doc_id in former.vectors.doc_ids if "\n" in former.texts[doc_id]), None)
    if suspect is not None:
        model = "" if former.model == "default" else f" --model {shlex.quote(former.model)}"
        target = shlex.quote(str(folder))
        raise VectorIndexError(
            f"Got {folder}, an index of format 1 in which document {suspect!r} has a line break; wanted "
            "format 2 or 3. Format 1 joined a title and its text by a line break; now a space joins them. "
            "The index does not record whether this document has a title. Remove the index and build it "
            f"again: rm -r {target} && search-r3 index SOURCE {target}{model}"
        )
