"""Home Assistant: names of actions, settings and problems of a smart home find what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, read_json, training_pairs, unambiguous
from search_r3.data.sources.markup import markdown_text, shortened
from search_r3.errors import DataError

_LEAST_WORDS = 4
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
_FILLED_LINK = re.compile(r"\[([^\[\]]+)\]\(\{[a-z0-9_]+\}\)")


@dataclass(frozen=True)
class SmartHomeText:
    """A name shown in Home Assistant, and the text that explains it.

    Attributes:
        key: Integration and place in its table of texts: unique.
        integration: Name of the integration, such as Spotify.
        name: Of an action, a setting, a step of the setup or a problem.
        text: What it means.
    """

    key: str
    integration: str
    name: str
    text: str


def read_home_assistant(folder: Path) -> list[SmartHomeText]:
    """Read the English texts of every integration below homeassistant/components, by name.

    Raises:
        DataError: There is none, or a file is no table.
    """
    found: list[SmartHomeText] = []
    for path in sorted(folder.glob("*/translations/en.json")):
        manifest = path.parents[1] / "manifest.json"
        # A few integrations that were removed have left their translations.
        texts, facts = read_json(path), read_json(manifest) if manifest.is_file() else {}
        if not isinstance(texts, dict) or not isinstance(facts, dict):
            raise DataError(f"{path} or {manifest} is no table; unpack the package again.")
        domain = path.parents[1].name
        integration = str(texts.get("title") or facts.get("name") or domain)
        for key, name, text in _named(texts, (), ""):
            cleaned = _clean(text)
            if name.casefold() != integration.casefold() and len(cleaned.split()) >= _LEAST_WORDS:
                found.append(SmartHomeText(f"{domain}/{key}", integration, _clean(name), cleaned))
    if not found:
        raise DataError(
            f"{folder} holds no texts; wanted homeassistant/components with translations/en.json."
        )
    return found


def _named(table: dict[str, Any], path: tuple[str, ...], above: str) -> Iterator[tuple[str, str, str]]:
    """Every name with its description, at any depth; names below others get the upper name before them."""
    name = table.get("name", table.get("title"))
    full = f"{above}: {name}" if above and isinstance(name, str) else str(name or above)
    if isinstance(name, str) and isinstance(table.get("description"), str):
        yield "/".join(path), full, table["description"]
    labels, texts = table.get("data"), table.get("data_description")
    if isinstance(labels, dict) and isinstance(texts, dict):
        for key, text in texts.items():
            if isinstance(labels.get(key), str) and isinstance(text, str):
                yield "/".join([*path, "data", key]), labels[key], text
    for key, inner in table.items():
        if isinstance(inner, dict) and key not in ("data", "data_description"):
            yield from _named(inner, (*path, key), full if path[:1] == ("services",) else "")


def _clean(text: str) -> str:
    linked = _FILLED_LINK.sub(r"\1", text)
    return markdown_text(_PLACEHOLDER.sub(lambda found: found[1].replace("_", " "), linked))


def home_assistant_pairs(explanations: Sequence[SmartHomeText]) -> list[TrainingPair]:
    """Pair every name, with that of its integration before it, with its text (120 words at most).

    Negatives are other texts of the integration. A name with several texts in an integration is left out.

    Raises:
        DataError: There is no explanation.
    """
    groups = {explanation.key: explanation.integration for explanation in explanations}
    entries = unambiguous(
        Entry(found.key, found.key, f"{found.integration}: {found.name}", shortened(found.text))
        for found in explanations
    )
    return training_pairs(
        "home_assistant", entries, group_neighbours(entries, lambda entry: groups[entry.entry_id])
    )
