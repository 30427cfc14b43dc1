"""How right the corpus index stays under each refresh policy, and what that costs.

    python benchmarks/run_refresh.py --base embedded --adapter runs/x/checkpoint-60 \
        --adapter runs/x/checkpoint-120 --set phenotypes --set wordnet --documents 1000 --documents 10000

A run's saved checkpoints are its trajectory: every document and the rollouts of some queries are embedded by
each of them (checkpoint-<step> gives the step; the base is step 0), and steps between two checkpoints are
interpolated on the sphere. Along it every policy keeps an environment of its own, and its rewards are held
against those of rows that are all fresh, on the same rollouts. With --simulated N the corpus is larger: its
start is embedded for real, and each document beyond the measured ones drifts as the nearest measured one did,
with noise until the mean cosine with the start is the measured one.

Writes refresh.json and refresh.svg into benchmarks/results/refresh.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import faiss
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from search_r3 import SearchR3, fingerprint
from search_r3.cli.options import DEFAULT_SETS, OutputOption, SetsOption
from search_r3.cli.running import run
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import InvalidInputError
from search_r3.model.adapter import ADAPTER_FILES, merge_adapter
from search_r3.model.default import load_model
from search_r3.provenance import describe_environment
from search_r3.reporting.compact import compact_json
from search_r3.reporting.plots import save
from search_r3.reporting.refresh_plot import reward_error_against_cost
from search_r3.rl.document_embeddings import DocumentRows
from search_r3.rl.drift import reward_error
from search_r3.rl.environment import EnvironmentOptions, RetrievalEnvironment
from search_r3.rl.grpo_config import QueriesConfig, RolloutConfig, SetConfig
from search_r3.rl.queries import load_queries
from search_r3.rl.refresh import Full, InBatch, NoRefresh, RefreshPolicy, RefreshState, Selective
from search_r3.rl.rewards import RETRIEVAL_REWARDS, RetrievalReward
from search_r3.rl.rollouts import rollout_seed, sample_rollouts

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class InTurn:
    """Some rows a step in a random order, round after round: the rival that does not choose.

    Attributes:
        per_step: Rows of a step.
    """

    per_step: int
    documents_move: bool = True
    ranks_in_batch: bool = False

    def rows(self, state: RefreshState) -> NDArray[np.int64]:
        """The next ones."""
        order = np.random.default_rng(0).permutation(len(state.encoded_at))
        begin = (state.step - 1) * self.per_step  # the first step is 1
        return np.unique(order[np.arange(begin, begin + self.per_step) % len(order)]).astype(np.int64)


POLICIES: dict[str, tuple[RefreshPolicy, dict[str, Any]]] = {
    "none": (NoRefresh(), {}),
    "in batch": (InBatch(), {}),
    "full, every 25 steps": (Full(every=25), {}),
    "full, every 10 steps": (Full(every=10), {}),
    "in turn, 200": (InTurn(per_step=200), {}),
    "selective, small": (Selective(neighbours=2, top=3, background=0, fresh_for=8), {}),
    "selective": (Selective(), {}),
    "selective, with correction": (Selective(), {"corrects": True}),
    "selective, full when drifted": (
        Selective(),
        {"probe": 64, "probe_every": 5, "refresh_below": 0.99},
    ),
    "selective, large": (Selective(neighbours=16, top=20, background=64, fresh_for=2), {}),
}
"""Each policy, and options of its environment. `frozen` is never stale, by definition."""


@dataclass(frozen=True)
class Trajectory:
    """Embeddings along a run.

    Attributes:
        steps: Steps of the checkpoints, ascending, 0 first; shape (C,).
        documents: Shape (C, N, D).
        rollouts: Of Q queries, G each, shape (C, Q, G, D).
    """

    steps: list[int]
    documents: Vectors
    rollouts: Vectors

    def at(self, step: int) -> tuple[Vectors, Vectors]:
        """Documents and rollouts at a step, interpolated between its neighbours."""
        after = next(place for place, known in enumerate(self.steps) if known >= step)
        if self.steps[after] == step:
            return self.documents[after], self.rollouts[after]
        share = (step - self.steps[after - 1]) / (self.steps[after] - self.steps[after - 1])
        return (
            unit((1 - share) * self.documents[after - 1] + share * self.documents[after]),
            unit((1 - share) * self.rollouts[after - 1] + share * self.rollouts[after]),
        )


@dataclass(frozen=True)
class Options:
    """What is measured; `main` says what each option is.

    Attributes:
        fingerprint: Of the base: its name would find the vectors of an older model of the same name.
    """

    base: str
    adapters: list[Path]
    sets: list[str]
    documents: list[int]
    simulated: list[int]
    queries: int
    per_step: int
    group: int
    reward: RetrievalReward
    cache: Path
    output: Path
    fingerprint: str


DEFAULT_DOCUMENTS = [1000, 10_000]


def main(
    base: Annotated[str, typer.Option(help="What the run started from: default, embedded, a folder.")],
    adapters: Annotated[
        list[Path], typer.Option("--adapter", help="A checkpoint of the run, in order; repeatable.")
    ],
    sets: SetsOption = DEFAULT_SETS,
    documents: Annotated[
        list[int], typer.Option(help="A number of documents; repeatable.")
    ] = DEFAULT_DOCUMENTS,
    simulated: Annotated[
        list[int] | None,
        typer.Option(help="A larger number of documents, with simulated drift; repeatable."),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="Queries whose rollouts are taken.")] = 128,
    per_step: Annotated[int, typer.Option(min=1, help="Queries of a step.")] = 4,
    group: Annotated[int, typer.Option(min=2, help="Rollouts of a query.")] = 8,
    reward: Annotated[RetrievalReward, typer.Option(help="What a ranking earns.")] = "log_rank",
    cache: Annotated[Path, typer.Option(help="Folder where embeddings are kept.")] = Path("runs/refresh"),
    output: OutputOption = Path("benchmarks/results/refresh"),
) -> None:
    """Embed the trajectory, run every policy along it, write and print the table."""
    options = Options(
        base=base,
        adapters=adapters,
        sets=sets,
        documents=documents,
        simulated=simulated or [],
        queries=queries,
        per_step=per_step,
        group=group,
        reward=reward,
        cache=cache,
        output=output,
        fingerprint=fingerprint(load_model(base)),
    )
    results = [
        row
        for size in [*documents, *options.simulated]
        for row in measure(options, size, is_simulated=size not in documents)
    ]
    output.mkdir(parents=True, exist_ok=True)
    table = {
        "arguments": {name: str(value) for name, value in vars(options).items()},
        "adapters": {str(folder): digest(folder) for folder in adapters},
        "policies": {
            name: vars(policy) | {"environment": changes} for name, (policy, changes) in POLICIES.items()
        },
        "results": results,
        "environment": describe_environment(),
    }
    path = output / "refresh.json"
    path.write_text(compact_json(table), encoding="utf-8")
    for row in results:
        print(
            f"{row['documents']:>7,}  {row['policy']:27} encoded per step {row['encoded_per_step']:>8.1f}  "
            f"error {row['mean_absolute']:.4f}  within groups {row['within_group']:.4f}  "
            f"rank correlation {row['rank_correlation']:.4f}"
        )
    picture = output / "refresh.svg"
    save(reward_error_against_cost(results), picture)
    print(f"{path}\n{picture}")


def measure(options: Options, size: int, *, is_simulated: bool) -> list[dict[str, Any]]:
    """Run every policy on a corpus of one size."""
    measured = max(options.documents)
    task = load_task(options, measured if is_simulated else size)
    trajectory = embed_trajectory(options, task)
    if is_simulated:
        larger = load_task(options, size)
        trajectory = simulate(options, trajectory, task, larger)
        task = larger
    cosine = float((trajectory.documents[0] * trajectory.documents[-1]).sum(axis=1).mean())
    facts = {
        "documents": size,
        "drift": "simulated" if is_simulated else "measured",
        "cosine_with_start": cosine,
    }
    return [facts | row for row in follow(options, task, trajectory)]


def load_task(options: Options, size: int) -> RetrievalTask:
    """Queries of all sets, and `size` documents, as many of each set as there are, at most an equal share."""
    share = -(-size // len(options.sets))
    queries = -(-options.queries // len(options.sets))
    config = QueriesConfig(sets={name: SetConfig(queries=queries, documents=share) for name in options.sets})
    task = load_queries(config, 0).task
    if len(task.corpus) < 0.9 * size:
        raise InvalidInputError(
            f"got sets with {len(task.corpus):,} documents, wanted {size:,}: name more sets"
        )
    return task


def embed_trajectory(options: Options, task: RetrievalTask) -> Trajectory:
    """Embed by every checkpoint, or read what was embedded before."""
    steps = [0, *(int(folder.name.rpartition("-")[2]) for folder in options.adapters)]
    parts = [embed(options, task, folder) for folder in (None, *options.adapters)]
    documents, rollouts = zip(*parts, strict=True)
    return Trajectory(steps, np.stack(documents), np.stack(rollouts))


def embed(options: Options, task: RetrievalTask, adapter: Path | None) -> tuple[Vectors, Vectors]:
    """Documents and rollouts by one checkpoint; None is the base."""
    key = hashlib.sha256(
        repr((options.fingerprint, adapter and digest(adapter), task.data_hash(), options.group)).encode()
    ).hexdigest()[:16]
    path = options.cache / f"{key}.npz"
    if path.is_file():
        with np.load(path) as found:
            return found["documents"], found["rollouts"]
    model = load_model(options.base)
    if adapter is not None:
        model = merge_adapter(model, adapter)
    model.to(torch.bfloat16).eval()
    documents = embed_documents(model, list(task.corpus.values()))
    module = model.reasoning_module
    rollouts = []
    for query_id, text in tqdm(task.queries.items(), desc="rollouts"):
        found = sample_rollouts(
            module,
            [text] * options.group,
            [place == 0 for place in range(options.group)],
            [rollout_seed(0, 0, query_id, place) for place in range(options.group)],
            RolloutConfig(group=options.group, max_thought_tokens=12, may_skip=False),  # as grpo.toml
            max_query_tokens=48,
        )
        rollouts.append(torch.stack([one.embedding for one in found]).numpy())
    options.cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, documents=documents, rollouts=np.stack(rollouts))
    part.replace(path)
    return documents, np.stack(rollouts)


def embed_documents(model: SearchR3, texts: list[str]) -> Vectors:
    """Unit vectors in float32."""
    model.max_seq_length = 96
    found = model.encode_document(texts, batch_size=64, show_progress_bar=True, on_truncation="ignore")
    return unit(np.asarray(found, dtype=np.float32))


def simulate(options: Options, known: Trajectory, measured: RetrievalTask, task: RetrievalTask) -> Trajectory:
    """A larger corpus: real embeddings at the start, drift borrowed from the nearest measured document."""
    path = options.cache / f"start-{task.data_hash()[:16]}-{options.fingerprint[:8]}.npy"
    if path.is_file():
        start = np.load(path)
    else:
        model = load_model(options.base)
        model.to(torch.bfloat16).eval()
        start = embed_documents(model, list(task.corpus.values()))
        np.save(path, start)
    nearest = faiss.knn(start, known.documents[0], 1, metric=faiss.METRIC_INNER_PRODUCT)[1][:, 0]
    generator = np.random.default_rng(0)
    direction = unit(generator.normal(size=start.shape).astype(np.float32))
    documents = [start]
    for measured_now in known.documents[1:]:
        moved = start + (measured_now - known.documents[0])[nearest]
        wanted = float((known.documents[0] * measured_now).sum(axis=1).mean())
        low, high = 0.0, 4.0
        for _ in range(30):  # the noise that gives the measured mean cosine
            noise = (low + high) / 2
            cosine = float((start * unit(moved + noise * direction)).sum(axis=1).mean())
            low, high = (noise, high) if cosine > wanted else (low, noise)
        documents.append(unit(moved + low * direction))
    order = {query_id: place for place, query_id in enumerate(measured.queries)}
    missing = [query_id for query_id in task.queries if query_id not in order]
    if missing:
        raise InvalidInputError(
            f"got {len(missing)} queries without rollouts: wanted those of the measured size"
        )
    places = [order[query_id] for query_id in task.queries]
    return Trajectory(known.steps, np.stack(documents), known.rollouts[:, places])


def follow(options: Options, task: RetrievalTask, trajectory: Trajectory) -> list[dict[str, Any]]:
    """Let every policy keep an environment of its own along the trajectory, on the same rollouts."""
    numbered = RetrievalTask(
        task.queries, {doc_id: str(row) for row, doc_id in enumerate(task.corpus)}, task.qrels
    )
    now = trajectory.documents[0]

    def encode(texts: Sequence[str]) -> Vectors:
        rows: Vectors = now[np.array([int(text) for text in texts])]
        return rows

    environments = {}
    for name, (policy, changes) in POLICIES.items():
        neighbours = 16 if isinstance(policy, Selective) else 0  # a graph of 100,000 takes its time
        own = EnvironmentOptions(**{"probe_every": 0, "neighbours": neighbours, **changes})
        environments[name] = RetrievalEnvironment(numbered, encode, policy, own)
    pays = RETRIEVAL_REWARDS[options.reward]
    generator = np.random.default_rng(0)
    ids = list(task.queries)
    row_of = {doc_id: row for row, doc_id in enumerate(task.corpus)}
    relevant = {
        query_id: {row_of[doc_id]: float(grade) for doc_id, grade in grades.items() if grade > 0}
        for query_id, grades in task.qrels.items()
    }
    fresh: list[float] = []
    stale: dict[str, list[float]] = {name: [] for name in environments}
    encoded = dict.fromkeys(environments, 0)
    seconds = dict.fromkeys(environments, 0.0)
    last = trajectory.steps[-1]
    for step in tqdm(range(1, last + 1), desc=f"{len(task.corpus):,} documents"):
        now, rollouts = trajectory.at(step)
        chosen = generator.choice(len(ids), options.per_step, replace=False)
        asked = [ids[place] for place in chosen for _ in range(options.group)]
        embeddings = rollouts[chosen].reshape(len(asked), -1)
        truth = DocumentRows(now).rankings(embeddings, [relevant[query_id] for query_id in asked])
        fresh += [pays(ranking, ranking.documents) for ranking in truth]
        for name, environment in environments.items():
            began = time.perf_counter()
            encoded[name] += environment.refresh(asked, embeddings, step).encoded
            rankings = environment.rank(asked, embeddings)
            seconds[name] += time.perf_counter() - began
            stale[name] += [pays(ranking, ranking.documents) for ranking in rankings]
    groups = (-1, options.group)
    true = np.array(fresh).reshape(groups)
    rows = []
    for name in environments:
        paid = np.array(stale[name]).reshape(groups)
        # What advantages see of it: what all rollouts of a query have in common cancels.
        shifted = (paid - paid.mean(axis=1, keepdims=True)) - (true - true.mean(axis=1, keepdims=True))
        error = reward_error(np.array(stale[name]), np.array(fresh))
        rows.append(
            {
                "policy": name,
                "encoded_per_step": encoded[name] / last,
                "share_of_full": encoded[name] / last / len(task.corpus),
                "mean_absolute": error.mean_absolute,
                "within_group": float(np.abs(shifted).mean()),
                "rank_correlation": error.rank_correlation,
                "own_milliseconds_per_step": 1000 * seconds[name] / last,
                "steps": last,
            }
        )
    return rows


def unit(vectors: Vectors) -> Vectors:
    """Scaled to unit length, in float32."""
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def digest(folder: Path) -> str:
    """SHA-256 of an adapter's weights."""
    return hashlib.sha256((folder / ADAPTER_FILES[1]).read_bytes()).hexdigest()


if __name__ == "__main__":
    run(main)
