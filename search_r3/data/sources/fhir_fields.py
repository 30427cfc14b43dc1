"""Fields of electronic health records (HL7 FHIR): a short title and a definition of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import DataError


@dataclass(frozen=True)
class RecordField:
    """A field of a kind of record.

    Attributes:
        path: Kind and field, such as AllergyIntolerance.onsetAge.
        title: A few words.
        definition: One sentence or more.
    """

    path: str
    title: str
    definition: str


def read_record_fields(folder: Path) -> list[RecordField]:
    """Read the modules of a folder, by name: classes whose attributes are ``Field(title=, description=)``.

    The modules are parsed and not run. Fields without a title or a description are left out.

    Raises:
        DataError: A module cannot be read, or there is no field.
    """
    fields: list[RecordField] = []
    for path in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                fields += _fields(node)
    if not fields:
        raise DataError(f"{folder} holds no described field; wanted the modules of fhir.resources.")
    return fields


def _fields(kind: ast.ClassDef) -> Iterator[RecordField]:
    for node in kind.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            title, definition = (_argument(node.value, name) for name in ("title", "description"))
            if title and definition:
                yield RecordField(f"{kind.name}.{node.target.id}", title, definition)


def _argument(call: ast.expr | None, name: str) -> str:
    given = call.keywords if isinstance(call, ast.Call) else []
    values = [one.value for one in given if one.arg == name]
    text = values[0].value if values and isinstance(values[0], ast.Constant) else None
    return " ".join(text.split()) if isinstance(text, str) else ""
