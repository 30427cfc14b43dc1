"""What is evaluated, how it is used, and what a query costs it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentence_transformers
import torch

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.evaluation.baselines import mean_pooled
from search_r3.evaluation.mteb_encoder import prompt_tokens, query_prompt
from search_r3.extras import needs_extra
from search_r3.model.default import EMBEDDED_MODELS, load_model
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thoughts import Arm

with needs_extra("eval"):
    from mteb.abstasks import AbsTaskRetrieval

TOP_K = 1000
"""Documents retrieved per query: what mteb and BEIR both ask for."""


@dataclass(frozen=True)
class System:
    """What is evaluated: a model, and how it is used.

    Attributes:
        name: Its name in results.
        model: Any sentence-transformers model; None is BM25.
        arm: How queries think; None for a model that does not think.
        max_reasoning_tokens: Budget of a thought in tokens, 0 or more; None means the model's default.
        instructions: Whether queries that can think are preceded by their task's instruction.
        seed: Seed of the arms that draw.
        batch_size: Texts per forward pass.
        show_progress_bar: Whether to show progress.
    """

    name: str
    model: sentence_transformers.SentenceTransformer | None
    arm: Arm | None = None
    max_reasoning_tokens: int | None = None
    instructions: bool = False
    seed: int = 0
    batch_size: int = 32
    show_progress_bar: bool = False


def load_system(
    model: str,
    *,
    name: str | None = None,
    is_mean_pooled: bool = False,
    dtype: str = "float32",
    **options: Any,
) -> System:
    """Load what is to be evaluated, by name.

    Args:
        model: ``bm25``, ``default``, ``embedded``, a model folder, or a Hub id.
        name: Its name in results; None means that of the folder, or ``model`` itself.
        is_mean_pooled: Whether to take the folder's LLM as it is: mean pooling, no template. ``-mean-pooled``
            is then added to the name.
        dtype: ``float32`` or ``bfloat16``.
        **options: Of :class:`System`, such as ``seed``; BM25 has none.

    Raises:
        InvalidOptionError: Mean pooling is asked for, and the model is not in a folder.
    """
    if model == "bm25":
        return System(name or model, None)
    folder = EMBEDDED_MODELS[model]() if model in EMBEDDED_MODELS else Path(model)
    is_local = folder.is_dir()
    name = name or (Path(model).resolve().name if is_local else model)
    loaded: sentence_transformers.SentenceTransformer
    if is_mean_pooled:
        if not is_local:
            raise InvalidOptionError(f"Got --mean-pooled for {model}, wanted a prepared model folder.")
        loaded, name = mean_pooled(folder), f"{name}-mean-pooled"
    else:
        loaded = load_model(model)
    return System(name, loaded.to(getattr(torch, dtype)), **options)


def thinks(system: System) -> bool:
    """Whether a system can think, that is, whether it has arms."""
    return isinstance(system.model, SearchR3) and system.model.thinks


def thinking_model(system: System) -> SearchR3:
    """The model of a system that has an arm.

    Raises:
        ModelError: It does not think.
    """
    if not isinstance(system.model, SearchR3):
        raise ModelError(f"Got the arm {system.arm!r} for {system.name}, wanted none: it does not think.")
    return system.model


def config_of(system: System) -> dict[str, Any]:
    """What a result file says about how the system was used."""
    config: dict[str, Any] = {"top_k": TOP_K}
    if system.model is None:
        return config
    config |= {
        "batch_size": system.batch_size,
        "dtype": str(system.model.dtype).removeprefix("torch."),
        "max_seq_length": system.model.max_seq_length,  # longer documents are cut
    }
    if system.arm is not None:
        module: Any = system.model[0]
        budget = system.max_reasoning_tokens
        config["max_reasoning_tokens"] = module.max_reasoning_tokens if budget is None else budget
        config["instructions"] = system.instructions
    return config


def tokens_per_query(
    system: System, task: AbsTaskRetrieval, queries: list[str], encoding: QueryEncoding | None
) -> float | None:
    """Mean number of tokens that are read or written for a query; None for BM25."""
    if system.model is None:
        return None
    if encoding is None:
        tokenizer: Any = system.model.tokenizer
        limit = system.model.max_seq_length
        before = system.model.prompts.get("query") or ""
        rows = tokenizer(
            [before + query for query in queries], truncation=limit is not None, max_length=limit
        ).input_ids
        return statistics.fmean(len(row) for row in rows)
    prompt = query_prompt(task.metadata) if system.instructions else None
    prompts = prompt_tokens(thinking_model(system), queries, prompt)
    thoughts = sum(thought.length for thought in encoding.thoughts)
    return (prompts + thoughts) / len(queries) + 1  # and the embed token
