"""Security checks of three sources, and their pairs."""

import json

import pytest

from search_r3.data.sources.security_checks import (
    SecurityCheck,
    read_cloud_checks,
    read_hardening,
    read_weaknesses,
    security_checks_pairs,
)
from search_r3.errors import DataError

XCCDF = """<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2" xmlns:h="http://www.w3.org/1999/xhtml">
<Group id="g_kettle"><title>Kettle</title>
<Rule id="x_rule_hot"><title>Keep it hot</title>
<description>The <h:code>kettle</h:code> is hot. Run: <h:pre>heat now</h:pre></description>
<rationale>Cold tea is bad. See this: <h:pre>LONG</h:pre></rationale></Rule>
<Rule id="x_rule_none"><title>No text</title></Rule></Group></Benchmark>
"""


def check(name, group="tea", remedy="Heat the kettle until it boils."):
    return SecurityCheck(name, group, f"{name} is hot", f"Somebody can burn at the {name}.", remedy)


def test_cloud_checks(tmp_path):
    """Title, description with risk, and recommendation, by provider and service."""
    path = tmp_path / "aws" / "services" / "iam" / "key" / "key.metadata.json"
    path.parent.mkdir(parents=True)
    facts = {
        "CheckID": "key",
        "CheckTitle": "Key is **old**",
        "Description": "Looks at keys.",
        "Risk": "Thieves.",
        "Remediation": {"Recommendation": {"Text": "Change `it`."}},
    }
    path.write_text(json.dumps(facts))
    wanted = SecurityCheck("aws/key", "aws/iam", "Key is old", "Looks at keys. Thieves.", "Change it.")
    assert read_cloud_checks(tmp_path) == [wanted]
    path.write_text("{}")
    with pytest.raises(DataError, match="lacks a text"):
        read_cloud_checks(tmp_path)


def test_weaknesses(tmp_path):
    """Texts at any depth become one line; the first parent is the group; withdrawn ones are skipped."""
    path = tmp_path / "cwe.json"
    table = {
        "7": {
            "attr": {"@_Name": "Hot kettle"},
            "Description": "It is hot.",
            "Extended_Description": {"xhtml:p": ["Very hot.", {"#text": "Really."}], "attr": {"x": "no"}},
            "Related_Weaknesses": {"Related_Weakness": {"attr": {"@_CWE_ID": "3"}}},
            "Potential_Mitigations": {"Mitigation": [{"Description": "Wait."}, {"Phase": "x"}]},
        },
        "8": {"attr": {"@_Name": "DEPRECATED: Old"}, "Description": "x"},
    }
    path.write_text(json.dumps(table))
    assert read_weaknesses(path) == [
        SecurityCheck("CWE-7", "3", "Hot kettle", "It is hot. Very hot. Really.", "Wait.")
    ]
    path.write_text("[]")
    with pytest.raises(DataError, match="is no table of CWE"):
        read_weaknesses(path)


def test_hardening(tmp_path):
    """Short listings stay in their sentence, long ones go with what introduces them."""
    path = tmp_path / "x.xml"
    path.write_text(XCCDF.replace("LONG", "word " * 30))
    assert read_hardening([path, path]) == [
        SecurityCheck(
            "hot", "g_kettle", "Keep it hot", "The kettle is hot. Run: heat now", "Cold tea is bad."
        )
    ]
    path.write_text("<Benchmark")
    with pytest.raises(DataError, match="Cannot read the benchmark"):
        read_hardening([path])
    with pytest.raises(DataError, match="no security check"):
        read_hardening([])


def test_pairs():
    """A title finds the description, a description the remedy; negatives are of the kind and the group."""
    pairs = security_checks_pairs("tea", [check("Pot", remedy=""), check("Kettle"), check("Oven", "kitchen")])
    assert [(pair.query_id, pair.query) for pair in pairs] == [
        ("Pot/description", "Pot is hot"),
        ("Kettle/description", "Kettle is hot"),
        ("Kettle/remedy", "Somebody can burn at the Kettle."),
        ("Oven/description", "Oven is hot"),
        ("Oven/remedy", "Somebody can burn at the Oven."),
    ]
    assert pairs[1].positive == "Somebody can burn at the Kettle."
    assert pairs[1].negatives == ("Somebody can burn at the Pot.",)
    assert pairs[2].positive == "Kettle is hot. Heat the kettle until it boils."
    assert pairs[2].negatives == pairs[3].negatives == ()
