"""Companies, places of learning and mobile operators."""

import pytest

from search_r3.data.sources.organisations import read_companies, read_operators, read_schools
from search_r3.errors import DataError

COMPANY = {
    "name": "Adyen (company)",
    "symbol": "ADYEN.AS",
    "country": "Netherlands",
    "industries": ["Payments", "Industrials"],
    "isins": ["NL0012969182"],
    "metadata": {
        "founded": "2006 ; 20 years ago ( 2006 )",
        "employees": "4,196 (2023)",
        "headquarters": "Amsterdam , Netherlands [ 1 ]",
        "founder": "x" * 61,
    },
}
PROVIDERS = """<serviceproviders><country code="be"><name>Belgium</name>
<provider><name>Telenet</name><gsm><network-id mcc="206" mnc="05"/><apn value="telenet.be"/></gsm></provider>
<provider><name>Base</name><cdma/></provider></country>
<country code="zz"><provider><name>Nowhere</name></provider></country></serviceproviders>"""


def companies(tmp_path, *rows):
    path = tmp_path / "d.py"
    indices = {"AEX": {"name": "AEX", "companies": rows}, "X": {"name": "X 50", "companies": rows[:1]}}
    path.write_text(f"INDICES = {indices!r}\n")
    return read_companies(path, {"Netherlands"})


def test_companies(tmp_path):
    """Facts of an infobox without notes; what is too long, or no country, is left out."""
    adyen, other = companies(tmp_path, COMPANY, {"name": "Other", "country": "Chesterfield, Missouri"})
    assert adyen.name == "Adyen"
    assert adyen.fields == {
        "country": "Netherlands",
        "industry": "Payments",
        "sector": "Industrials",
        "year": "2006",
        "seat": "Amsterdam, Netherlands",
        "employees": "4,196",
        "symbol": "ADYEN.AS",
        "isin": "NL0012969182",
        "indices": "AEX and X 50",
    }
    assert adyen.groups == ("Payments", "Netherlands")
    assert other.fields == {"indices": "AEX"}


def test_companies_of_another_layout(tmp_path):
    """A company without a name is an error."""
    with pytest.raises(DataError, match="another layout: KeyError"):
        companies(tmp_path, {"title": "x"})


def test_schools(tmp_path):
    """The domain's country, unless all the world uses it; a school with two domains is taken once."""
    domains = {
        ".ugent.be": ["Universiteit Gent", "Ghent University", "Гентский университет"],
        ".gent.io": ["School of Ghent"],
        ".two.be": ["Ghent"],
        ".three.be": ["universiteit gent"],
    }
    path = tmp_path / "d.py"
    path.write_text(f"DOMAINS: dict = {domains!r}\n", encoding="utf-8")
    ugent, school = read_schools(path, {".be": "Belgium", ".io": "Somewhere"})
    assert ugent.name == "Universiteit Gent"
    assert ugent.fields == {
        "domain": "ugent.be",
        "country": "Belgium",
        "native": "Гентский университет",
        "alias": "Ghent University",
    }
    assert (school.fields, school.groups) == ({"domain": "gent.io"}, (".io",))


def test_operators(tmp_path):
    """Network codes and access points, where they are known, in countries that are known."""
    path = tmp_path / "p.xml"
    path.write_text(PROVIDERS)
    telenet, base = read_operators(path, {"BE": "Belgium"})
    assert telenet.fields == {"country": "Belgium", "codes": "206-05", "point": "telenet.be"}
    assert (base.name, base.fields) == ("Base", {"country": "Belgium"})
    path.write_text("<a>")
    with pytest.raises(DataError, match="Cannot read"):
        read_operators(path, {})
