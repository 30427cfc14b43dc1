"""Load a server with many clients: throughput, latency, memory, and whether a vector is ever wrong.

    python benchmarks/run_soak.py --model default --minutes 10

It starts `search-r3 serve`. Texts are those of the demo: docstrings as documents, and summaries as queries.
Three parts follow each other: one request at a time; all clients with documents alone; all clients with
roles and lengths mixed, for as long as asked. Then the server is stopped. The model embeds the same documents
in batches, in their order and sorted by length, and every text that was asked, to compare the vectors. Leave
the machine alone meanwhile.
Writes soak.json, soak.csv (a row for each second) and soak.svg.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import matplotlib as mpl
import numpy as np
import psutil
import typer
from numpy.typing import NDArray

from search_r3.cli.options import OutputOption
from search_r3.cli.running import run
from search_r3.demo.stdlib_corpus import demo_task
from search_r3.files import write_text
from search_r3.model.default import load_model
from search_r3.provenance import describe_environment

mpl.use("Agg")
import matplotlib.pyplot as plt

ROLES = ("document", "query-direct", "query-think")
_START_SECONDS = 300


@dataclass
class Seen:
    """What clients saw.

    Attributes:
        requests: (second since the start, role, latency in seconds, status) of each request.
        vectors: A vector for each (role, text), the first one that was answered.
        spread: Largest difference of a later answer's vector from that one, in any of its numbers.
    """

    requests: list[tuple[float, str, float, int]] = field(default_factory=list)
    vectors: dict[tuple[str, str], NDArray[np.float32]] = field(default_factory=dict)
    spread: float = 0.0

    def add(self, role: str, text: str, vector: list[float]) -> None:
        """Keep a vector, or compare it with the one that is kept."""
        found = np.array(vector, dtype=np.float32)
        first = self.vectors.setdefault((role, text), found)
        self.spread = max(self.spread, float(np.abs(first - found).max()))


@contextlib.contextmanager
def started(model: str, dtype: str) -> Iterator[tuple[str, psutil.Process]]:
    """Start a server on a free port, and wait until it takes requests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from search_r3.cli import main; main()"
    options = ["serve", "--model", model, "--dtype", dtype, "--port", str(port)]
    with subprocess.Popen([sys.executable, "-c", program, *options]) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"http://127.0.0.1:{port}/ready").is_success:
                        break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("The server did not start; what it said is above.")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()


async def ask_until(
    address: str, clients: int, jobs: Iterator[tuple[str, str]], seconds: float, seen: Seen
) -> float:
    """Let clients ask, each one request after the other, until the time is up or no job is left.

    Returns:
        Seconds until the last answer.
    """
    begun = time.monotonic()

    async def client() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=600) as http:
            name = (await http.get("/v1/models")).json()["data"][0]["id"]
            for role, text in jobs:
                if time.monotonic() - begun > seconds:
                    return
                asked = time.monotonic()
                answer = await http.post("/v1/embeddings", json={"model": f"{name}:{role}", "input": text})
                now = time.monotonic()
                seen.requests.append((now - begun, role, now - asked, answer.status_code))
                if answer.is_success:
                    seen.add(role, text, answer.json()["data"][0]["embedding"])

    await asyncio.gather(*(client() for _ in range(clients)))
    return time.monotonic() - begun


async def memory_of(process: psutil.Process, rows: list[tuple[float, float]]) -> None:
    """Read the resident size in MB (10^6 bytes) each second, until cancelled."""
    begun = time.monotonic()
    while True:
        rows.append((time.monotonic() - begun, process.memory_info().rss / 1e6))
        await asyncio.sleep(1)


async def soak(
    address: str,
    process: psutil.Process,
    clients: int,
    texts: dict[str, list[str]],
    seconds: float,
    seed: int,
) -> tuple[Seen, list[tuple[float, float]]]:
    """Mixed roles and lengths; gives what the clients saw, and the memory."""
    draw, seen = random.Random(seed), Seen()

    def jobs() -> Iterator[tuple[str, str]]:
        while True:
            role = draw.choice(list(texts))
            yield role, draw.choice(texts[role])

    rows: list[tuple[float, float]] = []
    watching = asyncio.create_task(memory_of(process, rows))
    await ask_until(address, clients, jobs(), seconds, seen)
    watching.cancel()
    return seen, rows


def summary(seen: Seen, memory: list[tuple[float, float]]) -> dict[str, Any]:
    """Statuses, latencies in milliseconds by role, and how much memory grew.

    Returns:
        ``memory_growth`` is the last minute's median over the second minute's, less 1; None if the run was
        shorter than three minutes.
    """
    latency = {}
    for role in ROLES:
        times = [1000 * took for _, asked, took, status in seen.requests if asked == role and status == 200]
        if times:
            p50, p99 = np.percentile(times, [50, 99])
            latency[role] = {"requests": len(times), "p50_ms": round(p50, 1), "p99_ms": round(p99, 1)}
    last = memory[-1][0]
    second = [size for at, size in memory if 60 <= at < 120]
    end = [size for at, size in memory if at >= last - 60]
    growth = float(np.median(end) / np.median(second) - 1) if last >= 180 and second else None
    return {
        "statuses": dict(Counter(str(status) for *_, status in seen.requests)),
        "latency": latency,
        "spread": seen.spread,
        "memory_mb": {"first": round(memory[0][1]), "last": round(memory[-1][1])},
        "memory_growth": None if growth is None else round(growth, 4),
    }


def largest_difference(model: Any, seen: Seen, batch_size: int) -> float:
    """Of the server's vectors from the model's own, in any number of any vector."""
    largest = 0.0
    for role in ROLES:
        texts = [text for asked, text in seen.vectors if asked == role]
        if not texts:
            continue
        options: dict[str, Any] = {"batch_size": batch_size, "on_truncation": "ignore"}
        if role == "document":
            wanted = model.encode_document(texts, normalize_embeddings=True, **options)
        else:
            reasoning = "always" if role == "query-think" else "never"
            wanted = model.encode_query(texts, normalize_embeddings=True, reasoning=reasoning, **options)
        found = np.stack([seen.vectors[role, text] for text in texts])
        largest = max(largest, float(np.abs(found - np.asarray(wanted, dtype=np.float32)).max()))
    return largest


def _timed(model: Any, batches: list[list[str]], batch_size: int) -> float:
    begun = time.monotonic()
    for batch in batches:
        model.encode_document(batch, batch_size=batch_size, on_truncation="ignore")
    return time.monotonic() - begun


def write_rows(output: Path, seen: Seen, memory: list[tuple[float, float]]) -> None:
    """The log of each second, and its plot."""
    rows = []
    for at, size in memory:
        within = [took for end, _, took, _ in seen.requests if at <= end < at + 1]
        slowest = round(1000 * max(within), 1) if within else ""
        rows.append((round(at), round(size, 1), len(within), slowest))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("second", "memory_mb", "requests", "slowest_ms"), *rows])
    write_text(output / "soak.csv", text.getvalue())
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7, 4.5), layout="constrained")
    above.plot([row[0] for row in rows], [row[1] for row in rows])
    above.set(ylabel="resident memory (MB)", ylim=(0, None))
    below.plot([row[0] for row in rows], [row[2] for row in rows])
    below.set(ylabel="requests per second", xlabel="seconds", ylim=(0, None))
    drawn = io.StringIO()
    mpl.rcParams["svg.hashsalt"] = "soak"
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    plt.close(figure)
    write_text(output / "soak.svg", drawn.getvalue())


def main(
    model: Annotated[
        str, typer.Option("--model", "-m", help="default, a model's name or a folder.")
    ] = "default",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    minutes: Annotated[float, typer.Option(min=0.01, help="How long the mixed load lasts.")] = 10,
    clients: Annotated[int, typer.Option(min=1, help="Clients at once.")] = 32,
    documents: Annotated[int, typer.Option(min=2, help="Documents of the throughput, at most.")] = 256,
    think: Annotated[bool, typer.Option(help="Whether a third of the mixed load thinks.")] = True,
    seed: Annotated[int, typer.Option(help="Of the order of the mixed load.")] = 0,
    output: OutputOption = Path("benchmarks/results"),
) -> None:
    """Load, measure, compare and write."""
    task = demo_task()
    corpus, queries = list(task.corpus.values())[:documents], list(task.queries.values())[:documents]
    mixed = {"document": corpus, "query-direct": queries, **({"query-think": queries} if think else {})}
    jobs = [("document", text) for text in corpus]
    alone = jobs[::4]  # of all lengths; it may be the slowest part
    with started(model, dtype) as (address, process):
        warm, seen_alone, seen_together = Seen(), Seen(), Seen()
        asyncio.run(ask_until(address, clients, iter(jobs[:8]), 600, warm))
        seconds_alone = asyncio.run(ask_until(address, 1, iter(alone), 3600, seen_alone))
        seconds_together = asyncio.run(ask_until(address, clients, iter(jobs), 3600, seen_together))
        print("throughput is measured; now the mixed load", flush=True)
        seen, memory = asyncio.run(soak(address, process, clients, mixed, 60 * minutes, seed))
    loaded = load_model(model, dtype=dtype)
    loaded.encode_document(corpus[:8], on_truncation="ignore")
    batches = [corpus[start : start + clients] for start in range(0, len(corpus), clients)]
    seconds_encode = _timed(loaded, batches, clients)
    seconds_sorted = _timed(loaded, [corpus], clients)
    rates = {
        "server_one_at_a_time": round(len(alone) / seconds_alone, 2),
        "server": round(len(jobs) / seconds_together, 2),
        "encode_in_batches": round(len(jobs) / seconds_encode, 2),
        "encode_sorted_by_length": round(len(jobs) / seconds_sorted, 2),
    }
    report = {
        "model": model,
        "dtype": dtype,
        "clients": clients,
        "minutes": minutes,
        "seed": seed,
        "documents_per_second": rates,
        "of_encode": round(rates["server"] / rates["encode_in_batches"], 3),
        "of_one_at_a_time": round(rates["server"] / rates["server_one_at_a_time"], 2),
        **summary(seen, memory),
        "largest_difference": largest_difference(loaded, seen, clients),
        "environment": describe_environment(),
    }
    print(json.dumps(report, indent=2))
    write_text(output / "soak.json", json.dumps(report, indent=2) + "\n")
    write_rows(output, seen, memory)
    print(f"in {output / 'soak.json'}")


if __name__ == "__main__":
    run(main)
