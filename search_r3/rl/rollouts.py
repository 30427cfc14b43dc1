"""Rollouts: a query, a sampled thought, and the embedding that the policy reads after it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from search_r3.model.generation import Sampling, last_hidden_states, think
from search_r3.model.padding import left_pad
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.model.thoughts import Ending
from search_r3.rl.grpo_config import RolloutConfig


@dataclass(frozen=True)
class Rollout:
    """One way from a query to its embedding.

    Attributes:
        prompt_ids: Tokens of the query with its template.
        thought_ids: Tokens of the thought.
        ending: How the thought ended.
        embedding: Unit vector, shape (D,), float32: what the policy's own state at the embed token gives.
        is_direct: Whether it is the direct embedding, without a thought; the policy chose nothing of it.
    """

    prompt_ids: list[int]
    thought_ids: list[int]
    ending: Ending
    embedding: torch.Tensor
    is_direct: bool

    @property
    def chosen(self) -> list[bool]:
        """Which tokens of the completion (thought, embed token) the policy chose itself."""
        ended_itself = not self.is_direct and self.ending in ("embed_token", "skipped")
        return [True] * len(self.thought_ids) + [ended_itself]


def encode_prompts(
    module: ReasoningTransformer,
    queries: Sequence[str],
    max_query_tokens: int,
    evidence: Sequence[Sequence[str]] | None = None,
) -> list[list[int]]:
    """Tokens of each query with its template and the passages that it reads, up to where a thought begins.

    Args:
        module: The policy; its limits of evidence count beside ``max_query_tokens``.
        queries: B texts.
        max_query_tokens: Limit of a query with its template, without its passages.
        evidence: The passages of each query; None reads none.
    """
    encode, limits = module.prompt_encoder.encode_query, module.evidence_limits
    return [
        encode(
            query,
            evidence=tuple(passages),
            max_tokens=max_query_tokens + (limits.evidence_tokens if passages else 0),
            limits=limits,
        ).token_ids[:-1]
        for query, passages in zip(queries, evidence or [()] * len(queries), strict=True)
    ]


@torch.no_grad()
def sample_rollouts(
    module: ReasoningTransformer,
    queries: Sequence[str],
    is_direct: Sequence[bool],
    seeds: Sequence[int],
    config: RolloutConfig,
    *,
    max_query_tokens: int,
    evidence: Sequence[Sequence[str]] | None = None,
) -> list[Rollout]:
    """Sample one rollout for each entry of ``queries``; a group is the same query several times.

    Args:
        module: The policy; dropout must be off.
        queries: B texts, cut to ``max_query_tokens``.
        is_direct: For each, whether it is the direct embedding.
        seeds: Seed of each thought.
        config: How to sample.
        max_query_tokens: Limit of a query with its template, without its passages.
        evidence: The passages that each query reads; None reads none.
    """
    encoder = module.prompt_encoder
    device = module.model.device
    prompts = encode_prompts(module, queries, max_query_tokens, evidence)
    rollouts: list[Rollout | None] = [None] * len(queries)
    if direct := [index for index, forced in enumerate(is_direct) if forced]:
        input_ids, mask = left_pad([[*prompts[index], encoder.embed_token_id] for index in direct])
        states = last_hidden_states(module.model, input_ids.to(device), mask.to(device))[:, -1]
        for index, embedding in zip(direct, _unit(states), strict=True):
            rollouts[index] = Rollout(prompts[index], [], "skipped", embedding, True)
    if free := [index for index, forced in enumerate(is_direct) if not forced]:
        input_ids, mask = left_pad([prompts[index] for index in free])
        read_out = think(
            module.model,
            input_ids.to(device),
            mask.to(device),
            embed_token_id=encoder.embed_token_id,
            allowed_ids=encoder.allowed_thought_ids(module.model.get_output_embeddings().weight.shape[0]),
            max_reasoning_tokens=config.max_thought_tokens,
            may_skip=config.may_skip,
            sampling=Sampling(config.temperature, seeds=[seeds[index] for index in free]),
        )
        found = zip(free, read_out.thoughts, read_out.endings, _unit(read_out.hidden_states), strict=True)
        for index, thought, ending, embedding in found:
            rollouts[index] = Rollout(prompts[index], thought, ending, embedding, False)
    return [rollout for rollout in rollouts if rollout is not None]


@torch.no_grad()
def read_rollouts(
    module: ReasoningTransformer,
    prompts: Sequence[list[int]],
    completions: Sequence[list[int]],
    is_direct: Sequence[bool],
    max_thought_tokens: int,
) -> list[Rollout]:
    """Make rollouts of completions that something else sampled: one pass reads the embeddings.

    Args:
        module: The policy; dropout must be off.
        prompts: Tokens of B prompts.
        completions: What was sampled after each. A thought ends before the first token that no thought may
            hold; if that is not the embed token, the model did not finish it.
        is_direct: For each, whether its completion is ignored for the direct embedding.
        max_thought_tokens: Longest thought.
    """
    encoder = module.prompt_encoder
    end = encoder.embed_token_id
    thoughts: list[list[int]] = []
    endings: list[Ending] = []
    for completion, forced in zip(completions, is_direct, strict=True):
        stops = [index for index, token in enumerate(completion) if token in encoder.structural_ids]
        length = min([*stops[:1], len(completion), max_thought_tokens])
        ended = length < len(completion) and completion[length] == end
        thoughts.append([] if forced else completion[:length])
        endings.append(
            "skipped" if forced or (ended and not length) else "embed_token" if ended else "budget"
        )
    sequences = [[*prompt, *thought, end] for prompt, thought in zip(prompts, thoughts, strict=True)]
    input_ids, mask = left_pad(sequences)
    device = module.model.device
    states = last_hidden_states(module.model, input_ids.to(device), mask.to(device))[:, -1]
    return [
        Rollout(*parts) for parts in zip(prompts, thoughts, endings, _unit(states), is_direct, strict=True)
    ]


def rollout_seed(seed: int, step: int, query_id: str, index: int) -> int:
    """A seed that depends on the run, the step, the query and the index in its group, and on nothing else."""
    digest = hashlib.sha256(repr((seed, step, query_id, index)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _unit(states: torch.Tensor) -> torch.Tensor:
    return functional.normalize(states.float(), dim=1).cpu()
