"""The tabular list of ICD-10-CM: codes with their wordings, and negatives of the same category."""

import pytest

from search_r3.data.sources.icd10cm import icd10cm_pairs, read_icd10cm
from search_r3.errors import DataError

TABLE = """<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular><chapter><name>1</name><desc>Chapter</desc><includes><note>all of it</note></includes>
<section id="X00-X01"><desc>Section</desc>
<diag><name>X00</name><desc>Hiccups</desc><includes><note>repeated
 diaphragm spasms</note></includes>
  <diag><name>X00.1</name><desc>Loud hiccups</desc>
    <inclusionTerm><note>Noisy hiccups</note><note>loud hiccups</note><note/></inclusionTerm>
    <excludes1><note>sneezing</note></excludes1>
    <diag><name>X00.11</name><desc>Loud hiccups, at night</desc>
      <inclusionTerm><note>Nightly hiccups NOS</note></inclusionTerm></diag>
  </diag>
  <diag><name>X00.2</name><desc>Silent hiccups</desc></diag>
</diag>
<diag><name>X01</name><desc>Sneezing</desc></diag>
</section></chapter></ICD10CM.tabular>
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tabular.xml"
    path.write_text(TABLE)
    return path


def test_fields_of_codes(path):
    """Every code has its own description and wordings, not those of codes below it or of exclusions."""
    diagnoses = {diagnosis.code: diagnosis for diagnosis in read_icd10cm(path)}
    assert list(diagnoses) == ["X00", "X00.1", "X00.11", "X00.2", "X01"]
    assert diagnoses["X00"].inclusion_terms == ("repeated diaphragm spasms",)
    assert diagnoses["X00.1"].description == "Loud hiccups"
    assert diagnoses["X00.1"].inclusion_terms == ("Noisy hiccups", "loud hiccups")
    assert diagnoses["X01"].inclusion_terms == ()


def test_pairs(path):
    """A wording finds the description; negatives are of the category, neither above nor below the code."""
    pairs = {pair.query_id: pair for pair in icd10cm_pairs(read_icd10cm(path))}
    # X00.1#2 repeats its description.
    assert list(pairs) == ["X00#1", "X00.1#1", "X00.11#1"]
    noisy = pairs["X00.1#1"]
    assert (noisy.query, noisy.positive, noisy.doc_id) == ("Noisy hiccups", "Loud hiccups", "X00.1")
    assert (noisy.source, noisy.negatives) == ("icd10cm", ("Silent hiccups",))
    assert pairs["X00.11#1"].negatives == ("Silent hiccups",)
    assert pairs["X00#1"].negatives == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a/>", "holds no <diag>"),
        ("A00 Cholera", "Cannot read the tabular list"),
        ("<a><diag><name>X00</name></diag></a>", "'X00' and desc ''"),
    ],
)
def test_refuses_other_files(path, text, message):
    """What is not XML, has no code, or an incomplete one, is an error."""
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_icd10cm(path)


def test_refuses_a_missing_file(tmp_path):
    """A missing file is an error that names it."""
    with pytest.raises(DataError, match=r"none\.xml"):
        read_icd10cm(tmp_path / "none.xml")
