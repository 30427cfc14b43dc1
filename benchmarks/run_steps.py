"""Measure searches in two steps: a model's arms, and rivals that do not think, on tasks of several passages.

    python benchmarks/run_steps.py --model gemma3-270m --first hybrid --multihop path/to/multihop

The arms start from the model's own first pass, and every rival from that of its own kind. The measures are
nDCG@10, and the share of questions that have all of their passages among the first ten. Of the own thoughts
it says how many name a relevant passage that was not read, and how many tokens they have. Writes
<name>-<first>.jsonl, with the scores of every query, into benchmarks/results/steps; other options than the
usual ones are in the file's name.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from search_r3.cli.options import LimitOption, MultihopOption, OutputOption, each_of
from search_r3.cli.running import run
from search_r3.data.minilm import minilm_folder
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.evaluation.dev_suite import BRIDGE_TASKS, MULTIHOP_TASKS, load_dev_suite
from search_r3.evaluation.step_arms import STEP_ARMS, StepArm, StepArms
from search_r3.evaluation.step_rivals import (
    BM25Retriever,
    Encode,
    FirstPass,
    Hits,
    Vectors,
    first_pass,
    mention_bonus,
    passage_appended,
    rocchio,
    soft_centroid,
)
from search_r3.files import write_lines
from search_r3.json_lines import json_objects
from search_r3.model.default import load_model
from search_r3.model.thoughts import Reasoning
from search_r3.paths import data_dir
from search_r3.provenance import describe_environment
from search_r3.retrieval.bm25 import BM25Index
from search_r3.retrieval.corpus_search import IndexRetriever
from search_r3.retrieval.metrics import all_at_10, drop_same_id, ndcg_at_10
from search_r3.retrieval.steps import Joining, Retriever
from search_r3.retrieval.vector_index import VectorIndex

First = Literal["dense", "hybrid"]
MINILM = "MiniLM"
BONUSES = (0.0005, 0.001, 0.002, 0.004)
"""Of the mention bonus; the best on the task is reported, which flatters this rival."""

_TASKS = (*MULTIHOP_TASKS, *BRIDGE_TASKS)
ALL_ARMS: list[str] = list(STEP_ARMS)


def _tasks_alone(values: list[str] | None) -> list[str] | None:
    return None if values is None else each_of(_TASKS)(values)


System = tuple[str, Callable[[], Hits]]
_THINKING: tuple[tuple[StepArm, Reasoning], ...] = (("own", "always"), ("auto", "auto"))


def main(
    model: Annotated[
        str, typer.Option("--model", "-m", help="default, embedded, a folder or a Hub id.")
    ] = "default",
    name: Annotated[str | None, typer.Option(help="Name of the result [default: that of the model].")] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            callback=_tasks_alone,
            help=f"A task; repeatable: {', '.join(_TASKS)} [default: all that are found].",
        ),
    ] = None,
    multihop: MultihopOption = None,
    first: Annotated[
        First, typer.Option(help="The first search, and the second: dense or hybrid.")
    ] = "hybrid",
    arms: Annotated[
        list[str],
        typer.Option(
            "--arm", help=f"An arm; repeatable: {', '.join(STEP_ARMS)}.", callback=each_of(STEP_ARMS)
        ),
    ] = ALL_ARMS,
    read: Annotated[int, typer.Option(min=1, help="Passages that a query reads.")] = 3,
    together: Annotated[
        bool, typer.Option("--together", help="Read them together and think once, not about each.")
    ] = False,
    joining: Annotated[Joining, typer.Option(help="How the searches of all systems are joined.")] = "best",
    rivals: Annotated[bool, typer.Option(help="Measure the rivals that do not think.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of the arms that draw.")] = 0,
    limit: LimitOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per forward pass.")] = 32,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16 [default: as saved].")] = None,
    output: OutputOption = Path("benchmarks/results/steps"),
) -> None:
    """Measure, print and write."""
    environment = describe_environment()
    chosen = [arm for arm in STEP_ARMS if arm in arms]
    wanted = tasks or [*BRIDGE_TASKS, *(MULTIHOP_TASKS if multihop is not None else ())]
    suite = load_dev_suite(wanted, multihop=multihop, limit=limit)
    ours = load_model(model, dtype=dtype)
    ours.reasoning_module.on_truncation = "ignore"
    own_name = name or (Path(model).resolve().name if Path(model).is_dir() else model.replace("/", "--"))
    options = {
        "first": first,
        "read": read,
        "together": together,
        "joining": joining,
        "seed": seed,
        "limit": limit,
    }
    lines: list[dict[str, Any]] = [{"model": own_name, **options, "environment": environment}]
    unusual = {
        "together": together,
        f"read{read}": read != 3,
        joining: joining != "best",
        f"seed{seed}": seed != 0,
        f"limit{limit}": limit is not None,
        "some-arms": len(chosen) < len(STEP_ARMS),
        "no-rivals": not rivals,
    }
    path = output / (
        "-".join([own_name, first, *(key for key, is_so in unusual.items() if is_so)]) + ".jsonl"
    )
    minilm = load_model(minilm_folder(data_dir() / "packages")) if rivals else None
    for task_name, task in suite.items():
        titles = _titles(task_name, task, multihop)
        systems, after = _ours(
            ours,
            task,
            titles,
            chosen,
            first,
            read=read,
            together=together,
            joining=joining,
            seed=seed,
            batch_size=batch_size,
        )
        if minilm is not None:
            encode: Encode = partial(minilm.encode_query, batch_size=batch_size, show_progress_bar=False)
            documents = minilm.encode_document(list(task.corpus.values()), batch_size=batch_size)
            systems += _rivals(MINILM, task, titles, encode, documents, read, joining, others=True)
        for system, search in systems:
            started = time.monotonic()
            scores = _scores(task, search())
            line = {
                "task": task_name,
                "system": system,
                "data_hash": task.data_hash(),
                **{measure: statistics.fmean(values.values()) for measure, values in scores.items()},
                "per_query": scores,
                "seconds": round(time.monotonic() - started, 2),
            }
            if system == f"ours, {first}, own":
                named = after.named(titles, _relevant(task))
                line["named"] = dict(zip(task.queries, named, strict=True))
            for arm, reasoning in _THINKING:
                if system == f"ours, {first}, {arm}":
                    tokens = after.thought_tokens(reasoning)
                    line["thought_tokens"] = dict(zip(task.queries, tokens, strict=True))
            lines.append(line)
            print(
                f"{task_name:14}{system:34}{line['ndcg_at_10']:.3f}  {line['all_at_10']:.2f}  "
                f"{line['seconds']:.0f} s{_about_thoughts(line)}",
                flush=True,
            )
        write_lines(path, (json.dumps(line) + "\n" for line in lines))  # at once: a stop loses one task
    print(f"in {path}")


def _ours(
    model: Any,
    task: RetrievalTask,
    titles: dict[str, str],
    arms: Sequence[StepArm],
    first: First,
    *,
    read: int,
    together: bool,
    joining: Joining,
    seed: int,
    batch_size: int,
) -> tuple[list[System], StepArms]:
    """The model's arms after its own first pass, and its rivals of the same vectors."""
    encode: Encode = partial(model.encode_query, reasoning="never", batch_size=batch_size)
    documents = model.encode_document(list(task.corpus.values()), batch_size=batch_size)
    retriever = _retriever(task, documents, hybrid=first == "hybrid")
    start = first_pass(list(task.queries.values()), encode, retriever)
    after = StepArms(
        model,
        retriever,
        start,
        read=read,
        together=together,
        joining=joining,
        seed=seed,
        batch_size=batch_size,
    )
    relevant = _relevant(task)
    systems = _rivals("ours", task, titles, encode, documents, read, joining)
    systems += [
        (f"ours, {first}, {arm}", partial(after.hits, arm, titles=titles, relevant=relevant)) for arm in arms
    ]
    return systems, after


def _relevant(task: RetrievalTask) -> list[set[str]]:
    return [
        {doc_id for doc_id, grade in task.qrels[query_id].items() if grade > 0} for query_id in task.queries
    ]


def _about_thoughts(line: dict[str, Any]) -> str:
    """Tokens of thought, and the share of questions whose thought names an unread passage; "" if unknown."""
    found = ""
    if "thought_tokens" in line:
        found += f"; {statistics.fmean(line['thought_tokens'].values()):.1f} tokens of thought a question"
    known = [one for one in line.get("named", {}).values() if one is not None]
    if known:
        found += f"; {statistics.fmean(known):.0%} of {len(known)} questions name an unread passage"
    return found


def _rivals(
    name: str,
    task: RetrievalTask,
    titles: dict[str, str],
    encode: Encode,
    documents: Vectors,
    read: int,
    joining: Joining,
    *,
    others: bool = False,
) -> list[System]:
    """One step, and a second one without a thought, of vectors and of vectors with BM25; BM25 alone once."""
    found: list[System] = []
    vectors = dict(zip(task.corpus, documents, strict=True))
    kinds: list[tuple[str, Retriever]] = [
        (name, _retriever(task, documents, hybrid=False)),
        (f"{name} + BM25", _retriever(task, documents, hybrid=True)),
        *([("BM25", BM25Retriever(task.corpus))] if others else []),
    ]
    for kind, retriever in kinds:
        start = first_pass(list(task.queries.values()), encode, retriever)
        found += [
            (f"{kind}, one step", partial(_hits, start)),
            (f"{kind}, passage appended", partial(passage_appended, start, encode, retriever, read, joining)),
            (f"{kind}, mention bonus", partial(_best_bonus, task, start, titles, read)),
        ]
        if kind == name:
            found += [
                (f"{kind}, Rocchio", partial(rocchio, start, vectors, retriever, read, 0.5)),
                (f"{kind}, soft centroid", partial(soft_centroid, start, vectors, retriever, 10, 0.5)),
            ]
    return found


def _hits(start: FirstPass) -> Hits:
    return start.hits


def _best_bonus(task: RetrievalTask, start: FirstPass, titles: dict[str, str], read: int) -> Hits:
    """With the bonus that is best on this task."""
    candidates = [mention_bonus(start, titles, read, bonus) for bonus in BONUSES]
    return max(candidates, key=lambda hits: statistics.fmean(_scores(task, hits)["ndcg_at_10"].values()))


def _retriever(task: RetrievalTask, documents: Vectors, *, hybrid: bool) -> IndexRetriever:
    index = VectorIndex(documents.shape[1], fingerprint="")
    index.add(list(task.corpus), documents / np.linalg.norm(documents, axis=1, keepdims=True))
    return IndexRetriever(index, task.corpus, BM25Index(task.corpus) if hybrid else None)


def _scores(task: RetrievalTask, hits: Hits) -> dict[str, dict[str, float]]:
    # By rank: joined scores may be equal, and trec_eval would order these in its own way.
    found = {
        query_id: {hit.doc_id: -float(hit.rank) for hit in row}
        for query_id, row in zip(task.queries, hits, strict=True)
    }
    drop_same_id(found)
    return {"ndcg_at_10": ndcg_at_10(task.qrels, found), "all_at_10": all_at_10(task.qrels, found)}


def _titles(name: str, task: RetrievalTask, multihop: Path | None) -> dict[str, str]:
    """Titles of documents: a field of the two tasks in a folder, what stands before the colon elsewhere."""
    if multihop is None or name not in MULTIHOP_TASKS:
        return {doc_id: text.partition(": ")[0] for doc_id, text in task.corpus.items()}
    rows = (row for _, row in json_objects(multihop / name / "corpus.jsonl"))
    return {str(row["_id"]): str(row.get("title") or "") for row in rows}


if __name__ == "__main__":
    run(main)
