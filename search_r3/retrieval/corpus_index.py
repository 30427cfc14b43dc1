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
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack, overload

from search_r3.arguments import checked_list
from search_r3.errors import ModelError, VectorIndexError
from search_r3.files import write_lines, write_text
from search_r3.json_lines import json_objects
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.retrieval.corpus_search import Explanation, SearchOptions, search_corpus
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.vector_index import VectorIndex

FORMER_DEFAULT = "smollm2-135m"
"""The default model before it was Gemma 3 270M; indexes of that time record it as ``default``."""

FORMAT_VERSION = 2
"""Format of the indexes that are written; an index of format 1 is read where it cannot hold a title."""


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


def is_index(folder: Path) -> bool:
    """Whether ``folder`` holds an index; its vectors' manifest is the first thing a build commits."""
    return (folder / "vectors" / "index.json").is_file()


def former_default(model: str) -> str:
    """What helps where an index of the model ``default`` is of another model than today's default."""
    if model != "default":
        return ""
    return f" If it was made before the default model was gemma3-270m, its model is {FORMER_DEFAULT}."
