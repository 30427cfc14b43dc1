"""Rollouts: sampled, read from another sampler, and embedded as a plain pass embeds."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from search_r3.errors import ModelError
from search_r3.rl.capture import CapturedStates
from search_r3.rl.rollouts import rollout_seed, sample_rollouts


def test_captured_states_are_a_plain_pass(adapted_tiny):
    """The state at the embed token out of the loss's padded pass is what the rollout was embedded with."""
    module = adapted_tiny.reasoning_module
    adapted_tiny.eval()
    from search_r3.rl.grpo_config import RolloutConfig

    rollouts = sample_rollouts(
        module,
        ["red apple", "the sea and the sun and a star", "red apple"],
        [True, False, False],
        [0, 1, 2],
        RolloutConfig(group=3, max_thought_tokens=6),
        max_query_tokens=32,
    )
    end = module.prompt_encoder.embed_token_id
    prompts = [torch.tensor(rollout.prompt_ids) for rollout in rollouts]
    completions = [torch.tensor([*rollout.thought_ids, end]) for rollout in rollouts]
    width, length = max(map(len, prompts)), max(map(len, completions))
    rows, masks = [], []
    for prompt, completion in zip(
        prompts, completions, strict=True
    ):  # as TRL pads: prompts left, completions right
        left, right = width - len(prompt), length - len(completion)
        rows.append(functional.pad(torch.cat([prompt, completion]), (left, right)))
        masks.append(functional.pad(torch.ones(len(prompt) + len(completion)), (left, right)).long())
    with CapturedStates(module.model) as captured:
        module.model(input_ids=torch.stack(rows), attention_mask=torch.stack(masks))
    ends = width + torch.tensor([len(completion) for completion in completions]) - 1
    found = captured.unit_vectors(ends)
    torch.testing.assert_close(found, torch.stack([r.embedding for r in rollouts]), atol=1e-5, rtol=0)
    assert found.requires_grad
    replayed = adapted_tiny.encode_query_with_thoughts(
        ["red apple", "the sea and the sun and a star", "red apple"],
        thoughts=[rollout.thought_ids for rollout in rollouts],
    )
    np.testing.assert_allclose(found.detach().numpy(), replayed.embeddings, atol=1e-5)
    with CapturedStates(module.model) as captured, pytest.raises(ModelError, match="ran 0 times"):
        captured.unit_vectors(ends)


def test_rollouts_depend_on_their_seed_alone(tiny):
    """The same seed gives the same thought in any batch; the direct rollout has no choice of the policy's."""
    from search_r3.rl.grpo_config import RolloutConfig

    module = tiny.reasoning_module
    options = RolloutConfig(group=4, max_thought_tokens=6, may_skip=True)
    queries = ["red apple"] * 4
    together = sample_rollouts(
        module, queries, [True, False, False, False], [0, 1, 2, 1], options, max_query_tokens=32
    )
    [alone] = sample_rollouts(module, queries[:1], [False], [2], options, max_query_tokens=32)
    assert together[2].thought_ids == alone.thought_ids and together[1].thought_ids == together[3].thought_ids
    assert together[1].thought_ids != together[2].thought_ids
    assert together[0].chosen == [False] and together[0].thought_ids == []
    for rollout in together[1:]:
        assert rollout.chosen[:-1] == [True] * len(rollout.thought_ids)
        assert rollout.chosen[-1] == (rollout.ending != "budget")
        assert torch.linalg.norm(rollout.embedding) == pytest.approx(1)
    assert len({rollout_seed(0, step, "q", index) for step in range(3) for index in range(3)}) == 9


def test_completions_of_another_sampler(adapted_tiny):
    """A thought ends before the first structural token; only the embed token finishes it."""
    from search_r3.rl.rollouts import encode_prompts, read_rollouts

    module = adapted_tiny.reasoning_module
    adapted_tiny.eval()
    end = module.prompt_encoder.embed_token_id
    other = next(iter(sorted(module.prompt_encoder.structural_ids - {end})))
    thought = module.prompt_encoder.encode_text("a red star and the sea")[:4]
    prompts = encode_prompts(module, ["red apple"] * 6, 32)
    completions = [
        [*thought, end],
        [*thought, 9],
        [*thought[:2], other, end],
        [end],
        [*thought, end],
        thought[:3],
    ]
    found = read_rollouts(module, prompts, completions, [False] * 4 + [True, False], 4)
    assert [one.ending for one in found] == [
        "embed_token",
        "budget",
        "budget",
        "skipped",
        "skipped",
        "budget",
    ]
    assert [len(one.thought_ids) for one in found] == [4, 4, 2, 0, 0, 3]
    assert [one.chosen[-1] for one in found] == [True, False, False, True, False, False]
    wanted = adapted_tiny.encode_query_with_thoughts(
        ["red apple"] * 6, thoughts=[one.thought_ids for one in found]
    )
    np.testing.assert_allclose(torch.stack([one.embedding for one in found]), wanted.embeddings, atol=1e-5)


def test_rollouts_read_passages(adapted_tiny):
    """The direct rollout of a query with passages has the vector of these without a thought; others think."""
    from search_r3.rl.grpo_config import RolloutConfig

    module = adapted_tiny.reasoning_module
    adapted_tiny.eval()
    queries = ["red apple", "sea"]
    evidence = [("the sun is a star", "copy a folder"), ()]
    rollouts = sample_rollouts(
        module,
        queries * 2,
        [True, True, False, False],
        [0, 1, 2, 3],
        RolloutConfig(group=3, max_thought_tokens=4, may_skip=False),
        max_query_tokens=32,
        evidence=[*evidence, *evidence],
    )
    found = torch.stack([rollout.embedding for rollout in rollouts]).numpy()
    direct = adapted_tiny.encode_query(queries, evidence=evidence, reasoning="never")
    np.testing.assert_allclose(found[:2], direct, atol=1e-5)
    thoughts = [rollout.thought_ids for rollout in rollouts[2:]]
    assert all(thoughts)
    after = adapted_tiny.encode_query_with_thoughts(queries, evidence=evidence, thoughts=thoughts)
    np.testing.assert_allclose(found[2:], after.embeddings, atol=1e-5)
    without = adapted_tiny.encode_query(queries, reasoning="never")
    assert np.abs(without[0] - found[0]).max() > 0.01
    assert np.abs(without[1] - found[1]).max() < 1e-5
