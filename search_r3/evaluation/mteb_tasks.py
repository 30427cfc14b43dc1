"""The project's tasks as mteb tasks: ``WikiTrivia`` is the full one, ``WikiTriviaMini`` the mini."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from search_r3.data.beir import read_beir
from search_r3.data.catalogue import SIZES, TASKS, Size, expected_hash, load_task
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidOptionError
from search_r3.extras import needs_extra

with needs_extra("eval"):
    import mteb
    from datasets import Dataset
    from mteb.abstasks import AbsTask, AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import QueryDatasetType

_NLM_TERMS = "https://www.nlm.nih.gov/databases/download/terms_and_conditions.html"
_PUBMED = "https://pubmed.ncbi.nlm.nih.gov/download/"


@dataclass(frozen=True)
class _Provenance:
    """What mteb asks of a task beyond its card.

    Attributes:
        reference: Where the texts come from.
        licence: In mteb's terms, or the address of the terms; the card has it in words.
        dates: First and last day on which the texts were published.
        subtype: In mteb's terms.
        annotators: Who made the judgements, in mteb's terms.
        citation: BibTeX of the source's article; empty if it has none.
    """

    reference: str
    licence: str
    dates: tuple[str, str]
    subtype: str
    annotators: Literal["expert-annotated", "derived", "algorithmic"]
    citation: str = ""


_PROVENANCE = {
    "WikiTrivia": _Provenance(
        reference="https://pypi.org/project/Red-DiscordBot/3.5.24/",
        licence="multiple",
        dates=("2026-03-06", "2026-08-18"),
        subtype="Question answering",
        annotators="algorithmic",
    ),
    "HPOLay": _Provenance(
        reference="https://hpo.jax.org",
        licence="https://human-phenotype-ontology.github.io/license.html",
        dates=("2025-01-16", "2025-01-16"),
        subtype="Article retrieval",
        annotators="expert-annotated",
        citation="""@article{gargano2024hpo,
  author = {Gargano, Michael A. and others},
  doi = {10.1093/nar/gkad1005},
  journal = {Nucleic Acids Research},
  number = {D1},
  pages = {D1333--D1346},
  title = {The Human Phenotype Ontology in 2024: phenotypes around the world},
  volume = {52},
  year = {2024},
}""",
    ),
    "PubMedMeSH": _Provenance(
        reference=_PUBMED,
        licence=_NLM_TERMS,
        dates=("1977-01-01", "1979-12-31"),
        subtype="Article retrieval",
        annotators="expert-annotated",
    ),
    "PubMedObjective": _Provenance(
        reference=_PUBMED,
        licence=_NLM_TERMS,
        dates=("2021-01-01", "2021-12-31"),
        subtype="Article retrieval",
        annotators="derived",
    ),
    "PubMedClaim": _Provenance(
        reference=_PUBMED,
        licence=_NLM_TERMS,
        dates=("2021-01-01", "2021-12-31"),
        subtype="Claim verification",
        annotators="derived",
    ),
    "CodeDoc": _Provenance(
        reference="https://pypi.org",
        licence="multiple",
        dates=("2025-03-05", "2026-11-06"),
        subtype="Code retrieval",
        annotators="derived",
    ),
}

OWN_TASKS: dict[str, tuple[str, Size]] = {
    name + ("Mini" if size == "mini" else ""): (name, size) for name in TASKS for size in SIZES
}
"""Name and size of every task of this project, by its name in mteb."""


class LocalTask(AbsTaskRetrieval):
    """A task whose data is on this machine."""

    @abstractmethod
    def read(self) -> RetrievalTask:
        """Read the data.

        Raises:
            DataError: If it is missing or damaged.
        """

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Read the data; the arguments of mteb's loader are not needed.

        Raises:
            DataError: As :meth:`read`.
        """
        if self.data_loaded:
            return
        task = self.read()
        corpus = {"id": list(task.corpus), "text": list(task.corpus.values())}
        queries = {"id": list(task.queries), "text": list(task.queries.values())}
        data = RetrievalSplitData(
            corpus=Dataset.from_dict(corpus),
            queries=Dataset.from_dict(queries),
            relevant_docs=task.qrels,
            top_ranked=None,
        )
        self.dataset = {"default": {"test": data}}
        self.data_loaded = True


class CatalogueTask(LocalTask):
    """A task of the catalogue, read from the built data and held against its pinned hash.

    Attributes:
        card_name: Name of the task in the catalogue.
        size: Its size.
    """

    card_name: str
    size: Size

    def read(self) -> RetrievalTask:
        """Read the built data.

        Raises:
            DataError: If the data is not built, or is not the pinned data.
        """
        return load_task(self.card_name, self.size)


class FolderTask(LocalTask):
    """Anybody's task in BEIR's folder format, evaluated by BEIR's rules under mteb too.

    The document with the id of a query is left out of the query's results.

    Attributes:
        folder: Holds ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/test.tsv``.
    """

    folder: Path
    ignore_identical_ids = True

    def read(self) -> RetrievalTask:
        """Read the folder.

        Raises:
            DataError: If a file is missing or damaged.
        """
        return read_beir(self.folder)


def retrieval_task(name: str) -> CatalogueTask:
    """Return a task of this project by its name in mteb.

    Raises:
        InvalidOptionError: If there is no such task.
    """
    if name not in OWN_TASKS:
        raise InvalidOptionError(f"Got the task {name!r}, wanted one of {', '.join(OWN_TASKS)}.")
    card_name, size = OWN_TASKS[name]
    return _task_class(card_name, size, expected_hash(card_name, size))()


def folder_task(folder: Path) -> FolderTask:
    """Return the task that a folder in BEIR's format holds, named after the folder.

    Raises:
        DataError: If the folder does not hold one.
    """
    fields = {
        "name": folder.resolve().name,
        "description": "A task of a local folder.",
        "reference": None,
        "dataset": {"path": str(folder.resolve()), "revision": read_beir(folder).data_hash()},
        "type": "Retrieval",
        "category": "t2t",
        "modalities": ["text"],
        "eval_splits": ["test"],
        "eval_langs": ["eng-Latn"],  # not known; mteb wants one, and looks at it only to filter
        "main_score": "ndcg_at_10",
    }
    attributes = {
        "__doc__": "A task of a local folder.",
        "__module__": __name__,
        "folder": folder,
        "metadata": TaskMetadata.model_validate(fields),
    }
    return cast(FolderTask, type(folder.resolve().name, (FolderTask,), attributes)())


def find_task(name: str) -> AbsTask:
    """Return a task of this project, of a folder in BEIR's format or, under any other name, of mteb.

    Raises:
        DataError: If the folder does not hold a task.
        InvalidOptionError: If there is no such task.
    """
    if name in OWN_TASKS:
        return retrieval_task(name)
    if Path(name).is_dir():
        return folder_task(Path(name))
    try:
        return mteb.get_task(name)
    except KeyError as error:
        raise InvalidOptionError(
            f"Got the task {name!r}, wanted one of {', '.join(OWN_TASKS)}, a folder, or one of mteb. "
            f"{error.args[0]}"
        ) from None


def query_texts(queries: QueryDatasetType) -> dict[str, str]:
    """Return the texts that mteb embeds for the queries of a task, by query id.

    A query's own instruction, which tasks of instruction retrieval have, follows it after a space.
    """
    texts: dict[str, str] = dict(zip(queries["id"], queries["text"], strict=True))
    if "instruction" not in queries.column_names:
        return texts
    instructions = zip(texts.items(), queries["instruction"], strict=True)
    return {key: text if own is None else f"{text} {own}" for (key, text), own in instructions}


@contextmanager
def needing_hub(task: AbsTask) -> Iterator[None]:
    """Turn what happens without network, deep in the libraries, into an error that says what is missing.

    Raises:
        DataError: If the data of an official task cannot be had.
    """
    try:
        yield
    except (ConnectionError, FileNotFoundError) as error:
        if isinstance(task, LocalTask):
            raise
        raise DataError(
            f"The task {task.metadata.name} needs the Hugging Face Hub ({task.metadata.dataset['path']}), or "
            f"its cache on this machine: {error}"
        ) from error


# The metadata must be an attribute of a class: mteb drops an instance's own when it unloads the data.
@cache
def _task_class(card_name: str, size: Size, data_hash: str) -> type[CatalogueTask]:
    name = card_name + ("Mini" if size == "mini" else "")
    attributes = {
        "__doc__": TASKS[card_name].description,
        "__module__": __name__,
        "card_name": card_name,
        "size": size,
        "metadata": _metadata(name, card_name, data_hash),
    }
    return type(name, (CatalogueTask,), attributes)


def _metadata(name: str, card_name: str, data_hash: str) -> TaskMetadata:
    card, provenance = TASKS[card_name], _PROVENANCE[card_name]
    fields = {
        "name": name,
        "description": f"{card.description} Source: {card.source}. Licence: {card.licence}. "
        f"Judgements: {card.judgements} Like {card.like}.",
        "reference": provenance.reference,
        "dataset": {"path": f"search-r3/{card.name}", "revision": data_hash},
        "type": "Retrieval",
        "category": "t2t",
        "modalities": ["text"],
        "eval_splits": ["test"],
        "eval_langs": ["eng-Latn"],
        "main_score": "ndcg_at_10",
        "prompt": {"query": card.instruction},
        "date": provenance.dates,
        "domains": list(card.domains),
        "task_subtypes": [provenance.subtype],
        "license": provenance.licence,
        "annotations_creators": provenance.annotators,
        "dialect": [],
        "sample_creation": "found",
        "bibtex_citation": provenance.citation,
    }
    return TaskMetadata.model_validate(fields)
