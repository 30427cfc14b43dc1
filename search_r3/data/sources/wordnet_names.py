"""Named people, species, places, battles and figures of legend in WordNet, as records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from search_r3.data.sources.hierarchy import Hierarchy
from search_r3.data.sources.named_records import NamedRecord, another_name, known, unique, with_article
from search_r3.data.sources.wordnet import Synset

_YEARS = re.compile(r"\s*\((?:born (?:in|around) )?(\d{2,4})(?:[-–](\d{2,4}|\?)?)?( BC)?\)")  # noqa: RUF001
_BINOMIAL = re.compile(r"[A-Z][a-z]+ [a-z-]{3,}(?: [a-z]{4,})?$")
_FIELD_OF_LEGEND = re.compile(r"^\(([^)]*)\)\s*")
_BORN = re.compile(r"\(?\bborn (?:in )?(?:[A-Z]\w+ )?(\d{4})")
_UNITED_STATES = re.compile(r"^United States ")

_CLASSES = (
    *("bird", "fish", "dinosaur", "reptile", "amphibian", "insect", "arachnid", "crustacean", "mollusk"),
    *("whale", "bat", "rodent", "primate", "carnivore", "ungulate", "mammal", "invertebrate"),
    *("fern", "orchid", "grass", "vine", "tree", "shrub", "wildflower", "herb", "fungus", "plant", "animal"),
)
"""Names of classes of living things; the first that is above a species is its class."""

_PLACES = (
    *("river", "lake", "sea", "gulf", "bay", "strait", "waterfall", "sound", "ocean", "canal"),
    *("volcano", "mountain peak", "range", "desert", "island", "peninsula", "cape", "valley", "canyon"),
    *("national park", "battlefield", "plateau", "glacier", "cave", "national monument"),
    *("national capital", "state capital", "city", "town", "village", "geographical area", "country"),
)
_EVENTS = ("battle", "war", "treaty", "revolution", "siege", "military campaign", "assembly")
_FIGURES = ("saint", "deity", "mythical being", "fictional character", "mythical monster")


class NamedSynsets:
    """The synsets of nouns that are proper names or species.

    Args:
        synsets: All synsets of WordNet.
    """

    def __init__(self, synsets: Sequence[Synset]) -> None:
        self._synsets = {synset.synset_id: synset for synset in synsets if synset.pos == "n"}
        self._hierarchy = Hierarchy({synset.synset_id: synset.hypernyms for synset in synsets})
        self._parents = {parent for synset in synsets for parent in synset.hypernyms}

    def people(self) -> list[NamedRecord]:
        """People with years of birth; alike are those of an occupation."""
        return unique(self._make("person", _person), "people")

    def species(self) -> list[NamedRecord]:
        """Animals, plants and fungi with a Latin name; alike are those of a kind, or of a class."""
        found: dict[str, NamedRecord] = {}
        for root in ("animal", "plant", "fungus"):
            for synset in self._below(root):
                if (record := self._species(synset)) is not None:
                    found.setdefault(record.record_id, record)
        return unique(found.values(), "species")

    def places(self) -> list[NamedRecord]:
        """Natural features and cities; alike are those of a kind."""
        return unique(self._named(("location", "body of water", "geological formation"), _PLACES), "places")

    def events(self) -> list[NamedRecord]:
        """Battles, wars and the like; alike are those of a kind."""
        return unique(self._named(("event",), _EVENTS), "battles")

    def figures(self) -> list[NamedRecord]:
        """Deities and figures of myth and fiction; alike are those of a kind."""
        return unique(self._named(("imaginary being", "deity"), _FIGURES), "figures")

    @cached_property
    def _genera(self) -> set[str]:
        return {
            lemma.removeprefix("genus ")
            for synset in self._synsets.values()
            for lemma in synset.lemmas
            if lemma.startswith("genus ")
        }

    def _ids(self, name: str) -> list[str]:
        return [key for key, synset in self._synsets.items() if name in synset.lemmas]

    def _below(self, root: str) -> list[Synset]:
        """Synsets below any meaning of a noun, in the order of their ids."""
        above = set(self._ids(root))
        ancestors = self._hierarchy.ancestors
        return [synset for key, synset in self._synsets.items() if not above.isdisjoint(ancestors(key))]

    def _kind(self, synset: Synset) -> str:
        parents = [self._synsets[key] for key in synset.hypernyms if key in self._synsets]
        return parents[0].lemmas[0] if parents else ""

    def _make(self, root: str, make: Callable[[Synset, str], NamedRecord | None]) -> Iterable[NamedRecord]:
        for synset in self._below(root):
            record = make(synset, self._kind(synset)) if self._is_name(synset) else None
            if record is not None:
                yield record

    def _is_name(self, synset: Synset) -> bool:
        """A proper name: capitals, and nothing is a kind of it."""
        return synset.lemmas[0][:1].isupper() and synset.synset_id not in self._parents

    def _named(self, roots: Sequence[str], classes: Sequence[str]) -> Iterable[NamedRecord]:
        found: dict[str, NamedRecord] = {}
        for root in roots:
            for synset in self._below(root):
                kind = self._class(synset, classes)
                if kind and self._is_name(synset) and synset.gloss:
                    found.setdefault(synset.synset_id, _named(synset, self._kind(synset), kind))
        return found.values()

    def _class(self, synset: Synset, classes: Sequence[str]) -> str:
        above = self._hierarchy.ancestors(synset.synset_id)
        return next((name for name in classes if not above.isdisjoint(self._class_ids[name])), "")

    @cached_property
    def _class_ids(self) -> dict[str, set[str]]:
        return {name: set(self._ids(name)) for name in (*_CLASSES, *_PLACES, *_EVENTS, *_FIGURES)}

    def _species(self, synset: Synset) -> NamedRecord | None:
        latin = [
            lemma for lemma in synset.lemmas if _BINOMIAL.match(lemma) and lemma.split(" ")[0] in self._genera
        ]
        common = [lemma for lemma in synset.lemmas if lemma not in latin]
        if not latin or not common or not synset.gloss:
            return None
        kind, name = self._kind(synset), common[0]
        fields = {
            "scientific": latin[0],
            "genus": latin[0].split(" ")[0],
            "kind": kind,
            "a_kind": with_article(kind),
            "class": self._class(synset, _CLASSES),
            "alias": another_name(synset.synset_id, name, common),
            "synonym": another_name(synset.synset_id, latin[0], latin),
            "description": synset.gloss,
        }
        groups = (kind, fields["class"] or kind, latin[0].split(" ")[0])
        return NamedRecord(synset.synset_id, name, known(fields), groups)


def _person(synset: Synset, kind: str) -> NamedRecord | None:
    years = _YEARS.search(synset.gloss) or _BORN.search(synset.gloss)
    if years is None:
        return None
    text = _FIELD_OF_LEGEND.sub("", _YEARS.sub("", synset.gloss)).strip(" ;,")
    text = _UNITED_STATES.sub("American ", text)
    whole = max(synset.lemmas, key=lambda lemma: len(lemma.split()))
    # The second group is of the form with two years only.
    died = years[2] if years.re is _YEARS else None
    era = (years[3] or "") if years.re is _YEARS else ""
    short = text.split(";")[0].strip()
    fields = {
        "birth": years[1] + era,
        "death": died + era if died and died.isdecimal() else None,
        "occupation": kind,
        "an_occupation": with_article(kind),
        "alias": another_name(synset.synset_id, whole, (name for name in synset.lemmas if " " in name)),
        "surname": next((name for name in synset.lemmas if " " not in name and name != whole), None),
        "short": with_article(short),
        "description": with_article(text),
    }
    return NamedRecord(synset.synset_id, whole, known(fields), (kind,)) if short else None


def _named(synset: Synset, kind: str, wider: str) -> NamedRecord:
    field = _FIELD_OF_LEGEND.match(synset.gloss)
    text = _FIELD_OF_LEGEND.sub("", synset.gloss)
    fields = {
        "kind": kind,
        "a_kind": with_article(kind),
        "field": field[1] if field else None,
        "alias": another_name(synset.synset_id, synset.lemmas[0], synset.lemmas),
        "short": text.split(";")[0].strip(),
        "description": text,
    }
    return NamedRecord(synset.synset_id, synset.lemmas[0], known(fields), (kind, wider))
