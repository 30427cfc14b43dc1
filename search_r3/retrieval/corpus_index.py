"""An indexed corpus: the vectors, the texts behind them, and the model that made them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack, overload

from search_r3.arguments import checked_list
from search_r3.errors import ModelError, VectorIndexError
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.retrieval.approximate import ApproximateVectors, OnProgress
from search_r3.retrieval.bm25 import BM25Index
from search_r3.retrieval.candidates import Approximation
from search_r3.retrieval.corpus_search import Explanation, IndexRetriever, SearchOptions, search_corpus
from search_r3.retrieval.document_store import DocumentStore
from search_r3.retrieval.former_index import is_former, read_former
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.shards import MANIFEST, read_manifest
from search_r3.retrieval.store_writer import bm25_name
from search_r3.retrieval.stored_vectors import StoredVectors
from search_r3.retrieval.vector_index import VectorIndex

FORMER_DEFAULT = "smollm2-135m"
"""The default model before it was Gemma 3 270M; indexes of that time record it as ``default``."""


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

    vectors: VectorIndex | StoredVectors
    texts: Mapping[str, str]
    model: str = ""
    _store: DocumentStore | None = field(default=None, init=False, repr=False, compare=False)
    _bm25: BM25Index | None = field(default=None, init=False, repr=False, compare=False)
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
                ``max_reasoning_tokens``, ``batch_size``, ``hybrid``, ``steps``, ``read``, ``together``,
                ``joining`` and ``cache``.

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
        retriever = self.retriever(hybrid=options.get("hybrid", False))
        rest: Any = {name: value for name, value in options.items() if name != "hybrid"}
        found = search_corpus(loaded, retriever, asked, k, explain=explain, **rest)
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
                f"index, or build the index again with this one.{former_default(self.model)}"
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

    def retriever(self, *, hybrid: bool = False) -> IndexRetriever:
        """What finds documents. BM25 is read from the index, or built once and kept there.

        Args:
            hybrid: Join each ranking with BM25's.
        """
        if hybrid and self._bm25 is None:
            self._bm25 = self._read_bm25()
        return IndexRetriever(self.vectors, self.texts, self._bm25 if hybrid else None)

    def _read_bm25(self) -> BM25Index:
        # Texts of an index of format 1 or 2 may have more documents than its vectors.
        ids = self.vectors.doc_ids
        if self._store is None:
            return BM25Index({doc_id: self.texts[doc_id] for doc_id in ids})
        folder = self._store.folder / bm25_name(self._store.manifest)
        found = BM25Index.load(folder, ids)
        if found is None:
            found = BM25Index({doc_id: self.texts[doc_id] for doc_id in ids})
            # Where nobody may write, the next process builds it again; so it does if the index has changed.
            with contextlib.suppress(OSError, VectorIndexError):
                if read_manifest(self._store.folder) == self._store.manifest:
                    found.save(folder)
        return found

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        *,
        approximate: Approximation | None = None,
        on_progress: OnProgress = lambda done, total: None,
    ) -> CorpusIndex:
        """Open a saved index at its newest state; its model is loaded at the first search.

        What is written later is not seen: load it again. Every byte is checked. Vectors and texts stay on the
        disk and are mapped. An index of an earlier version is read into memory.

        Args:
            folder: Where it is.
            approximate: What finds candidates among many documents: ``float16``, ``int8``, ``binary``,
                ``hnsw`` or ``ivf``; see :mod:`search_r3.retrieval.approximate`. It is made on first use and
                kept beside the vectors. None searches exactly.
            on_progress: Called with (documents, documents in all) while it is made.

        Raises:
            InvalidOptionError: There is no such approximation.
            VectorIndexError: If there is none, or a part of it is missing or damaged, or its format is not
                known, or it is of format 1 and may hold titles.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            try:
                if not is_former(folder):
                    raise VectorIndexError(
                        f"{folder} is not an index. Build it with `search-r3 index` or search_r3.build_index."
                    )
                former = read_former(folder)
                if approximate is not None:
                    raise VectorIndexError(
                        f"Got approximate={approximate!r} with {folder}, an index of an earlier version. "
                        "Convert it by `search-r3 index` with its documents and this folder, or leave "
                        "approximate out."
                    )
                return cls(former.vectors, former.texts, former.model)
            except VectorIndexError:
                if not (folder / MANIFEST).is_file():  # else a build has converted it meanwhile
                    raise
        store = DocumentStore.open(folder)
        vectors = (
            store.vectors
            if approximate is None
            else ApproximateVectors(store, approximate, on_progress=on_progress)
        )
        index = cls(vectors, store.texts, store.manifest.model)
        index._store = store
        return index


def former_default(model: str) -> str:
    """What helps where an index of the model ``default`` is of another model than today's default."""
    if model != "default":
        return ""
    return f" If it was made before the default model was gemma3-270m, its model is {FORMER_DEFAULT}."
