"""How much reinforcement learning could gain from a model's thoughts, before any is done.

    python benchmarks/run_headroom.py --model default --sets phenotypes wordnet code

Samples thoughts about training queries, embeds each, and ranks the corpus by it. If the best of a group gains
little over not thinking, then there is little to learn from; if the vector hardly moves with its thought,
that is why. Writes <name>.json into benchmarks/results/headroom.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from search_r3 import SearchR3, fingerprint
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import SearchR3Error
from search_r3.model.default import load_model
from search_r3.provenance import describe_environment
from search_r3.rl.document_embeddings import DocumentEmbeddings
from search_r3.rl.grpo_config import QueriesConfig, RolloutConfig, SetConfig
from search_r3.rl.queries import load_queries
from search_r3.rl.rewards import RETRIEVAL_REWARDS
from search_r3.rl.rollouts import rollout_seed, sample_rollouts


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default", help="default, a folder, or a Hub id")
    parser.add_argument("--name", help="name of the result [default: that of the model]")
    parser.add_argument("--sets", nargs="+", default=["phenotypes"], help="graded or training sets")
    parser.add_argument("--queries", type=int, default=100, help="of each set")
    parser.add_argument("--documents", type=int, default=2000, help="of each set")
    parser.add_argument("--group", type=int, default=8, help="rollouts of a query, the direct one included")
    parser.add_argument("--max-thought-tokens", type=int, default=12)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--reward", default="log_rank", choices=RETRIEVAL_REWARDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/headroom"))
    arguments = parser.parse_args()
    try:
        sets = {
            name: SetConfig(queries=arguments.queries, documents=arguments.documents)
            for name in arguments.sets
        }
        data = load_queries(QueriesConfig(sets=sets), arguments.seed)
        model = load_model(arguments.model).to(torch.bfloat16).eval()
        found = measure(arguments, model, data.task)
    except SearchR3Error as error:
        sys.exit(f"error: {error}")
    settings = {name: value for name, value in vars(arguments).items() if name not in ("output", "name")}
    settings["model"] = arguments.name or Path(arguments.model).name
    written = {
        "settings": settings,
        "fingerprint": fingerprint(model),
        "data_hashes": data.hashes,
        "documents": len(data.task.corpus),
        "sets": found,
        "environment": describe_environment(),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / f"{settings['model']}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    for name, numbers in found.items():
        print(name, *(f"{key} {value:.4f}" for key, value in numbers.items()), sep="  ")
    print(path)


def measure(
    arguments: argparse.Namespace, model: SearchR3, task: RetrievalTask
) -> dict[str, dict[str, float]]:
    """Rewards and vectors of all rollouts, summed up for each set and for all."""
    whole, model.max_seq_length = model.max_seq_length, 96  # of documents, as in training
    documents: Any = model.encode_document(
        list(task.corpus.values()), batch_size=64, show_progress_bar=True, on_truncation="ignore"
    )
    model.max_seq_length = whole
    embedded = DocumentEmbeddings(np.asarray(documents, dtype=np.float32))
    row_of = {doc_id: row for row, doc_id in enumerate(task.corpus)}
    pays = RETRIEVAL_REWARDS[arguments.reward]
    options = RolloutConfig(
        group=arguments.group,
        max_thought_tokens=arguments.max_thought_tokens,
        temperature=arguments.temperature,
        may_skip=False,
    )
    rewards, cosines, copies = [], [], []
    for query_id, text in tqdm(task.queries.items(), desc="rollouts"):
        places = range(arguments.group)
        rollouts = sample_rollouts(
            model.reasoning_module,
            [text] * arguments.group,
            [place == 0 for place in places],
            [rollout_seed(arguments.seed, 0, query_id, place) for place in places],
            options,
            max_query_tokens=48,
        )
        embeddings = torch.stack([one.embedding for one in rollouts]).float().numpy()
        relevant = {row_of[doc]: float(grade) for doc, grade in task.qrels[query_id].items() if grade > 0}
        rankings = embedded.rankings(embeddings, [relevant] * arguments.group)
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
    main()
