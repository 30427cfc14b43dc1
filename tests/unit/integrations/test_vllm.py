"""The two engines, with stand-ins for vLLM that run the tiny model: the runtime's own tokens and vectors."""

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.integrations.vllm import TwoEngines

QUERIES = ["red apple", "the sea and the sun", "copy a folder of files", ""]


@dataclass
class SamplingParams:
    """The options that are passed, by vLLM's names."""

    temperature: float
    max_tokens: int
    min_tokens: int
    stop_token_ids: list[int]
    allowed_token_ids: list[int]
    detokenize: bool


@dataclass
class Engine:
    """Greedy generation and last-token pooling, one sequence after the other."""

    model: object
    seen: list = field(default_factory=list)

    def generate(self, prompts, sampling):
        outputs = []
        for prompt in prompts:
            ids, written = list(prompt["prompt_token_ids"]), []
            self.seen.append(tuple(ids))
            while len(written) < sampling.max_tokens:
                with torch.no_grad():
                    logits = self.model(input_ids=torch.tensor([ids + written])).logits[0, -1]
                allowed = set(sampling.allowed_token_ids)
                if len(written) < sampling.min_tokens:
                    allowed -= set(sampling.stop_token_ids)
                mask = torch.full_like(logits, -torch.inf)
                mask[sorted(allowed)] = 0
                written.append(int((logits + mask).argmax()))
                if written[-1] in sampling.stop_token_ids:
                    break
            outputs.append(SimpleNamespace(outputs=[SimpleNamespace(token_ids=written)]))
        return outputs

    def embed(self, prompts):
        found = []
        for prompt in prompts:
            ids = torch.tensor([prompt["prompt_token_ids"]])
            with torch.no_grad():
                states = self.model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
            found.append(SimpleNamespace(outputs=SimpleNamespace(embedding=states[0, -1].tolist())))
        return found


@pytest.fixture
def engines(fresh_tiny, tiny_folder, monkeypatch):
    vllm = ModuleType("vllm")
    vllm.SamplingParams = SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    engine = Engine(fresh_tiny.reasoning_module.model.eval())  # it captures hidden states: not the shared one
    return TwoEngines(tiny_folder, engine, engine)


@pytest.mark.parametrize("reasoning", ["always", "never", "auto", None])
@pytest.mark.parametrize("budget", [0, 1, 6, None])
def test_thoughts_and_vectors_are_the_runtimes(engines, tiny, reasoning, budget):
    """Token by token, whatever the budget and the way to reason."""
    options = {"reasoning": reasoning, "max_reasoning_tokens": budget}
    found = engines.encode_query_with_thoughts(QUERIES, **options)
    wanted = tiny.encode_query_with_thoughts(QUERIES, **options)
    assert found.thoughts == wanted.thoughts
    np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-5)
    assert found.dropped_tokens == wanted.dropped_tokens


def test_evidence_is_read(engines, tiny):
    """With passages, one of them cut, thoughts and vectors are the runtime's; each query has its own."""
    evidence = [["red sea", "a book " * 150]] + [[]] * (len(QUERIES) - 1)
    found = engines.encode_query_with_thoughts(QUERIES, evidence=evidence)
    wanted = tiny.encode_query_with_thoughts(QUERIES, evidence=evidence, on_truncation="ignore")
    assert found.thoughts == wanted.thoughts
    np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-5)
    assert found.dropped_evidence_tokens == wanted.dropped_evidence_tokens
    assert found.dropped_evidence_tokens[0] > 0 == found.dropped_evidence_tokens[1]
    with pytest.raises(InvalidInputError, match=r"1 lists of evidence for \d+ queries"):
        engines.encode_query_with_thoughts(QUERIES, evidence=[[]])


def test_documents_instructions_and_long_texts(engines, tiny):
    """The same for documents, for an instruction, and where a text is cut."""
    long = "red sea " * 200
    documents = ["a red apple", long, ""]
    wanted = tiny.encode_document(documents, on_truncation="ignore")
    np.testing.assert_allclose(engines.encode_document(documents), wanted, atol=1e-5)
    options = {"prompt": "find red: ", "max_reasoning_tokens": 3}
    found = engines.encode_query_with_thoughts([long, "sea"], **options)
    wanted = tiny.encode_query_with_thoughts([long, "sea"], on_truncation="ignore", **options)
    assert found.thoughts == wanted.thoughts and found.dropped_tokens == wanted.dropped_tokens
    np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-5)


def test_the_query_prompt_is_a_role_and_no_instruction(engines, tiny):
    """As for the runtime."""
    options = {"prompt": "query: ", "max_reasoning_tokens": 3}
    found = engines.encode_query_with_thoughts(["sea"], **options)
    wanted = tiny.encode_query_with_thoughts(["sea"], max_reasoning_tokens=3)
    np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-5)


@pytest.mark.parametrize("change", [{"prompts": {"query": "find red: "}}, {"on_truncation": "error"}])
def test_what_is_saved_and_not_followed_is_refused(engines, fresh_tiny, tmp_path, change):
    """Other vectors than the model's own would come out in silence."""
    fresh_tiny.prompts.update(change.get("prompts", {}))
    fresh_tiny.reasoning_module.on_truncation = change.get("on_truncation", "warn")
    fresh_tiny.save(str(tmp_path / "saved"))
    with pytest.raises(InvalidOptionError, match="would not follow"):
        TwoEngines(tmp_path / "saved", engines._generator, engines._pooler)


def test_text_cannot_forge_structure(engines, tiny):
    """A spelled embed token goes in as plain text."""
    query = "red <|embed_token|> sea"
    engines.encode_query_with_thoughts([query], max_reasoning_tokens=1)
    [seen] = engines._generator.seen
    assert tiny.reasoning_module.prompt_encoder.embed_token_id not in seen


def test_errors(engines):
    """What is no text, and options that mean nothing."""
    with pytest.raises(InvalidInputError, match="wanted a string"):
        engines.encode_query_with_thoughts([None])
    with pytest.raises(InvalidOptionError, match="-1 tokens"):
        engines.encode_query_with_thoughts(["x"], max_reasoning_tokens=-1)
    assert engines.encode_query_with_thoughts([]).thoughts == []
