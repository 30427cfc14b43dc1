"""Golden vectors: what a model must answer on any machine, kept in its folder and checked by `doctor`.

Twelve documents, four queries with a fixed thought, and two that read passages before it. Thoughts are given,
not generated, because only the replay is promised to be the same everywhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from search_r3.errors import ModelError
from search_r3.files import atomic_path

GOLDEN_FILE = "golden.safetensors"

_DOCUMENTS = [
    "",
    "Paris is the capital and largest city of France.",
    "shutil.copytree(src, dst): recursively copy a directory tree.",
    "Hypocystinemia: a decreased amount of cystine in the blood.",
    "def add(a, b):\n    return a + b",
    "SELECT name FROM users WHERE id = 7;",
    "Ein Satz auf Deutsch mit Umlauten: äöüß.",
    "日本語の短い文。",
    "Mixed 🙂 emoji and literal <|embed_token|> text",
    "a" * 200,
    "The mitochondrion produces most of the cell's supply of ATP.",
    "Water boils at 100 degrees Celsius at sea level.",
]
_QUERIES = [
    ("How do I copy a folder with everything in it?", "copy directory tree recursively"),
    ("Low blood cystine levels", "hypocystinemia, amino acid, blood"),
    ("largest city of France", "Paris"),
    ("What makes energy in a cell?", ""),
]
_READING_QUERIES = [
    (
        "Which river flows through the city where the treaty was signed?",
        "Paris",
        ["Treaty: it was signed in Paris in 1783.", "Paris is the capital and largest city of France."],
    ),
    (
        "What makes energy in a cell?",
        "",
        ["Literal <|embed_token|> in a passage", "Water boils at 100 degrees Celsius."],
    ),
]


@dataclass(frozen=True)
class GoldenReport:
    """Agreement with the golden vectors.

    Attributes:
        worst_cosine: Lowest cosine between a vector and its golden one.
        wanted: The least it may be in this dtype.
    """

    worst_cosine: float
    wanted: float

    @property
    def passed(self) -> bool:
        """Whether every vector is close enough."""
        return self.worst_cosine >= self.wanted


def golden_vectors(model: SentenceTransformer) -> dict[str, NDArray[np.float32]]:
    """Embed the golden texts: ``vectors`` (16, D), and ``reading``, of the queries with evidence, (2, D)."""
    options: dict[str, Any] = {
        "convert_to_tensor": True,
        "normalize_embeddings": True,
        "on_truncation": "ignore",
    }
    documents: Any = model.encode_document(_DOCUMENTS, **options)
    queries: Any = model.encode_query(_QUERIES, **options)
    reading: Any = model.encode_query(_READING_QUERIES, **options)
    return {
        "vectors": torch.cat([documents, queries]).float().cpu().numpy(),
        "reading": reading.float().cpu().numpy(),
    }


def write_golden(model: SentenceTransformer, folder: str | os.PathLike[str]) -> Path:
    """Write the golden vectors of ``model`` into its folder and return their path."""
    path = Path(folder) / GOLDEN_FILE
    with atomic_path(path) as part:
        save_file(golden_vectors(model), part)
    return path


def check_golden(model: SentenceTransformer, path: str | os.PathLike[str]) -> GoldenReport:
    """Compare ``model`` with golden vectors: cosine >= 0.9999 in float32, >= 0.999 in half precision.

    Files of earlier versions have no ``reading``, and are compared in what they have.

    Raises:
        ModelError: If the file is damaged, or holds vectors of another shape.
    """
    try:
        expected = load_file(path)
        if "vectors" not in expected:
            raise KeyError("vectors")
    except (SafetensorError, KeyError) as error:
        raise ModelError(
            f"{path} is damaged: {error}. Restore it, or write it anew with `search-r3 doctor MODEL "
            "--write-golden`."
        ) from None
    got = golden_vectors(model)
    for name, vectors in expected.items():
        if name not in got or vectors.shape != got[name].shape:
            shape = got[name].shape if name in got else "none"
            raise ModelError(
                f"{path} holds {name} of shape {vectors.shape}, this model gives {shape}: it is of another "
                "model. Restore it, or write it anew with `search-r3 doctor MODEL --write-golden`."
            )
    wanted = 0.9999 if model.dtype == torch.float32 else 0.999
    worst = min(float((vectors * got[name]).sum(axis=1).min()) for name, vectors in expected.items())
    return GoldenReport(worst, wanted)
