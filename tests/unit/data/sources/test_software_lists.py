"""Software lists of MAME: titles without editions, one a platform."""

import pytest

from search_r3.data.sources.software_lists import read_software_lists
from search_r3.errors import DataError

LIST = """<softwarelist name="nes" description="Nintendo Entertainment System cartridges">
<software name="a"><description>Elite (Europe)</description><year>1991</year><publisher>Imagineer</publisher>
<info name="serial" value="NES-EI-FRG, NES-EI"/><info name="alt_title" value="エリート (Box)"/></software>
<software name="b" cloneof="a"><description>Elite (demo)</description><year>1991</year>
<publisher>Imagineer</publisher></software>
<software name="c"><description>Elite (USA)</description>
<year>1992</year><publisher>Other</publisher></software>
<software name="d"><description>Kiosk Demo</description><year>1992</year><publisher>X</publisher></software>
<software name="e"><description>Tetris</description><year>19??</year><publisher>X</publisher></software>
<software name="f"><description>Chess Set</description>
<year>1992</year><publisher>&lt;unknown&gt;</publisher></software>
</softwarelist>"""


def test_titles(tmp_path):
    """Clones, demos, second editions, and titles without a year or publisher are left out."""
    (tmp_path / "nes.xml").write_text(LIST, encoding="utf-8")
    (elite,) = read_software_lists(tmp_path)
    assert elite.name == "Elite"
    assert elite.fields == {
        "platform": "Nintendo Entertainment System",
        "publisher": "Imagineer",
        "year": "1991",
        "original": "エリート",
        "serial": "NES-EI-FRG",
    }
    assert elite.groups == (
        "Nintendo Entertainment System/1991",
        "Imagineer",
        "Nintendo Entertainment System",
    )


def test_the_same_title_on_another_platform_is_another_record(tmp_path):
    """The id has the platform in it."""
    (tmp_path / "nes.xml").write_text(LIST, encoding="utf-8")
    (tmp_path / "c64.xml").write_text(LIST.replace("Nintendo Entertainment System cart", "Commodore 64 cart"))
    assert [record.record_id for record in read_software_lists(tmp_path)] == [
        "Commodore 64/Elite",
        "Nintendo Entertainment System/Elite",
    ]


def test_other_folders_are_refused(tmp_path):
    """No list, or one that is not XML, is an error."""
    with pytest.raises(DataError, match=r"holds no \.xml file"):
        read_software_lists(tmp_path)
    (tmp_path / "nes.xml").write_text("<softwarelist>")
    with pytest.raises(DataError, match=r"Cannot read .*nes\.xml"):
        read_software_lists(tmp_path)
