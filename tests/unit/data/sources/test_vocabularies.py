"""The World Factbook, schema.org and emoji."""

import json

import pytest

from search_r3.data.sources.emoji import Emoji, emoji_pairs, read_emoji
from search_r3.data.sources.factbook import CountryFact, factbook_pairs, read_factbook
from search_r3.data.sources.schema_org import SchemaTerm, read_schema_org, schema_org_pairs
from search_r3.errors import DataError

CLIMATE = "mild in the north but hot and very dry in the south"

SCHEMA = """interface KettleBase extends ThingBase {
    /** How hot the water of the {@link https://x.example/Kettle kettle} is. */
    "waterTemperature"?: SchemaValue<Text>;
    /**
     * Old.
     * @deprecated Use another.
     */
    "heat"?: SchemaValue<Text>;
    "undocumented"?: SchemaValue<Text>;
}
/** A thing to boil &lt;water&gt; in. */
export type TeaKettle = KettleLeaf;
"""


def write_country(folder, code, name, facts):
    (folder / "europe").mkdir(exist_ok=True)
    names = {"conventional short form": {"text": f"{name} (island)"}}
    table = {"Government": {"Country name": names}, **facts}
    (folder / "europe" / f"{code}.json").write_text(json.dumps(table))


def test_factbook(tmp_path):
    """Subfields carry their names; numbers, coordinates and notes are skipped; oceans have no name."""
    write_country(
        tmp_path,
        "te",
        "Tealand",
        {
            "Introduction": {"Background": {"text": CLIMATE}},
            "Geography": {
                "Terrain": {
                    "north": {"text": "high hills with some lakes"},
                    "south": {"text": "flat dry plains"},
                },
                "Area": {"total": {"text": "100 sq km"}},
                "Geographic coordinates": {"text": CLIMATE},
            },
        },
    )
    (tmp_path / "europe" / "zo.json").write_text(json.dumps({"Geography": {"Climate": {"text": CLIMATE}}}))
    assert read_factbook(tmp_path) == [
        CountryFact("europe/te/Introduction/Background", "Tealand", "History", CLIMATE),
        CountryFact(
            "europe/te/Geography/Terrain",
            "Tealand",
            "Terrain",
            "north: high hills with some lakes; south: flat dry plains",
        ),
    ]


def test_factbook_pairs():
    """The topic of a country finds the text; negatives are the same topic of other countries."""
    facts = [
        CountryFact(f"{name}/{topic}", name, topic, f"{topic} there")
        for name in "AB"
        for topic in ("Sea - salt", "Air")
    ]
    pair = factbook_pairs(facts)[0]
    assert (pair.query, pair.positive) == ("Sea salt of A", "A: Sea - salt there")
    assert pair.negatives == ("B: Sea - salt there",)


def test_schema_org(tmp_path):
    """Properties know their class; deprecated and undocumented ones are skipped; links keep their text."""
    path = tmp_path / "schema.d.ts"
    path.write_text(SCHEMA)
    terms = read_schema_org(path)
    assert terms == [
        SchemaTerm("waterTemperature", "Kettle", "How hot the water of the kettle is."),
        SchemaTerm("TeaKettle", "", "A thing to boil <water> in."),
    ]
    pairs = schema_org_pairs([*terms, SchemaTerm("lid", "Kettle", "What lies on top of the kettle.")])
    assert [(pair.positive, pair.negatives) for pair in pairs] == [
        ("water temperature", ("lid",)),
        ("tea kettle", ()),
        ("lid", ("water temperature",)),
    ]


def test_emoji(tmp_path):
    """Names and keywords come from any file; skin tones are skipped; shared keywords make no query."""
    path = tmp_path / "en.xml"
    path.write_text(
        '<ldml><annotations><annotation cp="A">drink | hot | tea</annotation>'
        '<annotation cp="A" type="tts">tea</annotation>'
        '<annotation cp="B" type="tts">hand: light skin tone</annotation>'
        '<annotation cp="B">hand</annotation>'
        '<annotation cp="C" type="tts">no keywords</annotation></annotations></ldml>'
    )
    assert read_emoji([path]) == [Emoji("A", "tea", ("drink", "hot", "tea"))]
    found = [
        Emoji("A", "tea", ("drink", "hot", "tea")),
        Emoji("C", "coffee", ("coffee", "black")),
        Emoji("F", "Fiji", ("flag",)),
        Emoji("G", "Ghana", ("flag",)),
    ]
    assert [(pair.query, pair.positive, pair.negatives) for pair in emoji_pairs(found)] == [
        ("drink, hot", "A tea", ("C coffee",)),
        ("black", "C coffee", ("A tea",)),
    ]


def test_refuses_other_files(tmp_path):
    """Empty folders and files of another kind are errors that say what was wanted."""
    with pytest.raises(DataError, match="holds no country"):
        read_factbook(tmp_path)
    path = tmp_path / "x"
    path.write_text("<a/>")
    with pytest.raises(DataError, match="hold no name with keywords"):
        read_emoji([path])
    with pytest.raises(DataError, match="documents no term"):
        read_schema_org(path)
    path.write_text("<a")
    with pytest.raises(DataError, match="Cannot read the annotations"):
        read_emoji([path])
