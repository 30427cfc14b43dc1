"""Texts about records from templates: queries, passages, and passages of other records as negatives.

A template names fields in braces. A query may have square brackets at its end with the fields that it asks
for: ``population of {name} [population]``. Its passage has to hold these and all those in its text.
"""

from __future__ import annotations

import itertools
import re
import string
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import MOST_NEGATIVES, Entry, training_pairs
from search_r3.data.sources.named_records import NamedRecord, digest, is_held_out
from search_r3.errors import DataError

MOST_PAIRS = 15_000
"""A set has at most this many pairs."""

_ARTICLE = re.compile(r"^an?_")
_ASKED = re.compile(r"\s*\[([a-z0-9_ ]+)\]$")
_DOUBLE_STOP = re.compile(r"(?<=[^.])\.\.(?=\s|$)")
_NAME_WITH_ARTICLE = re.compile(
    r"\b(in|of|for|from|to|by|on) (?:[Tt]he )?"
    r"((?:United (?:States|Kingdom|Arab)|Netherlands|Philippines|Bahamas|Maldives|Gambia|Seychelles|Comoros"
    r"|Vatican|Dominican Republic|Central African Republic|Democratic Republic|Republic of"
    r"|(?:[A-Z]\w+ ){1,2}Islands)\b)"
)
_PLACE_FIELDS = frozenset(("country", "neighbours"))
_LITERAL = tuple(
    f"{{{name}}}"
    for name in (
        "code",
        "short_code",
        "domain",
        "id",
        "smiles",
        "moves",
        "alias",
        "native",
        "codes",
        "original",
    )
)
"""Fields with texts that are written as they are."""
_NEIGHBOURS = MOST_NEGATIVES + 1  # one to spare: the text of one may be the positive's
_SPREAD = 4


@dataclass(frozen=True)
class TextTemplate:
    """A text with places for fields.

    Attributes:
        text: The text, with the fields' names in braces.
        named: Fields in the text.
        asked: Fields that a query asks for.
    """

    text: str
    named: frozenset[str] = field(compare=False)
    asked: frozenset[str] = field(compare=False)

    @cached_property
    def facts(self) -> frozenset[str]:
        """The fields that it tells or asks for, apart from the name; a_kind and kind are the same fact."""
        return frozenset(_ARTICLE.sub("", name) for name in self.named | self.asked) - {"name"}

    @cached_property
    def _needed(self) -> frozenset[str]:
        return (self.named | self.asked) - {"name"}

    def fits(self, record: NamedRecord) -> bool:
        """Whether the record has all of its fields."""
        return self._needed <= record.fields.keys()

    def render(self, record: NamedRecord) -> str:
        """The text with the record's fields; a sentence begins with a capital letter, but not a code."""
        text = self.text.format_map({**record.fields, "name": record.name})
        if ".." in text:
            text = _DOUBLE_STOP.sub(".", text)
        if not self.named.isdisjoint(_PLACE_FIELDS):
            text = _NAME_WITH_ARTICLE.sub(r"\1 the \2", text)
        literal = self.text.startswith(_LITERAL)
        return text[:1].upper() + text[1:] if text.endswith((".", "?", "!")) and not literal else text


@dataclass(frozen=True)
class Templates:
    """The templates of one kind of record.

    Attributes:
        queries: What is asked.
        passages: What answers.
        test_queries: Queries of the test set, none of them in ``queries``.
        test_passages: Passages of the test set, none of them in ``passages``.
        shared: Fields in which the ten documents of a test query agree.
    """

    queries: tuple[TextTemplate, ...]
    passages: tuple[TextTemplate, ...]
    test_queries: tuple[TextTemplate, ...] = ()
    test_passages: tuple[TextTemplate, ...] = ()
    shared: tuple[str, ...] = ()


def parse_template(text: str) -> TextTemplate:
    """Read a template.

    Raises:
        DataError: Its braces do not match, or they hold something else than a name.
    """
    found = _ASKED.search(text)
    asked = frozenset(found[1].split()) if found else frozenset()
    body = _ASKED.sub("", text)
    try:
        named = frozenset(name for _, name, _, _ in string.Formatter().parse(body) if name is not None)
    except ValueError as error:
        raise DataError(f"TextTemplate {text!r} cannot be read: {error}.") from None
    if odd := sorted(name for name in named if not name.isidentifier()):
        raise DataError(f"TextTemplate {text!r} has the field {odd[0]!r}, wanted a name of letters and _.")
    return TextTemplate(body, named, asked)


@cache
def read_templates(kind: str) -> Templates:
    """Read the templates of a kind from its file in ``search_r3/data/name_templates``.

    Raises:
        DataError: A template cannot be read, or one of the test set is a training template too.
    """
    path = files("search_r3.data").joinpath("name_templates", f"{kind}.toml")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    test = table.get("test", {})
    queries, passages, test_queries, test_passages = (
        tuple(parse_template(text) for text in part)
        for part in (table["queries"], table["passages"], test.get("queries", ()), test.get("passages", ()))
    )
    if common := {*queries, *passages} & {*test_queries, *test_passages}:
        raise DataError(f"{path} uses {min(item.text for item in common)!r} for training and for the test.")
    return Templates(queries, passages, test_queries, test_passages, tuple(test.get("shared", ())))


class _Neighbours:
    """Finds records of a kind that are easily taken for one another."""

    def __init__(self, records: Iterable[NamedRecord]) -> None:
        self._groups: dict[str, list[NamedRecord]] = defaultdict(list)
        self._same_name: dict[str, list[NamedRecord]] = defaultdict(list)
        self._places: dict[tuple[str, str], int] = {}
        for record in records:
            self._same_name[record.name.casefold()].append(record)
            for group in dict.fromkeys((*record.groups, "")):
                self._groups[group].append(record)
        for group, members in self._groups.items():
            members.sort(key=lambda member: (member.name.casefold(), member.record_id))
            self._places |= {(group, member.record_id): place for place, member in enumerate(members)}

    def of(self, record: NamedRecord) -> Iterator[NamedRecord]:
        """Namesakes, then of every group the next ones in the alphabet and a few by hash."""
        yield from self._same_name[record.name.casefold()]
        for group in (*record.groups, ""):
            members = self._groups[group]
            place = self._places[group, record.record_id]
            for step in (1, -1):
                yield members[(place + step) % len(members)]
            for number in range(_SPREAD):
                yield members[digest(f"{record.record_id}/{group}/{number}") % len(members)]


@dataclass(frozen=True)
class _Choice:
    """A record with the templates that were chosen for it."""

    record: NamedRecord
    query: TextTemplate
    passage: TextTemplate


class RecordPairs:
    """Pairs of one kind of record.

    The records that are held out for the test set are left out, as negatives too.

    Args:
        kind: Name of the kind.
        records: Its records.
        templates: Its templates.
        most: At most this many pairs, chosen by hash.
    """

    def __init__(self, kind: str, records: Sequence[NamedRecord], templates: Templates, most: int) -> None:
        training = [record for record in records if not is_held_out(record)]
        self._kind = kind
        self._templates = templates
        self._neighbours = _Neighbours(training)
        self._choices: dict[str, _Choice] = {}
        each = -(-most // max(1, len(training)))
        # By hash, and no further than needed: some kinds have many times more records.
        by_hash = sorted(training, key=lambda record: digest(f"{kind}/{record.record_id}"))
        found = (choice for record in by_hash for choice in self._choose(record, each))
        for choice in itertools.islice(found, most):
            self._choices[f"{kind}/{choice.record.record_id}/{_key(choice.query)}"] = choice

    def entries(self) -> Iterator[Entry]:
        """Every chosen query with its passage."""
        for entry_id, choice in self._choices.items():
            record, passage = choice.record, choice.passage
            item_id = f"{self._kind}/{record.record_id}/{_key(passage)}"
            yield Entry(entry_id, item_id, choice.query.render(record), passage.render(record))

    def negatives(self, entry: Entry) -> Mapping[str, str]:
        """Passages of alike records that do not answer the query, of the same template if they can be."""
        choice = self._choices[entry.entry_id]
        found: dict[str, str] = {}
        for other in self._neighbours.of(choice.record):
            if len(found) == _NEIGHBOURS:
                break
            if differs(other, choice.record, choice.query) and (text := self._passage(other, choice)):
                found[other.record_id] = text
        return found

    def _choose(self, record: NamedRecord, each: int) -> Iterator[_Choice]:
        queries = [query for query in self._templates.queries if query.fits(record)]
        queries.sort(key=lambda query: digest(f"{record.record_id}/{query.text}"))
        usable = [passage for passage in self._templates.passages if passage.fits(record)]
        count = 0
        for query in queries:
            answers = [passage for passage in usable if query.facts <= passage.facts]
            if answers and count < each:
                count += 1
                key = f"{record.record_id}/{query.text}"
                yield _Choice(record, query, min(answers, key=lambda item: digest(f"{key}/{item.text}")))

    def _passage(self, other: NamedRecord, choice: _Choice) -> str | None:
        if choice.passage.fits(other):
            return choice.passage.render(other)
        usable = [passage for passage in self._templates.passages if passage.fits(other)]
        # The most of the fields that the positive has: a shorter passage is told by its length.
        best = max(usable, key=lambda item: len(item.facts & choice.passage.facts), default=None)
        return best.render(other) if best else None


def record_pairs(source: str, parts: Sequence[RecordPairs], most: int = MOST_PAIRS) -> list[TrainingPair]:
    """Make the pairs of a set of one or more kinds of records, at most so many, chosen by hash.

    Raises:
        DataError: There is no pair.
    """
    owner: dict[str, RecordPairs] = {}
    entries: list[Entry] = []
    for part in parts:
        for entry in part.entries():
            owner[entry.entry_id] = part
            entries.append(entry)
    entries = sorted(entries, key=lambda entry: digest(entry.entry_id))[:most]
    return training_pairs(source, entries, lambda entry: owner[entry.entry_id].negatives(entry))


def differs(other: NamedRecord, record: NamedRecord, query: TextTemplate) -> bool:
    """Whether a record does not answer a query about another: a field in the query is another one there.

    Names of which one contains the other count as the same.
    """
    for name in query.named:
        theirs, own = other.value(name), record.value(name)
        if theirs is None or own is None:
            continue
        first, second = theirs.casefold(), own.casefold()
        if first != second and not (name in ("name", "alias") and (first in second or second in first)):
            return True
    return False


def _key(template: TextTemplate) -> str:
    return f"{digest(template.text):016x}"[:6]
