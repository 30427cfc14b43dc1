"""Sets with several, graded answers to a query, for rewards that look at a whole ranking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources.obo import Term
from search_r3.data.sources.pubmed import Article
from search_r3.data.sources.siblings import Hierarchy
from search_r3.data.task_builders import is_held_out
from search_r3.data.training_pairs import trainable_terms
from search_r3.text import join_title

_MIN_ABSTRACT_CHARS = 200
_POSITIVES_PER_PAIR = range(3, 16)


def graded_topics(articles: Iterable[Article]) -> RetrievalTask:
    """Pairs of major topics: abstracts with both have grade 2, with one of them grade 1.

    From the records of 1977 to 1979 that are not held out for PubMedMeSH.
    """
    corpus: dict[str, str] = {}
    by_topic: dict[str, set[str]] = defaultdict(set)
    by_pair: dict[tuple[str, str], set[str]] = defaultdict(set)
    for article in articles:
        if is_held_out(article) or len(article.abstract) < _MIN_ABSTRACT_CHARS:
            continue
        doc_id = f"pmid-{article.pmid}"
        corpus[doc_id] = join_title(article.title, article.abstract)
        for topic in article.major_topics:
            by_topic[topic].add(doc_id)
        for pair in combinations(article.major_topics, 2):
            by_pair[pair].add(doc_id)
    queries, qrels = {}, {}
    for first, second in sorted(pair for pair, found in by_pair.items() if len(found) in _POSITIVES_PER_PAIR):
        query_id = f"both/{first}/{second}"
        queries[query_id] = f"Studies of {first} and {second}"
        qrels[query_id] = dict.fromkeys(sorted(by_topic[first] | by_topic[second]), 1)
        qrels[query_id].update(dict.fromkeys(sorted(by_pair[first, second]), 2))
    return RetrievalTask(queries, corpus, qrels)


def graded_phenotypes(terms: Iterable[Term]) -> RetrievalTask:
    """A wording of a phenotype: the term has grade 3, its parents and children 2, its siblings 1.

    Each term with exact synonyms of two words and more gives one query, its last such synonym, which its own
    document does not hold. A document is a name with the other synonyms: no definitions, and no term that
    answers a query of HPOLay, as both are for evaluation.
    """
    all_terms = {term.term_id: term for term in terms}
    chosen = {term.term_id: term for term in trainable_terms(all_terms.values())}
    hierarchy = Hierarchy({term_id: term.parents for term_id, term in all_terms.items()})
    children: dict[str, list[str]] = defaultdict(list)
    for term in chosen.values():
        for parent in term.parents:
            children[parent].append(term.term_id)
    queries, corpus, qrels = {}, {}, {}
    for term in chosen.values():
        wordings = [
            synonym.text
            for synonym in term.synonyms
            if synonym.scope == "EXACT"
            and len(synonym.text.split()) >= 2
            and synonym.text.casefold() != term.name.casefold()
        ]
        asked = wordings[-1] if wordings else None
        others = [
            synonym.text
            for synonym in term.synonyms
            if asked is None or synonym.text.casefold() != asked.casefold()
        ]
        corpus[term.term_id] = "; ".join(dict.fromkeys([term.name, *others]))
        if asked is not None:
            query_id = f"wording-of/{term.term_id}"
            near = [near for near in (*term.parents, *children[term.term_id]) if near in chosen]
            queries[query_id] = asked
            grades = {sibling: 1 for sibling in hierarchy.siblings(term.term_id) if sibling in chosen}
            qrels[query_id] = {**grades, **dict.fromkeys(near, 2), term.term_id: 3}
    return RetrievalTask(queries, corpus, qrels)
