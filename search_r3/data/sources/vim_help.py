"""Options and functions of the editor Vim, and its user manual: a few words and the full text on each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.sources.entries import read_lines
from search_r3.errors import DataError

_OPTION = re.compile(r"^'(\w+)'\s+(?:'\w+'\s+)?(.*)")
_FUNCTION = re.compile(r"^(\w+)\(.*?\)(?=\s|$)(.*)")
_TYPES = "Number|String|List|Dict|Float|Bool|Blob|Channel|Job|Func|none|any|various"
_RESULT = re.compile(rf"^(?:(?:{_TYPES})(?:/| or |(?=\s)))+\s*")
_SECTION = re.compile(r"^\*(\d\d\.\d+)\*\s+(.*)")
_TAGS = re.compile(r"(?:^|\s)\*[^*\s]+\*(?=\s|$)")


@dataclass(frozen=True)
class HelpEntry:
    """An option, a function or a section of the manual.

    Attributes:
        name: Its name, or the section's number.
        summary: A few words of the short list, or the section's heading; empty if the list leaves it out.
        text: The full text, without examples.
    """

    name: str
    summary: str
    text: str


def read_help(folder: Path) -> list[HelpEntry]:
    """Read the options, the functions, and the sections of the user manual.

    Args:
        folder: With quickref.txt (list of options), options.txt, builtin.txt (functions, list and texts) and
            usr_*.txt.

    Raises:
        DataError: A file cannot be read, or there is no entry.
    """
    quickref, options, builtin = (
        read_lines(folder / f"{name}.txt") for name in ("quickref", "options", "builtin")
    )
    short = _summaries(quickref, "*option-list*", _OPTION)
    entries = [
        HelpEntry(name, short.get(name, ""), text)
        for name, text in _texts(options, re.compile(r"^'(\w+)'\s.*\b(?:boolean|number|string)\b"))
    ]
    short = _summaries(builtin, "*builtin-function-list*", _FUNCTION)
    header = re.compile(r"^(\w+)\(.*\*\1\(\)\*")
    entries += [
        HelpEntry(name, _RESULT.sub("", short.get(name, "")), text) for name, text in _texts(builtin, header)
    ]
    for path in sorted(folder.glob("usr_*.txt")):
        entries += _sections(read_lines(path))
    if not entries:
        raise DataError(f"{folder} holds no option and no function; wanted the documentation of Vim.")
    return entries


def _summaries(lines: list[str], mark: str, pattern: re.Pattern[str]) -> dict[str, str]:
    """The short list after a mark: a name and words at the margin, more words on indented lines."""
    begin = next((number for number, line in enumerate(lines) if mark in line), len(lines))
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines[begin + 1 :]:
        if line.startswith(("===", "---")):
            break
        if heading := pattern.match(line):
            name = heading[1]
            found[name] = heading[2].split()
        elif line.startswith(("\t", " ")) and name:
            found[name] += line.split()
    return {name: " ".join(words).replace("|", "") for name, words in found.items()}


def _texts(lines: list[str], header: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    name = ""
    words: list[str] = []
    in_example = False
    for line in [*lines, "==="]:
        heading = header.match(line)
        if heading or line.startswith("==="):
            if name and words:
                yield name, " ".join(words).replace("|", "")
            name, words, in_example = heading[1] if heading else "", [], False
        elif (in_example and line.startswith(("\t", " "))) or not line.strip():
            continue
        else:
            text = _TAGS.sub("", line.removeprefix("<")).rstrip()
            in_example = text.endswith(" >") or text.strip() == ">"
            # The rest of a heading: the default of an option, where it holds, and what it needs.
            is_scope = not words and line.startswith("\t\t\t")
            if name and text.strip() and line.startswith(("\t", " ", "<")) and not is_scope:
                words += text.removesuffix(">").split()


def _sections(lines: list[str]) -> Iterator[HelpEntry]:
    """The sections of a part of the manual; what is indented in it is an example."""
    number = heading = ""
    words: list[str] = []
    for line in [*lines, "==="]:
        found = _SECTION.match(line)
        if found or line.startswith("==="):
            if number and words:
                yield HelpEntry(number, heading, " ".join(words).replace("|", ""))
            number, heading = (found[1], found[2].strip()) if found else ("", "")
            words = []
        elif line[:1].strip() or line.startswith("   "):
            words += _TAGS.sub("", line).removesuffix(">").split()
