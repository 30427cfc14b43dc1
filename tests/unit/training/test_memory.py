"""The memory a run will take: every part by hand on the tiny model, and the refusal of what does not fit."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_r3.errors import InvalidOptionError
from search_r3.training.lora import add_adapter
from search_r3.training.memory import MemoryEstimate, estimate_memory, require_memory
from search_r3.training.run_config import AdapterConfig

GIB = 2**30

# The tiny model: a vocabulary of 448, hidden size 32, gated product 64, 2 layers, 4 heads of 8, 2 of them for
# keys and values; the output matrix is that of the input.
# A layer: queries and output 2 * 32 * 32, keys and values 2 * 32 * 16, gate, up and down 3 * 32 * 64, two
# norms of 32: 2048 + 1024 + 6144 + 64 = 9280. In all 448 * 32 + 2 * 9280 + 32 = 32,928.
PARAMETERS = 32_928

TRAINING = {
    "batch_tokens": 1000,
    "taught_tokens": 50,
    "half_precision": False,
    "gradient_checkpointing": False,
}


def estimate(model, **options):
    return estimate_memory(model[0].model, **{**TRAINING, **options})


def test_weights_and_optimizer_by_hand(tiny):
    """Weights take 4 bytes each; their gradients and the two moments of Adam three times as much."""
    found = estimate(tiny)
    assert found.weights * GIB == PARAMETERS * 4
    assert found.training * GIB == PARAMETERS * 12


def test_frozen_copy_doubles_the_weights(tiny):
    """A copy of the base is a second time the weights, and changes nothing else."""
    without, copied = (estimate(tiny, has_frozen_copy=has) for has in (False, True))
    assert copied.weights == 2 * without.weights
    assert copied == MemoryEstimate(
        2 * without.weights, without.training, without.activations, without.logits
    )


def test_frozen_weights_need_no_optimizer(fresh_tiny):
    """Only what is trained has gradients and moments: here the 32 values of the last norm."""
    for name, weights in fresh_tiny[0].model.named_parameters():
        weights.requires_grad = name == "model.norm.weight"
    found = estimate(fresh_tiny)
    assert found.weights * GIB == PARAMETERS * 4
    assert found.training * GIB == 32 * 12


def test_adapter_by_hand(fresh_tiny):
    """An adapter of rank 4 on queries and values adds its factors, and trains nothing but them."""
    add_adapter(fresh_tiny, AdapterConfig(rank=4, targets=("q_proj", "v_proj"), train_embed_token=False))
    # Per layer: queries 4 * (32 + 32) = 256, values 4 * (32 + 16) = 192.
    found = estimate(fresh_tiny)
    assert found.weights * GIB == (PARAMETERS + 2 * 448) * 4
    assert found.training * GIB == 2 * 448 * 12


def test_half_weights_are_half_the_size(fresh_tiny):
    """Weights in 16 bits take 2 bytes each."""
    fresh_tiny[0].model.to(torch.bfloat16)
    assert estimate(fresh_tiny).weights * GIB == PARAMETERS * 2


def test_activations_and_logits_by_hand(tiny):
    """So many values per token are kept for every layer, or with checkpointing its input only."""
    # A layer keeps 14 * 32 + 6 * 64 = 832 values per token; the two of them, and one at work, 3 * 832.
    found = estimate(tiny)
    assert found.activations * GIB == 1000 * 3 * 832 * 4
    # 4 float32 values for each of 448 words at each of 50 tokens.
    assert found.logits * GIB == 50 * 448 * 4 * 4
    # With checkpointing a layer keeps its input, 32 values, and one is at work: 2 * 32 + 832.
    assert estimate(tiny, gradient_checkpointing=True).activations * GIB == 1000 * (2 * 32 + 832) * 4


def test_half_precision_halves_the_activations(tiny):
    """Activations in 16 bits take half; weights and the loss are as before."""
    whole, half = (estimate(tiny, half_precision=is_half) for is_half in (False, True))
    assert half == MemoryEstimate(whole.weights, whole.training, whole.activations / 2, whole.logits)


@given(
    tokens=st.lists(st.integers(1, 10**7), min_size=2, max_size=2, unique=True).map(sorted),
    checkpointing=st.booleans(),
    half=st.booleans(),
)
def test_more_tokens_need_more(tiny, tokens, checkpointing, half):
    """A larger batch needs more, in proportion; checkpointing always needs less."""
    options = {"gradient_checkpointing": checkpointing, "half_precision": half}
    small, large = (estimate(tiny, batch_tokens=count, **options) for count in tokens)
    assert small.activations < large.activations
    assert small.total < large.total
    assert large.activations / small.activations == pytest.approx(tokens[1] / tokens[0])
    assert (
        estimate(tiny, batch_tokens=tokens[0], gradient_checkpointing=True, half_precision=half).activations
        < estimate(
            tiny, batch_tokens=tokens[0], gradient_checkpointing=False, half_precision=half
        ).activations
    )


def test_total_and_its_words():
    """The total is the sum with 1 GiB for the process, and its words name every part."""
    found = MemoryEstimate(weights=0.5, training=1.5, activations=2.25, logits=0.125)
    assert found.total == 5.375
    assert str(found) == (
        "5.4 GiB: weights 0.5, gradients and optimizer 1.5, activations 2.2, logits 0.1, process 1.0"
    )


FOUR = MemoryEstimate(weights=1, training=1, activations=0.5, logits=0.5)  # 4 GiB with the process


def test_run_that_does_not_fit_is_refused(monkeypatch):
    """The error names what is needed, what is free and what to do; as much as is needed is enough."""
    free = SimpleNamespace(available=4 * GIB)
    monkeypatch.setattr("search_r3.training.memory.psutil.virtual_memory", lambda: free)
    require_memory(FOUR, torch.device("cpu"))
    free.available = round(3.4 * GIB)
    with pytest.raises(InvalidOptionError) as caught:
        require_memory(FOUR, torch.device("cpu"))
    message = str(caught.value)
    assert message.startswith(f"This run needs about {FOUR}; 3.4 GiB are free.")
    assert "4.0 GiB" in message
    for advice in ("data.batch_tokens", "max_document_tokens", "an adapter", "gradient_checkpointing=true"):
        assert advice in message


def test_on_a_gpu_its_own_memory_counts(monkeypatch):
    """What is free on the device decides, not what the machine has."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * GIB, 80 * GIB))
    with pytest.raises(InvalidOptionError, match=r"3\.0 GiB are free"):
        require_memory(FOUR, torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4 * GIB, 80 * GIB))
    require_memory(FOUR, torch.device("cuda"))


def test_this_machine_has_room_for_ten_tokens(tiny):
    """By the memory that is really free, ten tokens fit and a million million do not."""
    require_memory(estimate(tiny, batch_tokens=10, taught_tokens=1), torch.device("cpu"))
    with pytest.raises(InvalidOptionError, match="are free"):
        require_memory(estimate(tiny, batch_tokens=10**12), torch.device("cpu"))
