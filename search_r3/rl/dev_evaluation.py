"""How a policy does between two steps: scores, sample thoughts to read, and signs of decay."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

from transformers import TrainerCallback

from search_r3.evaluation.arms import encode_arm
from search_r3.files import write_lines
from search_r3.model.sentence_transformer import SearchR3
from search_r3.rl.grpo_config import HealthConfig, RLConfig
from search_r3.rl.health import distinct_share, repeated_share, thought_perplexity
from search_r3.rl.rollouts import encode_prompts
from search_r3.training.dev_split import DevEvaluator

_SAMPLES = 64


class PolicyEvaluator:
    """nDCG@10 on the dev split by arm, and the state of the thoughts.

    Args:
        evaluator: The dev split's.
        config: The run.
        start: While its context is entered, the model is the one that training started from.
    """

    def __init__(
        self, evaluator: DevEvaluator, config: RLConfig, start: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self._evaluator = evaluator
        self._config = config
        self._start = start

    def __call__(self, model: SearchR3, step: int) -> dict[str, float]:
        """Measure, and write the sample thoughts to ``thoughts/step-<step>.jsonl`` of the output.

        Returns:
            ``eval_<arm>_ndcg_at_10`` and the scores of each source, and of up to 64 greedy thoughts
            ``eval_thought_distinct``, ``eval_thought_repeated`` and ``eval_thought_perplexity`` (under the
            policy that training started from).
        """
        was_training = model.training
        model.eval()
        found = {f"eval_{name}": score for name, score in self._evaluator(model).items()}
        # A few of each source, source after source.
        tasks = self._evaluator.tasks
        each = -(-_SAMPLES // max(len(tasks), 1))
        columns = [list(task.queries.values())[:each] for task in tasks.values()]
        queries = list(chain.from_iterable(columns))[:_SAMPLES]
        passages: list[Sequence[str]] = []
        for name, column in zip(tasks, columns, strict=True):
            passages += (self._evaluator.passages(name) or [()] * len(column))[: len(column)]
        passages = passages[:_SAMPLES]
        limit = self._config.queries.max_query_tokens
        module = model.reasoning_module
        room = module.max_evidence_tokens if any(passages) else 0
        whole, model.max_seq_length = model.max_seq_length, limit + room
        encoding = encode_arm(
            model,
            queries,
            "always",
            max_reasoning_tokens=self._config.rollouts.max_thought_tokens,
            evidence=passages,
            on_truncation="ignore",
        )
        model.max_seq_length = whole
        thoughts = [thought.token_ids for thought in encoding.thoughts]
        prompts = encode_prompts(module, queries, limit, passages)
        with self._start():
            perplexity = thought_perplexity(module.model, prompts, thoughts)
        found |= {
            "eval_thought_distinct": distinct_share(thoughts),
            "eval_thought_repeated": repeated_share(thoughts),
            "eval_thought_perplexity": perplexity,
        }
        lines = [
            json.dumps({"query": query, "thought": thought.text, "ending": thought.ending}) + "\n"
            for query, thought in zip(queries, encoding.thoughts, strict=True)
        ]
        write_lines(self._config.output / "thoughts" / f"step-{step}.jsonl", lines)
        model.train(was_training)
        return found


class StopOnDecay(TrainerCallback):
    """Stops training when the thoughts decay: text goes before the score does.

    The evaluation that shows it cannot choose the checkpoint, however good its score is.

    Args:
        config: The limits.
        measure: Name of the score that chooses the checkpoint.
    """

    def __init__(self, config: HealthConfig, measure: str) -> None:
        self._config = config
        self._measure = measure
        self.reason: str | None = None
        """Why training was stopped; None if it was not."""

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        """Look at an evaluation's thoughts."""
        del args, kwargs
        if metrics is None or "eval_thought_distinct" not in metrics:
            return
        name = "eval_thought_distinct"
        distinct, perplexity = metrics[name], metrics["eval_thought_perplexity"]
        # Out of the log, which a resumed run has too; this evaluation is in it already.
        first = next(entry[name] for entry in state.log_history if name in entry)
        if distinct < self._config.distinct * first:
            self.reason = f"share of distinct tokens fell from {first:.3f} to {distinct:.3f}"
        elif perplexity > self._config.perplexity:
            self.reason = f"perplexity under the first policy rose to {perplexity:.0f}"
        if self.reason:
            metrics[self._measure] = float("-inf")
            control.should_training_stop = True
