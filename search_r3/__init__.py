"""Embedding models that can think before they embed.

Importing the package is quick and silent: torch and sentence-transformers are loaded when a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_r3.model.default import default_model, default_model_folder, embedded_base_folder
    from search_r3.model.fingerprint import fingerprint
    from search_r3.model.prepare import prepare_base
    from search_r3.model.sentence_transformer import QueryEncoding, SearchR3, SentenceTransformer
    from search_r3.model.template import COMPACT_TEMPLATE, Template
    from search_r3.model.thoughts import Thought
    from search_r3.retrieval.corpus_index import CorpusIndex
    from search_r3.retrieval.documents import Document
    from search_r3.retrieval.index_building import build_index
    from search_r3.retrieval.vector_index import VectorIndex

__version__ = "0.1.0"

_HOME = {
    "COMPACT_TEMPLATE": "model.template",
    "CorpusIndex": "retrieval.corpus_index",
    "Document": "retrieval.documents",
    "QueryEncoding": "model.sentence_transformer",
    "SearchR3": "model.sentence_transformer",
    "SentenceTransformer": "model.sentence_transformer",
    "Template": "model.template",
    "Thought": "model.thoughts",
    "VectorIndex": "retrieval.vector_index",
    "build_index": "retrieval.index_building",
    "default_model": "model.default",
    "default_model_folder": "model.default",
    "embedded_base_folder": "model.default",
    "fingerprint": "model.fingerprint",
    "prepare_base": "model.prepare",
}

__all__ = [
    "COMPACT_TEMPLATE",
    "CorpusIndex",
    "Document",
    "QueryEncoding",
    "SearchR3",
    "SentenceTransformer",
    "Template",
    "Thought",
    "VectorIndex",
    "__version__",
    "build_index",
    "default_model",
    "default_model_folder",
    "embedded_base_folder",
    "fingerprint",
    "prepare_base",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
