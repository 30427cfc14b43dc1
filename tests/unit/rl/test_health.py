"""Signs that thoughts decay."""

import numpy as np
import pytest
import torch


@pytest.mark.parametrize(
    ("distinct", "perplexity", "reason"),
    [
        ([0.5, 0.3, 0.26], [5, 6, 7], None),
        ([0.5, 0.3, 0.24], [5, 6, 7], "fell from 0.500 to 0.240"),
        ([0.5, 0.5, 0.5], [5, 6, 1001], "rose to 1001"),
    ],
)
def test_decay_stops_training_and_chooses_no_checkpoint(distinct, perplexity, reason):
    """The first evaluation of the log is the reference; one that shows decay cannot be the best."""
    from transformers import TrainerControl, TrainerState

    from search_r3.rl.dev_evaluation import StopOnDecay
    from search_r3.rl.grpo_config import HealthConfig

    log = [
        {"eval_score": 0.9, "eval_thought_distinct": one, "eval_thought_perplexity": other}
        for one, other in zip(distinct, perplexity, strict=True)
    ]
    stop, control = StopOnDecay(HealthConfig(), "eval_score"), TrainerControl()
    last = dict(log[-1])
    stop.on_evaluate(None, TrainerState(log_history=log), control, metrics=last)  # as after a resume
    assert control.should_training_stop == (reason is not None)
    assert last["eval_score"] == (0.9 if reason is None else float("-inf"))
    assert (reason or "") in (stop.reason or "") and bool(reason) == bool(stop.reason)


def test_health_by_hand():
    """Distinct and repeated tokens, cosines of pairs, and perplexity as the exponential of the mean loss."""
    from search_r3.rl.health import distinct_share, mean_pair_cosine, repeated_share

    thoughts = [[1, 2, 2], [1], []]
    assert distinct_share(thoughts) == 0.5 and repeated_share(thoughts) == 0.25
    assert np.isnan(distinct_share([[]])) and np.isnan(repeated_share([]))
    assert mean_pair_cosine(np.tile([[0.6, 0.8]], (9, 1))) == pytest.approx(1)
    assert mean_pair_cosine(np.eye(2)) == 0  # a row is never paired with itself


def test_perplexity_is_that_of_the_plain_model(tiny):
    """The same as the model's own loss over the thought's tokens."""
    from search_r3.rl.health import thought_perplexity

    model = tiny.reasoning_module.model.eval()
    prompts, thoughts = [[5, 6, 7], [8, 9], [3]], [[10, 11], [12, 13, 14], []]
    total = 0.0
    for prompt, thought in zip(prompts, thoughts, strict=True):
        if thought:
            labels = torch.tensor([[-100] * len(prompt) + thought])
            with torch.no_grad():
                total += float(model(input_ids=torch.tensor([prompt + thought]), labels=labels).loss) * len(
                    thought
                )
    assert thought_perplexity(model, prompts, thoughts) == pytest.approx(np.exp(total / 5), rel=1e-4)
