"""LangChain: embeddings whose queries think and whose documents do not, and a retriever that reads.

Needs ``pip install 'search-r3[langchain]'``. The stock ``langchain_huggingface.HuggingFaceEmbeddings`` works
as well (docs/integrations.md). It turns newlines into spaces, which this class does not, and cannot hand out
thoughts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from search_r3.extras import needs_extra
from search_r3.model.default import load_model
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thoughts import Reasoning, Thought
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.steps import search_in_steps

with needs_extra("langchain"):
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore


class SearchR3Embeddings(BaseModel, Embeddings):
    """Unit vectors of queries and documents for LangChain's vector stores and retrievers.

    The asynchronous methods run in a thread, as LangChain's default has it.

    Attributes:
        model_name: ``default``, ``embedded``, a folder, or a Hub id. A loaded model goes into :meth:`of`
            instead.
        model_kwargs: Options of :func:`search_r3.model.default.load_model`, such as ``device`` and ``dtype``.
        reasoning: ``always``, ``never`` or ``auto``; None means the model's default.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        query_prompt: An instruction before every query; None means the model's own prompt.
        batch_size: Texts per forward pass.
        show_progress: Whether documents have a progress bar.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_name: str = "default"
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    reasoning: Reasoning | None = None
    max_reasoning_tokens: int | None = Field(default=None, ge=0)
    query_prompt: str | None = None
    batch_size: int = Field(default=32, ge=1)
    show_progress: bool = False
    _model: SearchR3 = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Load the model, unless :meth:`of` has one."""
        loaded = context.get("model") if isinstance(context, dict) else None
        self._model = load_model(self.model_name, **self.model_kwargs) if loaded is None else loaded

    @property
    def model(self) -> SearchR3:
        """The model."""
        return self._model

    @classmethod
    def of(cls, model: SearchR3, **options: Any) -> Self:
        """Wrap a model that is loaded already.

        Args:
            model: A Search-R3 model.
            **options: The attributes above, but for ``model_name`` and ``model_kwargs``.
        """
        return cls.model_validate({"model_name": "given", **options}, context={"model": model})

    def embed_documents(self, texts: Iterable[str]) -> list[list[float]]:
        """Embed documents, without thinking.

        Raises:
            InvalidInputError: A text cannot be embedded; the message has its index.
        """
        vectors: list[list[float]] = self._model.encode_document(
            texts,
            batch_size=self.batch_size,
            normalize_embeddings=True,
            show_progress_bar=self.show_progress,
        ).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Embed a query, after its thought if the model thinks.

        Raises:
            InvalidInputError: The query cannot be embedded.
        """
        return self.embed_query_with_thought(text)[0]

    def embed_query_with_thought(self, text: str) -> tuple[list[float], Thought]:
        """Embed a query, and return what was thought for it.

        Raises:
            InvalidInputError: The query cannot be embedded.
        """
        encoding = self._model.encode_query_with_thoughts(
            [text],
            reasoning=self.reasoning,
            max_reasoning_tokens=self.max_reasoning_tokens,
            prompt=self.query_prompt,
        )
        vector: list[float] = encoding.embeddings[0].tolist()
        return vector, encoding.thoughts[0]


class SearchR3Retriever(BaseRetriever):
    """Searches any of LangChain's vector stores in steps: search, read what was found, think, search again.

    See :func:`search_r3.retrieval.steps.search_in_steps`. The store must hold vectors of the same model.

    Attributes:
        store: The vector store.
        embeddings: The embeddings that it was filled with.
        k: Documents to return.
        steps: Searches one after another; 1 reads nothing.
        read: Passages that a query reads in a step.
        together: Read them together and think once, instead of a thought for each.
        reasoning: ``always``, ``never`` or ``auto``, which lets the model stop.
    """

    store: VectorStore
    embeddings: SearchR3Embeddings
    k: int = Field(default=4, ge=1)
    steps: int = Field(default=2, ge=1)
    read: int = Field(default=3, ge=1)
    together: bool = False
    reasoning: Reasoning = "always"

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        store = _Documents(self.store)
        [found] = search_in_steps(
            self.embeddings.model,
            store,
            [query],
            self.k,
            steps=self.steps,
            read=self.read,
            together=self.together,
            reasoning=self.reasoning,
            max_reasoning_tokens=self.embeddings.max_reasoning_tokens,
            prompt=self.embeddings.query_prompt,
            batch_size=self.embeddings.batch_size,
        )
        return [store.documents[hit.doc_id] for hit in found.hits]


class _Documents:
    """A vector store as a retriever of documents; they are known by their id, or by what is in them."""

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self.documents: dict[str, Document] = {}

    def retrieve(self, queries: Sequence[str], vectors: NDArray[np.float32], k: int) -> list[list[CorpusHit]]:
        found = []
        for vector in vectors:
            row: dict[str, Document] = {}
            for document in self._store.similarity_search_by_vector(vector.tolist(), k=k):
                key = document.id or f"{document.page_content} {sorted(document.metadata.items())!r}"
                row.setdefault(key, document)
            self.documents |= row
            # Stores give no scores here: the order is enough to join rankings by.
            found.append(
                [
                    CorpusHit(key, 1 / rank, rank, document.page_content)
                    for rank, (key, document) in enumerate(row.items(), start=1)
                ]
            )
        return found
