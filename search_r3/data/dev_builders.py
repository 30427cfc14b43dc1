"""Builds the dev tasks from parsed sources. What each task is stands in ``dev_tasks``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from search_r3.data.mini import select
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sentences import split_sentences
from search_r3.data.sources.bible_topics import Topic
from search_r3.data.sources.fhir_fields import RecordField
from search_r3.data.sources.pod import PodEntry
from search_r3.data.task_builders import merged

QUERIES = 300
DOCUMENTS = 1200
"""Sizes of a dev task: small, as every checkpoint of a training run is measured on all of them."""

MOST_WORDS = 120
_FEWEST_WORDS = 8


def sampled(
    queries: Iterable[tuple[str, str]], corpus: dict[str, str], relevant: dict[str, list[str]]
) -> RetrievalTask:
    """Choose queries and documents by a hash of their ids; all relevant documents of the queries stay.

    Of documents with the same text, the first is taken, and stands for the others.
    """
    first: dict[str, str] = {}
    for doc_id, text in corpus.items():
        first.setdefault(text.casefold(), doc_id)
    kept = {doc_id: corpus[doc_id] for doc_id in first.values()}
    answers = {key: [first[corpus[doc_id].casefold()] for doc_id in ids] for key, ids in relevant.items()}
    task = merged(queries, kept, answers)
    chosen = select(task, [], seed="dev", queries=QUERIES, documents=DOCUMENTS)
    return task.subset(chosen.query_ids, chosen.doc_ids)


def beginning(paragraphs: Sequence[str]) -> str:
    """The first words of a text, up to 120."""
    return " ".join(" ".join(paragraphs).split()[:MOST_WORDS])


def perl_faq(
    questions: Iterable[PodEntry], functions: Sequence[PodEntry], messages: Sequence[PodEntry]
) -> RetrievalTask:
    """Questions about Perl against their answers, among descriptions of functions and of messages."""
    corpus, queries, relevant = {}, [], {}
    for number, entry in enumerate(questions):
        answer = re.sub(r"^\([Cc]ontributed by [^)]*\)\s*", "", beginning(entry.paragraphs))
        if len(answer.split()) < _FEWEST_WORDS or len(entry.heading.split()) < 3:
            continue
        corpus[f"answer-{number}"] = answer
        queries.append((f"question-{number}", entry.heading))
        relevant[f"question-{number}"] = [f"answer-{number}"]
    for kind, entries in (("function", functions), ("message", messages)):
        for number, entry in enumerate(entries):
            text = re.sub(r"^\([A-Z][^)]*\)\s*", "", beginning(entry.paragraphs))
            if len(text.split()) >= _FEWEST_WORDS:
                corpus[f"{kind}-{number}"] = text
    return sampled(queries, corpus, relevant)


def topic_verses(topics: Iterable[Topic], verses: Mapping[str, str]) -> RetrievalTask:
    """What a topical Bible says of a subject, in two words and more, against the two to four verses it lists.

    Lines that list chapters or ranges of verses, one of several persons of a name, or verses of all kinds are
    left out.
    """
    queries, relevant = [], {}
    for number, topic in enumerate(topics):
        said = topic.aspect
        is_clear = len(said.split()) > 1 and not re.search(r"\d|\(|\b[A-Z]{2}|General scriptures", said)
        if (
            is_clear
            and topic.is_complete
            and 2 <= len(topic.verses) <= 4
            and set(topic.verses) <= set(verses)
        ):
            query_id = f"topic-{number}"
            queries.append((query_id, f"{topic.subject.title()}: {said[0].lower()}{said[1:]}"))
            relevant[query_id] = list(dict.fromkeys(topic.verses))
    return sampled(queries, dict(verses), relevant)


def record_titles(fields: Iterable[RecordField]) -> RetrievalTask:
    """Titles of four words and more against definitions of eight and more that do not quote them."""
    corpus, queries, relevant = {}, [], {}
    for field in fields:
        title, definition = field.title, beginning([field.definition])
        if len(definition.split()) < _FEWEST_WORDS:
            continue
        corpus[field.path] = definition
        if len(title.split()) > 3 and "|" not in title and title.casefold() not in definition.casefold():
            queries.append((f"title-of/{field.path}", title))
            relevant[f"title-of/{field.path}"] = [field.path]
    return sampled(queries, corpus, relevant)


def first_sentences(paragraphs: Mapping[str, str]) -> RetrievalTask:
    """The first sentence of a paragraph of 8 to 40 words against the rest of it, 25 to 120 words."""
    corpus, queries, relevant = {}, [], {}
    for key, text in paragraphs.items():
        first, *rest = split_sentences(text, ".?!")
        remainder = " ".join(rest)
        if 8 <= len(first.split()) <= 40 and 25 <= len(remainder.split()) <= MOST_WORDS:
            corpus[f"rest-of/{key}"] = remainder
            queries.append((key, first))
            relevant[key] = [f"rest-of/{key}"]
    return sampled(queries, corpus, relevant)
