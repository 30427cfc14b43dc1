"""An embedding model that thinks before it embeds.

Importing the package is quick and silent: torch and sentence-transformers are loaded when a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_r3.base import prepare_base
    from search_r3.embedded_model import default_model, default_model_folder, embedded_base_folder
    from search_r3.identity import fingerprint
    from search_r3.index import VectorIndex
    from search_r3.model import QueryEncoding, SentenceTransformer
    from search_r3.template import COMPACT_TEMPLATE, Template
    from search_r3.thoughts import Thought

__version__ = "0.1.0"

_HOME = {
    "COMPACT_TEMPLATE": "template",
    "QueryEncoding": "model",
    "SentenceTransformer": "model",
    "Template": "template",
    "Thought": "thoughts",
    "VectorIndex": "index",
    "default_model": "embedded_model",
    "default_model_folder": "embedded_model",
    "embedded_base_folder": "embedded_model",
    "fingerprint": "identity",
    "prepare_base": "base",
}

__all__ = [
    "COMPACT_TEMPLATE",
    "QueryEncoding",
    "SentenceTransformer",
    "Template",
    "Thought",
    "VectorIndex",
    "__version__",
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
