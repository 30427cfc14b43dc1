"""A distillation run (stage 0) from its configuration to a merged model, resumable at every checkpoint."""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch

from search_r3.extras import needs_extra

with needs_extra("train"):
    from datasets import Dataset

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import InvalidOptionError
from search_r3.evaluation.dev_suite import load_dev_suite
from search_r3.model.adapter import ADAPTER_FILES
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.provenance import describe_environment
from search_r3.training.attention import choose_attention
from search_r3.training.batches import TokenBudgetBatchSampler
from search_r3.training.dev_split import DevEvaluator
from search_r3.training.distillation_config import DistillationConfig, TextConfig
from search_r3.training.distillation_data import RoleText, TextEncoder, draw_texts, load_pool
from search_r3.training.distillation_loss import DistillationLoss
from search_r3.training.final_model import save_final, save_merged
from search_r3.training.lora import add_adapter, hash_of_start, trainable_parameters
from search_r3.training.memory import estimate_memory, require_memory
from search_r3.training.packing import embed_packed
from search_r3.training.run_config import DevConfig
from search_r3.training.run_folder import (
    ADAPTER,
    FINAL,
    checkpoint_to_resume,
    trainer_files,
    write_run_metadata,
)
from search_r3.training.sft_trainer import SupervisedTrainer
from search_r3.training.teacher import load_teacher
from search_r3.training.trainer_options import trainer_arguments


def train(config: DistillationConfig, *, resume: bool = False) -> Path:
    """Distil, and write the merged model.

    Args:
        config: The run.
        resume: Go on from the newest checkpoint in the output folder, if there is one.

    Returns:
        Folder of the merged model. Beside it: ``run.json``, checkpoints and TensorBoard logs, as of a
        supervised run, and the adapter that a supervised run can start from.

    Raises:
        DataError: The pool of texts or a dev task is missing or damaged.
        InvalidOptionError: The run cannot be had as configured, will not fit into memory, or the output
            folder holds another run.
    """
    output = config.output
    pool, hashes = load_pool(config.data)
    dev = load_dev_suite(config.dev.tasks, multihop=config.dev.multihop, limit=config.dev.limit)
    arguments = trainer_arguments(
        config.trainer,
        output=output,
        seed=config.seed,
        batch_rows=config.data.batch_rows,
        measure="eval_never_ndcg_at_10" if dev else None,
    )
    adapter_files = ADAPTER_FILES if config.model.adapter is not None else ()
    checkpoint = checkpoint_to_resume(output, (*trainer_files(arguments), *adapter_files), resume=resume)
    texts = draw_texts(pool, config.data, config.seed)
    del pool  # a gigabyte
    model = load_model(config.model.base)
    base_fingerprint = fingerprint(model)
    module = model.reasoning_module
    module.model.to(getattr(torch, config.model.dtype))
    torch.manual_seed(config.seed)  # of the adapter's first values
    if config.model.adapter is not None:
        add_adapter(model, config.model.adapter)
    attention_length = choose_attention(module.model, arguments.device, config.data.max_tokens)
    needed = estimate_memory(
        module.model,
        batch_tokens=config.data.batch_tokens,
        taught_tokens=0,
        half_precision=bool(arguments.bf16) or config.model.dtype == "bfloat16",
        gradient_checkpointing=bool(arguments.gradient_checkpointing),
        attention_length=attention_length,
    )
    require_memory(needed, arguments.device)
    teacher, _ = load_teacher(config.data.max_tokens)
    encoder = TextEncoder(module, config.data, teacher)
    sampler = TokenBudgetBatchSampler(
        [encoder.shape(text) for text in texts],
        batch_tokens=config.data.batch_tokens,
        batch_rows=config.data.batch_rows,
        processes=arguments.world_size,
        seed=config.seed,
    )
    if not len(sampler):
        raise InvalidOptionError(
            f"Not one batch of two texts: got texts={len(texts)}, batch_tokens={config.data.batch_tokens} "
            f"and max_tokens={config.data.max_tokens} in [data]. Raise batch_tokens, or lower max_tokens."
        )
    if arguments.process_index == 0:
        facts = {
            "config": json.loads(config.model_dump_json()),
            "base_fingerprint": base_fingerprint,
            "data_hashes": hashes | {name: task.data_hash() for name, task in dev.items()},
            "start_hash": hash_of_start(config.model.adapter),
            "teacher": "all-MiniLM-L6-v2",
            "texts": len(texts),
            "batches_per_epoch": len(sampler),
            "trained_parameters": trainable_parameters(model),
            "memory_estimate_gib": round(needed.total, 1),
            "processes": arguments.world_size,
            "environment": describe_environment(),
        }
        write_run_metadata(output, facts)
    loss = DistillationLoss(model, config.loss)
    if config.loss.cosine:
        _fit_map(loss, model, encoder, config.data, texts)
    trainer = SupervisedTrainer(
        model,
        arguments,
        train_dataset=Dataset.from_list([text.to_row() for text in texts]),
        loss=loss,
        evaluator=_evaluator(dev, config.dev) if dev else None,
        data_collator=encoder,
        sampler=sampler,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    if arguments.process_index == 0:
        if config.model.adapter is None:
            save_final(model, output)
        else:
            model.save(str(output / ADAPTER), create_model_card=False)
            save_merged(config.model.base, output, reasoning="never")
    return output / FINAL


def _evaluator(dev: dict[str, RetrievalTask], config: DevConfig) -> DevEvaluator:
    return DevEvaluator(
        dev,
        ("never",),
        max_reasoning_tokens=1,
        max_query_tokens=config.max_query_tokens,
        max_document_tokens=config.max_document_tokens,
    )


def _fit_map(
    loss: DistillationLoss, model: SearchR3, encoder: TextEncoder, config: TextConfig, texts: list[RoleText]
) -> None:
    """Fit it on a sample over all sources: the same one in every process, and when a run goes on."""
    vectors, wanted = [], []
    was_training = model.training
    model.train()  # in which the sequences are taken as they are
    sample = random.Random("map").sample(texts, min(config.map_texts, len(texts)))
    for start in range(0, len(sample), config.batch_rows):
        inputs = encoder([text.to_row() for text in sample[start : start + config.batch_rows]])
        column = {key: inputs[f"text_{key}"].to(model.device) for key in ("input_ids", "attention_mask")}
        with torch.no_grad():
            vectors.append(embed_packed(model, column).float().cpu())
        wanted.append(inputs["text_teacher"].float())
    model.train(was_training)
    loss.fit_map(torch.cat(vectors), torch.cat(wanted))
