"""Google's and Amazon's APIs: members with what they do."""

import gzip
import json

import pytest

from search_r3.data.sources.aws_operations import Operation, aws_operations_pairs, read_aws_operations
from search_r3.data.sources.google_apis import ApiMember, google_apis_pairs, read_google_apis
from search_r3.errors import DataError


def document(title, text):
    methods = {"boil": {"id": "tea.pots.boilWater", "description": text}}
    return json.dumps(
        {
            "title": title,
            "resources": {"pots": {"methods": methods}},
            "schemas": {
                "GoogleTeaV1Pot": {"properties": {"isHot": {"description": "Optional. whether `it` is hot."}}}
            },
        }
    )


def test_google_fields(tmp_path):
    """Methods and properties of one version: v1 rather than v2beta."""
    (tmp_path / "tea.v1.json").write_text(document("Tea API", "Boils the water."))
    (tmp_path / "tea.v2beta.json").write_text(document("Tea API beta", "Boils."))
    assert read_google_apis(tmp_path) == [
        ApiMember("tea.pots.boilWater", "Tea API", "pots boil water", "Boils the water."),
        ApiMember("tea.v1/GoogleTeaV1Pot/isHot", "Tea API", "pot: is hot", "Whether it is hot."),
    ]


def test_google_pairs():
    """A description finds API and name; shared and short descriptions are left out."""
    same = "Does the same as the others."
    members = [
        ApiMember("a.x", "A", "x", "Boils the water in a pot."),
        ApiMember("a.y", "A", "y", "Pours the water into a cup."),
        ApiMember("a.z", "A", "z", same),
        ApiMember("b.z", "B", "z", same),
        ApiMember("b.w", "B", "w", "Too short."),
        ApiMember("v/s/p", "A", "s: p", "Property of another kind than methods."),
    ]
    pairs = google_apis_pairs(members)
    assert [(pair.query, pair.positive, pair.negatives) for pair in pairs] == [
        ("Boils the water in a pot.", "A: x", ("A: y",)),
        ("Pours the water into a cup.", "A: y", ("A: x",)),
        ("Property of another kind than methods.", "A: s: p", ()),
    ]


def test_aws(tmp_path):
    """The newest version's operations are read; a description finds service and operation."""
    for version, name in (("2001-01-01", "Old"), ("2010-01-01", "BoilWater")):
        service = {
            "metadata": {"serviceFullName": "Amazon Tea"},
            "operations": {name: {"documentation": "<p>Boils water in <code>Pot</code> now.</p>"}},
        }
        folder = tmp_path / "tea" / version
        folder.mkdir(parents=True)
        (folder / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(service).encode()))
    operations = read_aws_operations(tmp_path)
    assert operations == [Operation("tea/BoilWater", "Amazon Tea", "BoilWater", "Boils water in Pot now.")]
    (pair,) = aws_operations_pairs(operations)
    assert (pair.query, pair.positive) == ("Boils water in Pot now.", "Amazon Tea: boil water")
    assert pair.query_id == "tea/BoilWater"


def test_refuses_other_folders(tmp_path):
    """Folders without documents, and damaged documents, are errors."""
    with pytest.raises(DataError, match="no discovery document"):
        read_google_apis(tmp_path)
    with pytest.raises(DataError, match="holds no service"):
        read_aws_operations(tmp_path)
    (tmp_path / "tea" / "1").mkdir(parents=True)
    for content in (b"x", gzip.compress(b"{}")):
        (tmp_path / "tea" / "1" / "service-2.json.gz").write_bytes(content)
        with pytest.raises(DataError, match="describes no service"):
            read_aws_operations(tmp_path)
    (tmp_path / "tea.v1.json").write_text("[]")
    with pytest.raises(DataError, match="is no discovery document"):
        read_google_apis(tmp_path)
