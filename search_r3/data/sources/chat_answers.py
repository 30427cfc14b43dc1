"""Questions to chat programs with their answers: computer trouble, knowledge, definitions."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, read_lines, training_pairs, unambiguous
from search_r3.data.sources.markup import one_line
from search_r3.errors import DataError
from search_r3.extras import needs_extra

with needs_extra("eval"):
    import yaml

CHATTERBOT_LISTS = ("coding", "history", "literature", "money", "science", "tech_support", "trivia")
"""Lists of ChatterBot's corpus with questions about the world; the others are about the program itself."""

AIML_LISTS = (
    "alice/knowledge",
    "alice/science",
    "standard/std-dictionary",
    "standard/std-geography",
    "standard/std-knowledge",
    "standard/std-inventions",
)
"""Lists of AIML with knowledge."""

_MOST_WORDS = 80
_CATEGORY = re.compile(r"<pattern>([^<]*)</pattern>\s*<template>([^<]*)</template>")
_QUESTION = re.compile(r"^(?:WHAT|WHERE|WHEN|WHY|HOW|WHICH|DEFINE)\b")
# What the program says when it does not know.
_EVASION = re.compile(r"(?:does|it may|if it|not|there is no|probably|perhaps|maybe)\b", re.IGNORECASE)
# The program talks of itself, or to whom it speaks.
_PERSONAL = re.compile(
    r"\b(?:I|I'm|I'll|I've|me|my|mine|you|your|yours|we|robots?|humans?|ALICE|Mitsuku|Elvis)\b", re.I
)


@dataclass(frozen=True)
class ChatAnswer:
    """A question and its answer.

    Attributes:
        answer_id: List and number in it: unique.
        question: What is asked.
        answer: What the program says.
    """

    answer_id: str
    question: str
    answer: str


def read_chatterbot(folder: Path, names: Sequence[str] = CHATTERBOT_LISTS) -> list[ChatAnswer]:
    """Read the first two lines of the conversations in lists of ChatterBot's corpus (YAML).

    Raises:
        DataError: A list is missing, is no YAML or has another layout.
    """
    answers: list[ChatAnswer] = []
    for name in names:
        path = folder / f"{name}.yml"
        try:
            table = yaml.safe_load("\n".join(read_lines(path)))
            conversations = [[one_line(str(line)) for line in talk] for talk in table["conversations"]]
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no list of conversations: {error}; unpack it again.") from None
        answers += [
            ChatAnswer(f"{name}/{number}", talk[0], talk[1])
            for number, talk in enumerate(conversations)
            if len(talk) > 1
        ]
    return answers


def read_aiml(folder: Path, names: Sequence[str] = AIML_LISTS) -> list[ChatAnswer]:
    """Read questions without gaps whose answer is plain text from lists in AIML, in small letters.

    Answers about the program itself, answers to several questions (evasions) and those of less than four
    words are left out.

    Raises:
        DataError: A list cannot be read.
    """
    found: list[ChatAnswer] = []
    for name in names:
        text = "\n".join(read_lines(folder / f"{name}.aiml"))
        for number, (pattern, template) in enumerate(_CATEGORY.findall(text)):
            answer = one_line(html.unescape(template))
            if (
                _QUESTION.match(pattern)
                and not set("*_") & set(pattern)
                and not _PERSONAL.search(answer)
                and not _EVASION.match(answer)
            ):
                found.append(ChatAnswer(f"{name}/{number}", one_line(pattern).lower(), answer))
    count = Counter(answer.answer for answer in found)
    return [item for item in found if count[item.answer] == 1 and len(item.answer.split()) >= 4]


def chat_answers_pairs(answers: Sequence[ChatAnswer]) -> list[TrainingPair]:
    """Pair questions with answers of at most 80 words; questions with several answers are left out.

    Negatives are answers of the same list.

    Raises:
        DataError: There is no question.
    """
    entries = unambiguous(
        Entry(item.answer_id, item.answer_id, item.question, item.answer)
        for item in answers
        if len(item.question.split()) > 1 and len(item.answer.split()) <= _MOST_WORDS
    )
    return training_pairs(
        "chat_answers", entries, group_neighbours(entries, lambda entry: entry.entry_id.rpartition("/")[0])
    )
