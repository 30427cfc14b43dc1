"""Examples to tensors: the collator of the trainer, and the shapes by which batches are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from search_r3.data.leaks import normalise
from search_r3.model.padding import left_pad
from search_r3.model.prompt_encoder import EncodedText
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.training.batches import ExampleShape
from search_r3.training.examples import Example
from search_r3.training.sft_config import DataConfig
from search_r3.training.teacher import EncodeWithTeacher
from search_r3.training.term_vectors import TermVectors


class ExampleEncoder:
    """Turns examples into the sequences that the runtime would make of them.

    Args:
        module: The thinking module of the model that is trained.
        config: Limits of lengths.
        teacher: Gives the vectors to distil from; None if there is no such loss.
        terms: Gives the term vectors that are added to the teacher's ranking; None without them.
    """

    valid_label_columns: tuple[str, ...] = ()  # the trainer asks its collator for it

    def __init__(
        self,
        module: ReasoningTransformer,
        config: DataConfig,
        teacher: EncodeWithTeacher | None = None,
        terms: TermVectors | None = None,
    ) -> None:
        self._encoder = module.prompt_encoder
        self._config = config
        self._teacher = teacher
        self._terms = terms

    def shape(self, example: Example) -> ExampleShape:
        """Measure an example, for the sampler."""
        texts = (example.positive, *example.negatives)
        query, _ = self._query(example)
        direct = self._encode(example, ())
        return ExampleShape(
            # Beside queries with passages those without would be padding for the most part.
            group=f"{example.source} {len(example.negatives)}{' evidence' if example.evidence else ''}",
            query_tokens=len(query),
            document_tokens=tuple(len(self._document(text)) for text in texts),
            keys=frozenset({_key("query", example.query), _key("document", example.positive)}),
            negatives=frozenset(_key("document", text) for text in example.negatives),
            thought_tokens=len(query) - len(direct.token_ids),
        )

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Encode a batch of rows (:meth:`Example.to_row`) with equally many negatives.

        Returns:
            For the columns ``query``, ``positive``, ``negative_1`` and so on: ``<column>_input_ids`` and
            ``<column>_attention_mask`` (B, L), left padded. ``query_target_mask`` (B, L) is 1 where a token
            is to be learnt from the tokens before it. ``query_thinks`` (B,) is true where there is a
            thought or evidence, of which the teacher knows nothing; ``query_direct_ids`` and
            ``query_direct_mask`` are those queries without either, in the same order. With a teacher,
            ``<column>_teacher`` (B, its dimension). With term vectors, ``<column>_terms`` (B, features).
        """
        examples = [Example.from_row(row) for row in rows]
        queries = [self._query(example) for example in examples]
        columns = [("positive", [example.positive for example in examples])]
        columns += [
            (f"negative_{index + 1}", [example.negatives[index] for example in examples])
            for index in range(len(examples[0].negatives))
        ]
        batch: dict[str, torch.Tensor] = {}
        batch["query_input_ids"], batch["query_attention_mask"] = left_pad([ids for ids, _ in queries])
        batch["query_target_mask"], _ = left_pad([targets for _, targets in queries])
        batch["query_thinks"] = torch.tensor([example.thought is not None for example in examples])
        if direct := [
            self._encode(replace(example, evidence=()), ()).token_ids
            for example in examples
            if example.thought is not None
        ]:
            batch["query_direct_ids"], batch["query_direct_mask"] = left_pad(direct)
        for name, texts in columns:
            token_ids = [self._document(text) for text in texts]
            batch[f"{name}_input_ids"], batch[f"{name}_attention_mask"] = left_pad(token_ids)
        for name, texts in [("query", [example.query for example in examples]), *columns]:
            if self._teacher is not None:
                batch[f"{name}_teacher"] = self._teacher(texts)
            if self._terms is not None:
                batch[f"{name}_terms"] = self._terms(texts, examples[0].source)
        return batch

    def _query(self, example: Example) -> tuple[list[int], list[int]]:
        """Token ids of a query's sequence, and 1 for every token of it that is to be learnt."""
        thought: list[int] = []
        is_cut = False
        if example.thought is not None:
            whole = self._encoder.encode_text(example.thought)
            thought = whole[: self._config.max_thought_tokens]
            kept = max(1, round(example.kept_share * len(thought))) if thought else 0
            # A thought that the budget cut, now or when it was written, is like one that is cut on purpose.
            is_cut = kept < len(whole) or not example.is_finished
            thought = thought[:kept]
        encoded = self._encode(example, thought)
        length = len(encoded.token_ids)
        targets = [0] * length
        if example.is_taught:
            for index in range(length - 1 - len(thought), length):
                targets[index] = 1
            if is_cut:
                targets[-1] = 0
        return encoded.token_ids, targets

    def _encode(self, example: Example, thought: Sequence[int]) -> EncodedText:
        config = self._config
        return self._encoder.encode_query(
            example.query,
            thought=thought,
            evidence=example.evidence,
            max_tokens=config.max_query_tokens + (config.max_evidence_tokens if example.evidence else 0),
            limits=config.evidence_limits,
        )

    def _document(self, text: str) -> list[int]:
        return self._encoder.encode_document(text, max_tokens=self._config.max_document_tokens).token_ids


def _key(kind: str, text: str) -> str:
    """A source without structure may name one thing twice; words decide, not ids."""
    return f"{kind} {' '.join(normalise(text)) or text}"
