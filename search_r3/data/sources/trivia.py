"""Encyclopedia articles, and trivia questions whose answers are titles of articles."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import yaml

from search_r3.errors import DataError

# Lists about people, places, works and ideas; the others are about one game or film each.
QUESTION_LISTS = (
    "general",
    "artandliterature",
    "greekmyth",
    "geography",
    "worldcapitals",
    "entertainment",
    "sports",
    "music",
    "computers",
    "games",
)

_BRACKETS = re.compile(r"\s*\([^)]*\)")


@dataclass(frozen=True)
class Question:
    """A trivia question.

    Attributes:
        question_id: Name of its list and its index in it.
        text: The question.
        answers: What counts as a right answer.
    """

    question_id: str
    text: str
    answers: tuple[str, ...]


def read_articles(path: Path) -> dict[str, str]:
    """Read the articles' lead paragraphs by title.

    Raises:
        DataError: The file cannot be read, or is not a table of titles with extracts.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {str(title): " ".join(entry["extract"].split()) for title, entry in table.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a table of articles with an extract each: {error!r}.") from None


def read_questions(folder: Path, lists: tuple[str, ...] = QUESTION_LISTS) -> list[Question]:
    """Read the questions of some lists, in their order.

    Questions with a link, a gap to fill or fewer than five words are left out.

    Raises:
        DataError: A list is missing or is not a table of questions.
    """
    questions = []
    for name in lists:
        path = folder / f"{name}.yaml"
        try:
            table = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise DataError(f"Cannot read the questions {path}: {error}.") from None
        if not isinstance(table, dict):
            raise DataError(f"{path} is not a table of questions and answers.")
        for index, (text, answers) in enumerate(table.items()):
            text = str(text)
            usable = isinstance(answers, list) and "http" not in text and "___" not in text
            if usable and len(text.split()) >= 5:
                answers = tuple(str(answer) for answer in answers)
                questions.append(Question(f"{name}-{index}", " ".join(text.split()), answers))
    return questions


def match_answers(questions: list[Question], titles: list[str]) -> dict[str, set[str]]:
    """Find, for each question, the articles whose title is one of its answers.

    Titles and answers are compared without case, accents, punctuation and leading article. What stands in
    brackets may be missing from the answer's side only: "Queen" is not the article "Queen (band)". A question
    that contains the title itself, and titles that begin with a digit (years and numbers), do not count.

    Returns:
        By question id, the titles; questions without an article are left out.
    """
    by_name: dict[str, list[str]] = {}
    for title in titles:
        by_name.setdefault(normalise_title(title), []).append(title)
    found: dict[str, set[str]] = {}
    for question in questions:
        answers = (*question.answers, *(_BRACKETS.sub("", answer) for answer in question.answers))
        names = {normalise_title(answer) for answer in answers} - {""}
        hits = {title for name in names for title in by_name.get(name, []) if not title[0].isdigit()}
        asked = normalise_title(question.text)
        if hits and not any(normalise_title(title) in asked for title in hits):
            found[question.question_id] = hits
    return found


def normalise_title(text: str) -> str:
    """Reduce a title to lower-case ASCII words without leading article."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"^(the|an?)\s+", "", plain.strip())
    return " ".join(re.sub(r"[^a-z0-9 ]+", " ", plain).split())
