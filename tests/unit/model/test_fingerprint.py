"""The fingerprint: one for one embedding space, another whenever a document's vector could differ."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from search_r3 import COMPACT_TEMPLATE, SentenceTransformer, Template, fingerprint, prepare_base
from search_r3.model.template import EVIDENCE_FIELDS

TINY_LM = Path(__file__).parents[2] / "fixtures" / "tiny_lm"


@pytest.fixture(scope="module")
def wanted(tiny_folder):
    return fingerprint(load(tiny_folder))


def load(folder, **options):
    return SentenceTransformer(str(folder), device="cpu", **options)


def test_it_is_a_sha256_and_stable(tiny_folder, wanted):
    """Asking twice, of one model or of two loaded from one folder, gives the same 64 hexadecimal digits."""
    model = load(tiny_folder)
    assert fingerprint(model) == wanted
    assert fingerprint(model) == wanted
    assert len(wanted) == 64
    int(wanted, 16)


def test_use_does_not_change_it(fresh_tiny, wanted):
    """Encoding, thinking and training mode leave the fingerprint alone."""
    fresh_tiny.encode_document(["a"])
    fresh_tiny.encode_query(["a"])
    fresh_tiny.train()
    assert fingerprint(fresh_tiny) == wanted


def test_it_survives_saving(fresh_tiny, wanted, tmp_path):
    """A saved and loaded copy has the fingerprint of the original, wherever it lies."""
    for number in range(2):
        fresh_tiny.save(str(tmp_path / str(number)), create_model_card=False)
        fresh_tiny = load(tmp_path / str(number))
        assert fingerprint(fresh_tiny) == wanted


@pytest.mark.slow
def test_it_is_the_same_in_another_process(tiny_folder, wanted):
    """Another process, with another hash seed, computes the same fingerprint."""
    code = (
        "import sys; from search_r3 import SentenceTransformer, fingerprint\n"
        "print(fingerprint(SentenceTransformer(sys.argv[1], device='cpu')))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code, str(tiny_folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env=environment,
    )
    assert found.stdout.strip() == wanted


def test_every_weight_matters(fresh_tiny, wanted):
    """The smallest change of any one tensor changes the fingerprint."""
    seen = {wanted}
    for parameter in fresh_tiny.parameters():
        with torch.no_grad():
            flat = parameter.view(-1)
            before = flat[-1].clone()
            flat[-1] = torch.nextafter(before, torch.tensor(10.0))
            seen.add(fingerprint(fresh_tiny))
            flat[-1] = before
    assert len(seen) == 1 + len(list(fresh_tiny.parameters()))
    assert fingerprint(fresh_tiny) == wanted


def test_two_equal_shaped_weights_cannot_be_swapped(fresh_tiny, wanted):
    """The same numbers under other names are another model."""
    first, second = (layer.self_attn.q_proj.weight for layer in fresh_tiny[0].model.get_decoder().layers)
    with torch.no_grad():
        kept = first.clone()
        first.copy_(second)
        second.copy_(kept)
    assert fingerprint(fresh_tiny) != wanted


@pytest.mark.parametrize("field", ["query_prefix", "query_suffix", "document_prefix", "document_suffix"])
def test_template_matters(wanted, tmp_path, field):
    """Another string in the template is another embedding space."""
    template = Template(**{**COMPACT_TEMPLATE.to_dict(), field: getattr(COMPACT_TEMPLATE, field) + "x"})
    prepare_base(TINY_LM, tmp_path / "other", template=template, max_seq_length=128, max_reasoning_tokens=8)
    assert fingerprint(load(tmp_path / "other")) != wanted


def test_length_limit_matters(fresh_tiny, wanted):
    """Another max_seq_length cuts documents elsewhere, so it is another space; set back, it is the same."""
    before = fresh_tiny.max_seq_length
    fresh_tiny.max_seq_length = before - 1
    assert fingerprint(fresh_tiny) != wanted
    fresh_tiny.max_seq_length = before
    assert fingerprint(fresh_tiny) == wanted


def test_dtype_matters(tiny_folder, wanted):
    """A bfloat16 copy gives other vectors, so it has another fingerprint, and its own stable one."""
    options = {"model_kwargs": {"dtype": torch.bfloat16}}
    half = fingerprint(load(tiny_folder, **options))
    assert half != wanted
    assert fingerprint(load(tiny_folder, **options)) == half
    assert fingerprint(load(tiny_folder, model_kwargs={"dtype": torch.float32})) == wanted


def test_truncated_dimension_matters(tiny_folder, wanted):
    """Vectors cut to fewer dimensions are another space."""
    assert fingerprint(load(tiny_folder, truncate_dim=8)) != wanted


def test_defaults_of_queries_do_not_matter(fresh_tiny, wanted, tmp_path):
    """Defaults of per-call options say nothing about documents: same fingerprint, also once saved."""
    module = fresh_tiny[0]
    module.reasoning, module.max_reasoning_tokens, module.on_truncation = "auto", 3, "error"
    module.default_role, module.query_prompt, module.document_prompt = "query", "Q: ", "D: "
    fresh_tiny.prompts = {"query": "Q: ", "document": "D: "}  # else the old ones would be instructions now
    assert fingerprint(fresh_tiny) == wanted
    fresh_tiny.save(str(tmp_path / "saved"), create_model_card=False)
    assert json.loads((tmp_path / "saved" / "sentence_bert_config.json").read_text())["reasoning"] == "auto"
    assert fingerprint(load(tmp_path / "saved")) == wanted


def test_an_instruction_for_documents_matters(fresh_tiny, wanted):
    """A document prompt that is not the role's own is text before every document: another space."""
    before = fresh_tiny.encode_document(["a"])
    fresh_tiny.prompts["document"] = "Represent this passage: "
    assert abs(fresh_tiny.encode_document(["a"]) - before).max() > 0.01
    assert fingerprint(fresh_tiny) != wanted


def test_another_tokenizer_matters(tiny_folder, wanted, tmp_path):
    """The tokenizer decides what a document reads as: another one over the same weights is another space."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    merges = data["model"]["merges"]
    data["model"]["merges"] = merges[: len(merges) // 2]
    path.write_text(json.dumps(data), encoding="utf-8")
    text = ["copy a directory tree recursively"]
    other = load(folder)
    difference = abs(other.encode_document(text) - load(tiny_folder).encode_document(text)).max()
    assert difference > 0.01, "the tokenizers must differ in effect"
    assert fingerprint(other) != wanted


def test_evidence_does_not_change_it(tiny_folder, wanted, tmp_path):
    """Neither its strings and limits, nor a configuration of a time without them: no document reads them."""
    for number, change in enumerate(
        (
            lambda config: (
                config["template"].update(passage_prefix="* ") or config.update(max_passage_tokens=3)
            ),
            lambda config: (
                [config["template"].pop(name) for name in EVIDENCE_FIELDS]
                + [config.pop(name) for name in ("max_passage_tokens", "max_evidence_tokens")]
            ),
        )
    ):
        folder = shutil.copytree(tiny_folder, tmp_path / str(number))
        path = folder / "sentence_bert_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        change(config)
        path.write_text(json.dumps(config), encoding="utf-8")
        assert fingerprint(load(folder)) == wanted


def test_a_token_that_evidence_reserves_matters(tiny_folder, wanted, tmp_path):
    """A document can no longer hold a token that the template puts around passages: its vector is another."""
    folder = shutil.copytree(tiny_folder, tmp_path / "reserving")
    before = load(tiny_folder)
    reserved = before[0].prompt_encoder.structural_ids
    added = before.tokenizer.added_tokens_decoder
    free = [token.content for token_id, token in added.items() if token_id not in reserved]
    assert free  # else this test shows nothing
    path = folder / "sentence_bert_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["template"]["passage_prefix"] = free[0]
    path.write_text(json.dumps(config), encoding="utf-8")
    changed = load(folder)
    assert fingerprint(changed) != wanted
    spelled = [f"a {free[0]} b"]
    assert np.abs(changed.encode_document(spelled) - before.encode_document(spelled)).max() > 1e-3
