"""Preparing a base: the embed token starts as the end of turn, nothing else changes, all or nothing."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    ByT5Tokenizer,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    PhiConfig,
    Qwen2Config,
    Qwen3Config,
)

from search_r3 import COMPACT_TEMPLATE, SentenceTransformer, prepare_base
from search_r3.errors import ModelError
from search_r3.model import prepare as base_module
from search_r3.model.template import DOCUMENT_LEAD, DOCUMENT_SYSTEM, REASONING_SYSTEM
from search_r3.training.packing import embed_packed

TINY_LM = Path(__file__).parents[2] / "fixtures" / "tiny_lm"
EMBED_TOKEN = "<|embed_token|>"
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
WITH_HEAD_DIM = {**SIZES, "head_dim": 8}
ARCHITECTURES = {
    "llama-tied": (LlamaConfig, {**SIZES, "tie_word_embeddings": True}),
    "llama-untied": (LlamaConfig, {**SIZES, "tie_word_embeddings": False}),
    "qwen2-tied": (Qwen2Config, {**SIZES, "tie_word_embeddings": True}),
    "qwen2-untied-spare-rows": (Qwen2Config, {**SIZES, "tie_word_embeddings": False, "vocab_size": 512}),
    "qwen2-odd-spare-rows": (Qwen2Config, {**SIZES, "tie_word_embeddings": True, "vocab_size": 450}),
    "qwen3-tied": (Qwen3Config, {**WITH_HEAD_DIM, "tie_word_embeddings": True}),
    "gemma2-softcap": (Gemma2Config, {**WITH_HEAD_DIM, "final_logit_softcapping": 3.0, "sliding_window": 8}),
    "gemma3-tied": (Gemma3TextConfig, {**WITH_HEAD_DIM, "sliding_window": 8}),
    "gemma3-untied": (Gemma3TextConfig, {**WITH_HEAD_DIM, "sliding_window": 8, "tie_word_embeddings": False}),
    "granite-unscaled": (GraniteConfig, {**SIZES, "logits_scaling": 1.0}),
    "gpt2": (
        GPT2Config,
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.3},
    ),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny models are faster on one thread, and far faster where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_raw(folder, config_class, options, change=None):
    """A random causal LM with the tiny tokenizer, saved as it would come from the Hub."""
    tokenizer = AutoTokenizer.from_pretrained(TINY_LM)
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = config_class(**{"vocab_size": len(tokenizer), **ids, **options})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    if change is not None:
        change(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=ARCHITECTURES)
def prepared(request, tmp_path_factory):
    """(raw folder, prepared folder) of every architecture."""
    root = tmp_path_factory.mktemp(request.param)
    raw = make_raw(root / "raw", *ARCHITECTURES[request.param])
    base = prepare_base(
        raw, root / "base", template=COMPACT_TEMPLATE, max_seq_length=96, max_reasoning_tokens=8
    )
    return raw, base


def load_lm(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def embed_id(folder):
    return AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(EMBED_TOKEN)


def leftovers(root):
    return sorted(path.name for path in root.iterdir())


def hashes(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- the matrices


def test_rows(prepared):
    """The new row is a copy of the end-of-turn row in both matrices, and no old row has changed."""
    raw, base = prepared
    old, new = load_lm(raw), load_lm(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    before = AutoTokenizer.from_pretrained(raw)
    embed, end_of_turn = tokenizer.convert_tokens_to_ids(EMBED_TOKEN), before.eos_token_id
    assert embed == len(before)
    assert len(tokenizer) == embed + 1
    matrices = (
        (old.get_input_embeddings().weight, new.get_input_embeddings().weight),
        (old.get_output_embeddings().weight, new.get_output_embeddings().weight),
    )
    for source, target in matrices:
        assert target.shape[0] % 64 == 0
        assert source.shape[0] <= target.shape[0] < source.shape[0] + 1 + 64
        assert target.shape[0] > embed
        assert torch.equal(target[embed], source[end_of_turn])
        kept = [row for row in range(source.shape[0]) if row != embed]
        assert torch.equal(target[kept], source[kept])
        padding = [row for row in range(source.shape[0], target.shape[0]) if row != embed]
        # Almost the mean of the old rows: a reused spare row already counts with its new value.
        assert torch.allclose(target[padding], source.mean(dim=0), atol=5e-3)
    assert new.config.get_text_config().vocab_size == matrices[0][1].shape[0]
    others = {
        name: tensor
        for name, tensor in old.state_dict().items()
        if tensor.shape[0] != matrices[0][0].shape[0]
    }
    assert others
    assert all(torch.equal(new.state_dict()[name], tensor) for name, tensor in others.items())


def test_tying_is_kept(prepared):
    """Tied matrices stay one tensor, untied ones stay two."""
    raw, base = prepared
    new = load_lm(base)
    tied = new.get_input_embeddings().weight.data_ptr() == new.get_output_embeddings().weight.data_ptr()
    assert tied == AutoConfig.from_pretrained(raw).tie_word_embeddings


def test_embed_logit_is_the_logit_of_the_end_of_turn(prepared):
    """At any position the untrained embed token is exactly as likely as the end of turn."""
    _, base = prepared
    model, embed = load_lm(base), embed_id(base)
    end_of_turn = AutoTokenizer.from_pretrained(base).eos_token_id
    ids = torch.randint(3, 400, (4, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    assert logits.std() > 0.01
    assert (logits[..., embed] - logits[..., end_of_turn]).abs().max() <= 1e-6


def test_prepared_base_thinks_exactly(prepared):
    """The saved base embeds to unit vectors that equal one plain pass over prompt, thought and token."""
    _, base = prepared
    model, plain = SentenceTransformer(str(base), device="cpu"), load_lm(base)
    embed = embed_id(base)
    queries = ["copy a directory tree", "read", "sort a list of numbers by a key and join paths", "parse"]
    documents = model.encode_document(queries)
    assert np.isfinite(documents).all()
    assert np.abs(np.linalg.norm(documents, axis=1) - 1).max() <= 1e-5
    found = model.encode_query_with_thoughts(queries, max_reasoning_tokens=12)
    tokenizer = AutoTokenizer.from_pretrained(base)
    for query, thought, vector in zip(queries, found.thoughts, found.embeddings, strict=True):
        prompt = tokenizer.encode(f"query:\n{query}\nthought:\n", add_special_tokens=False)
        with torch.no_grad():
            output = plain(
                input_ids=torch.tensor([[*prompt, *thought.token_ids, embed]]), output_hidden_states=True
            )
        state = output.hidden_states[-1][0, -1]
        difference = np.abs((state / state.norm()).numpy() - vector).max()
        assert difference <= 1e-5, f"max difference {difference:.2e}"
        # Each token of the thought is the plain model's own first choice among the tokens a thought may hold.
        allowed = model[0].prompt_encoder.allowed_thought_ids(output.logits.shape[-1])
        for step, token in enumerate(thought.token_ids):
            logits = output.logits[0, len(prompt) - 1 + step].masked_fill(~allowed, -torch.inf)
            if step == 0:
                logits[embed] = -torch.inf
            assert int(logits.argmax()) == token


def test_packed_texts_do_not_see_each_other(prepared):
    """In training they stand behind each other in a row. The tiny Gemmas have windows shorter than a row."""
    model = SentenceTransformer(prepared[1], device="cpu")
    texts = ["a sea and a red star and a book of the sun", "sun", "red apple", "the story of a book"]
    wanted = torch.from_numpy(model.encode_document(texts))
    inputs = model[0].preprocess(texts, task="document")
    model.train()
    model[0].model.eval()  # without GPT-2's dropout
    with torch.no_grad():
        found = embed_packed(model, {key: inputs[key] for key in ("input_ids", "attention_mask")})
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_spare_rows_are_reused(tmp_path):
    """A checkpoint with more rows than its tokenizer has tokens (Qwen) is not resized: the row is there."""
    raw = make_raw(tmp_path / "raw", *ARCHITECTURES["qwen2-untied-spare-rows"])
    base = prepare_base(raw, tmp_path / "base", template=COMPACT_TEMPLATE, max_seq_length=96)
    assert load_lm(base).get_input_embeddings().weight.shape[0] == 512
    assert embed_id(base) == len(AutoTokenizer.from_pretrained(raw)) < 512


def test_a_biased_head(tmp_path):
    """A head with a bias (Phi) too gives the embed token the logit of the end of turn."""

    def change(model):
        with torch.no_grad():
            model.lm_head.bias.normal_()

    options = {**SIZES, "tie_word_embeddings": False}
    raw = make_raw(tmp_path / "raw", PhiConfig, options, change)
    base = prepare_base(raw, tmp_path / "base", template=COMPACT_TEMPLATE, max_seq_length=96)
    model, embed = load_lm(base), embed_id(base)
    end_of_turn = AutoTokenizer.from_pretrained(base).eos_token_id
    with torch.no_grad():
        logits = model(input_ids=torch.arange(3, 60)[None]).logits
    difference = float((logits[..., embed] - logits[..., end_of_turn]).abs().max())
    assert difference <= 1e-5, f"max difference {difference:.2e}"


# --- the saved folder


def test_template_from_the_chat_template(tmp_path):
    """Without a template the chat template is rendered once, and kept as it is for everything else."""
    base = prepare_base(TINY_LM, tmp_path / "base")
    template = json.loads((base / "sentence_bert_config.json").read_text(encoding="utf-8"))["template"]
    assistant = "<|im_end|>\n<|im_start|>assistant\n"
    assert template == {
        "query_prefix": f"<|im_start|>system\n{REASONING_SYSTEM}<|im_end|>\n<|im_start|>user\n",
        "query_suffix": assistant,
        "document_prefix": f"<|im_start|>system\n{DOCUMENT_SYSTEM}<|im_end|>\n<|im_start|>user\n",
        "document_suffix": assistant + DOCUMENT_LEAD,
        "evidence_prefix": "\n\nPassages:\n",
        "passage_prefix": "- ",
        "passage_suffix": "\n",
    }
    source, target = AutoTokenizer.from_pretrained(TINY_LM), AutoTokenizer.from_pretrained(base)
    assert target.chat_template == source.chat_template
    model = SentenceTransformer(str(base), device="cpu")
    prompt = model.preprocess(["hello"], task="query")["input_ids"][0].tolist()
    wanted = target.encode(template["query_prefix"] + "hello" + assistant, add_special_tokens=False)
    assert prompt == [*wanted, len(source)]


def test_template_without_a_chat_template(tmp_path):
    """A base model without a chat template gets the compact template."""
    raw = Path(shutil.copytree(TINY_LM, tmp_path / "raw"))
    (raw / "chat_template.jinja").unlink()
    base = prepare_base(raw, tmp_path / "base")
    config = json.loads((base / "sentence_bert_config.json").read_text(encoding="utf-8"))
    assert config["template"] == COMPACT_TEMPLATE.to_dict()


@pytest.mark.parametrize(("asked", "budget", "limit"), [(128, 32, 128), (1024, 32, 480), (1024, 400, 112)])
def test_limit_leaves_room_for_the_thought(tmp_path, asked, budget, limit):
    """The saved limit is the one asked for, or what the positions leave beside the default budget."""
    base = prepare_base(
        TINY_LM,
        tmp_path / "base",
        template=COMPACT_TEMPLATE,
        max_seq_length=asked,
        max_reasoning_tokens=budget,
    )
    model = SentenceTransformer(str(base), device="cpu")
    assert (model.max_seq_length, model[0].max_reasoning_tokens) == (limit, budget)
    assert np.isfinite(model.encode_query(["long " * 600], on_truncation="ignore")).all()


def test_generation_config(tmp_path):
    """A chat model's sampling defaults are dropped; the embed token ends generation as end of turn does."""
    raw = Path(shutil.copytree(TINY_LM, tmp_path / "raw"))
    own = {"do_sample": True, "temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.3}
    (raw / "generation_config.json").write_text(json.dumps(own), encoding="utf-8")
    base = prepare_base(raw, tmp_path / "base", template=COMPACT_TEMPLATE)
    saved = json.loads((base / "generation_config.json").read_text(encoding="utf-8"))
    assert not set(own) & {key for key, value in saved.items() if value is not None}
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert saved["eos_token_id"] == [tokenizer.eos_token_id, embed_id(base)]


def test_dtype(tmp_path):
    """The weights are saved in the type asked for."""
    base = prepare_base(TINY_LM, tmp_path / "base", template=COMPACT_TEMPLATE, dtype=torch.bfloat16)
    assert SentenceTransformer(str(base), device="cpu").dtype == torch.bfloat16


def test_preparation_is_deterministic(tmp_path):
    """Preparing twice gives the same bytes in every file."""
    first, second = (prepare_base(TINY_LM, tmp_path / name, template=COMPACT_TEMPLATE) for name in ("a", "b"))
    assert hashes(first) == hashes(second)


def test_parents_are_created(tmp_path):
    """Missing parent folders are made, and the folder is returned as a path."""
    target = tmp_path / "new" / "deep" / "base"
    assert prepare_base(TINY_LM, str(target), template=COMPACT_TEMPLATE) == target
    assert leftovers(target.parent) == ["base"]


# --- refusals


def test_existing_target_is_refused(tmp_path):
    """An existing folder or file is never touched."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept.txt").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for name in ("folder", "file"):
        with pytest.raises(FileExistsError, match="never overwritten"):
            prepare_base(TINY_LM, tmp_path / name, template=COMPACT_TEMPLATE)
    assert hashes(tmp_path) == {
        name: hashlib.sha256(b"kept").hexdigest() for name in ("file", "folder/kept.txt")
    }


def test_a_prepared_model_is_refused(tiny_folder, tmp_path):
    """A model that has the embed token is not prepared again."""
    with pytest.raises(ModelError, match="already has"):
        prepare_base(tiny_folder, tmp_path / "base", template=COMPACT_TEMPLATE)
    assert leftovers(tmp_path) == []


def test_no_end_of_turn_is_refused(tmp_path):
    """Without an end-of-turn token there is no row to start from."""
    raw = Path(shutil.copytree(TINY_LM, tmp_path / "raw"))
    path = raw / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    del config["eos_token"]
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="eos_token"):
        prepare_base(raw, tmp_path / "base", template=COMPACT_TEMPLATE)
    assert leftovers(tmp_path) == ["raw"]


@pytest.mark.parametrize(
    ("config_class", "options"),
    [(CohereConfig, {"logit_scale": 0.0625}), (GraniteConfig, {"logits_scaling": 8.0})],
    ids=["cohere", "granite"],
)
def test_unknown_head_is_refused(tmp_path, config_class, options):
    """A model that changes its logits after the LM head is refused: its thoughts would be other ones."""
    raw = make_raw(tmp_path / "raw", config_class, {**SIZES, **options})
    with pytest.raises(ModelError, match="changes its logits"):
        prepare_base(raw, tmp_path / "base", template=COMPACT_TEMPLATE)
    assert leftovers(tmp_path) == ["raw"]


def test_a_slow_tokenizer_is_refused(tmp_path):
    """Only a fast tokenizer can read text with its special tokens switched off."""
    tokenizer = ByT5Tokenizer()
    assert not tokenizer.is_fast
    config = LlamaConfig(
        **SIZES, vocab_size=len(tokenizer), eos_token_id=1, bos_token_id=None, pad_token_id=0
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "raw")
    tokenizer.save_pretrained(tmp_path / "raw")
    with pytest.raises(ModelError, match="fast"):
        prepare_base(tmp_path / "raw", tmp_path / "base", template=COMPACT_TEMPLATE)
    assert leftovers(tmp_path) == ["raw"]


def test_pickled_weights_are_refused(tmp_path):
    """A source whose weights are a pickle is not opened."""
    raw = Path(shutil.copytree(TINY_LM, tmp_path / "raw"))
    torch.save(load_lm(raw).state_dict(), raw / "pytorch_model.bin")
    (raw / "model.safetensors").unlink()
    with pytest.raises(OSError, match="safetensors"):
        prepare_base(raw, tmp_path / "base", template=COMPACT_TEMPLATE)
    assert leftovers(tmp_path) == ["raw"]


def test_missing_gguf_file(tmp_path):
    """A GGUF file that is not there is named in the error."""
    with pytest.raises(ModelError, match=r"no GGUF file .*weights\.gguf"):
        prepare_base(tmp_path, tmp_path / "base", gguf_file="weights.gguf")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("stage", ["assemble", "save"])
def test_a_crash_leaves_nothing(tmp_path, monkeypatch, stage, error):
    """When saving fails half way, neither the target nor the staging folder stays behind."""
    seen = []

    def crash(*args, **kwargs):
        seen.append(leftovers(tmp_path))
        raise error

    if stage == "assemble":
        monkeypatch.setattr(base_module, "assemble", crash)
    else:
        write = SentenceTransformer.save

        def save(self, path, *args, **kwargs):
            write(self, path, *args, **kwargs)
            crash()

        monkeypatch.setattr(base_module.SearchR3, "save", save)
    with pytest.raises(type(error)):
        prepare_base(TINY_LM, tmp_path / "base", template=COMPACT_TEMPLATE)
    assert len(seen) == 1
    assert seen[0], "the crash must happen while a staging folder exists"
    assert "base" not in seen[0], "the target must not be there before it is whole"
    assert leftovers(tmp_path) == []


def test_source_is_not_changed(tmp_path):
    """The source folder is only read."""
    raw = Path(shutil.copytree(TINY_LM, tmp_path / "raw"))
    before = hashes(raw)
    prepare_base(raw, tmp_path / "base")
    assert hashes(raw) == before
