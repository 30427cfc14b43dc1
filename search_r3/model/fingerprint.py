"""The identity of a model, for refusing vectors of another one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from numbers import Integral
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from search_r3.model.prompt_encoder import structural_token_ids
from search_r3.model.template import EVIDENCE_FIELDS, Template

_CALL_DEFAULTS = frozenset(
    {
        "reasoning",
        "max_reasoning_tokens",
        "max_passage_tokens",
        "max_evidence_tokens",
        "on_truncation",
        "default_role",
        "query_prompt",
        "document_prompt",
        "reading_adapter",  # of queries alone
    }
)


def fingerprint(model: SentenceTransformer) -> str:
    """Hash all that decides a document's vector: weights, tokenizer, modules, template, length limit.

    A reading adapter is left out, because no document passes through it.

    Defaults of per-call options are left out: changing them gives other queries in the same space. Half
    precision and float32 copies of one model differ, as their vectors do.

    Returns:
        64 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    weights: dict[str, torch.Tensor] = model.state_dict()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    described: list[Any] = [model.max_seq_length, model.truncate_dim]
    modules: Any = model
    for module in modules:
        config = module.get_config_dict() if hasattr(module, "get_config_dict") else {}
        kept = {key: value for key, value in config.items() if key not in _CALL_DEFAULTS}
        if "template" in kept:  # so that a model saved before there was evidence stays the same
            template = kept["template"].items()
            kept["template"] = {key: value for key, value in template if key not in EVIDENCE_FIELDS}
        described.append([type(module).__name__, kept])
    described += _reserved_for_evidence(modules[0])
    digest.update(json.dumps(_instructions(model), sort_keys=True).encode())
    digest.update(_tokenizer_state(model.tokenizer).encode())
    digest.update(json.dumps(described, sort_keys=True, default=_plain).encode())
    return digest.hexdigest()


def _reserved_for_evidence(module: Any) -> list[list[int]]:
    """Tokens that no text can hold because the template puts them around evidence; empty if there are none.

    A document that spells such a token has another vector than where the token is free.
    """
    if not hasattr(module, "template"):
        return []
    template = Template.from_dict(module.template)
    without = replace(template, **dict.fromkeys(EVIDENCE_FIELDS, ""))
    reserved, others = (structural_token_ids(module.tokenizer, one) for one in (template, without))
    return [sorted(reserved - others)] if reserved > others else []


def _plain(value: object) -> int | str:
    """What JSON does not know: numpy's integers as the same number, anything else by its text."""
    return int(value) if isinstance(value, Integral) else str(value)


def _instructions(model: SentenceTransformer) -> dict[str, str | None]:
    """The model's prompts that reach a sequence; a role's own prompt does not."""
    first: Any = model[0]
    names = {"", getattr(first, "query_prompt", ""), getattr(first, "document_prompt", "")}
    return {name: prompt for name, prompt in model.prompts.items() if prompt not in names}


def _tokenizer_state(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        return repr(tokenizer)
    state = json.loads(backend.to_str())
    # Calls leave their padding and truncation behind; neither is the tokenizer's own.
    return json.dumps({key: value for key, value in state.items() if key not in ("padding", "truncation")})
