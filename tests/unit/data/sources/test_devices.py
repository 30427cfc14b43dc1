"""Device lists and lensfun's database."""

import pytest

from search_r3.data.sources.devices import read_cameras, read_device_ids
from search_r3.errors import DataError

IDS = """# comment
0001  Wrong Vendor (Wrong ID)
\t0001  Something 3000 Turbo
04a9  Canon, Inc.
\t26a4  LBP5100 Printer
\t\t04a9 1  subsystem
\t26a5  Printer
\t26a6  LBP5100 Printer
C 00  Class
\t0001  Interface 12345
"""
LENSES = """<lensdatabase>
<camera><maker>NIKON CORPORATION</maker><maker lang="en">Nikon</maker><model>NIKON D3</model>
<model lang="en">D3</model><mount>Nikon F AF</mount><cropfactor>1</cropfactor></camera>
<camera><maker>Nikon</maker><model>Coolpix P7000</model><mount>nikonP7000</mount></camera>
<lens><maker>Canon</maker><model>Canon EF 85mm f/1.2L II USM</model><mount>Canon EF</mount></lens>
<lens><maker>Nikon</maker><model>Nikkor 12-24mm f/3.5-4.5G</model><mount>Nikon F AF</mount></lens>
</lensdatabase>"""


def test_device_ids(tmp_path):
    """Devices of right vendors whose names tell them apart; classes at the end are no devices."""
    path = tmp_path / "usb.ids"
    path.write_text(IDS)
    (printer,) = read_device_ids(path, "USB")
    assert (printer.record_id, printer.name) == ("USB/04a9:26a4", "LBP5100 Printer")
    assert printer.fields == {"vendor": "Canon, Inc.", "bus": "USB", "id": "04a9:26a4", "vendor_id": "04a9"}
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="no record of USB devices"):
        read_device_ids(path, "USB")


def test_cameras(tmp_path):
    """English names with the maker before them, once; made-up mounts are left out."""
    (tmp_path / "x.xml").write_text(LENSES)
    found = {record.name: record.fields for record in read_cameras(tmp_path)}
    assert list(found) == [
        "Nikon D3",
        "Nikon Coolpix P7000",
        "Canon EF 85mm f/1.2L II USM",
        "Nikon Nikkor 12-24mm f/3.5-4.5G",
    ]
    assert found["Nikon D3"] == {"maker": "Nikon", "kind": "camera", "mount": "Nikon F AF", "crop": "1"}
    assert "mount" not in found["Nikon Coolpix P7000"]
    lens = found["Canon EF 85mm f/1.2L II USM"]
    assert (lens["focal"], lens["aperture"]) == ("85 mm", "f/1.2")
    lens = found["Nikon Nikkor 12-24mm f/3.5-4.5G"]
    assert (lens["focal"], lens["aperture"]) == ("12-24 mm", "f/3.5-4.5")


def test_other_files_are_refused(tmp_path):
    """A file that is not XML is an error."""
    (tmp_path / "x.xml").write_text("<lens>")
    with pytest.raises(DataError, match=r"Cannot read .*x\.xml"):
        read_cameras(tmp_path)
