"""Gene Ontology: a definition finds the term's name, with the names of sibling terms as negatives."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, training_pairs
from search_r3.data.sources.hierarchy import Hierarchy
from search_r3.errors import DataError

_TERMS = "SELECT _id, go_id, term, definition FROM go_term ORDER BY go_id"
_SYNONYMS = "SELECT _id, synonym FROM go_synonym WHERE like_go_id = 0 ORDER BY rowid"
_PARENTS = " UNION ALL ".join(f"SELECT _id, _parent_id FROM go_{part}_parents" for part in ("bp", "mf", "cc"))


@dataclass(frozen=True)
class GoTerm:
    """One term that is not obsolete.

    Attributes:
        go_id: Its id, such as GO:0000913.
        name: Its preferred name.
        definition: Its definition; empty if it has none.
        synonyms: Its other names.
        parents: Ids of its direct parents, whatever the relation (is a, part of, regulates).
    """

    go_id: str
    name: str
    definition: str
    synonyms: tuple[str, ...]
    parents: tuple[str, ...]


def read_gene_ontology(path: Path) -> list[GoTerm]:
    """Read the SQLite file of Bioconductor's GO.db.

    Raises:
        DataError: The file is missing, is no SQLite file, lacks a table, or holds no term.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; wanted the GO.sqlite of r-bioc-go.db: unpack the package again.")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(_TERMS).fetchall()
            synonym_rows = database.execute(_SYNONYMS).fetchall()
            parent_rows = database.execute(_PARENTS).fetchall()
    except sqlite3.Error as error:
        raise DataError(f"{path} is not the GO.sqlite of r-bioc-go.db: {error}.") from None
    if not rows:
        raise DataError(f"{path} has no row in go_term; wanted the GO.sqlite of r-bioc-go.db.")
    go_ids = {row_id: go_id for row_id, go_id, _, _ in rows}
    synonyms: dict[int, list[str]] = defaultdict(list)
    for row_id, synonym in synonym_rows:
        synonyms[row_id].append(synonym)
    parents: dict[int, set[str]] = defaultdict(set)
    for row_id, parent_id in parent_rows:
        if parent_id in go_ids:
            parents[row_id].add(go_ids[parent_id])
    return [
        GoTerm(go_id, name, definition or "", tuple(synonyms[row_id]), tuple(sorted(parents[row_id])))
        for row_id, go_id, name, definition in rows
    ]


def gene_ontology_pairs(terms: Sequence[GoTerm]) -> list[TrainingPair]:
    """Pair every definition with its term's name.

    Negatives are names of terms with a common parent that are neither above nor below the term, and that the
    ontology does not list among the term's own synonyms.

    Raises:
        DataError: No term has a definition.
    """
    by_id = {term.go_id: term for term in terms}
    hierarchy = Hierarchy({term.go_id: term.parents for term in terms})

    def siblings(entry: Entry) -> dict[str, str]:
        own = {synonym.casefold() for synonym in by_id[entry.item_id].synonyms}
        names = {other: by_id[other].name for other in hierarchy.siblings(entry.item_id)}
        return {other: name for other, name in names.items() if name.casefold() not in own}

    entries = [
        Entry(term.go_id, term.go_id, " ".join(term.definition.split()), term.name)
        for term in terms
        if term.definition
    ]
    return training_pairs("gene_ontology", entries, siblings)
