"""Builds the six evaluation tasks from parsed sources. What each task is stands in ``catalogue``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from itertools import combinations

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sentences import split_sentences, states_aim
from search_r3.data.sources.obo import Term
from search_r3.data.sources.pubmed import Article
from search_r3.data.sources.python_functions import PythonFunction
from search_r3.data.sources.trivia import Question, match_answers
from search_r3.text import join_title

HELD_OUT_PACKAGES = ("networkx", "scikit-learn", "rich", "jinja2", "fsspec", "click", "joblib", "packaging")
"""Packages whose functions are for evaluation only."""

_CODE_QUERIES = 500
_MIN_ABSTRACT_CHARS = 200
_POSITIVES_PER_TOPIC_PAIR = range(3, 16)
_MIN_QUERY_WORDS = 8
_MIN_CONCLUSION_WORDS = 12
_MIN_RESULTS_WORDS = 25


def wiki_trivia(questions: list[Question], articles: dict[str, str]) -> RetrievalTask:
    """Questions whose answer is the title of an article, against all articles."""
    doc_ids = {title: f"wiki-{_digest(title)}" for title in articles}
    found = match_answers(questions, list(articles))
    return merged(
        ((question.question_id, question.text) for question in questions if question.question_id in found),
        {doc_ids[title]: f"{title}. {extract}" for title, extract in articles.items()},
        {question_id: [doc_ids[title] for title in sorted(titles)] for question_id, titles in found.items()},
    )


def hpo_lay(terms: list[Term]) -> RetrievalTask:
    """Layperson's wordings of two words and more that share no word stem with the term's name."""
    corpus, queries, relevant = {}, [], {}
    for term in terms:
        if not term.definition:
            continue
        corpus[term.term_id] = f"{term.name}: {term.definition}"
        for query_id, wording in lay_wordings(term):
            queries.append((query_id, wording))
            relevant[query_id] = [term.term_id]
    return merged(queries, corpus, relevant)


def lay_wordings(term: Term) -> list[tuple[str, str]]:
    """The wordings of a term that are evaluation queries, with their query ids."""
    return [
        (f"{term.term_id}/{index}", synonym.text)
        for index, synonym in enumerate(term.synonyms)
        if synonym.is_lay
        and len(synonym.text.split()) >= 2
        and stems(synonym.text).isdisjoint(stems(term.name))
    ]


def is_held_out(article: Article) -> bool:
    """Whether a record of 1977 to 1979 is for evaluation: those with odd PMIDs are, the even ones train."""
    return int(article.pmid) % 2 == 1


def topic_pairs(articles: Iterable[Article]) -> RetrievalTask:
    """Pairs of major topics against the abstracts that are indexed with both (3 to 15 of them).

    The caller chooses the articles; see :func:`is_held_out`.
    """
    corpus: dict[str, str] = {}
    indexed: dict[tuple[str, str], list[str]] = {}
    # A file may hold a record twice, which would count as two abstracts of a pair.
    for article in {article.pmid: article for article in articles}.values():
        if len(article.abstract) < _MIN_ABSTRACT_CHARS:
            continue
        doc_id = f"pmid-{article.pmid}"
        corpus[doc_id] = join_title(article.title, article.abstract)
        for pair in combinations(article.major_topics, 2):
            indexed.setdefault(pair, []).append(doc_id)
    queries, relevant = [], {}
    for (first, second), doc_ids in sorted(indexed.items()):
        if len(doc_ids) in _POSITIVES_PER_TOPIC_PAIR:
            query_id = f"topics-{_digest(f'{first}|{second}')}"
            queries.append((query_id, f"Studies of {first} and {second}"))
            relevant[query_id] = doc_ids
    return merged(queries, corpus, relevant)


def pubmed_objective(articles: Iterable[Article]) -> RetrievalTask:
    """The sentence that states the aim against conclusions of twelve words and more.

    The section of the objective often opens with background: the first sentence that begins with "To" or has
    a word of aiming is taken, and an article without one gives no query.
    """
    corpus, queries, relevant = {}, [], {}
    for article in articles:
        conclusions = article.sections.get("CONCLUSIONS", "")
        objective = article.sections.get("OBJECTIVE", "")
        if len(conclusions.split()) < _MIN_CONCLUSION_WORDS:
            continue
        corpus[f"pmid-{article.pmid}"] = conclusions
        aim = next((sentence for sentence in split_sentences(objective, ".?") if states_aim(sentence)), "")
        if len(aim.split()) >= _MIN_QUERY_WORDS:
            queries.append((f"objective-{article.pmid}", aim))
            relevant[f"objective-{article.pmid}"] = [f"pmid-{article.pmid}"]
    return merged(queries, corpus, relevant)


def pubmed_claim(articles: Iterable[Article]) -> RetrievalTask:
    """First sentence of the conclusions against results sections of 25 words and more."""
    corpus, queries, relevant = {}, [], {}
    for article in articles:
        results = article.sections.get("RESULTS", "")
        claim = split_sentences(article.sections.get("CONCLUSIONS", ""), ".")[0]
        if len(results.split()) < _MIN_RESULTS_WORDS:
            continue
        corpus[f"pmid-{article.pmid}"] = results
        if len(claim.split()) >= _MIN_QUERY_WORDS:
            queries.append((f"claim-{article.pmid}", claim))
            relevant[f"claim-{article.pmid}"] = [f"pmid-{article.pmid}"]
    return merged(queries, corpus, relevant)


def code_doc(functions: list[PythonFunction]) -> RetrievalTask:
    """500 docstring summaries against all functions, whose names are replaced."""
    asked = sorted(functions, key=lambda function: _digest(function.function_id))[:_CODE_QUERIES]
    return merged(
        ((f"doc-of/{function.function_id}", function.summary) for function in asked),
        {function.function_id: function.anonymous_source for function in functions},
        {f"doc-of/{function.function_id}": [function.function_id] for function in asked},
    )


def merged(
    queries: Iterable[tuple[str, str]], corpus: dict[str, str], relevant: dict[str, list[str]]
) -> RetrievalTask:
    """Let equal texts share their judgements, so that no right answer counts as wrong.

    Queries of the same text become one, and a document with the text of a relevant one is relevant too.
    """
    twins: dict[str, list[str]] = {}
    for doc_id, text in corpus.items():
        twins.setdefault(text.casefold(), []).append(doc_id)
    first_with: dict[str, str] = {}
    kept: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for query_id, text in queries:
        chosen = first_with.setdefault(text.casefold(), query_id)
        kept.setdefault(chosen, text)
        for doc_id in relevant[query_id]:
            qrels.setdefault(chosen, {}).update(dict.fromkeys(twins[corpus[doc_id].casefold()], 1))
    return RetrievalTask(kept, corpus, qrels)


def stems(text: str) -> set[str]:
    """The first five letters of every word of three letters and more, in small letters."""
    words = re.findall(r"[a-z]{3,}", text.lower())
    return {word[:5] for word in words} - {"with", "the", "and"}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
