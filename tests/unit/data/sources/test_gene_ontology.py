"""Gene Ontology out of SQLite: terms with their parents, and negatives among siblings."""

import sqlite3
from contextlib import closing

import pytest

from search_r3.data.sources.gene_ontology import gene_ontology_pairs, read_gene_ontology
from search_r3.errors import DataError

TERMS = [
    (1, "GO:1", "transport", "BP", "Moving\n things."),
    (2, "GO:2", "ion transport", "BP", "Moving ions."),
    (3, "GO:3", "water transport", "BP", "Moving water."),
    (4, "GO:4", "H2O movement", "BP", "Moving water about."),
    (5, "GO:5", "transport control", "BP", None),
    (6, "all", "all", "universal", None),
]
PARENTS = [
    (1, 6, "isa"),
    (2, 1, "isa"),
    (3, 1, "isa"),
    (4, 1, "isa"),
    (5, 1, "regulates"),
    (5, 2, "isa"),
    (1, 99, "isa"),
]
SYNONYMS = [(3, "h2o movement", None, 0), (3, "GO:0009", "GO:0009", 1)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "GO.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE go_term (_id, go_id, term, ontology, definition)")
        database.execute("CREATE TABLE go_synonym (_id, synonym, secondary, like_go_id)")
        for part in ("bp", "mf", "cc"):
            database.execute(f"CREATE TABLE go_{part}_parents (_id, _parent_id, relationship_type)")
        database.executemany("INSERT INTO go_term VALUES (?, ?, ?, ?, ?)", TERMS)
        database.executemany("INSERT INTO go_synonym VALUES (?, ?, ?, ?)", SYNONYMS)
        database.executemany("INSERT INTO go_bp_parents VALUES (?, ?, ?)", PARENTS[:4])
        database.executemany("INSERT INTO go_cc_parents VALUES (?, ?, ?)", PARENTS[4:])
    return path


def test_fields_of_terms(path):
    """Terms come by id, with names, synonyms that are no ids, and parents of every relation that exist."""
    terms = {term.go_id: term for term in read_gene_ontology(path)}
    assert list(terms) == ["GO:1", "GO:2", "GO:3", "GO:4", "GO:5", "all"]
    assert terms["GO:3"].synonyms == ("h2o movement",)
    assert terms["GO:5"].parents == ("GO:1", "GO:2")
    assert terms["GO:1"].parents == ("all",)
    assert (terms["GO:5"].name, terms["GO:5"].definition) == ("transport control", "")


def test_pairs(path):
    """A definition finds the name; negatives are siblings, not descendants, and no synonym of the term."""
    pairs = {pair.query: pair for pair in gene_ontology_pairs(read_gene_ontology(path))}
    assert set(pairs) == {"Moving things.", "Moving ions.", "Moving water.", "Moving water about."}
    ions = pairs["Moving ions."]
    assert (ions.positive, ions.query_id, ions.doc_id, ions.source) == (
        "ion transport",
        "GO:2",
        "GO:2",
        "gene_ontology",
    )
    # GO:5 is below GO:2.
    assert set(ions.negatives) == {"water transport", "H2O movement"}
    assert set(pairs["Moving water."].negatives) == {"ion transport", "transport control"}
    assert pairs["Moving things."].negatives == ()


def test_reading_leaves_the_file_as_it_is(path):
    """A file that may not be written can be read; it stays the same, and nothing appears beside it."""
    before = path.read_bytes()
    path.chmod(0o444)
    read_gene_ontology(path)
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == ["GO.sqlite"]


def test_refuses_other_files(tmp_path, path):
    """A missing file, another format, a missing table and an empty one are errors."""
    with pytest.raises(DataError, match="is missing"):
        read_gene_ontology(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    other = tmp_path / "text.sqlite"
    other.write_text("plain text " * 100)
    with pytest.raises(DataError, match="not a database"):
        read_gene_ontology(other)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM go_term")
    with pytest.raises(DataError, match="no row in go_term"):
        read_gene_ontology(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE go_mf_parents")
    with pytest.raises(DataError, match="go_mf_parents"):
        read_gene_ontology(path)
