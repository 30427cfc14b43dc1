"""`search-r3 mteb`: what `mteb run` does, for a model folder or Hub id, in any arm of thinking."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from search_r3.cli.console import messages, say
from search_r3.cli.loading import load_model
from search_r3.cli.options import (
    ArmOption,
    BatchSizeOption,
    InstructionsOption,
    MaxReasoningTokensOption,
    ModelOption,
    OutputOption,
    SeedOption,
    TasksOption,
)
from search_r3.errors import DataError, InvalidOptionError, SearchR3Error
from search_r3.extras import needs_extra, require_extra


def mteb(
    tasks: TasksOption,
    model: ModelOption = None,
    arm: ArmOption = None,
    max_reasoning_tokens: MaxReasoningTokensOption = None,
    instructions: InstructionsOption = False,
    seed: SeedOption = 0,
    batch_size: BatchSizeOption = 16,
    results: OutputOption = Path("results"),
    overwrite_strategy: Annotated[
        str, typer.Option(help="mteb's: always, never, only-missing or only-cache.")
    ] = "only-missing",
) -> None:
    """Evaluate a model with mteb; the results are laid out as mteb lays them out."""
    require_extra("search-r3 mteb", "eval", "mteb", "datasets")
    with needs_extra("eval"):
        import datasets
        from mteb import ResultCache
        from mteb.evaluate import OverwriteStrategy
    datasets.disable_progress_bars()
    logging.getLogger("mteb").setLevel(logging.ERROR)

    from search_r3.evaluation.mteb_encoder import SearchR3Encoder
    from search_r3.evaluation.mteb_tasks import find_task

    strategies = [strategy.value for strategy in OverwriteStrategy]
    if overwrite_strategy not in strategies:
        raise InvalidOptionError(
            f"Got --overwrite-strategy {overwrite_strategy}, wanted one of {', '.join(strategies)}."
        )
    found = [find_task(name) for name in tasks]
    loaded = load_model(model)
    encoder = SearchR3Encoder(
        model or "default",
        model=loaded,
        reasoning=arm,
        max_reasoning_tokens=max_reasoning_tokens,
        instructions=instructions,
        seed=seed,
    )
    cache = ResultCache(results)
    for one in found:
        path = Path(cache.get_task_result_path(one.metadata.name, encoder.mteb_model_meta))
        outdated = overwrite_strategy != "always" and _is_of_other_data(path, one)
        again = outdated and overwrite_strategy == "only-missing"
        score = _evaluate(encoder, one, cache, batch_size, "always" if again else overwrite_strategy)
        name = f"{one.metadata.name} {one.metadata.main_score}"
        say(f"{name} {score:.5f}  {path}")
        say(_cost(encoder, one))


def _is_of_other_data(path: Path, task: Any) -> bool:
    """Whether mteb would answer with a result on other data: it does not look at the data's revision.

    Raises:
        DataError: The result file is damaged; mteb would end in a traceback.
    """
    if not path.is_file():
        return False
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return bool(kept.get("dataset_revision") != task.metadata.revision)
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is not a whole result of mteb ({error}). Remove it, or give --overwrite-strategy always."
        ) from None


def _cost(encoder: Any, task: Any) -> str:
    """One line on what thinking cost, over all queries of the task."""
    parts = [part for key, part in encoder.encodings.items() if key[0] == task.metadata.name]
    thoughts = [thought for part in parts if part.query_encoding for thought in part.query_encoding.thoughts]
    if not thoughts:
        return "  (kept from an earlier run, or without queries: no cost was measured)"
    finished = sum(thought.ending == "embed_token" for thought in thoughts) / len(thoughts)
    length = sum(thought.length for thought in thoughts) / len(thoughts)
    prompts = sum(part.prompt_tokens for part in parts) / len(thoughts)
    seconds = sum(part.query_seconds for part in parts)
    return (
        f"  thought {length:.1f} tokens, finished by the model {finished:.0%}; "
        f"{prompts + length + 1:.1f} tokens and {seconds / len(thoughts):.3f} s per query"
    )


def _evaluate(encoder: Any, task: Any, cache: Any, batch_size: int, overwrite_strategy: str) -> float:
    with needs_extra("eval"):
        from mteb import evaluate

    from search_r3.evaluation.mteb_tasks import needing_hub

    try:
        with needing_hub(task):
            results = evaluate(
                encoder,
                task,
                cache=cache,
                co2_tracker=False,
                encode_kwargs={"batch_size": batch_size, "show_progress_bar": messages.is_terminal},
                overwrite_strategy=overwrite_strategy,
                show_progress_bar=False,
            )
    except ValueError as error:
        # These two strategies refuse what is not in the cache with a plain ValueError.
        if isinstance(error, SearchR3Error) or overwrite_strategy not in ("never", "only-cache"):
            raise
        raise DataError(str(error)) from error
    if results.exceptions:  # a private task: mteb hands this error back instead of raising it
        raise DataError(f"{task.metadata.name} cannot be evaluated: {results.exceptions[0].exception}")
    return float(results.task_results[0].get_score())
