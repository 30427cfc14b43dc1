"""The full evaluation tasks, from the pinned packages."""

from __future__ import annotations

from search_r3.data import task_builders
from search_r3.data.catalogue import TASKS
from search_r3.data.parsed import Sources
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import InvalidOptionError


def full_task(name: str, sources: Sources) -> RetrievalTask:
    """Build one task in its full size.

    Raises:
        InvalidOptionError: There is no such task.
        DataError: A package it needs cannot be fetched or read.
    """
    match name:
        case "WikiTrivia":
            return task_builders.wiki_trivia(sources.questions, sources.encyclopedia)
        case "HPOLay":
            return task_builders.hpo_lay(sources.phenotypes)
        case "PubMedMeSH":
            return task_builders.topic_pairs(
                article for article in sources.pubmed_1977 if task_builders.is_held_out(article)
            )
        case "PubMedObjective":
            return task_builders.pubmed_objective(sources.pubmed_2021)
        case "PubMedClaim":
            return task_builders.pubmed_claim(sources.pubmed_2021)
        case "CodeDoc":
            return task_builders.code_doc(sources.held_out_functions)
    raise InvalidOptionError(f"Got the task {name!r}, wanted one of {sorted(TASKS)}.")
