"""An indexed corpus on disk: the vectors, the texts behind them, and the model that made them.

The folder holds ``vectors/`` (a :class:`VectorIndex`), ``documents.jsonl`` and ``model.json``. Texts are
written before the vectors that are added, and after the vectors that are removed. So at every moment an id
in the vectors has exactly the text that was embedded, and a killed build continues with what is missing.

``model.json`` records the format of the index, which says how titles were joined:

- Format 1 (version 0.1, not recorded): a title and its text by a line break.
- Format 2: as :func:`search_r3.text.join_title` does.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack, overload

import sentence_transformers
import torch
from filelock import FileLock, Timeout

from search_r3.arguments import checked_list
from search_r3.errors import InvalidInputError, ModelError, VectorIndexError
from search_r3.files import remove_leftovers, write_lines, write_text
from search_r3.json_lines import json_objects
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.retrieval.corpus_search import Explanation, SearchOptions, search_corpus
from search_r3.retrieval.documents import Document
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.vector_index import VectorIndex

FORMAT_VERSION = 2
"""Format of the indexes that are written; an index of format 1 is read where it cannot hold a title."""


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


@dataclass
class CorpusIndex:
    """A corpus ready to be searched: what ``search-r3 index`` and :func:`build_index` write.

    ::

        index = CorpusIndex.load("my-index")
        for hit in index.search("copy a folder", k=5):
            print(hit.rank, hit.doc_id, hit.score, hit.text)

    Attributes:
        vectors: One vector per document.
        texts: Document id to the text that was embedded.
        model: What to load the model by: a folder, a Hub id, ``default`` or ``embedded``. Empty if the model
            that built the index had no name.
    """

    vectors: VectorIndex
    texts: dict[str, str] = field(default_factory=dict)
    model: str = ""
    _loaded: SearchR3 | None = field(default=None, init=False, repr=False, compare=False)

    @overload  # a string is an iterable of strings as well
    def search(  # type: ignore[overload-overlap]
        self, queries: str, k: int = 10, model: SearchR3 | None = None, **options: Unpack[SearchOptions]
    ) -> list[CorpusHit]: ...

    @overload
    def search(
        self,
        queries: Iterable[str],
        k: int = 10,
        model: SearchR3 | None = None,
        **options: Unpack[SearchOptions],
    ) -> list[list[CorpusHit]]: ...

    def search(
        self,
        queries: str | Iterable[str],
        k: int = 10,
        model: SearchR3 | None = None,
        **options: Unpack[SearchOptions],
    ) -> list[CorpusHit] | list[list[CorpusHit]]:
        """Find the documents closest to a query, or to each of several.

        Args:
            queries: One query, or Q of them in a list or any other column.
            k: Hits per query; all documents if there are fewer.
            model: The model that made the index. None loads the one that the index records, at the first
                search, and keeps it for the next. A model that is given is checked against the index at every
                search, which reads all of its weights.
            **options: Of :class:`search_r3.retrieval.corpus_search.SearchOptions`: ``reasoning``,
                ``max_reasoning_tokens``, ``batch_size``, ``hybrid``, ``steps``, ``read``, ``together`` and
                ``joining``.

        Returns:
            The hits of a single query, best first; of several queries, one such list each.

        Raises:
            InvalidInputError: If a query cannot be embedded; the message gives its index.
            InvalidOptionError: If an option is not valid.
            ModelError: If the recorded model cannot be loaded, or the model does not think.
            VectorIndexError: If the model is not the one that made the index.
        """
        found = self.search_with_thoughts(queries, k, model, **options)
        return found.hits if isinstance(found, Explanation) else [one.hits for one in found]

    @overload
    def search_with_thoughts(  # type: ignore[overload-overlap]
        self,
        queries: str,
        k: int = 10,
        model: SearchR3 | None = None,
        *,
        explain: bool = False,
        **options: Unpack[SearchOptions],
    ) -> Explanation: ...

    @overload
    def search_with_thoughts(
        self,
        queries: Iterable[str],
        k: int = 10,
        model: SearchR3 | None = None,
        *,
        explain: bool = False,
        **options: Unpack[SearchOptions],
    ) -> list[Explanation]: ...

    def search_with_thoughts(
        self,
        queries: str | Iterable[str],
        k: int = 10,
        model: SearchR3 | None = None,
        *,
        explain: bool = False,
        **options: Unpack[SearchOptions],
    ) -> Explanation | list[Explanation]:
        """Search as :meth:`search` does, and return what was thought for each query beside its hits.

        Args:
            queries: As for :meth:`search`.
            k: As for :meth:`search`.
            model: As for :meth:`search`.
            explain: Compare every query with itself without its thought; not together with ``hybrid`` or with
                several steps, which are in the result anyway.
            **options: As for :meth:`search`.
        """
        asked = [queries] if isinstance(queries, str) else checked_list(queries, "queries")
        loaded = self._model_of(model)
        found = search_corpus(loaded, self.vectors, self.texts, asked, k, explain=explain, **options)
        return found[0] if isinstance(queries, str) else found

    def _model_of(self, given: SearchR3 | None) -> SearchR3:
        """The model to search with, which is that of the vectors."""
        if given is None and self._loaded is not None:
            return self._loaded
        if given is not None and not isinstance(given, SearchR3):
            raise ModelError(
                f"Got a {type(given).__name__} as the model, wanted one that was loaded with "
                "search_r3.SentenceTransformer or search_r3.default_model."
            )
        model = self._recorded_model() if given is None else given
        if (found := fingerprint(model)) != self.vectors.fingerprint:
            raise VectorIndexError(
                f"Got the model {model.name_or_path} ({found[:12]}), wanted {self.model or 'the one'} "
                f"({self.vectors.fingerprint[:12]}), which made the index: use one model for both. Another "
                "dtype, max_seq_length or truncate_dim makes another model. Give the model that made the "
                "index, or build the index again with this one."
            )
        if given is None:
            self._loaded = model
        return model

    def _recorded_model(self) -> SearchR3:
        if not self.model:
            raise ModelError("The index does not record its model: give the model that made it as model=.")
        try:
            return load_model(self.model)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"Cannot load {self.model!r}, the model that made the index: {error}. Give it as model=."
            ) from error

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write all three parts, in the order that keeps a killed save consistent."""
        folder = Path(folder)
        recorded = {"format_version": FORMAT_VERSION, "model": self.model}
        write_text(folder / "model.json", json.dumps(recorded) + "\n")
        lines = (json.dumps({"_id": i, "text": text}, ensure_ascii=False) for i, text in self.texts.items())
        write_lines(folder / "documents.jsonl", (line + "\n" for line in lines))
        self.vectors.save(folder / "vectors")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> CorpusIndex:
        """Read a saved index; its model is loaded at the first search.

        Raises:
            VectorIndexError: If there is none, or a part of it is missing or damaged, or its format is not
                known, or it is of format 1 and may hold titles.
        """
        folder = Path(folder)
        if not is_index(folder):
            raise VectorIndexError(
                f"{folder} is not an index. Build it with `search-r3 index` or search_r3.build_index."
            )
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
                f"{folder} is damaged: {len(missing)} vectors have no text, such as {missing[0]!r}. "
                "If a build is changing it right now, try again; else remove it and build it again."
            )
        index = cls(vectors, texts, model)
        index._check_format(folder, version)
        return index

    def _check_format(self, folder: Path, version: object) -> None:
        """Refuse an index whose documents may have been embedded as other texts than today's."""
        if version == FORMAT_VERSION:
            return
        if version != 1:
            raise VectorIndexError(
                f"Got {folder}, an index of format {version!r}; wanted format 1 or {FORMAT_VERSION}. Use the "
                "version of search-r3 that wrote it, or remove the folder and build the index again."
            )
        # Format 1 joined a title by a line break, and kept only the joined text. A text without a line break
        # therefore has no title. One with a line break may have had it from its source, but nothing says so.
        suspect = next((doc_id for doc_id in self.vectors.doc_ids if "\n" in self.texts[doc_id]), None)
        if suspect is not None:
            model = "" if self.model == "default" else f" --model {shlex.quote(self.model)}"
            target = shlex.quote(str(folder))
            raise VectorIndexError(
                f"Got {folder}, an index of format 1 in which document {suspect!r} has a line break; wanted "
                f"format {FORMAT_VERSION}. Format 1 joined a title and its text by a line break; now a space "
                "joins them. The index does not record whether this document has a title. Remove the index "
                f"and build it again: rm -r {target} && search-r3 index SOURCE {target}{model}"
            )


def build_index(
    folder: str | os.PathLike[str],
    model: sentence_transformers.SentenceTransformer,
    documents: Iterable[Document],
    *,
    model_name: str | None = None,
    batch_size: int = 32,
    prune: bool = False,
    save_every_seconds: float = 30.0,
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
        prune: Remove documents that are in the index but not in ``documents``.
        save_every_seconds: Most work that a kill can lose, in seconds of encoding.
        on_progress: Called with (documents done, documents in all).

    Raises:
        InvalidInputError: If a document is none, or its text cannot be embedded; the message gives its id.
        VectorIndexError: If the index belongs to another model, is damaged, or is being written by another
            process, or if ``folder`` holds other files.
    """
    folder = Path(folder)
    if model_name is None:
        model_name = (model.name_or_path if isinstance(model, SearchR3) else None) or ""
    wanted = _texts_by_id(documents)
    with _only_writer(folder):
        index = _open(folder, model, model_name)
        remove_leftovers(folder)  # after it is known to be an index: other folders have other writers
        stale = [i for i in index.vectors.doc_ids if (i in wanted and index.texts[i] != wanted[i])]
        gone = [i for i in index.vectors.doc_ids if i not in wanted] if prune else []
        if stale or gone:
            index.vectors.remove(stale + gone)
        index.vectors.save(folder / "vectors")
        kept = set(index.vectors.doc_ids)
        index.texts = {i: text for i, text in index.texts.items() if i in kept}
        index.save(folder)

        # Longest first: batches hold texts of one length, and a memory problem shows at the start.
        missing = sorted((i for i in wanted if i not in kept), key=lambda i: (-len(wanted[i]), i))
        dropped: dict[str, int] = {}
        saved_at = time.monotonic()
        for start in range(0, len(missing), batch_size):
            batch = missing[start : start + batch_size]
            try:
                vectors, cut = _encode(model, [wanted[i] for i in batch])
            except BaseException as error:  # Ctrl-C above all: keep what is done
                index.save(folder)
                if isinstance(error, InvalidInputError):
                    at_fault = [i for i in batch if wanted[i] is error.item]
                    raise type(error)(error.reason, error.item, f"Document {at_fault[0]!r}") from None
                raise
            index.texts.update((i, wanted[i]) for i in batch)
            index.vectors.add(batch, vectors)
            dropped.update((i, tokens) for i, tokens in zip(batch, cut, strict=True) if tokens)
            on_progress(len(kept) + start + len(batch), len(kept) + len(missing))
            if time.monotonic() - saved_at > save_every_seconds:
                index.save(folder)
                saved_at = time.monotonic()
        index.save(folder)
    return BuildReport(len(missing), len(kept & set(wanted)), len(gone), dropped)


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


def is_index(folder: Path) -> bool:
    """Whether ``folder`` holds an index; its vectors' manifest is the first thing a build commits."""
    return (folder / "vectors" / "index.json").is_file()


def _open(folder: Path, model: sentence_transformers.SentenceTransformer, model_name: str) -> CorpusIndex:
    identity = fingerprint(model)
    if not is_index(folder):
        foreign = [path.name for path in folder.iterdir() if path.name not in (".lock", "vectors")]
        if foreign:
            raise VectorIndexError(
                f"{folder} is not an index and holds other files, such as {foreign[0]}. Use another folder."
            )
        dimension = model.get_embedding_dimension() or 0
        return CorpusIndex(VectorIndex(dimension, fingerprint=identity), {}, model_name)
    if not (folder / "documents.jsonl").exists() and not len(VectorIndex.load(folder / "vectors")):
        CorpusIndex(VectorIndex.load(folder / "vectors"), {}, model_name).save(folder)  # killed at its birth
    index = CorpusIndex.load(folder)
    if index.vectors.fingerprint != identity:
        raise VectorIndexError(
            f"{folder} was built with another model ({index.model}, {index.vectors.fingerprint[:12]}), "
            f"this one is {model_name} ({identity[:12]}). Another dtype, max_seq_length or truncate_dim "
            "makes another model. Use the model that built it, or another folder."
        )
    return index


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise VectorIndexError(
            f"Another process is writing to {folder}. Wait for it, or use another folder."
        ) from None
