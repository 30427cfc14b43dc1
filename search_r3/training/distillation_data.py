"""Texts of a distillation run: drawn from the pool, each in a role, and turned into tensors."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch

from search_r3.data.pairs import pairs_hash, read_training_set
from search_r3.data.text_pool import POOL_FILE, pool_texts, read_pool, unique_texts
from search_r3.errors import DataError
from search_r3.files import file_sha256
from search_r3.model.padding import left_pad
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.paths import data_dir
from search_r3.training.batches import ExampleShape
from search_r3.training.distillation_config import TextConfig
from search_r3.training.teacher import EncodeWithTeacher


@dataclass(frozen=True)
class RoleText:
    """A text and the template it is embedded with.

    Attributes:
        text: The text.
        role: Its template; a query is embedded without a thought.
        source: The training set it comes from.
    """

    text: str
    role: Literal["query", "document"]
    source: str

    def to_row(self) -> dict[str, str]:
        """The text as a row of a ``datasets.Dataset``."""
        return asdict(self)


def load_pool(config: TextConfig) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Read the texts that a run draws from.

    Returns:
        The texts by source, and the hashes of what was read.

    Raises:
        DataError: The pool, or a training set, is missing or damaged, or a training set has no text that is
            long enough.
    """
    if not config.sources:
        path = data_dir() / POOL_FILE
        return read_pool(path), {"texts": file_sha256(path)}
    pool, hashes, seen = {}, {}, set[bytes]()
    for source in config.sources:
        pairs = read_training_set(source)
        hashes[source] = pairs_hash(pairs)
        pool[source] = unique_texts(pool_texts(pairs), seen)
        if not pool[source]:
            raise DataError(
                f"The training set {source} adds no text of 12 characters or more: leave it out of "
                "data.sources."
            )
    return pool, hashes


def draw_texts(pool: Mapping[str, Sequence[str]], config: TextConfig, seed: int) -> list[RoleText]:
    """Draw the texts of a run; the same arguments give the same ones.

    A source is gone through once in an order of its own before any of its texts comes again.

    Args:
        pool: Texts by source, none of them empty.
        config: How many, and in which roles.
        seed: Seed of the draws.
    """
    drawn: list[RoleText] = []
    for source, count in _shares(pool, config).items():
        generator = random.Random(f"distillation {seed} {source}")
        order: list[str] = []
        for _ in range(count):
            if not order:
                order = list(pool[source])
                generator.shuffle(order)
            text = order.pop()
            short = len(text.split()) <= config.query_words
            is_query = generator.random() < config.query_share and short
            drawn.append(RoleText(text, "query" if is_query else "document", source))
    return drawn


def _shares(pool: Mapping[str, Sequence[str]], config: TextConfig) -> dict[str, int]:
    # Whole batches of a source: one of a few texts would be a step that says little.
    unit = min(config.batch_rows, config.batch_tokens // config.max_tokens) if config.one_source else 1
    weights = {source: len(texts) ** config.source_power for source, texts in sorted(pool.items())}
    total = sum(weights.values())
    counts: dict[str, int] = {}
    cumulative = 0.0
    for source, weight in weights.items():  # rounded so that they add up to what was asked for
        before = round(cumulative)
        cumulative += config.texts / unit * weight / total
        counts[source] = unit * (round(cumulative) - before)
    return counts


class TextEncoder:
    """Turns texts in their roles into the sequences that the runtime would make of them.

    Args:
        module: The thinking module of the model that is trained.
        config: Limits of lengths.
        teacher: Gives the vectors to distil from.
    """

    valid_label_columns: tuple[str, ...] = ()  # the trainer asks its collator for it

    def __init__(self, module: ReasoningTransformer, config: TextConfig, teacher: EncodeWithTeacher) -> None:
        self._encoder = module.prompt_encoder
        self._max_tokens = config.max_tokens
        self._one_source = config.one_source
        self._teacher = teacher

    def shape(self, text: RoleText) -> ExampleShape:
        """Measure a text, for the sampler."""
        if self._one_source:
            # All as long as can be: sorted by length, a source's titles would not meet its passages.
            return ExampleShape(text.source, self._max_tokens, (), frozenset({text.text}))
        return ExampleShape("texts", len(self._token_ids(text)), (), frozenset({text.text}))

    def __call__(self, rows: Sequence[dict[str, str]]) -> dict[str, torch.Tensor]:
        """Encode a batch of rows (:meth:`RoleText.to_row`).

        Returns:
            ``text_input_ids`` and ``text_attention_mask`` (B, L), left padded, and ``text_teacher``, the
            teacher's vectors.
        """
        texts = [RoleText(**row) for row in rows]  # type: ignore[arg-type]
        input_ids, attention_mask = left_pad([self._token_ids(text) for text in texts])
        return {
            "text_input_ids": input_ids,
            "text_attention_mask": attention_mask,
            "text_teacher": self._teacher([text.text for text in texts]),
        }

    def _token_ids(self, text: RoleText) -> list[int]:
        if text.role == "query":
            encoded = self._encoder.encode_query(text.text, thought=(), max_tokens=self._max_tokens)
        else:
            encoded = self._encoder.encode_document(text.text, max_tokens=self._max_tokens)
        return encoded.token_ids
