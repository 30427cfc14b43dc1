"""Think, then read the embedding, on one KV cache.

1. Prefill the prompts (left padded) through the backbone; what they all begin with is computed once.
2. Choose each row's next token from its last hidden state; a row ends when that token is the embed token, or
   when the budget is spent and the embed token is put there.
3. Feed the chosen tokens as one step. The hidden state of a row that was fed the embed token *is* its
   embedding, so the read-out costs no second pass over the sequence, and the LM head never sees it. When the
   budget is spent, the last token of thought and the embed token go in together.
4. Repeat 2 and 3 with the rows still thinking.

Rows are read in the step in which they end, so no padding ever stands between a thought and its embed token;
this keeps the result exact for sliding-window layers, which count cache slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.generation.logits_process import TopPLogitsWarper

from search_r3.errors import ModelError
from search_r3.model.thoughts import Ending

_LEAST_SHARED_TOKENS = 16
"""A shorter common beginning of the prompts is not worth a pass of its own."""

_PACKING_ATTENTIONS = ("eager", "sdpa")
"""Attentions of transformers whose mask keeps texts of one row apart by their positions."""


@dataclass(frozen=True)
class Sampling:
    """How the next token of a thought is chosen.

    Attributes:
        temperature: 0 is greedy (the default everywhere); above 0, softmax temperature of the samples.
        top_p: Share of probability mass kept, in (0, 1].
        seeds: One seed per row; each row draws from its own generator, so neighbours do not matter.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seeds: Sequence[int] = ()


@dataclass(frozen=True)
class ReadOut:
    """What thinking gave, row by row of the input.

    Attributes:
        hidden_states: Last-layer hidden state at the embed token, shape (B, H).
        thoughts: Token ids of each thought, without the embed token.
        endings: How each thought ended.
    """

    hidden_states: torch.Tensor
    thoughts: list[list[int]]
    endings: list[Ending]


def position_ids(attention_mask: torch.Tensor) -> torch.Tensor:
    """Position of each token among the real ones, so that padding on either side changes nothing.

    Args:
        attention_mask: Shape (B, L), 1 for real tokens.
    """
    return (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)


def last_hidden_states(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    positions: torch.Tensor | None = None,
) -> torch.Tensor:
    """One plain pass through the backbone, without the LM head.

    Args:
        model: A causal LM.
        input_ids: Shape (B, L), padded on either side.
        attention_mask: Shape (B, L).
        positions: Shape (B, L), of texts that stand behind each other in a row, each counted from 0. Tokens
            of one text do not see those of another, and the attention mask is not looked at.

    Returns:
        Hidden states after the final norm, shape (B, L, H).

    Raises:
        ModelError: Texts are packed, and the model's attention does not keep them apart.
    """
    attention = model.config.get_text_config()._attn_implementation
    if positions is not None and attention not in _PACKING_ATTENTIONS:
        raise ModelError(
            f"Got packed texts for {attention} attention, wanted one of {', '.join(_PACKING_ATTENTIONS)}: "
            'load the model with attn_implementation="sdpa".'
        )
    output = model.get_decoder()(
        input_ids=input_ids,
        attention_mask=attention_mask if positions is None else None,
        position_ids=position_ids(attention_mask) if positions is None else positions,
        use_cache=False,
    )
    states: torch.Tensor = output.last_hidden_state
    return states


def next_token_logits(model: PreTrainedModel, hidden_states: torch.Tensor) -> torch.Tensor:
    """Apply the LM head to hidden states of the backbone, as the model's own forward does.

    Args:
        model: A causal LM; ``prepare_base`` has checked that its logits are this function of its states.
        hidden_states: Shape (B, H).

    Returns:
        float32 logits, shape (B, V).
    """
    logits: torch.Tensor = model.get_output_embeddings()(hidden_states).float()
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else torch.tanh(logits / cap) * cap


@torch.no_grad()
def think(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    *,
    embed_token_id: int,
    allowed_ids: torch.Tensor,
    max_reasoning_tokens: int,
    may_skip: bool,
    sampling: Sampling,
    on_token: Callable[[int, int], object] = lambda row, token: None,
) -> ReadOut:
    """Generate a thought for every row and read its embedding on the live cache.

    Args:
        model: A causal LM.
        input_ids: Prompts without the embed token, left padded, shape (B, P).
        attention_mask: Shape (B, P).
        embed_token_id: Ends a thought; its hidden state is the embedding.
        allowed_ids: Boolean mask over the vocabulary, shape (V,): what a thought may hold.
        max_reasoning_tokens: Most tokens in a thought, at least 1.
        may_skip: Whether the first token may be the embed token (``reasoning="auto"``).
        sampling: Greedy or seeded sampling.
        on_token: Told the row and the token of every token of thought, as soon as it is chosen.
    """
    backbone = model.get_decoder()
    batch_size = input_ids.shape[0]
    banned = ~allowed_ids.to(input_ids.device)
    banned_first = banned.clone()
    banned_first[embed_token_id] = not may_skip
    generators = [torch.Generator(device=input_ids.device).manual_seed(seed) for seed in sampling.seeds]
    thoughts: list[list[int]] = [[] for _ in range(batch_size)]
    endings: list[Ending] = ["budget"] * batch_size
    read_out: list[torch.Tensor | None] = [None] * batch_size

    output, mask = _prefill(model, input_ids, attention_mask, max_reasoning_tokens)
    cache = output.past_key_values
    hidden = output.last_hidden_state[:, -1]  # (R, H); R rows are still in the batch
    next_position = position_ids(mask)[:, -1:] + 1  # (R, 1)
    rows = list(range(batch_size))  # rows[r] is the input row of batch row r, -1 once it has ended

    for step in range(max_reasoning_tokens):
        logits = next_token_logits(model, hidden)
        logits = logits.masked_fill(banned if step else banned_first, -torch.inf)
        # An ended row draws from no generator: -1 would name the last row's.
        drawn_from = [generators[row] if row >= 0 else None for row in rows] if generators else []
        tokens = _choose(logits, sampling, drawn_from)
        for row, token in zip(rows, tokens, strict=True):
            if row >= 0 and token != embed_token_id:
                thoughts[row].append(token)
                on_token(row, token)

        is_last = step == max_reasoning_tokens - 1
        fed = torch.tensor(tokens, device=input_ids.device)[:, None]
        if is_last:  # rows still thinking get their last token and the embed token in one step
            fed = torch.cat([fed, torch.full_like(fed, embed_token_id)], dim=1)
        mask = torch.cat([mask, mask.new_ones(fed.shape)], dim=1)
        output = backbone(
            input_ids=fed,
            attention_mask=mask,
            position_ids=next_position + torch.arange(fed.shape[1], device=input_ids.device),
            past_key_values=cache,
            use_cache=True,
        )
        for batch_row, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            if row >= 0 and token == embed_token_id:
                read_out[row] = output.last_hidden_state[batch_row, 0]
                endings[row] = "embed_token" if thoughts[row] else "skipped"
                rows[batch_row] = -1
            elif row >= 0 and is_last:
                read_out[row] = output.last_hidden_state[batch_row, 1]

        live = [batch_row for batch_row, row in enumerate(rows) if row >= 0]
        if not live or is_last:
            break
        hidden = output.last_hidden_state[:, -1]
        next_position = next_position + 1
        # Copying the cache costs about as much as a step for half the rows, so ended rows are carried along
        # until they are the majority.
        if 2 * len(live) <= len(rows):
            keep = torch.tensor(live, device=input_ids.device)
            cache.batch_select_indices(keep)
            mask, next_position, hidden = mask[keep], next_position[keep], hidden[keep]
            rows = [rows[batch_row] for batch_row in live]

    states = [state for state in read_out if state is not None]
    return ReadOut(torch.stack(states), thoughts, endings)


def _prefill(
    model: PreTrainedModel, input_ids: torch.Tensor, attention_mask: torch.Tensor, budget: int
) -> tuple[Any, torch.Tensor]:
    """Run the prompts through the backbone; returns its output and the mask of the cache's slots.

    A common beginning, such as a long system text, is run once and its cache repeated for every row. Padding
    then stands between it and the rest. That is exact where a layer attends to the slots of a cache, but not
    once a window of slots is full, nor in a layer with a state; there the prompts are run whole.
    """
    backbone = model.get_decoder()
    shared = _shared_tokens(input_ids, attention_mask)
    cache = None
    if shared >= _LEAST_SHARED_TOKENS and input_ids.shape[1] + budget + 1 <= _window(model):
        row = attention_mask[:1].sum()
        cache = backbone(input_ids=input_ids[:1, -row:][:, :shared], use_cache=True).past_key_values
        if any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
            cache = None  # a layer with a state, or one that we do not know
    if cache is None:
        positions = position_ids(attention_mask)
        output = backbone(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=True
        )
        return output, attention_mask
    cache.batch_repeat_interleave(len(input_ids))
    # The longest row loses as many tokens in front as every other: the rest stays left padded.
    rest = input_ids[:, shared:]
    lengths = attention_mask.sum(dim=1, keepdim=True) - shared
    slots = torch.arange(rest.shape[1], device=rest.device)
    rest_mask = (slots >= rest.shape[1] - lengths).to(attention_mask.dtype)
    mask = torch.cat([attention_mask.new_ones(len(rest), shared), rest_mask], dim=1)
    output = backbone(
        input_ids=rest,
        attention_mask=mask,
        position_ids=position_ids(mask)[:, shared:],
        past_key_values=cache,
        use_cache=True,
    )
    return output, mask


def _window(model: PreTrainedModel) -> float:
    """Slots of the narrowest window of a layer, under whatever name the configuration has it."""
    config = model.config.get_text_config()
    named = (
        getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size")
    )
    return min((width for width in named if isinstance(width, int) and width > 0), default=math.inf)


def _shared_tokens(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> int:
    """How many tokens all rows begin with; a token of every row is left for a pass of its own."""
    if len(input_ids) < 2:
        return 0
    lengths = attention_mask.sum(dim=1)
    least = int(lengths.min()) - 1
    starts = input_ids.shape[1] - lengths
    columns = starts[:, None] + torch.arange(max(least, 0), device=input_ids.device)
    beginnings = input_ids.gather(1, columns)
    same = (beginnings == beginnings[:1]).all(dim=0)
    return int(same.long().cumprod(dim=0).sum())


def _choose(
    logits: torch.Tensor, sampling: Sampling, generators: Sequence[torch.Generator | None]
) -> list[int]:
    if sampling.temperature == 0:
        best: list[int] = logits.argmax(dim=-1).tolist()
        return best
    # Relative to the best and in float64, so that no temperature is too low.
    scores = (logits - logits.max(dim=-1, keepdim=True).values).double() / sampling.temperature
    scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    probabilities = scores.softmax(dim=-1)
    return [
        0 if generator is None else int(torch.multinomial(row, num_samples=1, generator=generator))
        for row, generator in zip(probabilities, generators, strict=True)
    ]
