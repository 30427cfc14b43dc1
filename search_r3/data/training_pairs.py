"""Training pairs from the sources that the evaluation tasks also draw on, without what is held out."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, training_pairs
from search_r3.data.sources.hierarchy import Hierarchy
from search_r3.data.sources.obo import Term
from search_r3.data.sources.python_functions import PythonFunction
from search_r3.data.sources.trivia import Question, match_answers, normalise_title
from search_r3.data.task_builders import lay_wordings

_FUNCTIONS_PER_PACKAGE = 3000


def code_pairs(functions: Iterable[PythonFunction]) -> list[TrainingPair]:
    """Docstring summary to source with the function's name replaced, as in CodeDoc.

    At most 3,000 functions of a package, so that none dominates. Negatives are other functions of the same
    file; a function of the same name is none, since it may be the same one for another class.
    """
    by_package: dict[str, list[PythonFunction]] = defaultdict(list)
    for function in functions:
        by_package[function.package].append(function)
    chosen = {
        function.function_id: function
        for members in by_package.values()
        for function in sorted(members, key=lambda function: _digest(function.function_id))[
            :_FUNCTIONS_PER_PACKAGE
        ]
    }
    texts = {key: function.anonymous_source for key, function in chosen.items()}
    by_file: dict[tuple[str, str], list[PythonFunction]] = defaultdict(list)
    for function in chosen.values():
        by_file[function.package, function.module].append(function)

    def neighbours(entry: Entry) -> Mapping[str, str]:
        function = chosen[entry.entry_id]
        return {
            other.function_id: texts[other.function_id]
            for other in by_file[function.package, function.module]
            if other.name != function.name
        }

    entries = [Entry(key, key, function.summary, texts[key]) for key, function in chosen.items()]
    return training_pairs("code", entries, neighbours)


def trivia_pairs(questions: Iterable[Question], titles: Iterable[str]) -> list[TrainingPair]:
    """A trivia question to its answer, where WikiTrivia has no article: no title is the answer.

    Answers without three letters (numbers, yes and no) are left out, and so are questions whose answer is the
    answer of a question of WikiTrivia in another wording.
    """
    asked = list(questions)
    evaluated = match_answers(asked, list(titles))
    names = {
        normalise_title(answer)
        for question in asked
        if question.question_id in evaluated
        for answer in question.answers
    }
    entries = [
        Entry(question.question_id, question.question_id, question.text, question.answers[0])
        for question in asked
        if question.question_id not in evaluated
        and question.answers
        and sum(map(str.isalpha, question.answers[0])) >= 3
        and question.answers[0].casefold() not in ("yes", "true", "false")
        and names.isdisjoint(map(normalise_title, question.answers))
    ]
    return training_pairs("trivia", entries)


def trainable_terms(terms: Iterable[Term]) -> list[Term]:
    """The phenotypes that are not the answer to a query of HPOLay."""
    return [term for term in terms if not (term.definition and lay_wordings(term))]


def phenotype_pairs(terms: Iterable[Term]) -> list[TrainingPair]:
    """Another wording of a phenotype to its name; the definitions are evaluation documents and stay out.

    Negatives are names of siblings in the ontology.
    """
    all_terms = {term.term_id: term for term in terms}
    chosen = {term.term_id: term for term in trainable_terms(all_terms.values())}
    hierarchy = Hierarchy({term_id: term.parents for term_id, term in all_terms.items()})

    def entries() -> Iterator[Entry]:
        for term in chosen.values():
            for index, synonym in enumerate(term.synonyms):
                if synonym.scope == "EXACT":
                    yield Entry(f"{term.term_id}/{index}", term.term_id, synonym.text, term.name)

    def neighbours(entry: Entry) -> Mapping[str, str]:
        return {near: chosen[near].name for near in hierarchy.siblings(entry.item_id) if near in chosen}

    return training_pairs("phenotypes", entries(), neighbours)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
