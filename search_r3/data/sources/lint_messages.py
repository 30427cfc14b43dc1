"""Linters: the message that a linter prints finds what its rule is about."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, training_pairs, unambiguous
from search_r3.data.sources.markup import one_line, shortened, words_of_name
from search_r3.errors import DataError

_LEAST_WORDS = 4
_STRING = r"(?:\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\$]|\\.)*)`)"
_DESCRIPTION = re.compile(rf"\bdocs\s*:\s*\{{[^{{}}]*?\bdescription:\s*{_STRING}")
_MESSAGES = re.compile(r"\bmessages\s*[:=]\s*\{(.*?)\n\s*\}", re.DOTALL)
_MESSAGE = re.compile(rf"(?:^|[,\n])\s*(?:\w+|\[\w+\]):\s*{_STRING}")
_GAP = re.compile(r"\{\{\s*(\w+)\s*\}\}|%[(]?(\w+)[)]?[sdr]|%[sdr]")


@dataclass(frozen=True)
class LintMessage:
    """A message of a linter.

    Attributes:
        message_id: Linter, rule and number: unique.
        rule: Name of the rule.
        group: Where the linter keeps it.
        message: What is printed, with the names of what is filled in.
        explanation: What the rule is about.
    """

    message_id: str
    rule: str
    group: str
    message: str
    explanation: str


def read_pylint_messages(folder: Path) -> list[LintMessage]:
    """Read the tables of messages in pylint's checkers, without running them, by path.

    Raises:
        DataError: There is none.
    """
    found: list[LintMessage] = []
    for path in sorted(folder.rglob("*.py")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            # Some tables compute a part of themselves; each message is looked at alone.
            if not isinstance(node, ast.Dict):
                continue
            for key, value in zip(node.keys, node.values, strict=True):
                if not (isinstance(key, ast.Constant) and re.fullmatch(r"[CEFIRW]\d{4}", str(key.value))):
                    continue
                texts = _strings(value)
                if len(texts) == 3:
                    message, rule, about = texts
                    message_id = f"pylint/{rule}/{path.stem}"
                    found.append(
                        LintMessage(message_id, rule, f"pylint/{path.stem}", _gaps(message), one_line(about))
                    )
    if not found:
        raise DataError(f"{folder} holds no message; wanted pylint/checkers and pylint/extensions.")
    return list({message.message_id: message for message in found}.values())


def _strings(node: ast.expr) -> list[str]:
    """The strings a tuple begins with."""
    try:
        values = [ast.literal_eval(item) for item in getattr(node, "elts", [])[:3]]
    except ValueError:
        return []
    return [value for value in values if isinstance(value, str)]


def read_eslint_messages(folder: Path, linter: str) -> list[LintMessage]:
    """Read the rules of ESLint or of a plugin (one JavaScript file each), by path.

    Args:
        folder: The folder of the rules.
        linter: Goes before the names of the rules.

    Raises:
        DataError: There is no rule with a description and messages.
    """
    found: list[LintMessage] = []
    for path in sorted(folder.glob("*.*js")):
        text = path.read_text(encoding="utf-8")
        about, table = _DESCRIPTION.search(text), _MESSAGES.search(text)
        if about is None or table is None:
            continue
        explanation = f"{words_of_name(path.stem)}: {_unquoted(about)}"
        for number, message in enumerate(_MESSAGE.finditer(table[1])):
            message_id = f"{linter}/{path.stem}/{number}"
            found.append(LintMessage(message_id, path.stem, linter, _gaps(_unquoted(message)), explanation))
    if not found:
        raise DataError(f"{folder} holds no rule with messages; wanted the rules of {linter}.")
    return found


def _unquoted(found: re.Match[str]) -> str:
    text = next(group for group in found.groups() if group is not None)
    return one_line(re.sub(r"\\(.)", r"\1", text))


def _gaps(message: str) -> str:
    """What is filled in gets its name in words, or three dots."""
    return one_line(_GAP.sub(lambda gap: words_of_name(gap[1] or gap[2] or "") or "...", message))


def lint_messages_pairs(messages: Sequence[LintMessage]) -> list[TrainingPair]:
    """Pair every message with what its rule is about (120 words at most); negatives are of rules beside it.

    Raises:
        DataError: There is no message of four words.
    """
    groups = {message.message_id: message.group for message in messages}
    entries = unambiguous(
        Entry(
            message.message_id,
            f"{message.group}/{message.rule}",
            message.message,
            shortened(message.explanation),
        )
        for message in messages
        if len(message.message.split()) >= _LEAST_WORDS and len(message.explanation.split()) >= _LEAST_WORDS
    )
    return training_pairs(
        "lint_messages", entries, group_neighbours(entries, lambda entry: groups[entry.entry_id])
    )
