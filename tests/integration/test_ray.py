"""Ray on a local cluster of two workers: the vectors of one process, whatever is killed on the way."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from search_r3.errors import InvalidOptionError  # noqa: E402
from search_r3.integrations.ray import Embedder, _claim, _cpus_of_ray, _workers, embed_parquet  # noqa: E402

WORDS = ["sea", "sun", "tea", "fish", "lamp", "road", "ship", "wall", "bird", "rain", "salt", "wood", "iron"]
TEXTS = [" ".join(np.random.default_rng(n).choice(WORDS, 3 + n % 9)) for n in range(240)]


@pytest.fixture(scope="module")
def cluster():
    """A cluster on this machine: two CPUs for the workers, two for Ray's own reading and writing."""
    ray.shutdown()  # what another test may have started
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200 * 1024**2)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_no_progress_timeout_s = 240  # seconds; a run that waits for a CPU fails
    yield
    ray.shutdown()


@pytest.fixture
def corpus(tmp_path):
    """240 documents in twelve files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(12):
        part = range(20 * number, 20 * number + 20)
        table = pa.table({"id": [f"d{n}" for n in part], "text": [TEXTS[n] for n in part]})
        pq.write_table(table, folder / f"{number:02}.parquet")
    return folder


def vectors(output):
    """Ids and vectors of all files, in the order of the corpus."""
    table = pa.concat_tables(pq.read_table(path) for path in sorted((output / "vectors").glob("*.parquet")))
    ids = table["id"].to_pylist()
    assert len(ids) == len(set(ids))
    order = np.argsort([int(one[1:]) for one in ids])
    return [ids[index] for index in order], np.array(table["embedding"].to_pylist(), np.float32)[order]


def kill_one_worker(seen):
    """SIGKILL the first worker of this cluster that has loaded its model, as soon as it embeds."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                title = " ".join(process.cmdline())
                if title.startswith("ray::") and "Embedder" in title and "__init__" not in title:
                    os.kill(process.pid, signal.SIGKILL)
                    seen.append(title)
                    return
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_worker_loses_and_doubles_nothing(cluster, corpus, tmp_path, tiny, tiny_folder):
    """One of two workers is killed while it embeds; the vectors are those of one process."""
    killed = []
    killer = threading.Thread(target=kill_one_worker, args=(killed,))
    killer.start()
    embed_parquet(corpus, tmp_path / "out", model=str(tiny_folder), blocks=12, batch_size=4)
    killer.join()
    assert len(killed) == 1
    ids, found = vectors(tmp_path / "out")
    assert ids == [f"d{n}" for n in range(240)]
    np.testing.assert_allclose(found, tiny.encode_document(TEXTS), atol=1e-5)


@pytest.mark.slow
def test_a_title_goes_before_its_text(cluster, tmp_path, tiny, tiny_folder):
    """As in an index; a folder of texts alone is not continued with titles."""
    table = pa.table({"id": ["d0", "d1"], "title": ["T", None], "text": ["x\n", " y"]})
    pq.write_table(table, tmp_path / "titled.parquet")
    embed_parquet(tmp_path / "titled.parquet", tmp_path / "out", model=str(tiny_folder), workers=1)
    ids, found = vectors(tmp_path / "out")
    assert ids == ["d0", "d1"]
    np.testing.assert_allclose(found, tiny.encode_document(["T x", "y"]), atol=1e-5)
    pq.write_table(table.drop_columns("title"), tmp_path / "untitled.parquet")
    with pytest.raises(InvalidOptionError, match=r"got .* of title and text by id, wanted .* of text by id"):
        embed_parquet(tmp_path / "untitled.parquet", tmp_path / "out", model=str(tiny_folder))


@pytest.mark.slow
def test_a_second_run_adds_what_is_missing(cluster, corpus, tmp_path, tiny, tiny_folder, monkeypatch):
    """What is written already is not embedded again; another model's folder is refused."""
    monkeypatch.chdir(tmp_path)  # relative paths will do
    some = sorted(Path("corpus").glob("*.parquet"))[:5]
    embed_parquet(some, Path("out"), model=str(tiny_folder))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "vectors").glob("*.parquet")}
    assert vectors(tmp_path / "out")[0] == [f"d{n}" for n in range(100)]
    for _ in range(2):
        embed_parquet(corpus, tmp_path / "out", model=str(tiny_folder))
        ids, found = vectors(tmp_path / "out")
        assert ids == [f"d{n}" for n in range(240)]
        np.testing.assert_allclose(found, tiny.encode_document(TEXTS), atol=1e-5)
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    with pytest.raises(InvalidOptionError, match="wanted body too"):
        embed_parquet(corpus, tmp_path / "o", model=str(tiny_folder), text_column="body")
    ray.data.read_parquet(str(corpus)).write_parquet(str(tmp_path / "copy"))
    # No other write leaves out what is done.
    assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "copy").glob("*.parquet")) == 240
    (tmp_path / "out" / "fingerprint.txt").write_text("0" * 64)
    with pytest.raises(InvalidOptionError, match="another model"):
        embed_parquet(corpus, tmp_path / "out", model=str(tiny_folder))


@pytest.mark.parametrize(
    ("cpus", "gpus", "asked", "each", "gpus_each", "own", "wanted"),
    [
        (4, 0, None, 1, 0, 1, 3),
        (4, 0, 3, 1, 0, 1, 3),
        (2, 0, None, 1, 0, 1, 1),
        (2, 0, None, 0.5, 0, 1, 2),
        (1, 0, None, 0, 0, 1, 1),  # workers that are said to need no CPU leave all of them
        (16, 4, None, 1, 1, 1, 4),
        (16, 4, None, 1, 0.5, 1, 8),
        (3, 4, None, 1, 1, 1, 2),
        (4, 0, None, 1, 0, 2, 2),
        (2, 0, None, 0, 0, 2, 1),
    ],
)
def test_workers_leave_what_ray_needs(cpus, gpus, asked, each, gpus_each, own, wanted):
    """By hand: CPUs less Ray's own, over those of a worker, or GPUs over those of a worker."""
    assert _workers({"CPU": cpus, "GPU": gpus}, asked, each, gpus_each, own) == wanted


def test_a_run_that_goes_on_needs_a_cpu_for_the_filter(tmp_path):
    """One CPU for a new folder, or one whose run stopped before its first file; then two."""
    assert _cpus_of_ray(tmp_path) == 1
    (tmp_path / "done").mkdir()
    assert _cpus_of_ray(tmp_path) == 1
    (tmp_path / "done" / "ids.parquet").write_bytes(b"")
    assert _cpus_of_ray(tmp_path) == 2


@pytest.mark.parametrize(
    ("resources", "options", "message"),
    [
        ({"CPU": 2.0}, (2, 1, 0, 1), "2 CPUs and 0 GPUs for 2 workers with 1 CPUs and 0 GPUs.*room for 1 "),
        ({"CPU": 1.0}, (1, 1, 0, 1), "1 CPUs.*for 1 workers.*room for 0 "),
        ({"CPU": 1.0}, (None, 1, 0, 1), "1 CPUs.*for 1 workers.*room for 0 "),
        ({"CPU": 8.0}, (None, 1, 1, 1), "8 CPUs and 0 GPUs for 1 workers.*room for 0 "),
        ({"CPU": 8.0}, (0, 1, 0, 1), "workers=0, wanted 1 or more"),
        ({"CPU": 4.0}, (3, 1, 0, 2), "4 CPUs.*for 3 workers.* and 2 CPUs more.*room for 2 "),
        ({"CPU": 1.0}, (None, 0, 0, 2), r"cluster of 1 CPUs, wanted 2 or more.*num_cpus=2"),
    ],
)
def test_what_a_cluster_cannot_run_is_refused_with_numbers(resources, options, message):
    """Ray itself would wait without a word."""
    with pytest.raises(InvalidOptionError, match=message):
        _workers(resources, *options)


@pytest.mark.slow
def test_two_cpus_are_enough_for_the_defaults(corpus, tmp_path, tiny_folder):
    """On a cluster of two CPUs the defaults finish and go on, and two workers are refused at once."""
    program = (
        "import ray, sys; from pathlib import Path; from search_r3.integrations.ray import embed_parquet\n"
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)\n"
        "source, output, model = map(Path, sys.argv[1:])\n"
        "try:\n"
        "    embed_parquet(source, output, model=str(model), workers=2)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "for files in (sorted(source.glob('*.parquet'))[:2], source):\n"
        "    embed_parquet(files, output, model=str(model))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(corpus), str(tmp_path / "out"), str(tiny_folder)],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    assert "Got a cluster of 2 CPUs" in run.stdout
    assert vectors(tmp_path / "out")[0] == [f"d{n}" for n in range(240)]


def test_a_folder_belongs_to_a_model_and_its_columns(tmp_path):
    """Ids decide what is there, so that the same ids of other texts would be passed over in silence."""
    for _ in range(2):
        _claim(tmp_path, "abc of text by id")
    for other in ("abd of text by id", "abc of body by id", "abc of text by key"):
        with pytest.raises(InvalidOptionError, match=f"got abc of text by id, wanted {other}"):
            _claim(tmp_path, other)


def test_a_worker_embeds_a_batch(tiny, tiny_folder):
    """Without a cluster: columns and vectors of a batch, and the errors of a wrong model and a wrong text."""
    from search_r3 import fingerprint

    worker = Embedder(str(tiny_folder), fingerprint(tiny), "key", "body", batch_size=2, threads=1)
    table = worker(pa.table({"key": [7, 8, 9], "body": TEXTS[:3]}))
    assert table.column_names == ["key", "embedding", "fingerprint"] and table["key"].to_pylist() == [7, 8, 9]
    np.testing.assert_allclose(table["embedding"].to_pylist(), tiny.encode_document(TEXTS[:3]), atol=1e-6)
    titled = pa.table({"key": [7, 8], "title": ["T", None], "body": ["x\n", " y"]})
    options = {"batch_size": 2, "threads": 1, "title_column": "title"}
    with_titles = Embedder(str(tiny_folder), fingerprint(tiny), "key", "body", **options)
    found = with_titles(titled)["embedding"].to_pylist()
    np.testing.assert_allclose(found, tiny.encode_document(["T x", "y"]), atol=1e-6)
    with pytest.raises(ValueError, match="title of document 7"):
        with_titles(pa.table({"key": [7], "title": [1984], "body": ["x"]}))
    with pytest.raises(ValueError, match="document 8"):
        worker(pa.table({"key": [7, 8], "body": ["fine", None]}))
    with pytest.raises(InvalidOptionError, match="another model on this machine"):
        Embedder(str(tiny_folder), "0" * 64, "key", "body", batch_size=2, threads=1)
