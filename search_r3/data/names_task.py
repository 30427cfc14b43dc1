"""A test of names: ten documents that differ in the name alone, one of which is asked for.

The records are those that the sets of :mod:`search_r3.data.name_sets` leave out, and no template of the test
is one of theirs. Three facts weaken it. A held-out name may occur inside another training record (a city in
an airport's passage). The glosses of the held-out people and species are in the set ``wordnet``, with their
names. And it asks for no fact: only the name tells the documents apart, so BM25 finds nearly all.

Licences of the texts: GeoNames CC BY 4.0 (cities), airportsdata MIT, iso-codes LGPL-2.1-or-later
(subdivisions, languages), WordNet 3.0 licence (people, species, places), PubChem US public domain
(compounds), JPL US public domain (asteroids), MAME software lists CC0-1.0 (games), swot MIT (schools),
usb.ids and pci.ids GPL-2.0-or-later or BSD-3-Clause (devices).
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from search_r3.data.dev_tasks import DevCard
from search_r3.data.name_records import Names
from search_r3.data.parsed import Sources
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources.named_records import NamedRecord, digest, is_held_out
from search_r3.data.sources.record_texts import Templates, read_templates
from search_r3.errors import DataError

QUERIES = {
    "cities": 44,
    "airports": 30,
    "subdivisions": 12,
    "people": 25,
    "species": 30,
    "places": 6,
    "compounds": 30,
    "asteroids": 20,
    "games": 35,
    "schools": 20,
    "devices": 25,
    "languages": 23,
}
"""Queries by kind of record: 300 in all."""

DOCUMENTS = 10
"""Documents made for each query, the right one among them."""

_ALIKE = 5
"""So many of the wrong names are the nearest in spelling; the others are taken by hash."""


def names_task(sources: Sources) -> RetrievalTask:
    """Make the task: 300 queries and 3,000 documents, the same every time.

    Raises:
        DataError: A package cannot be had, or has too few held-out records.
    """
    return build_names_task(Names(sources).records, read_templates, QUERIES)


NAMES = DevCard(
    "Names",
    "A question with a name; the passage with that name, among nine that differ in the name alone.",
    (),  # those of all the sets of names
    "CC BY 4.0, MIT, LGPL-2.1+, WordNet 3.0, US public domain, CC0, GPL-2+ or BSD-3, as of each kind",
    "structural: query and passage are made from one record that is held out of training.",
    names_task,
)
"""The task's card. It is built and loaded like a dev task, and is a test: it chooses nothing."""


def build_names_task(
    read: Callable[[str], Sequence[NamedRecord]],
    templates: Callable[[str], Templates],
    wanted: Mapping[str, int],
) -> RetrievalTask:
    """Make a task from records of some kinds.

    Every name is used once. The ten of a query agree in the shared fields of its kind, and none of their
    names contains another.

    Args:
        read: Gives the records of a kind.
        templates: Gives the templates of a kind.
        wanted: Number of queries by kind.

    Raises:
        DataError: The held-out records of a kind are too few.
    """
    queries: dict[str, str] = {}
    corpus: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    used: set[str] = set()
    for kind, count in wanted.items():
        made = _tens([record for record in read(kind) if is_held_out(record)], templates(kind), kind, used)
        for index in range(count):
            ten = next(made, None)
            if ten is None:
                raise DataError(
                    f"Got {index} queries about {kind}, wanted {count}: too few held-out records."
                )
            queries[ten.query_id] = ten.query
            corpus |= ten.documents
            qrels[ten.query_id] = {next(iter(ten.documents)): 1}
            used |= ten.names
    return RetrievalTask(queries, corpus, qrels)


@dataclass(frozen=True)
class _Ten:
    """A query with its documents by id, the right one first, and the names in them."""

    query_id: str
    query: str
    documents: dict[str, str]
    names: frozenset[str]


def _tens(records: Sequence[NamedRecord], templates: Templates, kind: str, used: Set[str]) -> Iterator[_Ten]:
    """Make tens without used names; the caller adds the names of a ten before it asks for the next."""
    groups: dict[tuple[str | None, ...], dict[str, NamedRecord]] = defaultdict(dict)
    for record in sorted(records, key=lambda record: digest(f"{kind}/{record.record_id}")):
        shared = tuple(record.value(name) for name in templates.shared)
        if None not in shared:
            groups[shared].setdefault(record.name.casefold(), record)
    order = sorted(
        (record for group in groups.values() for record in group.values()),
        key=lambda record: digest(f"query/{kind}/{record.record_id}"),
    )
    for record in order:
        group = groups[tuple(record.value(name) for name in templates.shared)]
        # A name may be in several groups: a game that came out on two platforms.
        unused = [other for name, other in group.items() if name not in used]
        if record.name.casefold() in used or len(chosen := _ten(record, unused)) < DOCUMENTS:
            continue
        query, passage = (
            min(part, key=lambda template: digest(f"{record.record_id}/{template.text}"))
            for part in (templates.test_queries, templates.test_passages)
        )
        # The other fields are the record's own: those in the template are shared, or follow from the shared.
        documents = {
            f"names-{kind}-{digest(other.record_id):016x}": passage.render(replace(record, name=other.name))
            for other in chosen
        }
        query_id = f"names-query-{kind}-{digest(record.record_id):016x}"
        names = frozenset(other.name.casefold() for other in chosen)
        yield _Ten(query_id, query.render(record), documents, names)


def _ten(record: NamedRecord, group: Sequence[NamedRecord]) -> list[NamedRecord]:
    """The record and nine others: the nearest in spelling, then any by hash."""
    own = record.name.casefold()
    others = [other for other in group if other is not record]
    by_hash = sorted(others, key=lambda other: digest(f"{record.record_id}/{other.record_id}"))
    alike = sorted(by_hash[:200], key=lambda other: -_similarity(own, other.name.casefold()))
    chosen = [record]
    for candidates, size in ((alike, _ALIKE + 1), (by_hash, DOCUMENTS)):
        for other in candidates:
            if len(chosen) == size:
                break
            if not any(_contains(other, one) for one in chosen):
                chosen.append(other)
    return chosen


def _similarity(first: str, second: str) -> float:
    return difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()


def _contains(first: NamedRecord, second: NamedRecord) -> bool:
    one, two = first.name.casefold(), second.name.casefold()
    return one in two or two in one
