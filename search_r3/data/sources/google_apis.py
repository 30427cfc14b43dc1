"""Google's web APIs: what a method does finds the API and the method's name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import (
    Entry,
    group_neighbours,
    read_json,
    sampled,
    training_pairs,
    unambiguous,
)
from search_r3.data.sources.markup import markdown_text, shortened, words_of_name
from search_r3.errors import DataError

_WORDS = range(5, 200)
_QUERY_WORDS = 50
_MEMBERS_OF_AN_API = 300
_LABEL = re.compile(r"^(?:(?:optional|required|output only|input only|immutable|identifier)[.;] *)+", re.I)
_PREFIX = re.compile(r"^google (?:\w+ )*?v\d+\w* (?:(?:resources|common|services|enums) )?(?=\w)")


@dataclass(frozen=True)
class ApiMember:
    """A method of an API, or a property of its data.

    Attributes:
        member_id: Unique, such as youtube.channelBanners.insert.
        api: Title of the API.
        name: In words, such as "channel banners insert".
        description: What it does or means.
    """

    member_id: str
    api: str
    name: str
    description: str


def read_google_apis(folder: Path) -> list[ApiMember]:
    """Read the methods and properties of the discovery documents in a folder, one version of each API.

    Raises:
        DataError: There is no document, or one is none.
    """
    newest: dict[str, Path] = {}
    for path in sorted(folder.glob("*.json")):
        name, _, version = path.stem.partition(".")
        # A version without "alpha" or "beta" comes before the others, and v3 before v2.
        rank = ("alpha" not in version and "beta" not in version, version)
        kept = newest.get(name)
        kept_version = kept.stem.partition(".")[2] if kept else ""
        kept_rank = ("alpha" not in kept_version and "beta" not in kept_version, kept_version)
        if kept is None or rank > kept_rank:
            newest[name] = path
    members = [member for path in newest.values() for member in _members(path)]
    if not members:
        raise DataError(f"{folder} holds no discovery document; wanted those of google-api-python-client.")
    return members


def _members(path: Path) -> Iterator[ApiMember]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise DataError(f"{path} is no discovery document; unpack the package again.")
    title = str(document.get("title") or document.get("name") or path.stem)
    for method in _methods(document):
        name = " ".join(words_of_name(part) for part in method["id"].split(".")[1:])
        yield ApiMember(method["id"], title, name, markdown_text(method.get("description", "")))
    for schema, facts in document.get("schemas", {}).items():
        for key, value in facts.get("properties", {}).items():
            member_id = f"{path.stem}/{schema}/{key}"
            text = _LABEL.sub("", markdown_text(value.get("description", "")))
            name = f"{_PREFIX.sub('', words_of_name(schema))}: {words_of_name(key)}"
            yield ApiMember(member_id, title, name, text[:1].upper() + text[1:])


def _methods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


def google_apis_pairs(members: Sequence[ApiMember]) -> list[TrainingPair]:
    """Pair descriptions (50 words at most) with API and name: 20,000, and 300 of an API at most.

    A description that several members share says too little, and is left out. Negatives are other members
    of the API, of the same kind.

    Raises:
        DataError: No member has a description.
    """
    by_api: dict[str, list[Entry]] = defaultdict(list)
    for member in members:
        if len(member.description.split()) in _WORDS and not member.description.startswith("Deprecated"):
            query = shortened(member.description, _QUERY_WORDS)
            text = f"{member.api}: {member.name}"
            by_api[member.api].append(Entry(member.member_id, member.member_id, query, text))
    apis = {entry.entry_id: (api, "/" in entry.entry_id) for api, found in by_api.items() for entry in found}
    clear = {entry.entry_id for entry in unambiguous(entry for found in by_api.values() for entry in found)}
    entries = [
        entry
        for found in by_api.values()
        for entry in sampled([entry for entry in found if entry.entry_id in clear], _MEMBERS_OF_AN_API)
    ]
    chosen = sampled(entries)
    return training_pairs("google_apis", chosen, group_neighbours(chosen, lambda entry: apis[entry.entry_id]))
