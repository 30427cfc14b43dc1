"""Training pairs from PubMed's abstracts of 1977 to 1979, without the records that are held out.

Abstracts of those years have no sections, which PubMedObjective and PubMedClaim are made of: sentences stand
in for them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from search_r3.data.graded import graded_topics
from search_r3.data.pairs import TrainingPair
from search_r3.data.sentences import split_sentences, states_aim
from search_r3.data.sources.entries import Entry, training_pairs
from search_r3.data.sources.pubmed import Article
from search_r3.data.task_builders import is_held_out

_MIN_ABSTRACT_CHARS = 200
_MIN_QUERY_WORDS = 8
_MIN_CONCLUSION_WORDS = 12
_MIN_RESULTS_WORDS = 25
_POSITIVES = 3
_NEIGHBOURS = 30


def title_pairs(articles: Iterable[Article]) -> list[TrainingPair]:
    """Title to abstract.

    Negatives are abstracts that share a major topic with the article.
    """
    chosen = {pmid: article for pmid, article in _trainable(articles).items() if article.title}
    near = _SharedTopics(chosen.values())
    entries = [Entry(pmid, pmid, article.title, article.abstract) for pmid, article in chosen.items()]
    texts = {entry.item_id: entry.positive for entry in entries}
    return training_pairs("pubmed_titles", entries, lambda entry: near.texts(entry.item_id, texts))


def sentence_pairs(articles: Iterable[Article]) -> list[TrainingPair]:
    """The sentence that states the aim to the last one, and the last one to those before it.

    A query has eight words at least; a last sentence that is looked for twelve, the sentences before it 25. A
    sentence of aim that is the last itself gives no pair. Negatives are the same part of abstracts that share
    a major topic with the article.
    """
    chosen = _trainable(articles)
    near = _SharedTopics(chosen.values())
    entries = list(_sentence_entries(chosen.values()))
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in entries:
        pmid, part = entry.item_id.split("/")
        texts[part][pmid] = entry.positive

    def neighbours(entry: Entry) -> Mapping[str, str]:
        pmid, part = entry.item_id.split("/")
        return near.texts(pmid, texts[part])

    return training_pairs("pubmed_sentences", entries, neighbours)


def topic_pairs(articles: Iterable[Article]) -> list[TrainingPair]:
    """Two index terms, worded as in PubMedMeSH, to abstracts that have both: three for each query.

    Negatives are abstracts that have one of the two.
    """
    task = graded_topics(articles)
    entries: list[Entry] = []
    with_one: dict[str, dict[str, str]] = {}
    for query_id, grades in task.qrels.items():
        # By a hash, so that queries that share abstracts do not take the same ones.
        order = sorted(grades, key=lambda doc_id: _digest(query_id + doc_id))
        both = [doc_id for doc_id in order if grades[doc_id] == 2]
        for doc_id in both[:_POSITIVES]:
            entry_id = f"{query_id} {doc_id}"
            entries.append(Entry(entry_id, doc_id, task.queries[query_id], task.corpus[doc_id]))
            one = [doc_id for doc_id in order if grades[doc_id] == 1][:_NEIGHBOURS]
            with_one[entry_id] = {doc_id: task.corpus[doc_id] for doc_id in one}
    return training_pairs("pubmed_topics", entries, lambda entry: with_one[entry.entry_id])


def _trainable(articles: Iterable[Article]) -> dict[str, Article]:
    return {
        article.pmid: article
        for article in articles
        if not is_held_out(article) and len(article.abstract) >= _MIN_ABSTRACT_CHARS
    }


def _sentence_entries(articles: Iterable[Article]) -> Iterator[Entry]:
    for article in articles:
        *before, last = split_sentences(article.abstract, ".?")
        if len(last.split()) < _MIN_QUERY_WORDS:
            continue
        rest = " ".join(before)
        if len(rest.split()) >= _MIN_RESULTS_WORDS:
            yield Entry(f"{article.pmid}/claim", f"{article.pmid}/before", last, rest)
        aim = next((sentence for sentence in before if states_aim(sentence)), "")
        if len(aim.split()) >= _MIN_QUERY_WORDS and len(last.split()) >= _MIN_CONCLUSION_WORDS:
            yield Entry(f"{article.pmid}/aim", f"{article.pmid}/last", aim, last)


class _SharedTopics:
    """Articles that share a major topic with one."""

    def __init__(self, articles: Iterable[Article]) -> None:
        self._topics = {article.pmid: article.major_topics for article in articles}
        self._by_topic: dict[str, list[str]] = defaultdict(list)
        for pmid, topics in self._topics.items():
            for topic in topics:
                self._by_topic[topic].append(pmid)

    def texts(self, pmid: str, texts: Mapping[str, str]) -> dict[str, str]:
        """What there is of ``texts`` about articles near to this one, by their ids."""
        # A general topic has hundreds of articles: each topic gives a few, others for each article.
        near = {
            other
            for topic in self._topics[pmid]
            for other in sorted(self._by_topic[topic], key=lambda other: _digest(pmid + other))[:_NEIGHBOURS]
        }
        return {other: texts[other] for other in near - {pmid} if other in texts}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
