"""vLLM: thoughts from one engine, embeddings from another, with the prompts and tokens of our own runtime.

UNTESTED ON HARDWARE: there was no GPU to run it on. What is tested, with stand-ins for the engines, is which
tokens go in and what is made of those that come out. Needs vLLM 0.29 or later, in an environment of its own.

vLLM cannot read a hidden state from a sequence that it is generating, so there are two engines on the same
weights: the first writes the thought, the second reads prompt, thought and embed token, and pools at the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer

from search_r3.arguments import as_integer, checked_list
from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.model.prompt_encoder import EvidenceLimits, PromptEncoder
from search_r3.model.sentence_transformer import QueryEncoding
from search_r3.model.template import Template
from search_r3.model.thoughts import REASONINGS, Ending, Reasoning, Thought


class TwoEngines:
    """Embeds queries and documents with two vLLM engines.

    Args:
        folder: A saved Search-R3 model.
        generator: ``vllm.LLM(folder)``.
        pooler: ``vllm.LLM(folder, runner="pooling", convert="embed", pooler_config=PoolerConfig(
            pooling_type="LAST", use_activation=True))``.

    Raises:
        InvalidOptionError: The model was saved with prompts of its own or with ``on_truncation="error"``,
            which are not followed here.
    """

    def __init__(self, folder: str | os.PathLike[str], generator: Any, pooler: Any) -> None:
        folder = Path(folder)
        config = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
        pipeline = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
        saved = pipeline["prompts"]
        roles = {"query": config["query_prompt"], "document": config["document_prompt"]}
        own = {role: saved.get(role) for role in roles if saved.get(role) != roles[role]}
        if own or config["on_truncation"] == "error":
            raise InvalidOptionError(
                f"Got a model saved with the prompts {own} of its own and on_truncation="
                f"{config['on_truncation']!r}, wanted {roles} and 'warn' or 'ignore': this backend would "
                "not follow them. Give an instruction as prompt=, and check lengths before."
            )
        self._query_prompt: str = config["query_prompt"]
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder))
        template = Template.from_dict(config["template"])
        self._encoder = PromptEncoder(tokenizer, template, config["embed_token"])
        self._max_tokens: int = tokenizer.model_max_length
        default = EvidenceLimits()  # of a model that was saved before there was evidence
        self._limits = EvidenceLimits(
            config.get("max_passage_tokens", default.passage_tokens),
            config.get("max_evidence_tokens", default.evidence_tokens),
        )
        self._has_reading_adapter = bool(config.get("reading_adapter"))
        self._reasoning: str = config["reasoning"]
        self._budget: int = config["max_reasoning_tokens"]
        # As our runtime: special tokens, and rows that only pad the vocabulary, are no thought.
        allowed = self._encoder.allowed_thought_ids(self._encoder.vocabulary_size)
        self._allowed: list[int] = allowed.nonzero().flatten().tolist()
        self._generator, self._pooler = generator, pooler

    @classmethod
    def load(cls, folder: str | os.PathLike[str], **options: Any) -> TwoEngines:
        """Start both engines, each with half of the memory unless told otherwise.

        Args:
            folder: A saved Search-R3 model.
            **options: Of ``vllm.LLM``, for both.
        """
        from vllm import LLM
        from vllm.config import PoolerConfig

        shared = {"gpu_memory_utilization": 0.45, **options}
        pooling = PoolerConfig(pooling_type="LAST", use_activation=True)
        pooler = LLM(str(folder), runner="pooling", convert="embed", pooler_config=pooling, **shared)
        return cls(folder, LLM(str(folder), **shared), pooler)

    def encode_query_with_thoughts(
        self,
        queries: Iterable[str],
        *,
        evidence: Iterable[Sequence[str]] | None = None,
        reasoning: Reasoning | None = None,
        max_reasoning_tokens: int | None = None,
        prompt: str = "",
    ) -> QueryEncoding:
        """Embed queries after their greedy thoughts; the same interface as the model's own method.

        Args:
            queries: Q texts.
            evidence: Passages that each query reads before it thinks, a list of texts per query.
            reasoning: None means the model's default.
            max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
            prompt: An instruction before every query; the model's own query prompt is none.

        Raises:
            InvalidInputError: A query cannot be embedded.
            InvalidOptionError: The budget or the way to reason is not valid.
        """
        how = self._reasoning if reasoning is None else reasoning
        asked_budget = self._budget if max_reasoning_tokens is None else max_reasoning_tokens
        budget = as_integer(asked_budget, 0)
        if how not in REASONINGS or budget is None:
            raise InvalidOptionError(
                f"Got reasoning={how!r} with {asked_budget!r} tokens, wanted always, never or auto, and an "
                "integer of 0 or more."
            )
        asked = "" if prompt == self._query_prompt else prompt
        texts = checked_list(queries, "queries")
        if evidence is not None and self._has_reading_adapter:
            raise InvalidOptionError(
                "Got evidence for a model with a reading adapter, wanted none: this backend would not apply "
                "the adapter. Read with search_r3.SentenceTransformer."
            )
        passages = [()] * len(texts) if evidence is None else checked_list(evidence, "lists of evidence")
        if len(passages) != len(texts):
            raise InvalidInputError(
                f"got {len(passages)} lists of evidence for {len(texts)} queries, wanted one each."
            )
        encoded = [
            self._encoder.encode_query(
                query,
                thought=() if how == "never" else None,
                evidence=read,
                instruction=asked,
                max_tokens=self._max_tokens,
                limits=self._limits,
            )
            for query, read in zip(texts, passages, strict=True)
        ]
        prompts = [one.token_ids[:-1] for one in encoded]  # without the embed token
        thoughts = [Thought("", (), "skipped")] * len(prompts)
        if how != "never":
            thoughts = self._think(prompts, budget, may_skip=how == "auto")
        end = self._encoder.embed_token_id
        rows = [[*ids, *thought.token_ids, end] for ids, thought in zip(prompts, thoughts, strict=True)]
        return QueryEncoding(
            self._embed(rows),
            thoughts,
            [one.dropped_tokens for one in encoded],
            [one.dropped_evidence_tokens for one in encoded],
        )

    def encode_document(self, documents: Iterable[str]) -> NDArray[np.float32]:
        """Embed documents: unit vectors, shape (N, D), float32.

        Raises:
            InvalidInputError: A document cannot be embedded.
        """
        encoder, limit = self._encoder, self._max_tokens
        texts = checked_list(documents, "documents")
        return self._embed([encoder.encode_document(text, max_tokens=limit).token_ids for text in texts])

    def _think(self, prompts: list[list[int]], budget: int, *, may_skip: bool) -> list[Thought]:
        if budget == 0 or not prompts:
            return [Thought("", (), "budget")] * len(prompts)
        from vllm import SamplingParams

        end = self._encoder.embed_token_id
        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=budget,
            min_tokens=0 if may_skip else 1,  # until then the stop token is banned
            stop_token_ids=[end],
            allowed_token_ids=self._allowed,
            detokenize=False,
        )
        outputs = self._generator.generate([{"prompt_token_ids": ids} for ids in prompts], sampling)
        thoughts = []
        for output in outputs:
            ids = tuple(output.outputs[0].token_ids)
            is_finished = ids[-1:] == (end,)
            thought_ids = ids[:-1] if is_finished else ids
            ending: Ending = "budget" if not is_finished else "embed_token" if thought_ids else "skipped"
            thoughts.append(Thought(self._encoder.decode_thought(thought_ids), thought_ids, ending))
        return thoughts

    def _embed(self, rows: list[list[int]]) -> NDArray[np.float32]:
        if not rows:
            return np.zeros((0, 0), np.float32)
        outputs = self._pooler.embed([{"prompt_token_ids": ids} for ids in rows])
        vectors = np.array([output.outputs.embedding for output in outputs], np.float32)
        normed: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return normed
