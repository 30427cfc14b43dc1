"""Building an indexed corpus: embed what is missing, and keep it where it is stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sentence_transformers
import torch
from filelock import FileLock, Timeout

from search_r3.errors import InvalidInputError, VectorIndexError
from search_r3.files import remove_leftovers
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.retrieval.chunking import Splitter, document_of
from search_r3.retrieval.corpus_index import former_default
from search_r3.retrieval.documents import Document
from search_r3.retrieval.former_index import FormerIndex, is_former, read_former, remove_former
from search_r3.retrieval.shards import MANIFEST
from search_r3.retrieval.store_writer import StoreWriter, compact

_LOCK = ".lock"
_COPIED_AT_ONCE = 4096


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        encoded: Number of documents embedded.
        unchanged: Number of documents that were there already, with the same text.
        removed: Number of documents removed.
        dropped_tokens: For each embedded document that was too long for the model: how many tokens were cut
            from its end. Empty for models of other packages, which do not tell.
    """

    encoded: int
    unchanged: int
    removed: int
    dropped_tokens: dict[str, int] = field(default_factory=dict)


def build_index(
    folder: str | os.PathLike[str],
    model: sentence_transformers.SentenceTransformer,
    documents: Iterable[Document],
    *,
    model_name: str | None = None,
    batch_size: int = 32,
    chunk_tokens: int | None = None,
    prune: bool = False,
    save_every_seconds: float = 30.0,
    wait_seconds: float = 0.0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> BuildReport:
    """Embed documents into the index in ``folder``; what is there already, with the same text, is kept.

    The index is saved every ``save_every_seconds`` and when encoding is interrupted, so running it again
    resumes it.

    Args:
        folder: Where the index is or will be.
        model: Embeds the documents.
        documents: What to index; of two with the same id the later one counts.
        model_name: What a search loads the model by; None means what this model was loaded by.
        batch_size: Documents per forward pass.
        chunk_tokens: Split documents into passages of at most so many tokens, each with the id
            ``<document>#<number>``; 0 splits none. None does what the index was built with, and splits none
            in a new one. Needs the extra ``chunk``.
        prune: Remove documents that are in the index but not in ``documents``.
        save_every_seconds: Most work that a kill can lose, in seconds of encoding.
        wait_seconds: How long to wait for another process that is writing it.
        on_progress: Called with (documents done, documents in all).

    Raises:
        InvalidInputError: If a document is none, or its text cannot be embedded; the message gives its id.
        InvalidOptionError: If ``chunk_tokens`` is not possible with this model.
        VectorIndexError: If the index belongs to another model, has other passages, is damaged, or is being
            written by another process, or if ``folder`` holds other files.
    """
    folder = Path(folder)
    if model_name is None:
        model_name = (model.name_or_path if isinstance(model, SearchR3) else None) or ""
    wanted = _texts_by_id(documents)
    with _only_writer(folder, wait_seconds):
        writer = _open(folder, model, model_name, chunk_tokens)
        there = writer.store.texts
        split: set[str] = set()
        if writer.manifest.chunk_tokens:
            split = set(wanted)
            wanted = _passages(wanted, Splitter(model, writer.manifest.chunk_tokens))
        unchanged = {doc_id for doc_id, text in wanted.items() if there.get(doc_id) == text}
        # A document that was split before may have less passages now.
        gone = [i for i in there if i not in wanted and (prune or document_of(i) in split)]
        writer.remove(gone)
        writer.commit(model_name or None)
        writer.sweep()

        # Longest first: batches hold texts of one length, and a memory problem shows at the start. A document
        # that has another text keeps the one before until the new one is embedded.
        missing = sorted((i for i in wanted if i not in unchanged), key=lambda i: (-len(wanted[i]), i))
        dropped: dict[str, int] = {}
        saved_at = time.monotonic()
        for start in range(0, len(missing), batch_size):
            batch = missing[start : start + batch_size]
            texts = [wanted[i] for i in batch]
            try:
                vectors, cut = _encode(model, texts)
            except BaseException as error:  # Ctrl-C above all: keep what is done
                writer.commit()
                if isinstance(error, InvalidInputError):
                    at_fault = [i for i in batch if wanted[i] is error.item]
                    raise type(error)(error.reason, error.item, f"Document {at_fault[0]!r}") from None
                raise
            writer.put(batch, texts, vectors)
            dropped.update((i, tokens) for i, tokens in zip(batch, cut, strict=True) if tokens)
            on_progress(len(unchanged) + start + len(batch), len(unchanged) + len(missing))
            if time.monotonic() - saved_at > save_every_seconds:
                writer.commit()
                saved_at = time.monotonic()
        writer.commit()
        compact(folder)
        StoreWriter.open(folder).sweep()
    return BuildReport(len(missing), len(unchanged), len(gone), dropped)


def _texts_by_id(documents: Iterable[Document]) -> dict[str, str]:
    texts = {}
    for document in documents:
        if not isinstance(document, Document):
            raise InvalidInputError(
                f"got {type(document).__name__} ({document!r:.60}), wanted Document(doc_id, text).", document
            )
        if not isinstance(document.doc_id, str) or not isinstance(document.text, str):
            raise InvalidInputError(
                f"got {document!r:.100}, wanted an id and a text that are strings.", document
            )
        texts[document.doc_id] = document.text
    return texts


def _encode(
    model: sentence_transformers.SentenceTransformer, texts: list[str]
) -> tuple[torch.Tensor, list[int]]:
    """Embed one batch of documents; returns unit vectors and how many tokens were cut from each text."""
    options: dict[str, Any] = {"batch_size": len(texts), "convert_to_tensor": True}
    dropped = [0] * len(texts)
    if isinstance(model, SearchR3) and model.thinks:
        dropped = model.dropped_tokens(texts)
        if model.reasoning_module.on_truncation == "warn":
            options["on_truncation"] = "ignore"  # the report names the documents; a warning would not
    vectors = model.encode_document(texts, **options)
    # Normalised here, because a model of another package does it in its own dtype, or not at all.
    return torch.nn.functional.normalize(vectors.float(), dim=1).cpu(), dropped


def _passages(texts: dict[str, str], splitter: Splitter) -> dict[str, str]:
    found = (one for doc_id, text in texts.items() for one in splitter.passages(Document(doc_id, text)))
    return {passage.doc_id: passage.text for passage in found}


def _open(
    folder: Path,
    model: sentence_transformers.SentenceTransformer,
    model_name: str,
    chunk_tokens: int | None,
) -> StoreWriter:
    identity, dimension = fingerprint(model), model.get_embedding_dimension() or 0
    if (folder / MANIFEST).is_file():
        writer = StoreWriter.open(folder)
        _check_model(folder, writer.manifest.model, writer.manifest.fingerprint, model_name, identity)
        _check_passages(folder, writer.manifest.chunk_tokens, chunk_tokens)
        if is_former(folder):  # a kill left it after it was copied
            remove_former(folder)
        return writer
    if is_former(folder):
        former = read_former(folder)
        _check_model(folder, former.model, former.vectors.fingerprint, model_name, identity)
        _check_passages(folder, 0, chunk_tokens)
        return _converted(former, folder)
    remove_leftovers(folder, MANIFEST)  # of a build that was killed at its birth
    foreign = [path.name for path in folder.iterdir() if path.name != _LOCK]
    if foreign:
        raise VectorIndexError(
            f"{folder} is not an index and holds other files, such as {foreign[0]}. Use another folder."
        )
    if chunk_tokens:
        Splitter(model, chunk_tokens)  # refuses before anything is written
    writer = StoreWriter.create(
        folder,
        dimension=dimension,
        fingerprint=identity,
        model=model_name,
        chunk_tokens=chunk_tokens or 0,
    )
    writer.commit()
    return writer


def _check_passages(folder: Path, found: int, asked: int | None) -> None:
    if asked is not None and asked != found:
        raise VectorIndexError(
            f"{folder} was built with {_described(found)}, this is with {_described(asked)}. Leave the "
            "option out, or use another folder."
        )


def _converted(former: FormerIndex, folder: Path) -> StoreWriter:
    """Copy an index of an earlier version into today's form; it is replaced when all of it is there."""
    vectors = former.vectors
    writer = StoreWriter.create(
        folder, dimension=vectors.dimension, fingerprint=vectors.fingerprint, model=former.model
    )
    ids = vectors.doc_ids
    for start in range(0, len(ids), _COPIED_AT_ONCE):
        some = ids[start : start + _COPIED_AT_ONCE]
        writer.put(some, [former.texts[doc_id] for doc_id in some], vectors.vectors(some))
    writer.commit()
    remove_former(folder)
    return StoreWriter.open(folder)


def _described(chunk_tokens: int) -> str:
    return f"passages of at most {chunk_tokens} tokens" if chunk_tokens else "whole documents"


def _check_model(folder: Path, model: str, found: str, asked: str, identity: str) -> None:
    if found != identity:
        raise VectorIndexError(
            f"{folder} was built with another model ({model}, {found[:12]}), this one is {asked} "
            f"({identity[:12]}). Another dtype, max_seq_length or truncate_dim makes another model. Use the "
            f"model that built it, or another folder.{former_default(model)}"
        )


@contextmanager
def _only_writer(folder: Path, wait_seconds: float) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=wait_seconds):
            yield
    except Timeout:
        raise VectorIndexError(
            f"Another process is writing to {folder}. Wait for it, or use another folder."
        ) from None
