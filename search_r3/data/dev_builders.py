"""Builds the dev tasks from parsed sources. What each task is stands in ``dev_tasks``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from search_r3.data.mini import select
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sentences import split_sentences
from search_r3.data.sources.bible_topics import Topic
from search_r3.data.sources.constitution import LegalArticle
from search_r3.data.sources.earth_quantities import Quantity
from search_r3.data.sources.fhir_fields import RecordField
from search_r3.data.sources.occupations import Occupation
from search_r3.data.sources.pod import PodEntry
from search_r3.data.sources.r_help import HelpPage
from search_r3.data.sources.vim_help import HelpEntry
from search_r3.data.task_builders import merged, stems

QUERIES = 300
DOCUMENTS = 1200
"""Sizes of a dev task: small, as every checkpoint of a training run is measured on all of them."""

MOST_WORDS = 120
_FEWEST_WORDS = 8
# Sentences of the CF standard names that explain a wording.
_ON_NAMING = re.compile(r"\bphrase\b|\bconstruction\b|\bstandard names?\b|http", re.IGNORECASE)


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


def occupations(known: Iterable[Occupation]) -> RetrievalTask:
    """Names of two words and more against what stands after the first sentence, which says the name again."""
    corpus, queries, relevant = {}, [], {}
    for occupation in known:
        _, *rest = split_sentences(occupation.description, ".")
        text = beginning(rest)
        if len(text.split()) < _FEWEST_WORDS or occupation.name.casefold() in text.casefold():
            continue
        corpus[occupation.uri] = text
        if len(occupation.name.split()) > 1:
            queries.append((f"name-of/{occupation.uri}", occupation.name))
            relevant[f"name-of/{occupation.uri}"] = [occupation.uri]
    return sampled(queries, corpus, relevant)


def legal_articles(articles: Iterable[LegalArticle]) -> RetrievalTask:
    """Titles of three words and more against the pieces of their articles: some 60 words, at most 120."""
    corpus: dict[str, str] = {}
    queries, relevant = [], {}
    for article in articles:
        pieces = {
            f"{article.number}/{number}": piece for number, piece in enumerate(_pieces(article.paragraphs))
        }
        if not pieces or "omitted" in article.title.casefold() or "repealed" in article.title.casefold():
            continue
        corpus |= pieces
        if len(article.title.split()) > 2:
            queries.append((f"title-of/{article.number}", article.title))
            relevant[f"title-of/{article.number}"] = list(pieces)
    return sampled(queries, corpus, relevant)


def _pieces(paragraphs: Iterable[str]) -> list[str]:
    """Paragraphs joined until they have 60 words; what is longer than 120 is cut."""
    pieces: list[list[str]] = [[]]
    for paragraph in paragraphs:
        if len(pieces[-1]) >= MOST_WORDS // 2:
            pieces.append([])
        pieces[-1] += paragraph.split()
    return [" ".join(piece[:MOST_WORDS]) for piece in pieces if len(piece) >= _FEWEST_WORDS]


def earth_quantities(quantities: Sequence[Quantity]) -> RetrievalTask:
    """Names, in words, against the sentences of their descriptions that at most two quantities have.

    The other sentences explain a part of the name, the same way for all. Sentences on how names are
    made or that quote the name, and the hundreds of quantities of radioactivity, which differ by an isotope,
    are left out.
    """
    known = [quantity for quantity in quantities if "radioactivity" not in quantity.name]
    sentences = {quantity.name: split_sentences(quantity.description, ".") for quantity in known}
    times = Counter(sentence for parts in sentences.values() for sentence in set(parts))
    corpus, queries, relevant = {}, [], {}
    for name, parts in sentences.items():
        words = name.replace("_", " ")
        own = [
            part
            for part in parts
            if times[part] <= 2
            and not _ON_NAMING.search(part)
            and name not in part
            and words not in part.casefold().replace("_", " ")
        ]
        text = beginning(own)
        if len(text.split()) >= _FEWEST_WORDS:
            corpus[name] = text
            queries.append((f"words-of/{name}", words))
            relevant[f"words-of/{name}"] = [name]
    return sampled(queries, corpus, relevant)


def editor_help(entries: Iterable[HelpEntry]) -> RetrievalTask:
    """Summaries of three words and more against the texts on options and functions, without their names."""
    corpus, queries, relevant = {}, [], {}
    for number, entry in enumerate(entries):
        text = beginning([entry.text])
        if len(text.split()) < _FEWEST_WORDS:
            continue
        corpus[f"{number}-{entry.name}"] = text
        if len(entry.summary.split()) > 2:
            queries.append((f"summary-of/{number}-{entry.name}", entry.summary))
            relevant[f"summary-of/{number}-{entry.name}"] = [f"{number}-{entry.name}"]
    return sampled(queries, corpus, relevant)


def data_sets(pages: Iterable[HelpPage]) -> RetrievalTask:
    """Titles of data sets against what is said of them, among pages on functions.

    A title has two words and more, and at least one that is not in the text.
    """
    corpus, queries, relevant = {}, [], {}
    for number, page in enumerate(pages):
        text = beginning([page.description, page.details])
        if len(text.split()) < _FEWEST_WORDS:
            continue
        corpus[f"{number}-{page.name}"] = text
        says_more = stems(page.title) - {"data", "set"} - stems(text)
        if page.is_data_set and len(page.title.split()) > 1 and says_more:
            queries.append((f"title-of/{number}-{page.name}", page.title))
            relevant[f"title-of/{number}-{page.name}"] = [f"{number}-{page.name}"]
    return sampled(queries, corpus, relevant)
