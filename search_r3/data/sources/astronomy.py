"""Asteroids, comets and deep-sky objects: records of JPL's database and of OpenNGC."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from search_r3.data.sources.named_records import NamedRecord, known, rounded, unique, with_article
from search_r3.data.sources.record_tables import sqlite_rows
from search_r3.errors import DataError

_NAMED = re.compile(r"(\d+) ([^(]*[a-z][^(]*?)(?: \((\w{3,4} \w+)\))?$")
_COMET = re.compile(r"(?:(\d+)([PD])/([^(]+)|([CPDX]/-?\d+ \w+(?:-\w+)?)(?: \(([^)]+)\))?)$")
_MOST_NAMESAKES = 4
"""Observatories find thousands of comets, and their name says nothing about one of them."""

_ORBITS = {
    "MBA": "main-belt asteroid",
    "OMB": "asteroid of the outer main belt",
    "IMB": "asteroid of the inner main belt",
    "MCA": "asteroid that crosses the orbit of Mars",
    "TJN": "Trojan asteroid of Jupiter",
    "TNO": "trans-Neptunian object",
    "CEN": "centaur",
    "AMO": "near-Earth asteroid of the Amor group",
    "APO": "near-Earth asteroid of the Apollo group",
    "ATE": "near-Earth asteroid of the Aten group",
}
_ABBREVIATIONS = (
    "And:Andromeda Ant:Antlia Aps:Apus Aqr:Aquarius Aql:Aquila Ara:Ara Ari:Aries Aur:Auriga Boo:Boötes "
    "Cae:Caelum Cam:Camelopardalis Cnc:Cancer CVn:Canes_Venatici CMa:Canis_Major CMi:Canis_Minor "
    "Cap:Capricornus Car:Carina Cas:Cassiopeia Cen:Centaurus Cep:Cepheus Cet:Cetus Cha:Chamaeleon "
    "Cir:Circinus Col:Columba Com:Coma_Berenices CrA:Corona_Australis CrB:Corona_Borealis Crv:Corvus "
    "Crt:Crater Cru:Crux Cyg:Cygnus Del:Delphinus Dor:Dorado Dra:Draco Equ:Equuleus Eri:Eridanus "
    "For:Fornax Gem:Gemini Gru:Grus Her:Hercules Hor:Horologium Hya:Hydra Hyi:Hydrus Ind:Indus "
    "Lac:Lacerta Leo:Leo LMi:Leo_Minor Lep:Lepus Lib:Libra Lup:Lupus Lyn:Lynx Lyr:Lyra Men:Mensa "
    "Mic:Microscopium Mon:Monoceros Mus:Musca Nor:Norma Oct:Octans Oph:Ophiuchus Ori:Orion Pav:Pavo "
    "Peg:Pegasus Per:Perseus Phe:Phoenix Pic:Pictor Psc:Pisces PsA:Piscis_Austrinus Pup:Puppis "
    "Pyx:Pyxis Ret:Reticulum Sge:Sagitta Sgr:Sagittarius Sco:Scorpius Scl:Sculptor Sct:Scutum "
    "Se1:Serpens Se2:Serpens Ser:Serpens Sex:Sextans Tau:Taurus Tel:Telescopium Tri:Triangulum "
    "TrA:Triangulum_Australe Tuc:Tucana UMa:Ursa_Major UMi:Ursa_Minor Vel:Vela Vir:Virgo Vol:Volans "
    "Vul:Vulpecula"
)
_CONSTELLATIONS = dict(pair.split(":") for pair in _ABBREVIATIONS.split())
_KINDS = {
    "**": "double star",
    "*Ass": "association of stars",
    "OCl": "open cluster",
    "GCl": "globular cluster",
    "Cl+N": "star cluster with a nebula",
    "G": "galaxy",
    "GPair": "pair of galaxies",
    "GTrpl": "triplet of galaxies",
    "GGroup": "group of galaxies",
    "PN": "planetary nebula",
    "HII": "region of ionised hydrogen",
    "EmN": "emission nebula",
    "Neb": "nebula",
    "RfN": "reflection nebula",
    "SNR": "supernova remnant",
}


def _bodies(path: Path) -> list[dict[str, object]]:
    """The bodies of a file of JPL's small-body database: a list of columns, and rows of values.

    Raises:
        DataError: It cannot be read, or has another layout.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return [dict(zip(table["fields"], row, strict=True)) for row in table["data"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"Cannot read {path}: {error!r}; unpack its package again.") from None


def read_asteroids(path: Path) -> list[NamedRecord]:
    """Asteroids that have a name; alike are those with the same kind of orbit.

    Raises:
        DataError: The file cannot be read, or has no named body.
    """
    records = []
    for row in _bodies(path):
        if (found := _NAMED.match(str(row["full_name"]).strip())) is None:
            continue
        orbit = _ORBITS.get(str(row["class"]))
        fields = {
            "number": found[1],
            "designation": found[3],
            "orbit": orbit,
            "an_orbit": with_article(orbit) if orbit else None,
            "diameter": _number(row["diameter"]),
            "rotation": _number(row["rot_per"]),
            "albedo": _number(row["albedo"], 2),
            "years": _number(row["per_y"]),
            "distance": _number(row["a"]),
            "magnitude": _number(row["H"]),
        }
        records.append(NamedRecord(found[1], found[2].strip(), known(fields), (orbit or "",)))
    return unique(records, "asteroids")


def read_comets(path: Path) -> list[NamedRecord]:
    """Comets that are named after somebody; alike are those with the same kind of name.

    Raises:
        DataError: The file cannot be read, or has no named comet.
    """
    records: dict[str, NamedRecord] = {}
    for row in _bodies(path):
        if (found := _COMET.match(str(row["full_name"]).strip())) is None or not (found[3] or found[5]):
            continue
        name = (found[3] or found[5]).strip()
        designation = f"{found[1]}{found[2]}" if found[1] else found[4]
        fields = {
            "designation": designation,
            "year": None if found[1] else re.sub(r"^./(-?\d+).*", r"\1", designation),
            "years": _number(row["per.y"]),
            "perihelion": _number(row["q"]),
            "inclination": _number(row["i"]),
            "diameter": _number(row["diameter"]),
        }
        records.setdefault(
            designation, NamedRecord(designation, name, known(fields), (found[2] or designation[:1],))
        )
    counts = Counter(record.name for record in records.values())
    return unique((record for record in records.values() if counts[record.name] <= _MOST_NAMESAKES), "comets")


def _number(value: object, digits: int = 3) -> str | None:
    return None if value in (None, "") else rounded(float(str(value)), digits)


def read_deep_sky(path: Path) -> list[NamedRecord]:
    """Clusters, nebulae and galaxies of OpenNGC; alike are those of a kind in a constellation.

    Raises:
        DataError: The file cannot be read, or lacks the table.
    """
    records = []
    for row in sqlite_rows(path, "SELECT * FROM objects ORDER BY name"):
        kind, constellation = _KINDS.get(row["type"]), _CONSTELLATIONS.get(row["const"] or "")
        found = re.fullmatch(r"(NGC|IC)0*(\d+)", row["name"])
        if not (kind and constellation and found):
            continue
        catalogue = f"{found[1]} {found[2]}"
        common = (row["commonnames"] or "").split(",")[0].strip()
        magnitude = row["vmag"] or row["bmag"]
        fields = {
            "catalogue": catalogue if common else None,
            "kind": kind,
            "a_kind": with_article(kind),
            "constellation": constellation.replace("_", " "),
            "magnitude": rounded(magnitude) if magnitude else None,
            "size": rounded(row["majax"]) if row["majax"] else None,
            "messier": f"Messier {int(row['messier'])}" if row["messier"] else None,
            "hubble": row["hubble"] or None,
            "redshift": rounded(row["redshift"]) if (row["redshift"] or 0) > 0 else None,
        }
        groups = (f"{kind}/{constellation}", constellation)
        records.append(NamedRecord(row["name"], common or catalogue, known(fields), groups))
    return unique(records, "deep-sky objects")
