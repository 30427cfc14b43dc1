"""LlamaIndex: an embedding model whose queries think and whose documents do not, and a retriever that reads.

Needs ``pip install 'search-r3[llama-index]'``. The stock ``HuggingFaceEmbedding`` works as well
(docs/integrations.md). It has no role of documents, tries three times whatever the error, and cannot hand out
thoughts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.extras import needs_extra
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint as identity_of
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thoughts import Reasoning, Thought
from search_r3.retrieval.hits import CorpusHit
from search_r3.retrieval.steps import SEARCH_DEPTH, search_in_steps

with needs_extra("llama-index"):
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import Field, PrivateAttr
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

GIVEN = "given"
"""Name of a model that was given, and that a copy cannot load."""


class SearchR3Embedding(BaseEmbedding):
    """Unit vectors of queries and nodes for LlamaIndex.

    LlamaIndex copies components by their fields, into other processes as well. A copy loads the model again,
    and is refused where that gives another one.

    Args:
        model_name: ``default``, ``embedded``, a folder, or a Hub id.
        model: A Search-R3 model that is loaded already. Such an embedding cannot be copied.
        model_kwargs: Options of :func:`search_r3.model.default.load_model`, such as ``device`` and ``dtype``.
        reasoning: ``always``, ``never`` or ``auto``; None means the model's default.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        query_prompt: An instruction before every query; None means the model's own prompt.
        fingerprint: What the model's has to be; None takes it as it is.
        **options: Of LlamaIndex's ``BaseEmbedding``, such as ``embed_batch_size``; no ``embeddings_cache``.

    Raises:
        InvalidOptionError: There is an ``embeddings_cache``, or a model that was given is asked for again.
        ModelError: The model is not that of the fingerprint.
    """

    reasoning: Reasoning | None = Field(default=None)
    max_reasoning_tokens: int | None = Field(default=None, ge=0)
    query_prompt: str | None = Field(default=None)
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    fingerprint: str = Field(default="")
    _model: SearchR3 = PrivateAttr()

    def __init__(
        self,
        model_name: str = "default",
        *,
        model: SearchR3 | None = None,
        model_kwargs: dict[str, Any] | None = None,
        fingerprint: str | None = None,
        **options: Any,
    ) -> None:
        if options.get("embeddings_cache") is not None:
            raise InvalidOptionError(
                "Got an embeddings_cache, wanted none: its key is the text alone, so that a query would get "
                "the vector of a document with the same words, or one that was thought about in another way."
            )
        if model is None and model_name == GIVEN:
            raise InvalidOptionError(
                "Got the fields of an embedding around a model that was given, which are not enough to load "
                "it again. Give the model, or make the embedding with a model_name."
            )
        loaded = load_model(model_name, **(model_kwargs or {})) if model is None else model
        found = identity_of(loaded)
        if fingerprint and fingerprint != found:
            raise ModelError(
                f"{model_name} is another model here ({found[:12]}) than where this embedding was made "
                f"({fingerprint[:12]}): its vectors would not fit."
            )
        fields: dict[str, Any] = {
            "model_name": model_name if model is None else GIVEN,
            "model_kwargs": model_kwargs or {},
            "fingerprint": found,
        }
        super().__init__(**fields, **options)
        self._model = loaded

    @property
    def model(self) -> SearchR3:
        """The model."""
        return self._model

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises it."""
        return "SearchR3Embedding"

    def get_query_embedding_with_thought(self, query: str) -> tuple[list[float], Thought]:
        """Embed a query, and return what was thought for it.

        Raises:
            InvalidInputError: The query cannot be embedded.
        """
        encoding = self._model.encode_query_with_thoughts(
            [query],
            reasoning=self.reasoning,
            max_reasoning_tokens=self.max_reasoning_tokens,
            prompt=self.query_prompt,
        )
        vector: list[float] = encoding.embeddings[0].tolist()
        return vector, encoding.thoughts[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self.get_query_embedding_with_thought(query)[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._model.encode_document(
            texts, batch_size=self.embed_batch_size, normalize_embeddings=True, show_progress_bar=False
        ).tolist()
        return vectors

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


class SearchR3NodeRetriever(BaseRetriever):
    """Searches a LlamaIndex index in steps: search, read what was found, think, search again.

    See :func:`search_r3.retrieval.steps.search_in_steps`. The index must hold vectors of the same model.

    Args:
        index: What to search: anything with ``as_retriever(similarity_top_k=...)``, such as a
            ``VectorStoreIndex``.
        embedding: The embedding model that it was filled with.
        k: Nodes to return.
        steps: Searches one after another; 1 reads nothing.
        read: Passages that a query reads in a step.
        together: Read them together and think once, instead of a thought for each.
        reasoning: ``always``, ``never`` or ``auto``, which lets the model stop.
    """

    def __init__(
        self,
        index: Any,
        embedding: SearchR3Embedding,
        *,
        k: int = 4,
        steps: int = 2,
        read: int = 3,
        together: bool = False,
        reasoning: Reasoning = "always",
    ) -> None:
        super().__init__()
        self._index, self._embedding, self._k = index, embedding, k
        self._options: dict[str, Any] = {
            "steps": steps,
            "read": read,
            "together": together,
            "reasoning": reasoning,
        }

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        store = _Nodes(self._index.as_retriever(similarity_top_k=max(self._k, SEARCH_DEPTH)))
        [found] = search_in_steps(
            self._embedding.model,
            store,
            [query_bundle.query_str],
            self._k,
            max_reasoning_tokens=self._embedding.max_reasoning_tokens,
            prompt=self._embedding.query_prompt,
            batch_size=self._embedding.embed_batch_size,
            **self._options,
        )
        return [NodeWithScore(node=store.nodes[hit.doc_id].node, score=hit.score) for hit in found.hits]


class _Nodes:
    """A LlamaIndex retriever as ours."""

    def __init__(self, retriever: Any) -> None:
        self._retriever = retriever
        self.nodes: dict[str, NodeWithScore] = {}

    def retrieve(self, queries: Sequence[str], vectors: NDArray[np.float32], k: int) -> list[list[CorpusHit]]:
        found = []
        for query, vector in zip(queries, vectors, strict=True):
            nodes = self._retriever.retrieve(QueryBundle(query, embedding=vector.tolist()))[:k]
            self.nodes |= {node.node.node_id: node for node in nodes}
            texts = (node.node.get_content(MetadataMode.EMBED) for node in nodes)
            found.append(
                [
                    CorpusHit(node.node.node_id, float(node.score or 0.0), rank, text)
                    for rank, (node, text) in enumerate(zip(nodes, texts, strict=True), start=1)
                ]
            )
        return found
