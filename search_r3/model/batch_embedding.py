"""Embedding a batch of sequences: those whose thought is there in one pass, the others while they think."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from search_r3.errors import ModelError
from search_r3.model.generation import Sampling, last_hidden_states, think
from search_r3.model.padding import crop, right_pad, seeds, to_left_padding, to_right_padding
from search_r3.model.prompt_encoder import PromptEncoder
from search_r3.model.reading_adapter import ReadingAdapter
from search_r3.model.thoughts import ENDINGS, Reasoning


@dataclass(frozen=True)
class Thinking:
    """How queries that are free to think do so.

    Attributes:
        reasoning: Whether they think.
        budget: Most tokens of a thought.
        temperature: 0 is greedy; above 0 samples.
        top_p: Share of probability mass sampled from.
        seed: Of the samples, together with the text.
        on_thought: Told the thought so far after each of its tokens; for a single query.
    """

    reasoning: Reasoning
    budget: int
    temperature: float
    top_p: float
    seed: int
    on_thought: Callable[[str], None] | None = None


def embed_batch(
    language_model: Any,
    encoder: PromptEncoder,
    features: dict[str, Any],
    thinking: Thinking,
    reading: ReadingAdapter | None,
) -> dict[str, Any]:
    """Embed a batch; rows that read passages do so with the reading adapter, apart from the others.

    Args:
        language_model: A causal LM.
        encoder: Made the sequences.
        features: Of :meth:`ReasoningTransformer.preprocess`; ``reads`` may be missing if there is no adapter.
        thinking: How queries think.
        reading: The adapter; None if there is none.

    Returns:
        As :meth:`ReasoningTransformer.forward`.

    Raises:
        ModelError: If a hidden state is not finite.
    """
    reads = features.get("reads")
    if reading is None or reads is None or not reads.any():
        return _embed(language_model, encoder, features, thinking)
    if reads.all():
        with reading.on(True):
            return _embed(language_model, encoder, features, thinking)
    count = len(reads)
    states, endings = torch.empty(0), torch.zeros(count, dtype=torch.long)
    thoughts: list[list[int]] = [[] for _ in range(count)]
    for is_on in (True, False):
        rows = (reads == is_on).nonzero()[:, 0]
        part = {name: values[rows.to(values.device)] for name, values in features.items()}
        part["input_ids"], part["attention_mask"] = crop(part["input_ids"], part["attention_mask"])
        with reading.on(is_on):
            found = _embed(language_model, encoder, part, thinking)
        last = found["attention_mask"].sum(dim=1) - 1
        read_out = found["token_embeddings"][torch.arange(len(rows)), last]
        if not len(states):
            states = read_out.new_empty(count, 1, read_out.shape[1])
        states[rows, 0] = read_out
        endings[rows.cpu()] = found["thought_ending"]
        for row, thought in zip(rows.tolist(), found["thought_ids"].tolist(), strict=True):
            thoughts[row] = [token for token in thought if token >= 0]
    features["token_embeddings"] = states
    features["attention_mask"] = features["attention_mask"].new_ones(count, 1)
    features["thought_ids"], features["thought_ending"] = right_pad(thoughts, value=-1), endings
    return features


def _embed(
    language_model: Any, encoder: PromptEncoder, features: dict[str, Any], thinking: Thinking
) -> dict[str, Any]:
    input_ids, attention_mask = features["input_ids"], features["attention_mask"]
    if not attention_mask[:, -1].all():  # batches merged by a loss are padded on the right
        input_ids, attention_mask = to_left_padding(input_ids, attention_mask)
        features["input_ids"], features["attention_mask"] = input_ids, attention_mask
    lengths: list[int] = features["thought_length"].tolist()
    thoughts = [input_ids[row, -1 - max(n, 0) : -1].tolist() for row, n in enumerate(lengths)]
    endings = ["given" if n >= 0 else "skipped" for n in lengths]
    free = [row for row, n in enumerate(lengths) if n < 0]
    if thinking.reasoning != "never" and thinking.budget == 0:
        for row in free:
            endings[row] = "budget"
    if thinking.reasoning == "never" or thinking.budget == 0 or not free:
        states = last_hidden_states(language_model, input_ids, attention_mask)
        # sentence-transformers cuts the padding of token embeddings at the end of a row only.
        states, features["input_ids"], features["attention_mask"] = to_right_padding(
            states, input_ids, attention_mask
        )
        read_out_states = states[torch.arange(len(lengths)), attention_mask.sum(dim=1) - 1]
    else:
        width = language_model.get_input_embeddings().weight.shape[1]
        states = input_ids.new_empty(len(lengths), 1, width, dtype=language_model.dtype)
        if bound := [row for row, n in enumerate(lengths) if n >= 0]:
            hidden = last_hidden_states(language_model, *crop(input_ids[bound], attention_mask[bound]))
            states[bound, 0] = hidden[:, -1]
        prompt_ids, prompt_mask = crop(input_ids[free, :-1], attention_mask[free, :-1])
        seeded = seeds(thinking.seed, prompt_ids, prompt_mask) if thinking.temperature else ()
        read_out = think(
            language_model,
            prompt_ids,
            prompt_mask,
            embed_token_id=encoder.embed_token_id,
            allowed_ids=encoder.allowed_thought_ids(language_model.get_output_embeddings().weight.shape[0]),
            max_reasoning_tokens=thinking.budget,
            may_skip=thinking.reasoning == "auto",
            sampling=Sampling(thinking.temperature, thinking.top_p, seeded),
            on_token=_told(encoder, thinking.on_thought),
        )
        states[free, 0] = read_out.hidden_states
        for row, thought, ending in zip(free, read_out.thoughts, read_out.endings, strict=True):
            thoughts[row], endings[row] = thought, ending
        features["attention_mask"] = attention_mask.new_ones(len(lengths), 1)
        read_out_states = states[:, 0]
    if not torch.isfinite(read_out_states).all():
        raise ModelError(
            f"A hidden state is not finite in {language_model.dtype}. Load the model in float32: "
            'model_kwargs={"dtype": "float32"}.'
        )
    # In float32 from here on: a vector that is normalised in half precision is no unit vector.
    features["token_embeddings"] = states.float()
    features["thought_ids"] = right_pad(thoughts, value=-1)
    features["thought_ending"] = torch.tensor([ENDINGS.index(ending) for ending in endings])
    return features


def _told(encoder: PromptEncoder, on_thought: Callable[[str], None] | None) -> Callable[[int, int], None]:
    """Tell the thought so far, whatever part of a character its last token is; nobody if None."""
    if on_thought is None:
        return lambda row, token_id: None
    token_ids: list[int] = []

    def on_token(_: int, token_id: int) -> None:
        token_ids.append(token_id)
        on_thought(encoder.decode_thought(token_ids))

    return on_token
