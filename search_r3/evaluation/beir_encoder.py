"""A model in the form that BEIR's dense retrieval asks for: ``encode_queries`` and ``encode_corpus``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sentence_transformers
import torch

from search_r3.evaluation.arms import encode_arm
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thoughts import Arm, Thought
from search_r3.text import TITLE_FIELD, join_title


class BeirModel:
    """A sentence-transformers model for ``DenseRetrievalExactSearch``; one that thinks does so in one arm.

    Args:
        model: Any sentence-transformers model; with an arm, a Search-R3 model.
        arm: How queries think; None for a model that does not.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        seed: Seed of the arms that draw.
        prompt: An instruction to put before every query; None for none.
        own_thoughts: Thoughts of the arm ``always``, one per query, for the control arms.

    Attributes:
        query_encoding: Vectors and thoughts of the queries; None before, and for a model that does not think.
        query_seconds: Time spent on queries.
        document_seconds: Time spent on documents.
    """

    def __init__(
        self,
        model: sentence_transformers.SentenceTransformer,
        arm: Arm | None = None,
        *,
        max_reasoning_tokens: int | None = None,
        seed: int = 0,
        prompt: str | None = None,
        own_thoughts: Sequence[Thought] | None = None,
    ) -> None:
        self.model = model
        self.arm = arm
        self.options: dict[str, Any] = {
            "max_reasoning_tokens": max_reasoning_tokens,
            "seed": seed,
            "prompt": prompt,
            "own_thoughts": own_thoughts,
        }
        self.query_encoding: QueryEncoding | None = None
        self.query_seconds = 0.0
        self.document_seconds = 0.0

    def encode_queries(
        self,
        queries: list[str],
        batch_size: int = 32,
        *,
        show_progress_bar: bool = False,
        convert_to_tensor: bool = True,
    ) -> torch.Tensor:
        """Encode queries; BEIR's ``convert_to_tensor`` changes nothing, its search wants tensors.

        Returns:
            Vectors on the CPU, shape (queries, D), float32.
        """
        started = time.monotonic()
        shown: dict[str, Any] = {"batch_size": batch_size, "show_progress_bar": show_progress_bar}
        if self.arm is None:
            vectors = self.model.encode_query(queries, **shown)
        else:
            assert isinstance(self.model, SearchR3)
            self.query_encoding = encode_arm(self.model, queries, self.arm, **self.options, **shown)
            vectors = self.query_encoding.embeddings
        self.query_seconds += time.monotonic() - started
        return torch.as_tensor(vectors, dtype=torch.float32)

    def encode_corpus(
        self,
        corpus: list[dict[str, Any]],
        batch_size: int = 32,
        *,
        show_progress_bar: bool = False,
        convert_to_tensor: bool = True,
    ) -> torch.Tensor:
        """Encode documents as the texts of :func:`search_r3.text.join_title`.

        Returns:
            Vectors on the CPU, shape (documents, D), float32.
        """
        started = time.monotonic()
        # BEIR's loader gives None for the title of a record without one.
        texts = [join_title(document.get(TITLE_FIELD), document["text"]) for document in corpus]
        vectors = self.model.encode_document(
            texts, batch_size=batch_size, show_progress_bar=show_progress_bar
        )
        self.document_seconds += time.monotonic() - started
        return torch.as_tensor(vectors, dtype=torch.float32)
