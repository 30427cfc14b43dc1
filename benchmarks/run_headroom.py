"""How much reinforcement learning could gain from a model's thoughts, before any is done.

    python benchmarks/run_headroom.py --model smollm2-135m --set phenotypes --set wordnet --set code

Samples thoughts about training queries, embeds each, and ranks the corpus by it. If the best of a group gains
little over not thinking, then there is little to learn from; if the vector hardly moves with its thought,
that is why. Writes <name>.json into benchmarks/results/headroom.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from search_r3 import SearchR3, fingerprint
from search_r3.cli.options import (
    DEFAULT_SETS,
    NamedModelOption,
    OutputOption,
    ReasoningTokensOption,
    SeedOption,
    SetsOption,
)
from search_r3.cli.running import run
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.files import write_text
from search_r3.model.default import load_model
from search_r3.provenance import describe_environment
from search_r3.rl.document_embeddings import DocumentEmbeddings
from search_r3.rl.grpo_config import QueriesConfig, RolloutConfig, SetConfig
from search_r3.rl.queries import load_queries
from search_r3.rl.rewards import RETRIEVAL_REWARDS, RetrievalReward
from search_r3.rl.rollouts import rollout_seed, sample_rollouts


def main(
    model: NamedModelOption = "default",
    name: Annotated[str | None, typer.Option(help="Name of the result [default: that of the model].")] = None,
    sets: SetsOption = DEFAULT_SETS,
    queries: Annotated[int, typer.Option(min=1, help="Queries of each set.")] = 100,
    documents: Annotated[int, typer.Option(min=1, help="Documents of each set.")] = 2000,
    group: Annotated[int, typer.Option(min=2, help="Rollouts of a query, the direct one included.")] = 8,
    max_reasoning_tokens: ReasoningTokensOption = 12,
    temperature: Annotated[float, typer.Option(min=0, help="Sampling temperature.")] = 1.0,
    reward: Annotated[RetrievalReward, typer.Option(help="What a ranking earns.")] = "log_rank",
    seed: SeedOption = 0,
    output: OutputOption = Path("benchmarks/results/headroom"),
) -> None:
    """Measure, write and print."""
    config = QueriesConfig(sets={one: SetConfig(queries=queries, documents=documents) for one in sets})
    options = RolloutConfig(
        group=group, max_thought_tokens=max_reasoning_tokens, temperature=temperature, may_skip=False
    )
    data = load_queries(config, seed)
    loaded = load_model(model).to(torch.bfloat16).eval()
    found = measure(loaded, data.task, options, reward, seed)
    settings = {
        "model": name or Path(model).name,
        "sets": sets,
        "queries": queries,
        "documents": documents,
        "group": group,
        "max_thought_tokens": max_reasoning_tokens,
        "temperature": temperature,
        "reward": reward,
        "seed": seed,
    }
    written = {
        "settings": settings,
        "fingerprint": fingerprint(loaded),
        "data_hashes": data.hashes,
        "documents": len(data.task.corpus),
        "sets": found,
        "environment": describe_environment(),
    }
    path = output / f"{settings['model']}.json"
    write_text(path, json.dumps(written, indent=1) + "\n")
    for part_name, numbers in found.items():
        print(part_name, *(f"{key} {value:.4f}" for key, value in numbers.items()), sep="  ")
    print(path)


def measure(
    model: SearchR3, task: RetrievalTask, options: RolloutConfig, reward: RetrievalReward, seed: int
) -> dict[str, dict[str, float]]:
    """Rewards and vectors of all rollouts, summed up for each set and for all."""
    whole, model.max_seq_length = model.max_seq_length, 96  # of documents, as in training
    documents: Any = model.encode_document(
        list(task.corpus.values()), batch_size=64, show_progress_bar=True, on_truncation="ignore"
    )
    model.max_seq_length = whole
    embedded = DocumentEmbeddings(np.asarray(documents, dtype=np.float32))
    row_of = {doc_id: row for row, doc_id in enumerate(task.corpus)}
    pays = RETRIEVAL_REWARDS[reward]
    rewards, cosines, copies = [], [], []
    for query_id, text in tqdm(task.queries.items(), desc="rollouts"):
        places = range(options.group)
        rollouts = sample_rollouts(
            model.reasoning_module,
            [text] * options.group,
            [place == 0 for place in places],
            [rollout_seed(seed, 0, query_id, place) for place in places],
            options,
            max_query_tokens=48,
        )
        embeddings = torch.stack([one.embedding for one in rollouts]).float().numpy()
        relevant = {row_of[doc]: float(grade) for doc, grade in task.qrels[query_id].items() if grade > 0}
        rankings = embedded.rankings(embeddings, [relevant] * options.group)
        rewards.append([pays(ranking, ranking.documents) for ranking in rankings])
        cosines.append(embeddings[1:] @ embeddings[0])
        words = text.casefold().split()
        thoughts = [model.tokenizer.decode(one.thought_ids, skip_special_tokens=True) for one in rollouts[1:]]
        copies.append([thought.casefold().split() == words for thought in thoughts])
    sets = np.array([query_id.partition("/")[0] for query_id in task.queries])
    groups = {name: sets == name for name in dict.fromkeys(sets)} | {"all": np.full(len(sets), True)}
    return {
        name: summary(*(np.array(numbers)[chosen] for numbers in (rewards, cosines, copies)))
        for name, chosen in groups.items()
    }


def summary(
    rewards: NDArray[np.float64], cosines: NDArray[np.float32], copies: NDArray[np.bool_]
) -> dict[str, float]:
    """Sum up Q groups.

    Args:
        rewards: Of every rollout, the direct one first; shape (Q, G).
        cosines: Of every thinking rollout's embedding to the direct one, shape (Q, G - 1).
        copies: Whether its thought is the query, word for word; the same shape.
    """
    direct, thinking = rewards[:, 0], rewards[:, 1:]
    return {
        "direct": float(direct.mean()),
        "mean_gain": float((thinking.mean(axis=1) - direct).mean()),
        "best_gain": float((thinking.max(axis=1) - direct).mean()),
        "deviation_within": float(np.sqrt(thinking.var(axis=1).mean())),
        "deviation_between": float(thinking.mean(axis=1).std()),
        "cosine_to_direct": float(cosines.mean()),
        "copies": float(copies.mean()),
    }


if __name__ == "__main__":
    run(main)
