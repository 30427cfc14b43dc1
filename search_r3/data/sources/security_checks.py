"""Security checks and weaknesses: the title finds what is wrong, the problem finds the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, read_json, training_pairs, unambiguous
from search_r3.data.sources.markup import markdown_text, one_line, shortened
from search_r3.errors import DataError

_LEAST_WORDS = 5
_LISTING_WORDS = 25
# What introduces a listing that is left out.
_NO_COMMAND = re.compile(r"(?:(?<=[.!?])|^)[^.!?]*:\s*$")
_XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"


@dataclass(frozen=True)
class SecurityCheck:
    """Something that can be wrong with a system.

    Attributes:
        check_id: Unique in its source.
        group: What is checked, such as aws/iam.
        title: One line.
        description: What is looked at, or what is wrong.
        remedy: What to do about it; "" if the source does not say.
    """

    check_id: str
    group: str
    title: str
    description: str
    remedy: str


def read_cloud_checks(folder: Path) -> list[SecurityCheck]:
    """Read the descriptions of Prowler's checks (.metadata.json) below its providers, by path.

    Raises:
        DataError: There is none, or one lacks its title, description or recommendation.
    """
    checks: list[SecurityCheck] = []
    for path in sorted(folder.glob("*/services/*/*/*.metadata.json")):
        facts = read_json(path)
        try:
            provider, _, service = path.relative_to(folder).parts[:3]
            checks.append(
                SecurityCheck(
                    f"{provider}/{facts['CheckID']}",
                    f"{provider}/{service}",
                    markdown_text(facts["CheckTitle"]),
                    markdown_text(f"{facts['Description']}\n\n{facts['Risk']}"),
                    markdown_text(facts["Remediation"]["Recommendation"]["Text"]),
                )
            )
        except (KeyError, TypeError):
            raise DataError(f"{path} lacks a text that a check of Prowler has; unpack it again.") from None
    return _some(checks, folder, "prowler/providers")


def read_weaknesses(path: Path) -> list[SecurityCheck]:
    """Read the CWE list as a table by number, without what MITRE withdrew.

    Raises:
        DataError: It cannot be read, or is another table.
    """
    table = read_json(path)
    checks: list[SecurityCheck] = []
    try:
        for number, facts in table.items():
            title = facts["attr"]["@_Name"]
            if title.startswith("DEPRECATED"):
                continue
            related = _list(facts.get("Related_Weaknesses", {}).get("Related_Weakness", []))
            parents = [other["attr"]["@_CWE_ID"] for other in related]
            mitigations = _list(facts.get("Potential_Mitigations", {}).get("Mitigation", []))
            checks.append(
                SecurityCheck(
                    f"CWE-{number}",
                    parents[0] if parents else "",
                    one_line(title),
                    _text([facts["Description"], facts.get("Extended_Description", "")]),
                    _text(mitigation.get("Description", "") for mitigation in mitigations),
                )
            )
    except (AttributeError, KeyError, TypeError):
        raise DataError(f"{path} is no table of CWE; unpack its package again.") from None
    return _some(checks, path, "cwe-dictionary.json")


def read_hardening(paths: Iterable[Path]) -> list[SecurityCheck]:
    """Read the rules of XCCDF 1.2 benchmarks; of a rule for several systems, the first.

    Raises:
        DataError: A file is no XML, or there is no rule.
    """
    rules: dict[str, SecurityCheck] = {}
    for path in paths:
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise DataError(f"Cannot read the benchmark {path}: {error}; unpack it again.") from None
        for group in root.iter(f"{_XCCDF}Group"):
            for rule in group.findall(f"{_XCCDF}Rule"):
                name = rule.get("id", "").rpartition("_rule_")[2]
                texts = [_inner(rule.find(_XCCDF + tag)) for tag in ("title", "description", "rationale")]
                if all(texts[:2]):
                    found = SecurityCheck(name, group.get("id", ""), *texts)
                    rules.setdefault(name, found)
    return _some(list(rules.values()), Path(), "XCCDF benchmarks")


def _some(checks: list[SecurityCheck], path: Path, wanted: str) -> list[SecurityCheck]:
    if not checks:
        raise DataError(f"{path} holds no security check; wanted {wanted}.")
    return checks


def _inner(element: ElementTree.Element | None) -> str:
    return "" if element is None else one_line(_NO_COMMAND.sub("", "".join(_strings(element))))


def _strings(element: ElementTree.Element) -> Iterator[str]:
    """The texts inside an element, in order, without long listings."""
    if element.tag.endswith("}pre") and len("".join(element.itertext()).split()) > _LISTING_WORDS:
        return
    yield element.text or ""
    for inner in element:
        yield from _strings(inner)
        yield inner.tail or ""


def _list(value: Any) -> list[Any]:
    """The conversion from XML made a list of several elements only."""
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """All texts inside of a piece of converted XML, but no attributes, in one line."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        inner = [
            part
            for key, part in value.items()
            if key not in ("attr", "xhtml:img") and not key.startswith("@")
        ]
    else:
        inner = list(value) if isinstance(value, Iterable) else []
    return one_line(" ".join(filter(None, map(_text, inner))))


def security_checks_pairs(source: str, checks: Sequence[SecurityCheck]) -> list[TrainingPair]:
    """Pair every title with its description, and every description's beginning with title and remedy.

    Documents are cut to 120 words, descriptions as queries to 40. Negatives are texts of the same kind in
    the group.

    Raises:
        DataError: No check has a text of five words.
    """
    groups: dict[str, tuple[str, str]] = {}
    entries = []
    for check in checks:
        if len(check.description.split()) >= _LEAST_WORDS:
            item = f"{check.check_id}/description"
            entries.append(Entry(item, item, check.title, shortened(check.description)))
            groups[item] = ("description", check.group)
            if len(check.remedy.split()) >= _LEAST_WORDS:
                item = f"{check.check_id}/remedy"
                query = shortened(check.description, 40)
                entries.append(Entry(item, item, query, shortened(f"{check.title}. {check.remedy}")))
                groups[item] = ("remedy", check.group)
    chosen = unambiguous(entries)
    return training_pairs(source, chosen, group_neighbours(chosen, lambda entry: groups[entry.entry_id]))
