"""Measure an index of many documents: building, opening, searching, an update, bytes and memory.

    python benchmarks/run_index.py --documents 1000000 --like ~/.cache/search-r3/demo-... --approximate int8

Texts are random words. Vectors are those of an index, such as the demo's, repeated with noise, or random
ones: exact search takes the same time for any, but approximate search finds less among random ones than among
those of texts. No model is loaded. The index is written to a temporary folder, 3.2 GB for a million
documents. Leave the machine alone meanwhile. Writes index.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import psutil
import typer
from numpy.typing import NDArray

from search_r3.cli.options import OutputOption, SeedOption, each_of
from search_r3.cli.running import run
from search_r3.files import write_text
from search_r3.provenance import describe_environment
from search_r3.retrieval.candidates import APPROXIMATIONS, Approximation
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.store_writer import StoreWriter

WORDS = [f"word{number}" for number in range(5000)]
NOISE = 0.75
"""Length of the noise on a unit vector."""
_MEGA = 1e6


@contextmanager
def measured(figures: dict[str, Any], name: str) -> Iterator[None]:
    """Put the seconds of a block into ``figures[name]``."""
    begun = time.perf_counter()
    yield
    figures[name] = round(time.perf_counter() - begun, 3)


def unit_vectors(
    generator: np.random.Generator, count: int, dimension: int, like: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Random directions, or some of ``like`` with noise (their cosine is 0.8): shape (count, dimension)."""
    vectors = generator.standard_normal((count, dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    if like is not None:
        vectors = like[generator.integers(0, len(like), count)] + NOISE * vectors
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def random_texts(generator: np.random.Generator, count: int) -> list[str]:
    """Texts of 60 words."""
    return [
        " ".join(WORDS[number] for number in row) for row in generator.integers(0, len(WORDS), (count, 60))
    ]


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    p50, p99 = 1000 * np.quantile(seconds, [0.5, 0.99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def times_of(index: CorpusIndex, queries: NDArray[np.float32], batch: int, rounds: int) -> list[float]:
    """Seconds of searches for ten documents, with their texts, after one that is not counted."""
    retriever, times = index.retriever(), []
    for number in range(rounds + 1):
        some = queries[(number * batch + np.arange(batch)) % len(queries)]
        begun = time.perf_counter()
        retriever.retrieve([""] * batch, some, 10)
        times.append(time.perf_counter() - begun)
    return times[1:]


_OPENS = """
import sys
import numpy as np, psutil
from search_r3.retrieval.corpus_index import CorpusIndex
process = psutil.Process()
before = process.memory_info()
index = CorpusIndex.load(sys.argv[1], approximate=sys.argv[2] or None)
query = np.eye(1, index.vectors.dimension, dtype=np.float32)
index.retriever().retrieve([""], query, 10)
after = process.memory_info()
print(after.rss - after.shared - before.rss + before.shared)
"""


def memory_of_a_reader(folder: Path, approximate: str = "") -> int:
    """Bytes that a new process needs to open the index and search once, mapped files left out."""
    found = subprocess.run(
        [sys.executable, "-c", _OPENS, str(folder), approximate], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


def approximately(
    folder: Path, kind: Approximation, queries: NDArray[np.float32], exact: list[set[str]], searches: int
) -> dict[str, Any]:
    """One way of approximate search: what it takes, and the share of the ten best documents that it finds."""
    figures: dict[str, Any] = {}
    before = data_bytes(folder)
    with measured(figures, "make_seconds"):
        CorpusIndex.load(folder, approximate=kind)
    figures["mb"] = round((data_bytes(folder) - before) / _MEGA, 3)
    with measured(figures, "open_seconds"):
        index = CorpusIndex.load(folder, approximate=kind)
    found = ten_best(index, queries)
    shares = [len(one & best) / len(best) for one, best in zip(found, exact, strict=True)]
    figures["recall_at_10"] = round(float(np.mean(shares)), 4)
    figures["search_one"] = quantiles(times_of(index, queries, 1, searches))
    figures["search_32"] = quantiles(times_of(index, queries, 32, max(1, searches // 10)))
    del index
    figures["reader_memory_mb"] = round(memory_of_a_reader(folder, kind) / _MEGA, 1)
    return figures


def ten_best(index: CorpusIndex, queries: NDArray[np.float32]) -> list[set[str]]:
    """The ids of ten documents for each query."""
    found = index.vectors.search(queries, 10, fingerprint=index.vectors.fingerprint)
    return [{hit.doc_id for hit in hits} for hits in found]


def data_bytes(folder: Path) -> int:
    """Bytes of an index's files."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def main(
    documents: Annotated[int, typer.Option(min=100, help="How many.")] = 1_000_000,
    dimension: Annotated[int, typer.Option(min=2, help="Width of the vectors.")] = 640,
    like: Annotated[
        Path | None,
        typer.Option(help="An index whose vectors are repeated with noise [default: random ones]."),
    ] = None,
    approximate: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A kind of approximate search; repeatable: {', '.join(APPROXIMATIONS)}.",
            callback=lambda values: values and each_of(APPROXIMATIONS)(values),
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Documents of a commit.")] = 10_000,
    searches: Annotated[int, typer.Option(min=1, help="Searches of each kind.")] = 100,
    seed: SeedOption = 0,
    output: OutputOption = Path("benchmarks/results"),
) -> None:
    """Build, open, search, update, print and write."""
    generator, process = np.random.default_rng(seed), psutil.Process()
    origins = None if like is None else CorpusIndex.load(like).vectors
    source = None if origins is None else origins.vectors()
    dimension = dimension if source is None else source.shape[1]
    figures: dict[str, Any] = {
        "documents": documents,
        "dimension": dimension,
        "like": None if origins is None else {"documents": len(origins), "fingerprint": origins.fingerprint},
        "commits_of": batch,
        "seed": seed,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        writer = StoreWriter.create(folder, dimension=dimension, fingerprint="random", model="")
        building = 0.0
        written = process.io_counters().write_chars
        for start in range(0, documents, batch):
            count = min(batch, documents - start)
            vectors = unit_vectors(generator, count, dimension, source)
            texts = random_texts(generator, count)
            begun = time.perf_counter()
            writer.put([f"d{number}" for number in range(start, start + count)], texts, vectors)
            writer.commit()
            building += time.perf_counter() - begun
        figures["build_seconds"] = round(building, 1)
        figures["data_mb"] = round(data_bytes(folder) / _MEGA, 1)
        written = process.io_counters().write_chars - written
        figures["written_over_data"] = round(written / data_bytes(folder), 3)
        del writer, vectors, texts

        with measured(figures, "open_seconds"):
            index = CorpusIndex.load(folder)
        queries = unit_vectors(generator, 256, dimension, source)
        figures["search_one"] = quantiles(times_of(index, queries, 1, searches))
        figures["search_32"] = quantiles(times_of(index, queries, 32, max(1, searches // 10)))
        figures["reader_memory_mb"] = round(memory_of_a_reader(folder) / _MEGA, 1)

        exact = ten_best(index, queries)
        del index
        figures["approximate"] = {}
        for kind in approximate or ():
            found = approximately(folder, cast(Approximation, kind), queries, exact, searches)
            figures["approximate"][kind] = found
            print(f"{kind}: {json.dumps(found)}", flush=True)

        some = [f"d{number}" for number in range(0, documents, max(1, documents // 1000))][:1000]
        vectors = unit_vectors(generator, len(some), dimension, source)
        texts = random_texts(generator, len(some))
        written = process.io_counters().write_chars
        changed = StoreWriter.open(folder)
        with measured(figures, "update_1000_seconds"):
            changed.put(some, texts, vectors)
            changed.commit()
        figures["update_1000_written_mb"] = round((process.io_counters().write_chars - written) / _MEGA, 1)
        assert len(CorpusIndex.load(folder).vectors) == documents
    report = {**figures, "environment": describe_environment()}
    print(json.dumps(report, indent=2))
    write_text(output / "index.json", json.dumps(report, indent=2) + "\n")
    print(f"in {output / 'index.json'}")


if __name__ == "__main__":
    run(main)
