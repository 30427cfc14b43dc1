"""A Search-R3 model as an mteb encoder, one arm at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from search_r3.errors import InvalidOptionError
from search_r3.evaluation.arms import encode_arm
from search_r3.evaluation.embedding_cache import cached_vectors
from search_r3.extras import needs_extra
from search_r3.model.default import EMBEDDED_MODELS, load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thoughts import ARMS, Arm, Thought

with needs_extra("eval"):
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import ModelMeta
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ScoringFunction
    from mteb.types import Array, BatchedInput, EncodeKwargs, PromptType

REVISION_DIGITS = 16
"""Digits of a fingerprint that stand as a revision in mteb's result folders."""


@dataclass
class TaskEncodings:
    """What was encoded for one part (task, split, subset) of an evaluation.

    Attributes:
        queries: The query texts, in the order of ``query_encoding``; empty before they were encoded.
        query_encoding: Their vectors and thoughts; None before they were encoded.
        prompt_tokens: Tokens of all queries with template and instruction, without thought and embed token.
        query_seconds: Time of thinking and encoding the queries.
        document_seconds: Time of encoding the documents.
    """

    queries: list[str]
    query_encoding: QueryEncoding | None = None
    prompt_tokens: int = 0
    query_seconds: float = 0.0
    document_seconds: float = 0.0


class SearchR3Encoder(AbsEncoder):
    """Queries think as the arm says; documents never do, and neither do the texts of symmetric tasks.

    Arm, budget, instructions and seed are arguments of the constructor, because mteb's result cache keeps
    results apart by them (they are the model's ``experiment_kwargs``) and does not look at ``encode_kwargs``.
    As an mteb loader, give them there as well::

        ModelMeta(loader=SearchR3Encoder, name="org/model", experiment_kwargs={"reasoning": "never"}, ...)

    A local folder or embedded model is named ``local/<its name>``. The revision, unless one is given, is the
    beginning of the model's fingerprint: another checkpoint or dtype under the same name is another cache
    entry.

    Args:
        model_name: ``default``, ``embedded``, a model folder, or a Hub id.
        revision: Revision of the Hub id.
        model: The model itself, if it is loaded already.
        device: Device to load it on; None lets sentence-transformers choose.
        reasoning: The arm; None means what the model does unless told otherwise.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        instructions: Whether queries are preceded by :func:`query_prompt`. Documents never are.
        seed: Seed of the arms that draw.
        own_thoughts: Thoughts of the arm ``always`` by query text, for the control arms. None generates them.
        document_cache: A folder in which document vectors are kept for other arms; None keeps none.

    Attributes:
        fingerprint: Fingerprint of the model.
        encodings: What was encoded, by (task name, split, subset).

    Raises:
        InvalidOptionError: If there is no such arm.
        ModelError: If the model does not think.
    """

    mteb_model_meta: ModelMeta

    def __init__(
        self,
        model_name: str,
        revision: str | None = None,
        *,
        model: SearchR3 | None = None,
        device: str | None = None,
        reasoning: Arm | None = None,
        max_reasoning_tokens: int | None = None,
        instructions: bool = False,
        seed: int = 0,
        own_thoughts: Mapping[str, Thought] | None = None,
        document_cache: Path | None = None,
    ) -> None:
        if reasoning is not None and reasoning not in ARMS:
            raise InvalidOptionError(f"Got reasoning={reasoning!r}, wanted one of {', '.join(ARMS)}.")
        if model is None:
            model = load_model(model_name, revision=revision, device=device)
        default_budget = model.reasoning_module.max_reasoning_tokens
        self.model: SearchR3 = model
        self.reasoning: Arm = reasoning or model.reasoning_module.reasoning
        self.max_reasoning_tokens = default_budget if max_reasoning_tokens is None else max_reasoning_tokens
        self.instructions = instructions
        self.seed = seed
        self.own_thoughts = own_thoughts
        self.document_cache = document_cache
        self.fingerprint = fingerprint(model)
        self.encodings: dict[tuple[str, str, str], TaskEncodings] = {}
        self.mteb_model_meta = self._meta(model_name, revision)

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Unpack[EncodeKwargs],
    ) -> Array:
        """Encode the texts of one part of a task; see ``mteb.models.EncoderProtocol.encode``.

        Args:
            inputs: Batches with a ``text``.
            task_metadata: The task, for its instruction.
            hf_split: Split of the task.
            hf_subset: Subset of the task.
            prompt_type: Query, document, or None for the texts of a symmetric task.
            **kwargs: ``batch_size`` and ``show_progress_bar``.

        Returns:
            Unit vectors, shape (texts, D), float32.

        Raises:
            InvalidOptionError: If there is any other ``encode_kwargs``: mteb's cache would not know of it.
            InvalidInputError: If a text cannot be embedded.
        """
        if unknown := sorted(set(kwargs) - {"batch_size", "show_progress_bar"}):
            raise InvalidOptionError(
                f"Got encode_kwargs {unknown}, wanted batch_size and show_progress_bar only. Give the others "
                "to SearchR3Encoder(...): mteb's result cache does not see encode_kwargs."
            )
        texts: list[str] = [text for batch in inputs for text in batch["text"]]
        batch_size = kwargs.get("batch_size", 32)
        show_progress_bar = kwargs.get("show_progress_bar", False)
        part = self.encodings.setdefault((task_metadata.name, hf_split, hf_subset), TaskEncodings([]))
        started = time.monotonic()
        if prompt_type != PromptType.query:
            vectors = self._documents(texts, batch_size, show_progress_bar)
            part.document_seconds += time.monotonic() - started
            return vectors
        prompt = query_prompt(task_metadata) if self.instructions else None
        own = self.own_thoughts
        found = encode_arm(
            self.model,
            texts,
            self.reasoning,
            max_reasoning_tokens=self.max_reasoning_tokens,
            seed=self.seed,
            batch_size=batch_size,
            prompt=prompt,
            own_thoughts=None if own is None else [own[text] for text in texts],
            show_progress_bar=show_progress_bar,
        )
        part.query_seconds += time.monotonic() - started
        part.queries, part.query_encoding = texts, found
        part.prompt_tokens = prompt_tokens(self.model, texts, prompt)
        return found.embeddings

    def _documents(self, texts: list[str], batch_size: int, show_progress_bar: bool) -> NDArray[np.float32]:
        def encode(some: list[str], show: bool = False) -> NDArray[np.float32]:
            vectors = self.model.encode_document(some, batch_size=batch_size, show_progress_bar=show)
            return np.asarray(vectors, dtype=np.float32)

        if self.document_cache is None:
            return encode(texts, show_progress_bar)
        identity = f"{self.fingerprint} document"
        return cached_vectors(
            self.document_cache, identity, texts, encode, show_progress_bar=show_progress_bar
        )

    def _meta(self, model_name: str, revision: str | None) -> ModelMeta:
        folder = Path(model_name)
        is_local = model_name in EMBEDDED_MODELS or folder.is_dir()
        language_model: Any = self.model.reasoning_module.model
        return ModelMeta.create_empty(
            {
                "loader": type(self),
                "name": f"local/{folder.resolve().name}" if is_local else model_name,
                "revision": revision or self.fingerprint[:REVISION_DIGITS],
                "n_parameters": sum(weights.numel() for weights in self.model.parameters()),
                "n_embedding_parameters": language_model.get_input_embeddings().weight.numel(),
                "max_tokens": self.model.max_seq_length,
                "embed_dim": self.model.get_embedding_dimension(),
                "open_weights": True,
                "framework": ["Sentence Transformers", "PyTorch"],
                "similarity_fn_name": ScoringFunction.COSINE,
                "use_instructions": self.instructions,
                "experiment_kwargs": {
                    "reasoning": self.reasoning,
                    "max_reasoning_tokens": self.max_reasoning_tokens,
                    "instructions": self.instructions,
                    "seed": self.seed,
                },
            }
        )


def query_prompt(task_metadata: TaskMetadata) -> str | None:
    """The instruction that a task asks to put before its queries, on a line of its own; None if it has none.

    mteb's ``get_task_instruction`` would make up a general one for a task without.
    """
    prompt = task_metadata.prompt
    instruction = prompt.get("query") if isinstance(prompt, dict) else prompt
    return f"{instruction.strip()}\n" if instruction else None


def prompt_tokens(model: SearchR3, queries: list[str], prompt: str | None) -> int:
    """Count the tokens of queries with template and instruction, without thoughts and embed tokens."""
    encoder = model.reasoning_module.prompt_encoder
    limit = model.max_seq_length or 0
    return sum(
        len(encoder.encode_query(query, instruction=prompt or "", max_tokens=limit).token_ids) - 1
        for query in queries
    )
