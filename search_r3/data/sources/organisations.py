"""Companies, places of learning and mobile operators, as records."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from search_r3.data.sources.named_records import NamedRecord, another_name, is_latin, known, unique
from search_r3.data.sources.record_tables import python_literal
from search_r3.errors import DataError

_YEAR = re.compile(r"\b(1[5-9]\d\d|20[0-2]\d)\b")
_COUNT = re.compile(r"\d{1,3}(?:,\d{3})+|\d{3,}")
_NOTE = re.compile(r"\s*(?:\[[^\]]*\]|\([^)]*\))")
_SPACE_BEFORE = re.compile(r"\s+([,;.])")
_SHORT = 60
_MOST_CODES = 4
_ANYWHERE = frozenset((".ai", ".cc", ".fm", ".gg", ".io", ".la", ".me", ".so", ".to", ".tv", ".ws"))
"""Domains of countries that are used all over the world."""


def read_companies(path: Path, countries: Collection[str]) -> list[NamedRecord]:
    """Companies of stock indices (pytickersymbols); alike are those of an industry, or of a country.

    Args:
        path: The module with the indices, which is parsed and not run.
        countries: Names of countries: the data has other words in their place too.

    Raises:
        DataError: It cannot be read, or has another layout.
    """
    indices = python_literal(path, "INDICES")
    companies: dict[str, dict[str, Any]] = {}
    member: dict[str, list[str]] = {}
    try:
        for index in indices.values():
            for company in index["companies"]:
                companies.setdefault(company["name"], company)
                member.setdefault(company["name"], []).append(index["name"])
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} has another layout: {error!r}; wanted the pinned version.") from None
    return unique(
        (_company(company, member[name], countries) for name, company in companies.items()), "companies"
    )


def _company(company: Mapping[str, Any], indices: list[str], countries: Collection[str]) -> NamedRecord:
    facts = company.get("metadata", {})
    year, staff = _YEAR.search(str(facts.get("founded", ""))), _COUNT.search(str(facts.get("employees", "")))
    industries = [name for name in company.get("industries", ()) if len(name) <= _SHORT]
    country = company.get("country")
    fields = {
        "country": country if country in countries else None,
        "industry": industries[0] if industries else None,
        "sector": industries[-1] if len(industries) > 1 else None,
        "year": year[1] if year else None,
        "seat": _short(str(facts.get("headquarters", ""))),
        "founder": _short(str(facts.get("founder", ""))),
        "employees": staff[0] if staff else None,
        "symbol": company.get("symbol"),
        "isin": next(iter(company.get("isins", ())), None),
        "indices": " and ".join(dict.fromkeys(indices)),
    }
    groups = [name for name in (fields["industry"], fields["country"]) if name]
    name = _NOTE.sub("", company["name"]).strip()
    return NamedRecord(company["name"], name, known(fields), tuple(groups))


def _short(text: str) -> str | None:
    """A field of an infobox without notes, if it is short enough to be a single thing."""
    plain = _SPACE_BEFORE.sub(r"\1", " ".join(_NOTE.sub("", text).split())).strip(" ,;")
    return plain if 0 < len(plain) <= _SHORT else None


def read_schools(path: Path, domains: Mapping[str, str]) -> list[NamedRecord]:
    """Places of learning and their web domains (swot); alike are those of a country.

    Args:
        path: The module with the domains, which is parsed and not run.
        domains: Names of countries by their top-level domains.

    Raises:
        DataError: It cannot be read.
    """
    records: dict[str, NamedRecord] = {}
    for key, names in python_literal(path, "DOMAINS").items():
        domain = key.strip(".")
        top = f".{domain.rpartition('.')[2]}"
        latin = [" ".join(name.split()) for name in names if is_latin(name) and " " in name.strip()]
        if not latin or len(latin[0]) > _SHORT:
            continue
        country = None if top in _ANYWHERE else domains.get(top)
        fields = {
            "domain": domain,
            "country": country,
            "native": another_name(domain, latin[0], (name for name in names if not is_latin(name))),
            "alias": another_name(domain, latin[0], latin),
        }
        record = NamedRecord(domain, latin[0], known(fields), (country or top,))
        records.setdefault(latin[0].casefold(), record)
    return unique(records.values(), "schools")


def read_operators(path: Path, countries: Mapping[str, str]) -> list[NamedRecord]:
    """Mobile operators (mobile-broadband-provider-info); alike are those of a country.

    Raises:
        DataError: It cannot be read, or names no operator.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"Cannot read {path}: {error}; unpack its package again.") from None
    records: dict[str, NamedRecord] = {}
    for part in root.iter("country"):
        country = countries.get(part.get("code", "").upper())
        for provider in part.iter("provider"):
            name = provider.findtext("name", "").strip()
            codes = [f"{code.get('mcc')}-{code.get('mnc')}" for code in provider.iter("network-id")]
            points = [point.get("value", "") for point in provider.iter("apn")]
            if country is None or not name:
                continue
            fields = {
                "country": country,
                "codes": ", ".join(dict.fromkeys(codes[:_MOST_CODES])),
                "point": points[0] if points else None,
            }
            record = NamedRecord(f"{country}/{name}", name, known(fields), (country,))
            records.setdefault(record.record_id, record)
    return unique(records.values(), "operators")
