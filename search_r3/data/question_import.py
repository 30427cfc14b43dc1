"""Reads questions that take several passages, from the files of HotpotQA, 2WikiMultihopQA and MuSiQue.

- HotpotQA and 2WikiMultihopQA: a JSON list of objects with ``question``, ``context`` (pairs of a title and
  its sentences) and ``supporting_facts`` (pairs of a title and the number of a sentence).
- MuSiQue: JSON Lines with ``question`` and ``paragraphs``, each with ``title``, ``paragraph_text`` and
  ``is_supporting``.
- JSON Lines of one's own: ``question``, ``hops`` and ``others``, both lists of ``{"title", "text"}``; the
  hops are the supporting passages.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_r3.data.bridge_sets import bridge_pairs, bridge_thoughts
from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources.bridges import Bridge, mentions
from search_r3.data.thought_records import ThoughtRecord, thoughts_path, write_thoughts
from search_r3.errors import DataError
from search_r3.json_lines import json_objects, open_binary
from search_r3.paths import data_dir
from search_r3.text import join_title

_FEWEST_LETTERS = 3
"""Shorter titles stand in texts by chance."""

_WORDS_READ = 60
"""A name that stands later in a passage would be cut off where it is read."""


@dataclass(frozen=True)
class Passage:
    """A passage of an encyclopedia.

    Attributes:
        title: Name of the article.
        text: Its text, without the title.
    """

    title: str
    text: str

    @property
    def document(self) -> str:
        """Title and text as one document."""
        return join_title(self.title, self.text)


@dataclass(frozen=True)
class MultihopQuestion:
    """A question, the passages that answer it together, and others.

    Attributes:
        question_id: Unique in its file.
        question: The question.
        supporting: The passages that it takes, one or more.
        others: Passages that it does not take.
    """

    question_id: str
    question: str
    supporting: tuple[Passage, ...]
    others: tuple[Passage, ...]


def read_questions(path: Path) -> list[MultihopQuestion]:
    """Read a file in one of the three forms; it may be packed (``.gz``).

    Raises:
        DataError: It is in none of them, holds no question, or a question has no supporting passage; the
            message names the question.
        OSError: It cannot be read.
    """
    rows = _rows(path)
    found: list[MultihopQuestion] = []
    for number, row in enumerate(rows):
        try:
            found.append(_question(row, str(row.get("_id", row.get("id", number)))))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"{path}, question {number + 1}: {error!r}. Wanted the form of HotpotQA, 2WikiMultihopQA or "
                "MuSiQue, or the fields question, hops and others."
            ) from None
    if not found:
        raise DataError(f"{path} holds no question.")
    if again := [key for key, times in Counter(one.question_id for one in found).items() if times > 1]:
        raise DataError(f"{path} has the id {again[0]!r} more than once, wanted one id for each question.")
    return found


def question_task(questions: Iterable[MultihopQuestion]) -> RetrievalTask:
    """All passages of all questions as one corpus, each text once; the supporting ones are relevant."""
    ids: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for question in questions:
        queries[question.question_id] = question.question
        for passage in (*question.supporting, *question.others):
            ids.setdefault(passage.document, f"p{len(ids)}")
        qrels[question.question_id] = {ids[passage.document]: 1 for passage in question.supporting}
    return RetrievalTask(queries, {doc_id: text for text, doc_id in ids.items()}, qrels)


def question_bridges(questions: Iterable[MultihopQuestion]) -> list[Bridge]:
    """The hops of questions: a supporting passage names the title of another, which the question does not.

    A question may have several hops, or none where its passages are compared.
    """
    found: list[Bridge] = []
    for question in questions:
        before = len(found)
        for first in question.supporting:
            for second in question.supporting:
                name = _plain(second.title)
                if (
                    first is not second
                    and len(name) >= _FEWEST_LETTERS
                    and mentions(" ".join(first.text.split()[:_WORDS_READ]), name)
                    and not mentions(question.question, name)
                ):
                    others = [passage.document for passage in question.others]
                    key = f"{question.question_id}/{len(found) - before}"
                    found.append(
                        Bridge(
                            key,
                            question.question_id,
                            first.title,
                            question.question,
                            first.document,
                            _as_written(first.text, name),
                            second.document,
                            f"{key}/target",
                            tuple(others),
                        )
                    )
    return found


def import_questions(path: Path, source: str) -> tuple[Path, list[TrainingPair], list[ThoughtRecord]]:
    """Make a training set of the hops of questions, with the names to look up as its thoughts.

    Args:
        path: The file of questions.
        source: Name of the training set.

    Returns:
        The file of the training set, its pairs, and its thoughts.

    Raises:
        DataError: Something in the file is no question, or no question has a hop; nothing is written.
        OSError: The file cannot be read.
    """
    bridges = question_bridges(read_questions(path))
    if not bridges:
        raise DataError(
            f"{path} has no question with a passage that names another one: there is nothing to look up."
        )
    pairs, thoughts = bridge_pairs(source, bridges), bridge_thoughts(source, bridges)
    target = data_dir() / "training" / f"{source}.parquet"
    write_thoughts(thoughts, thoughts_path(data_dir(), source), {})
    write_pairs(pairs, target)
    return target, pairs, thoughts


def _rows(path: Path) -> list[Mapping[str, Any]]:
    with open_binary(path) as file:
        is_list = file.read(64).lstrip().startswith(b"[")
    if not is_list:
        return [row for _, row in json_objects(path)]
    try:
        with open_binary(path) as file:
            rows = json.load(file)
    except (ValueError, EOFError) as error:
        raise DataError(f"Cannot read {path}: {error}.") from None
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} is no list of objects, wanted one for each question.")
    return list(rows)


def _question(row: Mapping[str, Any], question_id: str) -> MultihopQuestion:
    if "context" in row:
        passages = [
            Passage(_title(title), " ".join(" ".join(sentences).split()))
            for title, sentences in row["context"]
        ]
        titles = {_title(title) for title, _ in row["supporting_facts"]}
        supporting = [passage for passage in passages if passage.title in titles]
        others = [passage for passage in passages if passage.title not in titles]
    elif "paragraphs" in row:
        flagged = [(_passage(one, "paragraph_text"), bool(one["is_supporting"])) for one in row["paragraphs"]]
        supporting = [passage for passage, is_supporting in flagged if is_supporting]
        others = [passage for passage, is_supporting in flagged if not is_supporting]
    else:
        supporting = [_passage(one, "text") for one in row["hops"]]
        others = [_passage(one, "text") for one in row["others"]]
    if not supporting:
        raise ValueError("no supporting passage")
    return MultihopQuestion(question_id, _text(row["question"]), tuple(supporting), tuple(others))


def _passage(row: Mapping[str, Any], field: str) -> Passage:
    return Passage(_title(row.get("title")), _text(row[field]))


def _title(value: object) -> str:
    return "" if value is None else _text(value, may_be_empty=True)


def _text(value: object, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        raise ValueError(f"{value!r:.60} where a text belongs")
    return " ".join(value.split())


def _plain(title: str) -> str:
    """A title as texts have it: without what tells it from others of its name."""
    return title.partition(" (")[0].strip()


def _as_written(text: str, name: str) -> str:
    """A name in the letters that a text has it in."""
    place = text.casefold().find(name.casefold())
    return text[place : place + len(name)] if len(text.casefold()) == len(text) else name
