"""The input module: a causal LM whose queries think before they embed.

It is followed by sentence-transformers' own ``Pooling("lasttoken")`` and ``Normalize``, so ``modules.json``
stays readable by other tools. Two roles:

- a document is ``prefix + text + suffix + embed token``, one forward pass, never a thought;
- a query is ``prefix + text + evidence + suffix + thought + embed token``, the thought generated or given.

The embedding of a query is a pure function of (text, evidence, thought). Evidence are passages that the query
reads before it thinks; most queries have none. A model may have an adapter for the queries that read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import Transformer

from search_r3.errors import InvalidInputError, InvalidOptionError, ModelError
from search_r3.model.batch_embedding import Thinking, embed_batch
from search_r3.model.generation import last_hidden_states
from search_r3.model.option_checks import checked_integer, checked_seed, one_of
from search_r3.model.padding import left_pad
from search_r3.model.prompt_encoder import EncodedText, EvidenceLimits, PromptEncoder
from search_r3.model.reading_adapter import READING_FILE, ReadingAdapter
from search_r3.model.template import EMBED_TOKEN, Template
from search_r3.model.thoughts import Reasoning
from search_r3.model.truncation import OnTruncation, report_truncation

Role = Literal["query", "document"]


class ReasoningTransformer(Transformer):
    """Embeds documents directly and queries after a thought.

    Inputs are strings, or ``(query, thought)`` and ``(query, thought, passages)``: so a thought to replay and
    passages to read stay with their text, whatever order sentence-transformers sorts a batch into. A thought
    of None leaves the query free to think.

    Per-call options of ``encode_query`` (saved defaults in brackets): ``reasoning`` ["always"],
    ``max_reasoning_tokens`` [32], ``on_truncation`` ["warn"], ``temperature`` [0: greedy], ``top_p`` [1.0],
    ``seed`` [0]. Documents accept them and use ``on_truncation`` only.

    The role of a text is: an explicit ``task``; else the role whose configured prompt equals ``prompt``; else
    ``default_role``. Any other prompt is an instruction and is put before the text, as plain text.

    Args:
        model_name_or_path: A folder made by ``prepare_base`` or saved from such a model, or its Hub id.
        template: The trusted strings around the text, as :meth:`Template.to_dict` gives them.
        embed_token: The token whose hidden state is the embedding.
        query_prompt: Names the query role in a plain ``encode(..., prompt=...)``; never part of the text.
        document_prompt: The same for documents.
        default_role: Role of a plain ``encode`` without task or known prompt.
        reasoning: Default of the option of that name.
        max_reasoning_tokens: Default of the option of that name, 0 or more.
        max_passage_tokens: Most tokens of a passage that a query reads, 1 or more; it is cut from its end.
        max_evidence_tokens: Most tokens of all passages of a query, 1 or more. They take only the room that
            ``max_seq_length`` leaves beside the query.
        on_truncation: Default of the option of that name.
        reading_adapter: SHA-256 of the reading adapter's factors; empty if there is none.
        reading_file: The file with these.
        **kwargs: Arguments of sentence-transformers' ``Transformer``.

    Raises:
        ModelError: If the model or tokenizer does not fit (no embed token, slow tokenizer, not torch), or the
            reading adapter is missing or another one.
        InvalidOptionError: If a default is not valid.
    """

    config_keys = [  # noqa: RUF012 - the base class declares it as a plain list
        *Transformer.config_keys,
        "template",
        "embed_token",
        "query_prompt",
        "document_prompt",
        "default_role",
        "reasoning",
        "max_reasoning_tokens",
        "max_passage_tokens",
        "max_evidence_tokens",
        "on_truncation",
        "reading_adapter",
    ]
    forward_kwargs = {  # noqa: RUF012 - the base class declares it as a plain set
        "reasoning",
        "max_reasoning_tokens",
        "on_truncation",
        "on_thought",
        "temperature",
        "top_p",
        "seed",
    }

    def __init__(
        self,
        model_name_or_path: str,
        *,
        template: dict[str, str],
        embed_token: str = EMBED_TOKEN,
        query_prompt: str = "query: ",
        document_prompt: str = "document: ",
        default_role: Role = "document",
        reasoning: Reasoning = "always",
        max_reasoning_tokens: int = 32,
        max_passage_tokens: int = 128,
        max_evidence_tokens: int = 512,
        on_truncation: OnTruncation = "warn",
        reading_adapter: str = "",
        reading_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.setdefault("backend", "torch") != "torch":
            raise ModelError(
                f"Got backend={kwargs['backend']!r}, wanted 'torch': exported LMs give no hidden states."
            )
        kwargs["transformer_task"] = "text-generation"
        # Text only: otherwise sentence-transformers would render every string through the chat template.
        kwargs["modality_config"] = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
        kwargs["module_output_name"] = "token_embeddings"
        kwargs["model_kwargs"] = {"use_safetensors": True, **(kwargs.get("model_kwargs") or {})}
        super().__init__(model_name_or_path, **kwargs)
        self.template = Template.from_dict(template).to_dict()
        self.embed_token = embed_token
        self.query_prompt = query_prompt
        self.document_prompt = document_prompt
        self.default_role: Role = one_of("default_role", default_role, Role)
        self.reasoning = one_of("reasoning", reasoning, Reasoning)
        self.max_reasoning_tokens = checked_integer("max_reasoning_tokens", max_reasoning_tokens, 0)
        self.max_passage_tokens = checked_integer("max_passage_tokens", max_passage_tokens, 1)
        self.max_evidence_tokens = checked_integer("max_evidence_tokens", max_evidence_tokens, 1)
        self.on_truncation = one_of("on_truncation", on_truncation, OnTruncation)
        if self.tokenizer is None:
            raise ModelError(f"{model_name_or_path} has no tokenizer.")
        self.prompt_encoder = PromptEncoder(self.tokenizer, Template.from_dict(template), embed_token)
        self.reading: ReadingAdapter | None = None
        if reading_adapter:
            if reading_file is None:
                raise ModelError(f"{model_name_or_path} has no {READING_FILE}: restore it.")
            self.attach_reading(load_file(reading_file))
            if self.reading_adapter != reading_adapter:
                raise ModelError(f"{reading_file} is damaged, or of another model: restore it.")

    @classmethod
    def _load_init_kwargs(  # type: ignore[override]  # we pass on whatever there is
        cls, model_name_or_path: str, **options: Any
    ) -> dict[str, Any]:
        found: dict[str, Any] = super()._load_init_kwargs(model_name_or_path, **options)
        if found.get("reading_adapter"):
            where = ("subfolder", "token", "cache_folder", "revision", "local_files_only")
            given = {name: options[name] for name in where if name in options}
            found["reading_file"] = cls.load_file_path(model_name_or_path, READING_FILE, **given)
        return found

    def attach_reading(self, factors: dict[str, torch.Tensor]) -> None:
        """Put a reading adapter on the LLM, in the place of one that is there.

        Args:
            factors: Of :class:`ReadingAdapter`.

        Raises:
            ModelError: They do not fit.
        """
        former, self.reading = self.reading, ReadingAdapter(self.model, factors)
        if former is not None:
            former.remove()

    @property
    def reading_adapter(self) -> str:
        """SHA-256 of the reading adapter's factors; empty if there is none."""
        return self.reading.digest if self.reading is not None else ""

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write weights (safetensors), tokenizer and configuration to ``output_path``.

        Raises:
            InvalidOptionError: If ``safe_serialization`` is False: pickled weights are never written.
        """
        if not safe_serialization:
            raise InvalidOptionError("Got safe_serialization=False; this model is saved as safetensors only.")
        super().save(output_path, *args, safe_serialization=True, **kwargs)
        if self.reading is not None:
            factors = {name: values.contiguous().cpu() for name, values in self.reading.factors.items()}
            save_file(factors, Path(output_path) / READING_FILE, {"format": "pt"})

    def role(self, task: str | None, prompt: str | None) -> Role:
        """Resolve the role of a call; see the class docstring.

        Raises:
            InvalidOptionError: If ``task`` is neither "query" nor "document".
        """
        if task is not None:
            checked: Role = one_of("task", task, Role)
            return checked
        if prompt is not None and prompt == self.query_prompt:
            return "query"
        if prompt is not None and prompt == self.document_prompt:
            return "document"
        return self.default_role

    def preprocess(  # type: ignore[override]  # the base class takes any keyword, we name ours
        self,
        inputs: Sequence[Any],
        prompt: str | None = None,
        *,
        task: str | None = None,
        max_length: int | None = None,
        on_truncation: OnTruncation | None = None,
        processing_kwargs: None = None,
        **forward_kwargs: Any,
    ) -> dict[str, torch.Tensor]:
        """Assemble complete, left-padded sequences, each ending with the embed token.

        Args:
            inputs: B strings, (query, thought) pairs, or (query, thought, passages).
            prompt: A role's configured prompt, or an instruction to put before every text.
            task: "query" or "document"; None resolves the role from the prompt.
            max_length: Overrides ``max_seq_length`` (the trainer passes it).
            on_truncation: Overrides the saved default.
            processing_kwargs: Not supported, because the template is not the processor's to change.
            **forward_kwargs: The options of :meth:`forward`, which ``encode`` passes to both.

        Returns:
            ``input_ids`` and ``attention_mask`` (B, L); ``thought_length`` (B,), -1 for a query free to
            think; ``reads`` (B,), whether a query has evidence; ``dropped_tokens`` and
            ``dropped_evidence_tokens`` (B,).

        Raises:
            InvalidInputError: If an input cannot be embedded; the message names its index in the batch.
            InvalidOptionError: If an option is not valid.
        """
        if unknown := set(forward_kwargs) - self.forward_kwargs:
            raise InvalidOptionError(
                f"Unknown options {sorted(unknown)}, wanted {sorted(self.forward_kwargs)}."
            )
        if processing_kwargs:
            raise InvalidOptionError(
                f"processing_kwargs={processing_kwargs!r} would be ignored: set max_seq_length instead."
            )
        try:
            limit = self.limit if max_length is None else min(max_length, self.limit)
            encoded = self._encode_inputs(inputs, prompt, task, limit)
        except (TypeError, AttributeError) as error:
            # sentence-transformers answers these two by calling again without the prompt, which would turn a
            # bug into a wrong vector.
            raise RuntimeError(f"Internal error while tokenising: {error}") from error
        asked = self.on_truncation if on_truncation is None else on_truncation
        action: OnTruncation = one_of("on_truncation", asked, OnTruncation)
        report_truncation(inputs, encoded, action, limit, self.evidence_limits)
        input_ids, attention_mask = left_pad([item.token_ids for item in encoded])
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "thought_length": torch.tensor([item.thought_length for item in encoded]),
            "reads": torch.tensor([isinstance(one, tuple) and bool(one[2:] and one[2]) for one in inputs]),
            "dropped_tokens": torch.tensor([item.dropped_tokens for item in encoded]),
            "dropped_evidence_tokens": torch.tensor([item.dropped_evidence_tokens for item in encoded]),
        }

    def forward(  # type: ignore[override]  # the base class takes any keyword, we name ours
        self,
        features: dict[str, Any],
        *,
        reasoning: Reasoning | None = None,
        max_reasoning_tokens: int | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        on_truncation: OnTruncation | None = None,
        on_thought: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Embed a batch; queries that are free to think do so, except in training mode.

        Training never generates: a plain query is then embedded directly, and a thought to train on is given
        as a (query, thought) pair.

        Args:
            features: From :meth:`preprocess`. In training ``position_ids`` (B, L) says that a row holds
                several texts, each counted from 0.
            reasoning: Whether queries think; None means the saved default.
            max_reasoning_tokens: Most tokens of thought; None means the saved default.
            temperature: 0 is greedy; above 0 samples, seeded per (seed, text).
            top_p: Share of probability mass sampled from, in (0, 1].
            seed: Seed of the samples.
            on_truncation: Used by :meth:`preprocess`.
            on_thought: Told the thought so far after each of its tokens. For one query at a time.

        Returns:
            The features, with ``token_embeddings`` (B, L, H), float32 whatever the model's dtype, but in
            training, and its ``attention_mask`` for the pooling. They are padded on the right, or L is 1 (the
            embed token) when some rows were read out of a cache. Also ``thought_ids`` (B, T) padded with -1,
            and ``thought_ending`` (B,), an index into ``ENDINGS``.

        Raises:
            InvalidOptionError: If an option is not valid.
            ModelError: If a hidden state is not finite.
        """
        reasoning = self.reasoning if reasoning is None else one_of("reasoning", reasoning, Reasoning)
        asked = self.max_reasoning_tokens if max_reasoning_tokens is None else max_reasoning_tokens
        budget = checked_integer("max_reasoning_tokens", asked, 0)
        seed = checked_seed(temperature, top_p, seed)
        input_ids, attention_mask = features["input_ids"], features["attention_mask"]
        if on_thought is not None and len(input_ids) > 1:
            raise InvalidOptionError(
                f"Got on_thought with {len(input_ids)} queries, wanted one: it could not tell them apart."
            )
        if self.training:
            positions = features.get("position_ids")  # of texts packed into rows
            features["token_embeddings"] = last_hidden_states(
                self.model, input_ids, attention_mask, positions
            )
            return features

        if reasoning != "never" and budget and (features["thought_length"] < 0).any():
            # The limit, not the longest prompt: whether an option is valid must not depend on the batch.
            self._check_positions(self.limit + budget)
        thinking = Thinking(reasoning, budget, temperature, top_p, seed, on_thought)
        return embed_batch(self.model, self.prompt_encoder, features, thinking, self.reading)

    def _encode_inputs(
        self, inputs: Sequence[Any], prompt: str | None, task: str | None, limit: int
    ) -> list[EncodedText]:
        role = self.role(task, prompt)
        instruction = "" if prompt in (None, self.query_prompt, self.document_prompt) else prompt
        try:
            self.prompt_encoder.encode_text(instruction)
        except InvalidInputError as error:
            raise InvalidOptionError(f"The prompt is not usable: {error.reason}") from None
        encoded = []
        for index, item in enumerate(inputs):
            is_tuple = isinstance(item, tuple) and len(item) in (2, 3)
            text, thought, evidence = (*item, ())[:3] if is_tuple else (item, None, ())
            try:
                if role == "query":
                    one = self.prompt_encoder.encode_query(
                        text,
                        thought=thought,
                        evidence=evidence,
                        instruction=instruction,
                        max_tokens=limit,
                        limits=self.evidence_limits,
                    )
                elif thought is None and not evidence:
                    one = self.prompt_encoder.encode_document(text, instruction=instruction, max_tokens=limit)
                else:
                    raise InvalidInputError(
                        "got a document with a thought or evidence; only queries read and think.", item
                    )
            except InvalidInputError as error:
                raise type(error)(error.reason, item, f"Input {index} of this batch") from None
            self._check_positions(len(one.token_ids))
            encoded.append(one)
        return encoded

    @property
    def evidence_limits(self) -> EvidenceLimits:
        """How much of its evidence a query reads."""
        return EvidenceLimits(self.max_passage_tokens, self.max_evidence_tokens)

    @evidence_limits.setter
    def evidence_limits(self, limits: EvidenceLimits) -> None:
        self.max_passage_tokens, self.max_evidence_tokens = limits.passage_tokens, limits.evidence_tokens

    @property
    def limit(self) -> int:
        """Most tokens of template and text together.

        Raises:
            InvalidOptionError: It was set to None.
        """
        limit = self.max_seq_length
        if limit is None:
            raise InvalidOptionError("Got max_seq_length=None, wanted a number of tokens.")
        return limit

    def _check_positions(self, length: int) -> None:
        positions = self.model.config.get_text_config().max_position_embeddings
        if length > positions:
            raise InvalidOptionError(
                f"Text and thought together may take {length} tokens, the model has {positions} positions. "
                f"Lower max_seq_length ({self.max_seq_length}) or the length of the thought."
            )
