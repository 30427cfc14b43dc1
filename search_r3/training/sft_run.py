"""A supervised run from its configuration to a merged model, resumable at every checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformerTrainingArguments
from transformers import EarlyStoppingCallback

from search_r3.extras import needs_extra

with needs_extra("train"):
    from datasets import Dataset

from search_r3.errors import InvalidOptionError
from search_r3.evaluation.dev_suite import load_dev_suite
from search_r3.model.adapter import ADAPTER_FILES
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.provenance import describe_environment
from search_r3.training.attention import choose_attention
from search_r3.training.batches import TokenBudgetBatchSampler
from search_r3.training.dev_split import DevEvaluator
from search_r3.training.examples import texts_by_source
from search_r3.training.features import ExampleEncoder
from search_r3.training.final_model import reasoning_after, save_final, save_merged
from search_r3.training.lora import add_adapter, hash_of_start, trainable_parameters
from search_r3.training.memory import MemoryEstimate, estimate_memory, require_memory
from search_r3.training.objective import SupervisedLoss
from search_r3.training.run_folder import (
    ADAPTER,
    FINAL,
    checkpoint_to_resume,
    trainer_files,
    write_run_metadata,
)
from search_r3.training.sft_config import TrainingConfig
from search_r3.training.sft_trainer import PROJECTION, SupervisedTrainer
from search_r3.training.teacher import load_teacher
from search_r3.training.term_vectors import TermVectors
from search_r3.training.trainer_options import trainer_arguments
from search_r3.training.training_data import load_training_data


def train(config: TrainingConfig, *, resume: bool = False) -> Path:
    """Train, and write the merged model.

    Args:
        config: The run.
        resume: Go on from the newest checkpoint in the output folder, if there is one.

    Returns:
        Folder of the merged model. Beside it: ``run.json`` (resolved configuration, versions, commit, seeds,
        data hashes), checkpoints, and TensorBoard logs.

    Raises:
        DataError: The data is missing or damaged.
        InvalidOptionError: The run cannot be had as configured, will not fit into memory, or the output
            folder holds another run.
    """
    output = config.output
    data = load_training_data(config.data, config.seed)
    only_reading = config.model.adapter is not None and config.model.adapter.only_reading
    if only_reading:
        data = replace(data, examples=[example for example in data.examples if example.evidence])
    suite = load_dev_suite(config.dev.tasks, multihop=config.dev.multihop, limit=config.dev.limit)
    dev = suite or data.dev
    arguments = trainer_arguments(
        config.trainer,
        output=output,
        seed=config.seed,
        batch_rows=config.data.batch_rows,
        measure=f"eval_{config.evaluation_arms[0]}_ndcg_at_10" if dev else None,
    )
    checkpoint = checkpoint_to_resume(output, _checkpoint_files(config, arguments), resume=resume)
    model = load_model(config.model.base)
    base_fingerprint = fingerprint(model)
    module = model.reasoning_module
    module.max_reasoning_tokens = config.data.max_thought_tokens
    module.model.to(getattr(torch, config.model.dtype))
    torch.manual_seed(config.seed)  # of the adapter's first values
    if config.model.adapter is not None:
        add_adapter(model, config.model.adapter)
    reads = any(example.evidence for example in data.examples)
    query_tokens = config.data.max_query_tokens + (config.data.max_evidence_tokens if reads else 0)
    longest = max(query_tokens + config.data.max_thought_tokens, config.data.max_document_tokens)
    attention_length = choose_attention(module.model, arguments.device, longest)
    needed = _memory(config, arguments, module.model, attention_length)
    require_memory(needed, arguments.device)

    teacher, teacher_dimension = (
        load_teacher(config.data.max_document_tokens) if config.loss.uses_teacher else (None, None)
    )
    terms = TermVectors(texts_by_source(data.examples)) if config.loss.terms else None
    if not config.loss.embeds and not any(example.is_taught for example in data.examples):
        raise InvalidOptionError(
            "Got a loss on thoughts alone, and no example with a thought to learn: nothing would be learnt. "
            "Name a file of thoughts in data.thoughts, take a set that has thoughts, or set loss.contrastive."
        )
    encoder = ExampleEncoder(module, config.data, teacher, terms)
    sampler = TokenBudgetBatchSampler(
        [encoder.shape(example) for example in data.examples],
        batch_tokens=config.data.batch_tokens,
        batch_rows=config.data.batch_rows,
        processes=arguments.world_size,
        seed=config.seed,
    )
    if not len(sampler):
        raise InvalidOptionError(
            f"Not one batch of two examples fits into data.batch_tokens={config.data.batch_tokens}. Raise "
            "it, or lower max_document_tokens."
        )
    if arguments.process_index == 0:
        facts = {
            "config": json.loads(config.model_dump_json()),
            "base_fingerprint": base_fingerprint,
            "data_hashes": data.hashes | {name: task.data_hash() for name, task in suite.items()},
            "start_hash": hash_of_start(config.model.adapter),
            "examples": len(data.examples),
            "reading_examples": sum(bool(example.evidence) for example in data.examples),
            "thinking_examples": sum(example.thought is not None for example in data.examples),
            "taught_examples": sum(example.is_taught for example in data.examples),
            "batches_per_epoch": len(sampler),
            "examples_per_epoch": sum(len(batch) for batch in sampler),
            "trained_parameters": trainable_parameters(model),
            "memory_estimate_gib": round(needed.total, 1),
            "processes": arguments.world_size,
            "environment": describe_environment(),
        }
        write_run_metadata(output, facts)
    evaluator = None
    if dev:
        lengths = config.dev if suite else config.data
        evaluator = DevEvaluator(
            dev,
            config.evaluation_arms,
            max_reasoning_tokens=config.data.max_thought_tokens,
            max_query_tokens=lengths.max_query_tokens,
            max_document_tokens=lengths.max_document_tokens,
        )
    loss = SupervisedLoss(
        model,
        config.loss,
        teacher_dimension=teacher_dimension,
        only_reading=only_reading,
        processes=arguments.world_size,
    )
    trainer = SupervisedTrainer(
        model,
        arguments,
        train_dataset=Dataset.from_list([example.to_row() for example in data.examples]),
        loss=loss,
        distillation=loss.distillation,
        evaluator=evaluator,
        data_collator=encoder,
        sampler=sampler,
        callbacks=[EarlyStoppingCallback(config.patience)] if config.patience else [],
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    if arguments.process_index == 0:
        thoughts = any(example.thought is not None for example in data.examples)
        reasoning = reasoning_after(module.reasoning, thoughts=thoughts)
        if config.model.adapter is None:
            module.reasoning = reasoning
            if reads:
                module.evidence_limits = config.data.evidence_limits
            save_final(model, output)
        else:
            model.save(str(output / ADAPTER), create_model_card=False)
            limits = config.data.evidence_limits if reads else None
            save_merged(
                config.model.base,
                output,
                config.data.max_thought_tokens,
                reasoning=None if only_reading else reasoning,
                evidence=limits,
                only_reading=only_reading,
            )
    return output / FINAL


def _checkpoint_files(
    config: TrainingConfig, arguments: SentenceTransformerTrainingArguments
) -> tuple[str, ...]:
    """What a whole checkpoint of this run has beside the trainer's state."""
    adapter = ADAPTER_FILES if config.model.adapter is not None else ()
    projection = (PROJECTION,) if config.loss.distillation else ()
    return (*trainer_files(arguments), *adapter, *projection)


def _memory(
    config: TrainingConfig,
    arguments: SentenceTransformerTrainingArguments,
    language_model: Any,
    attention_length: int,
) -> MemoryEstimate:
    tokens = config.data.batch_tokens
    return estimate_memory(
        language_model,
        batch_tokens=min(tokens, config.loss.mini_batch_tokens) if config.loss.cached else tokens,
        taught_tokens=config.data.batch_rows * (config.data.max_thought_tokens + 1),
        half_precision=bool(arguments.bf16) or config.model.dtype == "bfloat16",
        gradient_checkpointing=bool(arguments.gradient_checkpointing),
        has_frozen_copy=config.model.adapter is None and config.loss.kl > 0,
        attention_length=attention_length,
    )
