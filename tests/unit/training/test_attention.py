"""The attention of a run: which one, and that neither it nor the skipped casts change what is computed."""

import pytest
import torch

from search_r3.training.attention import choose_attention
from search_r3.training.lora import without_input_casts
from search_r3.training.memory import estimate_memory

TEXTS = ["red apple", "the sea and a star", "a book"]


def encoded(model):
    inputs = model[0].preprocess(TEXTS, task="document")
    return {key: inputs[key] for key in ("input_ids", "attention_mask")}


@pytest.mark.parametrize(
    ("device", "longest", "implementation"),
    [("cpu", 128, "eager"), ("cpu", 129, "sdpa"), ("cuda", 32, "sdpa")],
)
def test_plain_attention_for_short_texts_on_a_cpu(fresh_tiny, device, longest, implementation):
    """128 tokens at most, and a CPU; else the model's own stays, and keeps no weights."""
    kept = choose_attention(fresh_tiny[0].model, torch.device(device), longest)
    assert fresh_tiny[0].model.config._attn_implementation == implementation
    assert kept == (128 if implementation == "eager" else 0)


def test_both_give_the_same_vectors(fresh_tiny):
    """Left padding included, in the form that training embeds in."""
    model = fresh_tiny.train()
    inputs = encoded(model)
    with torch.no_grad():
        fused = model(dict(inputs))["sentence_embedding"]
        choose_attention(model[0].model, torch.device("cpu"), 32)
        plain = model(dict(inputs))["sentence_embedding"]
    assert inputs["attention_mask"].min() == 0
    torch.testing.assert_close(plain, fused, rtol=0, atol=1e-6)


def test_it_is_not_saved_with_the_model(fresh_tiny, tmp_path):
    """A run without an adapter saves the model that was trained: it is loaded with the usual attention."""
    from search_r3 import SentenceTransformer

    choose_attention(fresh_tiny[0].model, torch.device("cpu"), 32)
    fresh_tiny.save(str(tmp_path / "saved"), create_model_card=False)
    again = SentenceTransformer(tmp_path / "saved", device="cpu")
    assert again[0].model.config._attn_implementation == "sdpa"


def test_kept_weights_count_as_activations(fresh_tiny):
    """Two layers and one more that is computed at the time, 4 heads, 4 bytes: 3 * 4 * 4 * 32 for a token."""
    shared = {"batch_tokens": 1000, "taught_tokens": 0, "gradient_checkpointing": False}
    model = fresh_tiny[0].model
    for half, width in ((False, 4), (True, 4 + 2)):
        without, kept = (
            estimate_memory(model, half_precision=half, attention_length=length, **shared).activations
            for length in (0, 32)
        )
        assert (kept - without) * 2**30 == 1000 * 3 * width * 4 * 32


def test_without_casts_the_values_are_the_same(adapted_tiny):
    """In mixed precision an adapter's casts to float32 are undone by autocast: equal to the last bit."""
    model = adapted_tiny.train()
    model[0].model.to(torch.bfloat16)
    for weights in model.parameters():
        if weights.requires_grad:
            weights.data = weights.data.float()
    inputs = encoded(model)
    found = []
    for active in (False, True):
        model.zero_grad()
        with without_input_casts(model, active=active), torch.autocast("cpu", torch.bfloat16):
            vectors = model(dict(inputs))["sentence_embedding"]
        vectors.float().square()[:, ::2].sum().backward()
        gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
        found.append([vectors.detach(), *gradients])
    assert len(found[0]) == len(found[1]) > 10
    assert all(layer.cast_input_dtype_enabled for layer in model.modules() if hasattr(layer, "lora_A"))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
