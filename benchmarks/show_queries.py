"""Show queries whole: thoughts, hits without and with the thought, chosen by what thinking did to them.

    python benchmarks/show_queries.py --model smollm2-135m --task HPOLayMini --task WikiTriviaMini
    python benchmarks/show_queries.py --model runs/grpo/final --before smollm2-135m --task HPOLayMini

Of all queries of the tasks, the three with the largest gain of nDCG@10 from thinking and the two with the
largest loss; ties go to the first in the order of tasks and queries. Writes JSON for report.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from search_r3 import SearchR3, Thought, fingerprint
from search_r3.cli.options import BatchSizeOption, DtypeOption, NamedModelOption, OutputOption, TasksOption
from search_r3.cli.running import run
from search_r3.data.catalogue import TASKS, Size, load_task
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import InvalidOptionError
from search_r3.files import write_text
from search_r3.model.default import load_model
from search_r3.provenance import describe_environment
from search_r3.retrieval.hits import SearchHit
from search_r3.retrieval.metrics import ndcg_at_10
from search_r3.retrieval.vector_index import VectorIndex

GAINS, LOSSES, HITS, CHARACTERS = 3, 2, 3, 240


def main(
    tasks: TasksOption,
    model: NamedModelOption = "default",
    before: Annotated[
        str | None,
        typer.Option(help="Another model whose thoughts are shown beside, such as the one before RL."),
    ] = None,
    dtype: DtypeOption = "bfloat16",
    batch_size: BatchSizeOption = 32,
    output: OutputOption = Path("benchmarks/results/queries.json"),
) -> None:
    """Choose the queries and write them; only tasks of this project have the data at hand."""
    loaded = load_model(model).to(getattr(torch, dtype))
    data = {name: named_task(name) for name in tasks}
    chosen = choose([one for name, task in data.items() for one in compare(name, task, loaded, batch_size)])
    other = None
    if before is not None:
        other = load_model(before).to(getattr(torch, dtype))
        add_thoughts(chosen, f"before ({Path(before).name})", other)
    environment = describe_environment()
    written = {
        "commit": environment["commit"],
        "dirty": environment["dirty"],
        "created": environment["created"],
        "model": model,
        "fingerprint": fingerprint(loaded),
        "before": before,
        "before_fingerprint": None if other is None else fingerprint(other),
        "dtype": dtype,
        "data": {name: task.data_hash() for name, task in data.items()},
        "queries": chosen,
    }
    write_text(output, json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    print(output)


def named_task(name: str) -> RetrievalTask:
    """The data of one of this project's tasks; ``...Mini`` is the small size.

    Raises:
        InvalidOptionError: There is no such task.
    """
    size: Size = "mini" if name.endswith("Mini") else "full"
    plain = name.removesuffix("Mini")
    if plain not in TASKS:
        raise InvalidOptionError(f"Got the task {name}, wanted one of {', '.join(TASKS)}, or with Mini.")
    return load_task(plain, size)


def compare(name: str, task: RetrievalTask, model: SearchR3, batch_size: int) -> list[dict[str, Any]]:
    """Rank the documents for every query without and with its thought."""
    index = VectorIndex(model.get_embedding_dimension() or 0, fingerprint="")
    documents = model.encode_document(
        list(task.corpus.values()), batch_size=batch_size, normalize_embeddings=True, on_truncation="ignore"
    )
    index.add(list(task.corpus), documents)
    encodings = {
        arm: model.encode_query_with_thoughts(
            list(task.queries.values()), reasoning=arm, batch_size=batch_size
        )
        for arm in ("never", "always")
    }
    arms = {
        arm: index.search(encoding.embeddings, len(index), fingerprint="")
        for arm, encoding in encodings.items()
    }
    runs = {
        arm: {
            query_id: {hit.doc_id: hit.score for hit in hits}
            for query_id, hits in zip(task.queries, found, strict=True)
        }
        for arm, found in arms.items()
    }
    scores = {arm: ndcg_at_10(task.qrels, run) for arm, run in runs.items()}
    return [
        {
            "task": name,
            "query_id": query_id,
            "query": query,
            # The very thought behind the ranking: in half precision another batch has others.
            "thoughts": [shown_thought("this model", encodings["always"].thoughts[place])],
            **{
                arm: view(task, query_id, arms[arm][place], scores[arm][query_id])
                for arm in ("never", "always")
            },
        }
        for place, (query_id, query) in enumerate(task.queries.items())
    ]


def view(task: RetrievalTask, query_id: str, hits: list[SearchHit], score: float) -> dict[str, Any]:
    """What is shown of one ranking."""
    relevant = {doc_id for doc_id, grade in task.qrels[query_id].items() if grade > 0}
    return {
        "ndcg": round(score, 6),
        "rank": next(hit.rank for hit in hits if hit.doc_id in relevant),
        "hits": [
            {"text": shorten(task.corpus[hit.doc_id]), "relevant": hit.doc_id in relevant}
            for hit in hits[:HITS]
        ],
    }


def shorten(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= CHARACTERS else f"{line[:CHARACTERS]}..."


def choose(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest gains, then the largest losses; fewer if there are fewer."""

    def gain(one: dict[str, Any]) -> float:
        return float(one["always"]["ndcg"] - one["never"]["ndcg"])

    gains = [one for one in sorted(found, key=gain, reverse=True)[:GAINS] if gain(one) > 0]
    losses = [one for one in sorted(found, key=gain)[:LOSSES] if gain(one) < 0]
    return gains + losses


def shown_thought(name: str, thought: Thought) -> dict[str, Any]:
    """What is shown of a thought."""
    return {"model": name, "text": " ".join(thought.text.split()), "tokens": thought.length}


def add_thoughts(chosen: list[dict[str, Any]], name: str, model: SearchR3) -> None:
    """Put another model's thought about each query beside the one that is there."""
    thoughts = model.encode_query_with_thoughts([one["query"] for one in chosen], reasoning="always").thoughts
    for one, thought in zip(chosen, thoughts, strict=True):
        one["thoughts"].append(shown_thought(name, thought))


if __name__ == "__main__":
    run(main)
