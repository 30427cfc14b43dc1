"""LoRA on and off, saved and merged: the same vectors, the same thoughts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from search_r3 import SentenceTransformer
from search_r3.errors import InvalidOptionError, ModelError
from search_r3.model.adapter import ADAPTER_FILES, attach_reading_adapter, merge_adapter
from search_r3.training.lora import add_adapter, trainable_parameters
from search_r3.training.run_config import AdapterConfig

ROOT = Path(__file__).parents[3]
TEXTS = ["red apple", "the sea and the sun", "x"]


def disturb(model):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.requires_grad:
                weights.add_(0.05 * torch.randn(weights.shape, generator=generator))


def test_a_new_adapter_changes_nothing_and_freezes_the_rest(fresh_tiny):
    """Vectors before and after are the same; only factors and the embed token's row are trained."""
    before = fresh_tiny.encode_document(TEXTS)
    add_adapter(fresh_tiny, AdapterConfig(rank=4))
    assert np.array_equal(fresh_tiny.encode_document(TEXTS), before)
    trained = {name for name, weights in fresh_tiny.named_parameters() if weights.requires_grad}
    assert all("lora_" in name or "trainable_tokens_delta" in name for name in trained)
    # Two layers. Each: q, o 32x32; k, v 32x16; gate, up 32x64; down 64x32 (see the fixture's config).
    config = fresh_tiny[0].model.config
    hidden, inner = config.hidden_size, config.intermediate_size
    narrow = config.num_key_value_heads * config.head_dim
    ends = 2 * (hidden + hidden) + 2 * (hidden + narrow) + 3 * (hidden + inner)
    assert trainable_parameters(fresh_tiny) == 4 * ends * config.num_hidden_layers + hidden


def test_merged_adapter_gives_the_same_vectors_and_thoughts(fresh_tiny, tiny_folder, tmp_path):
    """Saved, merged into the base, saved again and loaded plainly: nothing has changed."""
    add_adapter(fresh_tiny, AdapterConfig(rank=4))
    plain = fresh_tiny.encode_document(TEXTS)
    disturb(fresh_tiny)
    vectors = fresh_tiny.encode_document(TEXTS)
    thoughts = fresh_tiny.encode_query_with_thoughts(TEXTS)
    assert np.abs(vectors - plain).max() > 0.05
    fresh_tiny.save(str(tmp_path / "adapter"), create_model_card=False)
    assert not list((tmp_path / "adapter").glob("model*.safetensors"))  # the base is not saved with it
    merged = merge_adapter(SentenceTransformer(tiny_folder, device="cpu"), tmp_path / "adapter")
    merged.save(str(tmp_path / "merged"), create_model_card=False)
    loaded = SentenceTransformer(tmp_path / "merged", device="cpu")
    for model in (merged, loaded):
        assert np.abs(model.encode_document(TEXTS) - vectors).max() < 1e-5
        again = model.encode_query_with_thoughts(TEXTS)
        assert np.abs(again.embeddings - thoughts.embeddings).max() < 1e-5
        assert again.thoughts == thoughts.thoughts
    assert not any("lora" in name for name, _ in loaded.named_parameters())


def test_an_adapter_for_reading_is_what_a_merged_one_is(fresh_tiny, tiny_folder, tmp_path):
    """For a query with passages; in half precision, and nothing else goes through it."""
    add_adapter(fresh_tiny, AdapterConfig(rank=4, alpha=12, train_embed_token=False))
    disturb(fresh_tiny)
    fresh_tiny.save(str(tmp_path / "adapter"), create_model_card=False)
    merged = merge_adapter(SentenceTransformer(tiny_folder, device="cpu"), tmp_path / "adapter")
    base = SentenceTransformer(tiny_folder, device="cpu")
    reader = attach_reading_adapter(SentenceTransformer(tiny_folder, device="cpu"), tmp_path / "adapter")
    evidence = [["a star"], ["red", "sky"], ["x"]]
    found, wanted, without = (
        model.encode_query(TEXTS, evidence=evidence, reasoning="never") for model in (reader, merged, base)
    )
    assert np.abs(found - wanted).max() < 2e-3 < 0.05 < np.abs(found - without).max()
    assert np.array_equal(reader.encode_document(TEXTS), base.encode_document(TEXTS))


def test_an_adapter_with_more_than_factors_is_not_for_reading(fresh_tiny, tiny_folder, tmp_path):
    add_adapter(fresh_tiny, AdapterConfig(rank=4))
    fresh_tiny.save(str(tmp_path / "adapter"), create_model_card=False)
    with pytest.raises(ModelError, match="factors of linear layers alone"):
        attach_reading_adapter(SentenceTransformer(tiny_folder, device="cpu"), tmp_path / "adapter")


def test_the_difference_of_two_adapters_is_exact(fresh_tiny, tiny_folder, tmp_path, monkeypatch):
    """On the model of the first one it makes that of the second one."""
    monkeypatch.syspath_prepend(str(ROOT / "train"))
    import subtract_adapters

    add_adapter(fresh_tiny, AdapterConfig(rank=4, alpha=12, train_embed_token=False))
    folders = [tmp_path / name / "adapter" for name in ("first", "second")]
    for folder in folders:
        disturb(fresh_tiny)
        fresh_tiny.save(str(folder), create_model_card=False)
    subtract_adapters.subtract(*folders, output=tmp_path / "difference")
    found = merge_adapter(SentenceTransformer(tiny_folder, device="cpu"), folders[0])
    first = found.encode_document(TEXTS)
    merge_adapter(found, tmp_path / "difference" / "adapter")
    wanted = merge_adapter(SentenceTransformer(tiny_folder, device="cpu"), folders[1]).encode_document(TEXTS)
    assert np.abs(found.encode_document(TEXTS) - wanted).max() < 1e-5
    assert np.abs(first - wanted).max() > 0.01


def test_embed_token_row_alone_is_trained(fresh_tiny, tmp_path, tiny_folder):
    """Of the embedding matrix, merging changes the embed token's row and no other."""
    add_adapter(fresh_tiny, AdapterConfig(rank=4))
    disturb(fresh_tiny)
    fresh_tiny.save(str(tmp_path), create_model_card=False)
    base = SentenceTransformer(tiny_folder, device="cpu")
    old = base[0].model.get_input_embeddings().weight.clone()
    merged = merge_adapter(base, tmp_path)
    new = merged[0].model.get_input_embeddings().weight
    changed = (old != new).any(dim=1).nonzero().flatten().tolist()
    assert changed == [merged[0].prompt_encoder.embed_token_id]


def test_layers_below_the_first_are_not_touched(fresh_tiny):
    """`first_layer` keeps lower layers without factors."""
    add_adapter(fresh_tiny, AdapterConfig(rank=4, first_layer=1, train_embed_token=False))
    trained = {name for name, weights in fresh_tiny.named_parameters() if weights.requires_grad}
    assert trained
    assert all("layers.1." in name for name in trained)


def test_half_precision_base_has_an_adapter_in_full(fresh_tiny):
    """The trained weights are float32 although the frozen ones are not."""
    fresh_tiny[0].model.to(torch.bfloat16)
    add_adapter(fresh_tiny, AdapterConfig(rank=4))
    kinds = {weights.requires_grad: set() for weights in fresh_tiny.parameters()}
    for weights in fresh_tiny.parameters():
        kinds[weights.requires_grad].add(weights.dtype)
    assert kinds == {True: {torch.float32}, False: {torch.bfloat16}}


def test_errors_say_what_was_wanted(fresh_tiny, tiny_folder, tmp_path):
    """Unknown targets, layers that do not exist, folders without an adapter, adapters of another model."""
    with pytest.raises(InvalidOptionError, match=r"targets \['query_key'\], which LlamaForCausalLM"):
        add_adapter(fresh_tiny, AdapterConfig(targets=("q_proj", "query_key")))
    with pytest.raises(InvalidOptionError, match="first_layer=99, wanted less than 2"):
        add_adapter(fresh_tiny, AdapterConfig(first_layer=99))
    with pytest.raises(ModelError, match=r"lacks .*adapter_config"):
        merge_adapter(fresh_tiny, tmp_path)
    add_adapter(fresh_tiny, AdapterConfig(rank=4))
    fresh_tiny.save(str(tmp_path), create_model_card=False)
    torch_file = tmp_path / ADAPTER_FILES[1]
    from safetensors.torch import load_file, save_file

    wrong = {name: torch.zeros(3, 3) for name in load_file(torch_file)}
    save_file(wrong, torch_file)
    with pytest.raises(ModelError, match="does not fit this model"):
        merge_adapter(SentenceTransformer(tiny_folder, device="cpu"), tmp_path)


def test_going_on_with_a_saved_adapter(fresh_tiny, tiny_folder, tmp_path):
    """A run that starts from an adapter has its vectors, trains its weights, and leaves the base alone."""
    config = AdapterConfig(rank=4)
    add_adapter(fresh_tiny, config)
    disturb(fresh_tiny)
    fresh_tiny.save(str(tmp_path / "adapter"), create_model_card=False)
    again = SentenceTransformer(tiny_folder, device="cpu")
    plain = again.encode_document(TEXTS)
    add_adapter(again, config.model_copy(update={"start": tmp_path / "adapter"}))
    vectors = fresh_tiny.encode_document(TEXTS)
    assert np.abs(vectors - plain).max() > 0.05
    assert np.array_equal(again.encode_document(TEXTS), vectors)
    assert trainable_parameters(again) == trainable_parameters(fresh_tiny)
    again[0].model.disable_adapters()
    assert np.abs(again.encode_document(TEXTS) - plain).max() < 1e-6


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"rank": 8}, "has r=4, the configuration 8"),
        ({"alpha": 64}, "has lora_alpha=32, the configuration 64"),
        ({"targets": ("q_proj",)}, "is of other layers"),
        ({"first_layer": 1}, "is of other layers"),
        ({"train_embed_token": False}, "is of other layers"),
    ],
)
def test_an_adapter_made_otherwise_is_refused(fresh_tiny, tiny_folder, tmp_path, other, message):
    """Going on with an adapter of another rank, scale or other layers would train something else."""
    add_adapter(fresh_tiny, AdapterConfig(rank=4))
    fresh_tiny.save(str(tmp_path), create_model_card=False)
    with pytest.raises(InvalidOptionError, match=message):
        add_adapter(
            SentenceTransformer(tiny_folder, device="cpu"),
            AdapterConfig(**{"rank": 4, "start": tmp_path, **other}),
        )


def test_no_adapter_to_start_from(fresh_tiny, tmp_path):
    """A folder without an adapter is named."""
    with pytest.raises(ModelError, match=r"lacks .*adapter_config"):
        add_adapter(fresh_tiny, AdapterConfig(start=tmp_path))
