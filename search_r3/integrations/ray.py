"""Ray Data: documents of a corpus beyond one machine, embedded by a pool of workers.

Needs ``pip install 'search-r3[ray]'``. The engine is Ray's: it reads, batches, spreads over the cluster,
starts a dead worker again, and commits every written file together with the ids in it, so that a run that was
stopped goes on with what is missing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.extras import needs_extra
from search_r3.files import write_text
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.text import TITLE_FIELD, join_title

with needs_extra("ray"):
    import pyarrow as pa
    import ray.data
    from ray.data.checkpoint import CheckpointConfig

# In the output folder: the ids that are written, in files of Ray's.
DONE_FOLDER = "done"


def embed_parquet(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    model: str = "default",
    id_column: str = "id",
    text_column: str = "text",
    workers: int | None = None,
    cpus_per_worker: float | None = None,
    gpus_per_worker: float = 0,
    blocks: int | None = None,
    batch_size: int = 256,
    forward_batch_size: int = 32,
) -> None:
    """Embed the documents of Parquet files into Parquet files; a second run adds what is not there yet.

    The texts are those of ``search-r3 index``: where there is a column ``title``,
    :func:`search_r3.text.join_title` puts it before the text.

    Ids decide what is there: a text that was changed under its old id is not embedded again. Give it another
    id, or start in a new folder.

    Args:
        source: A folder or files that all machines share.
        output: A folder that all machines share. ``vectors`` in it gets the files, with the columns
            ``id_column``, ``embedding`` (unit vectors, lists of D float32) and ``fingerprint`` (of the
            model); ``done`` gets the ids that are in them.
        model: ``default``, a folder that all machines share, or a Hub id.
        id_column: Column of the documents' ids, each of them once.
        text_column: Column of their texts.
        workers: Processes that each hold a model; None means as many as the cluster has CPUs and GPUs for,
            while one CPU is left for reading and writing, and one more for Ray's filter of what is there
            already when a run is continued.
        cpus_per_worker: CPUs, and threads, of a worker. With 0 a worker has one thread, and Ray counts no CPU
            for it. None means 1, or 0 in a cluster too small for that.
        gpus_per_worker: GPUs of a worker.
        blocks: Pieces that the documents are read in, a multiple of ``workers``; a piece that fails is done
            again. None lets Ray choose.
        batch_size: Documents that a worker is given at a time.
        forward_batch_size: Documents of a forward pass.

    Raises:
        InvalidOptionError: ``output`` holds the vectors of another model, a column is missing or there twice,
            or the cluster has fewer CPUs or GPUs than asked for. Without this check Ray would wait for ever.
        ray.exceptions.RayTaskError: A text or title cannot be embedded; the message has its id.
    """
    paths = [source] if isinstance(source, str | os.PathLike) else source
    # Ray takes no relative paths.
    dataset = ray.data.read_parquet([str(Path(path).resolve()) for path in paths], override_num_blocks=blocks)
    columns = dataset.schema().names
    if missing := {id_column, text_column} - set(columns):
        raise InvalidOptionError(
            f"Got files with the columns {', '.join(columns)}, wanted {', '.join(sorted(missing))} too."
        )
    if repeated := sorted(name for name in {id_column, text_column, TITLE_FIELD} if columns.count(name) > 1):
        raise InvalidOptionError(
            f"Got files with the columns {', '.join(columns)}, wanted each of {', '.join(repeated)} once. "
            "Rename or remove columns until one has the name."
        )
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    output = Path(output).resolve()
    own_cpus = _cpus_of_ray(output)
    if cpus_per_worker is None:
        cpus_per_worker = 1 if resources.get("CPU", 0) >= own_cpus + 1 else 0
    workers = _workers(resources, workers, cpus_per_worker, gpus_per_worker, own_cpus)
    title_column = TITLE_FIELD if TITLE_FIELD in columns and text_column != TITLE_FIELD else None
    identity = fingerprint(load_model(model, device="cpu"))
    embedded = text_column if title_column is None else f"{title_column} and {text_column}"
    _claim(output, f"{identity} of {embedded} by {id_column}")
    # Of this dataset alone: it is read here and goes no further.
    dataset.context.checkpoint_config = CheckpointConfig(
        id_column, str(output / DONE_FOLDER), delete_checkpoint_on_success=False
    )
    dataset.map_batches(
        Embedder,
        fn_constructor_args=(model, identity, id_column, text_column),
        fn_constructor_kwargs={
            "title_column": title_column,
            "batch_size": forward_batch_size,
            "threads": max(1, round(cpus_per_worker)),
        },
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cpus_per_worker,
        num_gpus=gpus_per_worker,
    ).write_parquet(str(output / "vectors"))


class Embedder:
    """One worker: a model, and the function that Ray maps over batches of documents.

    Args:
        model: As for :func:`embed_parquet`.
        identity: Fingerprint that the model must have.
        id_column: Column of ids.
        text_column: Column of texts.
        title_column: Column of titles; None if there is none.
        batch_size: Documents of a forward pass.
        threads: Threads of the process.

    Raises:
        InvalidOptionError: The model is another one on this machine.
    """

    def __init__(
        self,
        model: str,
        identity: str,
        id_column: str,
        text_column: str,
        *,
        title_column: str | None = None,
        batch_size: int,
        threads: int,
    ) -> None:
        torch.set_num_threads(threads)
        self._model = load_model(model)
        self._identity = identity
        self._id_column, self._text_column, self._batch_size = id_column, text_column, batch_size
        self._title_column = title_column
        if (found := fingerprint(self._model)) != identity:
            raise InvalidOptionError(
                f"{model} is another model on this machine ({found[:12]}) than where the run was started "
                f"({identity[:12]}). Put the same model everywhere, or name a folder that all machines share."
            )

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Embed the documents of a batch.

        Raises:
            InvalidInputError: A text or title cannot be embedded; the message has its id.
        """
        ids, bodies = batch[self._id_column], batch[self._text_column].to_pylist()
        titles = [None] * len(bodies) if self._title_column is None else batch[self._title_column].to_pylist()
        texts = []
        for doc_id, title, body in zip(ids.to_pylist(), titles, bodies, strict=True):
            if not isinstance(body, str):
                raise InvalidInputError(
                    f"got {body!r} as the text of document {doc_id!r}, wanted a string.", body
                )
            if not isinstance(title, str | None):
                raise InvalidInputError(
                    f"got {title!r} as the title of document {doc_id!r}, wanted a string or null.", title
                )
            texts.append(join_title(title, body))
        vectors = self._model.encode_document(
            texts, batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        flat = pa.array(vectors.reshape(-1), type=pa.float32())
        columns: dict[str, Any] = {
            self._id_column: ids,
            "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            "fingerprint": [self._identity] * len(texts),
        }
        return pa.table(columns)


def _cpus_of_ray(output: Path) -> int:
    """CPUs that Ray needs beside the workers: one to read and write, one to filter what is there."""
    done = output / DONE_FOLDER
    return 2 if done.is_dir() and any(done.iterdir()) else 1


def _workers(
    resources: Mapping[str, float],
    asked: int | None,
    cpus_per_worker: float,
    gpus_per_worker: float,
    own_cpus: int,
) -> int:
    """Number of workers for which a cluster has room beside the CPUs that Ray itself needs.

    Raises:
        InvalidOptionError: It has none for as many as asked for, or not even for one.
    """
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    fitting = [
        math.floor(number / each)
        for number, each in ((cpus - own_cpus, cpus_per_worker), (gpus, gpus_per_worker))
        if each > 0
    ]
    most = max(0, min(fitting, default=1))
    wanted = max(1, most) if asked is None else asked
    if wanted < 1:
        raise InvalidOptionError(f"Got workers={asked}, wanted 1 or more.")
    if cpus < own_cpus:
        raise InvalidOptionError(
            f"Got a cluster of {cpus:g} CPUs, wanted {own_cpus} or more: a run that is continued needs one "
            "CPU for reading and writing, and one for passing over what is there. Start Ray with 2 CPUs "
            "(ray.init(num_cpus=2)), or begin in a new folder."
        )
    if wanted > most and fitting:
        raise InvalidOptionError(
            f"Got a cluster of {cpus:g} CPUs and {gpus:g} GPUs for {wanted} workers with {cpus_per_worker:g} "
            f"CPUs and {gpus_per_worker:g} GPUs each, wanted as much, and {own_cpus} CPUs more for reading, "
            f"writing and passing over what is there: Ray would wait for ever. There is room for {most} such "
            "workers. Ask for fewer workers or for less per worker, or add machines before."
        )
    return wanted


def _claim(output: Path, identity: str) -> None:
    """Write down what a folder holds (whose vectors, of which columns), or check it."""
    path = output / "fingerprint.txt"
    if not path.exists():
        write_text(path, f"{identity}\n")
    if (found := path.read_text(encoding="utf-8").strip()) != identity:
        raise InvalidOptionError(
            f"{output} holds the vectors of another model or of other columns: got {found}, wanted "
            f"{identity}. Choose another folder."
        )
