"""Devices by their makers: records of the USB and PCI lists and of lensfun's cameras and lenses."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from search_r3.data.sources.entries import read_lines
from search_r3.data.sources.named_records import NamedRecord, known, unique
from search_r3.errors import DataError

_VENDOR = re.compile(r"([0-9a-f]{4})  (.+)")
_DEVICE = re.compile(r"\t([0-9a-f]{4})  (.+)")
_WRONG = re.compile(r"wrong id|unknown|reserved|\?|test", re.IGNORECASE)
_SPECIFIC = re.compile(r"(?=.*[A-Za-z]{3})(?=.*\d).{7,70}")
_CLASSES = re.compile(r"C [0-9a-f]{2}  ")
_FOCAL = re.compile(r"\b(\d{1,4}(?:\.\d)?(?:-\d{1,4}(?:\.\d)?)?) ?mm\b")
_APERTURE = re.compile(r"\b[fF]/?(\d{1,2}(?:\.\d{1,2})?(?:-\d{1,2}(?:\.\d{1,2})?)?)(?![\d.])")


def read_device_ids(path: Path, bus: str) -> list[NamedRecord]:
    """Devices of usb.ids or pci.ids whose names have a word and a number; alike are those of a vendor.

    Raises:
        DataError: The file cannot be read, or lists no device.
    """
    records: dict[str, NamedRecord] = {}
    vendor, vendor_id = "", ""
    for line in read_lines(path):
        if _CLASSES.match(line):
            break  # lists of classes and languages follow
        if found := _VENDOR.match(line):
            vendor_id, vendor = found[1], found[2].strip()
        elif (found := _DEVICE.match(line)) and vendor and not _WRONG.search(vendor):
            name, device_id = found[2].strip(), f"{vendor_id}:{found[1]}"
            if _SPECIFIC.fullmatch(name) and not _WRONG.search(name):
                fields = {"vendor": vendor, "bus": bus, "id": device_id, "vendor_id": vendor_id}
                record = NamedRecord(f"{bus}/{device_id}", name, fields, (f"{bus}/{vendor}", bus))
                records.setdefault(f"{vendor}/{name}", record)
    return unique(records.values(), f"{bus} devices")


def read_cameras(folder: Path) -> list[NamedRecord]:
    """Cameras and lenses of lensfun; alike are those of a maker and mount, or of a mount.

    Raises:
        DataError: There is no file, or one is not XML.
    """
    records: dict[str, NamedRecord] = {}
    for path in sorted(folder.glob("*.xml")):
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
        for kind in ("camera", "lens"):
            for item in root.iter(kind):
                record = _camera(item, kind)
                records.setdefault(record.record_id.casefold(), record)
    return unique((record for record in records.values() if record.name), "cameras")


def _camera(item: ElementTree.Element, kind: str) -> NamedRecord:
    english = [model.text or "" for model in item.findall("model") if model.get("lang") == "en"]
    maker = next((part.text or "" for part in item.findall("maker") if part.get("lang") == "en"), "")
    maker = maker or item.findtext("maker", "")
    model = (english or [item.findtext("model", "")])[0].strip()
    mount = item.findtext("mount", "")
    name = model if maker.casefold() in model.casefold() or not model else f"{maker} {model}"
    focal, aperture = _FOCAL.search(model), _APERTURE.search(model)
    lens = kind == "lens"
    fields = {
        "maker": maker,
        "kind": kind,
        # Mounts of cameras with a fixed lens have made-up names in small letters.
        "mount": mount if mount[:1].isupper() else None,
        "crop": item.findtext("cropfactor"),
        "focal": f"{focal[1]} mm" if focal and lens else None,
        "aperture": f"f/{aperture[1]}" if aperture and lens else None,
    }
    return NamedRecord(f"{kind}/{name}", name, known(fields), (f"{maker}/{mount}", f"{kind}/{maker}", kind))
