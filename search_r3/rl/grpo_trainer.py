"""TRL's GRPO trainer with rollouts whose reward is the ranking by their embedding."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray

from search_r3.extras import needs_extra

with needs_extra("train"):
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.model.sentence_transformer import SearchR3
from search_r3.rl.advantages import Advantages, group_advantages
from search_r3.rl.capture import CapturedStates
from search_r3.rl.dev_evaluation import PolicyEvaluator
from search_r3.rl.environment import RetrievalEnvironment
from search_r3.rl.grpo_config import RLConfig
from search_r3.rl.health import mean_pair_cosine, repeated_share
from search_r3.rl.losses import info_nce
from search_r3.rl.reward_parts import REWARD_PARTS, reward_parts
from search_r3.rl.rewards import copied_share
from search_r3.rl.rollouts import Rollout, encode_prompts, read_rollouts, rollout_seed, sample_rollouts
from search_r3.rl.sampler import EpochOrder, EpochSampler
from search_r3.training.lora import lora_config

PRIVATE_METHODS: dict[str, tuple[str, ...]] = {
    "_calculate_rewards": ("inputs", "prompts", "completions", "completion_ids_list"),
    "_compute_loss": ("model", "inputs"),
    "_generate_and_score_completions": ("inputs",),
    "_generate_single_turn": ("prompt_ids", "images", "multimodal_fields", "num_generations"),
    "_get_train_sampler": ("dataset",),
    "_load_from_checkpoint": ("resume_from_checkpoint", "model"),
    "_save_checkpoint": ("model", "trial"),
}
"""TRL's private methods that are overridden or called here, and their first parameters.

TRL has no public hook for what is needed: rewards of whole groups at once, a loss on the hidden states of the
policy's own pass, the environment's state in checkpoints. pyproject.toml pins TRL's minor version.
"""
PRIVATE_ATTRIBUTES = ("_metrics",)
"""TRL's private attributes that are used here: what is to be logged, by "train" or "eval" and by name."""
BATCH_KEYS = ("advantages", "completion_mask", "num_items_in_batch", "prompt_ids", "tool_mask")
"""What is read or changed of a batch that TRL has generated; ``tool_mask`` is 1 where a token is learnt."""


class RetrievalGRPOTrainer(GRPOTrainer):
    """GRPO in which a thought's reward is the ranking by the embedding after it.

    What it adds to TRL's trainer:

    - rollouts are sampled on the live cache and end at the embed token; the first of each group is the direct
      embedding, without a thought, and only sets the baseline;
    - rewards come from a :class:`RetrievalEnvironment`, which is refreshed before it ranks;
    - an InfoNCE term on every rollout's embedding, taken from the policy's own pass.

    Args:
        model: The policy, as a whole; its LLM gets a LoRA adapter.
        task: Queries, corpus and graded judgements to train on.
        config: The run.
        arguments: TRL's arguments, made from ``config``.
        evidence: The passages that queries read, by their ids; None reads none.
        **kwargs: Passed to ``GRPOTrainer``.
    """

    def __init__(
        self,
        model: SearchR3,
        task: RetrievalTask,
        config: RLConfig,
        arguments: GRPOConfig,
        *,
        evidence: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.pipeline = model
        self.module = model.reasoning_module
        self.config = config
        language_model: Any = self.module.model
        # TRL counts a completion as finished if it ends with one of these.
        ends = language_model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends] if ends is not None else []
        language_model.generation_config.eos_token_id = [*ends, self.module.prompt_encoder.embed_token_id]
        if arguments.use_vllm:
            arguments.generation_kwargs = {"stop_token_ids": language_model.generation_config.eos_token_id}
        rows = [{"prompt": text, "query_id": query_id} for query_id, text in task.queries.items()]
        super().__init__(
            model=language_model,
            reward_funcs=[_named_part(name) for name in REWARD_PARTS],
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list(rows[:1]),  # evaluate() does not read it, but the base wants one
            processing_class=self.module.tokenizer,
            peft_config=lora_config(language_model, config.model.adapter),
            rollout_func=self._roll_out,
            **kwargs,
        )
        policy = config.environment.refresh
        self.environment = RetrievalEnvironment(
            task,
            self._encode_documents if policy.documents_move else self._encode_frozen,
            policy,
            config.environment,
            seed=config.seed,
        )
        self._numbers = {query_id: number for number, query_id in enumerate(task.queries)}
        self._ids = list(task.queries)
        self._queries = task.queries
        self._evidence = evidence or {}
        self.evaluator: PolicyEvaluator | None = None
        """Measures the policy at TRL's evaluation steps."""
        self._batch: list[dict[str, Any]] = []
        self._rollouts: list[Rollout] = []
        self._advantages: Advantages | None = None

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        arguments: Any = self.args
        sampler = EpochSampler(
            data_source=self.train_dataset if dataset is None else dataset,
            mini_repeat_count=self.num_generations,
            batch_size=arguments.generation_batch_size // self.num_generations,
            repeat_count=self.num_iterations * arguments.steps_per_generation,
            seed=arguments.seed,
        )
        self.add_callback(EpochOrder(sampler))
        return sampler

    # ------------------------------------------------------------------------------------- rollouts

    def _roll_out(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """TRL's hook: sample the batch's rollouts, groups one after the other."""
        del trainer  # it is this one
        group = self.config.rollouts.group
        # Counted over all processes: a group may begin on one and end on the next.
        first = self.accelerator.process_index * len(prompts)
        indices = [(first + index) % group for index in range(len(prompts))]
        step = self.state.global_step
        is_direct = [index == 0 for index in indices]
        evidence = [self._evidence.get(row["query_id"], ()) for row in self._batch]
        logprobs = None
        self.pipeline.eval()
        if self.config.rollouts.generator == "own":
            self._rollouts = sample_rollouts(
                self.module,
                prompts,
                is_direct,
                [
                    rollout_seed(self.config.seed, step, row["query_id"], index)
                    for row, index in zip(self._batch, indices, strict=True)
                ],
                self.config.rollouts,
                max_query_tokens=self.config.queries.max_query_tokens,
                evidence=evidence,
            )
        else:
            prompt_ids = encode_prompts(self.module, prompts, self.config.queries.max_query_tokens, evidence)
            generate: Any = self._generate_single_turn
            completions, logprobs = generate(prompt_ids, None, {}, group)
            self._rollouts = read_rollouts(
                self.module, prompt_ids, completions, is_direct, self.config.rollouts.max_thought_tokens
            )
            if logprobs is not None:
                logprobs = [
                    [*values[: len(rollout.thought_ids) + 1], 0.0][: len(rollout.thought_ids) + 1]
                    for values, rollout in zip(logprobs, self._rollouts, strict=True)
                ]
        self.pipeline.train()
        end = [self.module.prompt_encoder.embed_token_id]
        return {
            "prompt_ids": [rollout.prompt_ids for rollout in self._rollouts],
            "completion_ids": [rollout.thought_ids + end for rollout in self._rollouts],
            "logprobs": logprobs,
            "env_mask": [[int(chosen) for chosen in rollout.chosen] for rollout in self._rollouts],
        }

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._batch = inputs
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        assert self._advantages is not None
        device = output["advantages"].device
        size = len(inputs)
        mine = slice(self.accelerator.process_index * size, (self.accelerator.process_index + 1) * size)
        output["advantages"] = torch.tensor(
            self._with_direct(self._advantages.values)[mine], dtype=torch.float32, device=device
        )
        # A zero-advantage group must not count in the mean over tokens either.
        is_zero = np.repeat(self._advantages.is_zero, self.config.rollouts.group)[mine]
        output["tool_mask"][torch.tensor(is_zero, device=device)] = 0
        learnt = (output["tool_mask"] * output["completion_mask"]).sum()
        output["num_items_in_batch"] = self.accelerator.gather(learnt).sum()
        if self.config.contrastive.weight:
            ids = [row["query_id"] for row in inputs]
            embeddings = _stacked(self._rollouts)
            best, wrong = self.environment.contrast(ids, embeddings, self.config.contrastive.negatives)
            output["contrast_documents"] = torch.tensor(np.column_stack([best, wrong]), device=device)
            output["query_numbers"] = torch.tensor([self._numbers[one] for one in ids], device=device)
        return output

    # -------------------------------------------------------------------------------------- rewards

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> torch.Tensor:
        """Refresh, rank and compute rewards, for the rollouts of all processes.

        Returns:
            The weighted parts, shape (B of all processes, parts), which TRL logs and adds up.
        """
        del prompts, completions, completion_ids_list
        ids = gather_object([row["query_id"] for row in inputs])
        rollouts: list[Rollout] = gather_object(self._rollouts)
        embeddings = _stacked(rollouts)
        report = self.environment.refresh(ids, embeddings, self.state.global_step)
        rankings = self.environment.rank(ids, embeddings)
        copied = self._copied(ids, rollouts)
        reward = self.config.reward
        parts = np.empty((len(rollouts), len(REWARD_PARTS)))
        for index, (rollout, ranking) in enumerate(zip(rollouts, rankings, strict=True)):
            found = reward_parts(
                reward,
                ranking,
                thought_tokens=len(rollout.thought_ids),
                max_thought_tokens=self.config.rollouts.max_thought_tokens,
                is_finished=rollout.ending != "budget",
                copied=copied[index],
            )
            parts[index] = [found[name] for name in REWARD_PARTS]
        if reward.shuffled:
            order = list(range(len(parts)))
            random.Random(f"{self.config.seed} {self.state.global_step}").shuffle(order)
            parts = parts[order]
        total = parts.sum(axis=1).reshape(-1, self.config.rollouts.group)
        self._advantages = group_advantages(
            total[:, 1:],
            total[:, 0],
            direct_weight=reward.direct_weight,
            scaling=reward.scaling,
        )
        self._add_metrics(rollouts, parts, total, report.encoded)
        self._add("thought/copied", float(copied.reshape(total.shape)[:, 1:].mean()))
        if report.drift is not None:
            self._add("drift/cosine", report.drift.cosine)
            self._add("drift/top10_overlap", report.drift.overlap)
        return torch.tensor(parts, dtype=torch.float32, device=self.accelerator.device)

    def _copied(self, query_ids: Sequence[str], rollouts: Sequence[Rollout]) -> NDArray[np.float64]:
        thoughts = self.pipeline.tokenizer.batch_decode([rollout.thought_ids for rollout in rollouts])
        queries = [self._queries[query_id] for query_id in query_ids]
        return np.array([copied_share(*pair) for pair in zip(thoughts, queries, strict=True)])

    def _with_direct(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Advantages of all rollouts in TRL's order: the direct one of each group has none."""
        return np.concatenate([np.zeros((len(values), 1)), values], axis=1).ravel()

    def _add_metrics(
        self,
        rollouts: Sequence[Rollout],
        parts: NDArray[np.float64],
        total: NDArray[np.float64],
        encoded: int,
    ) -> None:
        assert self._advantages is not None
        retrieval = parts[:, 0].reshape(total.shape)
        thinking = [rollout for rollout in rollouts if not rollout.is_direct]
        thoughts = [rollout.thought_ids for rollout in thinking]
        self._add("reward/thinking", float(total[:, 1:].mean()))
        self._add("reward/direct", float(total[:, 0].mean()))
        self._add("reward/retrieval_gain", float((retrieval[:, 1:] - retrieval[:, :1]).mean()))
        self._add("reward/best_gain", float((retrieval[:, 1:].max(axis=1) - retrieval[:, 0]).mean()))
        self._add("thought/length", float(np.mean([len(thought) for thought in thoughts])))
        self._add("thought/repeated", repeated_share(thoughts))
        for ending in ("embed_token", "skipped", "budget"):
            share = np.mean([rollout.ending == ending for rollout in thinking])
            self._add(f"thought/{ending}", float(share))
        self._add("groups/dead", float(self._advantages.is_zero.mean()))
        self._add("documents/encoded", float(encoded))
        documents = self.environment.documents
        self._add("documents/age", float((self.state.global_step - documents.encoded_at).mean()))
        self._add("documents/mean_cosine", mean_pair_cosine(documents.embeddings))

    def _add(self, name: str, value: float) -> None:
        self._metrics["train" if self.pipeline.training else "eval"][name].append(value)

    # ----------------------------------------------------------------------------------------- loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        contrastive = self.config.contrastive
        if not contrastive.weight:
            loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
            return loss
        with CapturedStates(self.module.model) as captured:
            loss = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        ends = inputs["prompt_ids"].shape[1] + inputs["completion_mask"].sum(dim=1) - 1
        extra = self._contrastive_loss(captured.unit_vectors(ends), inputs)
        self._add("contrastive", float(self.accelerator.gather(extra.detach()).mean()))
        # TRL scales its own loss for accumulation, so this is scaled here.
        return loss + contrastive.weight * extra / self.current_gradient_accumulation_steps

    def _contrastive_loss(self, embeddings: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
        """InfoNCE of rollouts against the environment's embeddings, which get no gradient.

        Documents are the positives and negatives of the rollouts that all processes have in this pass: two
        processes learn what one does.
        """
        # Ascending, each document once.
        chosen = torch.unique(self.accelerator.gather(inputs["contrast_documents"]))
        targets = torch.searchsorted(chosen, inputs["contrast_documents"][:, 0].contiguous())
        indices = chosen.cpu().numpy()
        query_ids = [self._ids[number] for number in inputs["query_numbers"].tolist()]
        device = embeddings.device
        return info_nce(
            embeddings,
            torch.tensor(self.environment.documents.embeddings[indices], device=device),
            targets,
            torch.tensor(self.environment.is_relevant(query_ids, indices), device=device),
            self.config.contrastive.temperature,
        )

    # ------------------------------------------------------------------------------------ documents

    def _encode_documents(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed documents by the weights of the moment, each process its share."""
        share = texts[self.accelerator.process_index :: self.accelerator.num_processes]
        limit = self.pipeline.max_seq_length
        was_training = self.pipeline.training
        self.pipeline.eval()
        self.pipeline.max_seq_length = self.config.queries.max_document_tokens
        try:
            found: Any = self.pipeline.encode_document(
                share, batch_size=32, show_progress_bar=len(texts) > 2000, on_truncation="ignore"
            )
        finally:
            self.pipeline.max_seq_length = limit
            self.pipeline.train(was_training)
        together = np.empty((len(texts), self.pipeline.get_embedding_dimension() or 0), dtype=np.float32)
        for process, part in enumerate(gather_object([np.asarray(found, dtype=np.float32)])):
            together[process :: self.accelerator.num_processes] = part.reshape(-1, together.shape[1])
        return together

    def _encode_frozen(self, texts: list[str]) -> NDArray[np.float32]:
        with self.start_policy():
            return self._encode_documents(texts)

    # --------------------------------------------------------------------- evaluation and checkpoints

    def start_policy(self) -> AbstractContextManager[Any]:
        """While it is entered, the model is the one that training started from."""
        context: AbstractContextManager[Any] = self.accelerator.unwrap_model(self.model).disable_adapter()
        return context

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure the policy on the dev split, not on rollouts."""
        del args, kwargs
        metrics = self.evaluator(self.pipeline, self.state.global_step) if self.evaluator else {}
        # TRL puts what training has noted since its last log into whatever is logged next.
        noted, self._metrics["train"] = self._metrics["train"], defaultdict(list)
        self.log(dict(metrics))
        self._metrics["train"] = noted
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # First: what writes the rest ends with the trainer's state, and then removes older checkpoints.
        if self.args.should_save:
            self.environment.save(Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}")
        super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.environment.load(Path(resume_from_checkpoint))

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write none: the project's cards are made from result files."""


def _named_part(name: str) -> Any:
    """A reward function for TRL, which takes the names of its log from such functions."""

    def part(**_: Any) -> list[float]:
        raise RuntimeError(f"The reward {name} is computed for all parts at once.")

    part.__name__ = name
    return part


def _stacked(rollouts: Sequence[Rollout]) -> NDArray[np.float32]:
    return torch.stack([rollout.embedding for rollout in rollouts]).numpy()
