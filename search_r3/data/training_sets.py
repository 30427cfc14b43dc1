"""The training sets by name: what they are made of, and under which licence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search_r3.data.answer_sets import ANSWER_SETS
from search_r3.data.bridge_sets import BRIDGE_SETS
from search_r3.data.graded import graded_phenotypes, graded_topics
from search_r3.data.manual_sets import MANUAL_SETS
from search_r3.data.name_sets import NAME_SETS
from search_r3.data.option_sets import OPTION_SETS
from search_r3.data.pairs import TrainingPair
from search_r3.data.parsed import Sources
from search_r3.data.pins import pinned_packages
from search_r3.data.pubmed_pairs import sentence_pairs, title_pairs, topic_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources import (
    debian_packages,
    dictd,
    gene_ontology,
    icd10cm,
    lintian_tags,
    manual_pages,
    wordnet,
)
from search_r3.data.training_pairs import code_pairs, phenotype_pairs, trivia_pairs
from search_r3.data.training_set import TrainingSet
from search_r3.packages import debian_descriptions


@dataclass(frozen=True)
class GradedSet:
    """How to make one set with graded answers, for rewards.

    Attributes:
        description: From what to what, with the grades.
        licence: Licence of the texts.
        make: Makes the set.
    """

    description: str
    licence: str
    make: Callable[[Sources], RetrievalTask]


def _code(sources: Sources) -> list[TrainingPair]:
    names = [package.name for package in pinned_packages().values() if package.use == "training code"]
    return code_pairs(function for name in names for function in sources.functions(name))


def _manual_pages(sources: Sources) -> list[TrainingPair]:
    pages = [
        page
        for package in ("manpages", "manpages-dev")
        for page in manual_pages.read_manual_pages(sources.file(package, "usr/share/man"))
    ]
    return manual_pages.manual_pages_pairs(pages)


TRAINING_SETS: dict[str, TrainingSet] = {
    "code": TrainingSet(
        "docstring summary -> source with the function's name replaced",
        "MIT, BSD or Apache-2.0, as of each package",
        _code,
    ),
    "wordnet": TrainingSet(
        "gloss -> words of the synset",
        "WordNet 3.0 licence",
        lambda sources: wordnet.wordnet_pairs(
            wordnet.read_wordnet(sources.file("wordnet-base", "usr/share/wordnet"))
        ),
    ),
    "foldoc": TrainingSet(
        "definition -> term of computing",
        "GFDL-1.2",
        lambda sources: dictd.foldoc_pairs(dictd.read_dictd(sources.file("dict-foldoc", "foldoc.index"))),
        mined=True,
    ),
    "gcide": TrainingSet(
        "definition -> English word",
        "GPL-3.0",
        lambda sources: dictd.gcide_pairs(dictd.read_dictd(sources.file("dict-gcide", "gcide.index"))),
        mined=True,
    ),
    "gene_ontology": TrainingSet(
        "definition -> term of biology",
        "CC BY 4.0",
        lambda sources: gene_ontology.gene_ontology_pairs(
            gene_ontology.read_gene_ontology(sources.file("r-bioc-go.db", "GO.sqlite"))
        ),
    ),
    "icd10cm": TrainingSet(
        "wording of a diagnosis -> description of its code",
        "US public domain",
        lambda sources: icd10cm.icd10cm_pairs(
            icd10cm.read_icd10cm(sources.file("simple-icd-10-cm", "icd10c-tabular-*.xml"))
        ),
    ),
    "phenotypes": TrainingSet(
        "another wording of a phenotype -> its name (no definitions, no answers of HPOLay)",
        "HPO licence: cite, do not alter",
        lambda sources: phenotype_pairs(sources.phenotypes),
    ),
    "pubmed_titles": TrainingSet(
        "title -> abstract (1977 to 1979, even PMIDs)",
        "NLM citation data; abstracts may be under publishers' copyright",
        lambda sources: title_pairs(sources.pubmed_1977),
    ),
    "pubmed_sentences": TrainingSet(
        "sentence of aim -> last sentence, last sentence -> those before it (1977 to 1979, even PMIDs)",
        "NLM citation data; abstracts may be under publishers' copyright",
        lambda sources: sentence_pairs(sources.pubmed_1977),
    ),
    "pubmed_topics": TrainingSet(
        "two index terms -> abstract with both (1977 to 1979, even PMIDs)",
        "NLM citation data; abstracts may be under publishers' copyright",
        lambda sources: topic_pairs(sources.pubmed_1977),
    ),
    "trivia": TrainingSet(
        "question -> answer (none of WikiTrivia's)",
        "GPL-3.0",
        lambda sources: trivia_pairs(sources.questions, sources.encyclopedia),
    ),
    "debian_packages": TrainingSet(
        "synopsis -> long description",
        "free licences, per package (descriptions: Debian)",
        lambda sources: debian_packages.debian_packages_pairs(
            debian_packages.read_debian_packages(debian_descriptions(sources.packages))
        ),
        mined=True,
        unpinned=lambda sources: debian_descriptions(sources.packages),
    ),
    "lintian": TrainingSet(
        "name of a lint rule -> its explanation",
        "GPL-2.0-or-later",
        lambda sources: lintian_tags.lintian_pairs(
            lintian_tags.read_lintian_tags(sources.file("lintian", "usr/share/lintian/tags"))
        ),
    ),
    "manual_pages": TrainingSet(
        "one-line summary -> description of a manual page",
        "GPL-2.0 and other free licences, per page",
        _manual_pages,
    ),
    **ANSWER_SETS,
    **NAME_SETS,
    **MANUAL_SETS,
    **OPTION_SETS,
    **BRIDGE_SETS,
}
"""Pairs for supervised training."""

GRADED_SETS: dict[str, GradedSet] = {
    "topics": GradedSet(
        "two index terms -> abstracts (1977 to 1979, even PMIDs): 2 with both, 1 with one of them",
        "NLM citation data; abstracts may be under publishers' copyright",
        lambda sources: graded_topics(sources.pubmed_1977),
    ),
    "phenotypes": GradedSet(
        "a wording -> phenotypes: 3 the term, 2 its parents and children, 1 its siblings",
        "HPO licence: cite, do not alter",
        lambda sources: graded_phenotypes(sources.phenotypes),
    ),
}
"""Sets with graded answers for reinforcement learning."""
