"""A retrieval task on disk, in the folder format of BEIR."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from search_r3.data.retrieval_task import RetrievalTask, counted
from search_r3.errors import DataError, DataWarning, InvalidInputError
from search_r3.files import write_lines
from search_r3.json_lines import id_value, json_objects, not_utf8, read_lines, text_value
from search_r3.text import TITLE_FIELD, join_title

_COLUMNS = ("query-id", "corpus-id", "score")


def write_beir(task: RetrievalTask, folder: Path, split: str = "test") -> None:
    """Write ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/<split>.tsv`` in the format of BEIR.

    Each file appears whole or not at all.

    Raises:
        DataError: A document has outer whitespace, so that :func:`read_beir` would read another text.
    """
    if odd := [key for key, text in task.corpus.items() if text != join_title(None, text)]:
        raise DataError(
            f"Got the document {odd[0]!r} with outer whitespace ({len(odd)} in all), wanted texts without: "
            "readers strip it, and the data hash would change. Strip it when the task is made."
        )
    write_lines(
        folder / "corpus.jsonl",
        (_json_line({"_id": key, "title": "", "text": text}) for key, text in task.corpus.items()),
    )
    write_lines(
        folder / "queries.jsonl",
        (_json_line({"_id": key, "text": text}) for key, text in task.queries.items()),
    )
    rows = (
        f"{key}\t{doc_id}\t{grade}\n"
        for key, grades in task.qrels.items()
        for doc_id, grade in grades.items()
    )
    write_lines(folder / "qrels" / f"{split}.tsv", _with_header("\t".join(_COLUMNS) + "\n", rows))


def read_beir(folder: Path, split: str = "test") -> RetrievalTask:
    """Read a BEIR folder; documents become the texts of :func:`search_r3.text.join_title`.

    What BEIR's own loader reads is read: ids that are both query and document, judgements of documents that
    are not in the corpus, queries without a relevant document. Of ids and judgements that are there again
    with another content, the last one counts, as in BEIR. One :class:`search_r3.errors.DataWarning` a process
    and folder counts all this and names the first ids.

    Beyond BEIR's loader: a byte order mark, blank lines, ids that are numbers, grades such as ``1.0``, a
    table of judgements without a header, and gzip files (``corpus.jsonl.gz``) where the plain ones are
    absent. Queries without a judgement in this split are left out.

    Raises:
        DataError: A file is missing or malformed, or the split judges a query that is not there; the message
            names the file and, for a line, its number.
    """
    again: dict[str, dict[str, None]] = {"documents": {}, "queries": {}, "judgements": {}}
    try:
        corpus = _texts(_path(folder / "corpus.jsonl"), _document_text, again["documents"])
        queries = _texts(_path(folder / "queries.jsonl"), _query_text, again["queries"])
        path = _path(folder / "qrels" / f"{split}.tsv")
        qrels = _judgements(path, queries, again["judgements"])
    except InvalidInputError as error:
        raise DataError(f"{error}.") from None
    except OSError as error:
        raise DataError(f"Cannot read {folder}: {error}.") from None
    if unknown := [query_id for query_id in qrels if query_id not in queries]:
        raise DataError(
            f"{path} has {counted('judged queries that queries.jsonl does not have', unknown)}. Add them "
            "there, or take their judgements out."
        )
    if not qrels:
        raise DataError(f"{path} has no judgement, wanted rows of {', '.join(_COLUMNS)}.")
    task = RetrievalTask({key: text for key, text in queries.items() if key in qrels}, corpus, qrels)
    notes = [
        f"{counted(f'{kind} that are there again with another content', ids)}; the last one counts"
        for kind, ids in again.items()
        if ids
    ]
    if notes := [*notes, *task.unscored()]:
        _warn_once("\n- ".join([f"{folder} ({split}) is loaded, with these limits:", *notes]))
    return task


def _texts(path: Path, text_of: Callable[[dict[str, Any]], str], again: dict[str, None]) -> dict[str, str]:
    """Read the texts of a file by id; an id that is there again with another text is put into ``again``."""
    texts: dict[str, str] = {}
    for number, fields in json_objects(path):
        try:
            key, text = id_value(fields, "_id"), text_of(fields)
        except InvalidInputError as error:
            raise DataError(f"{path}, line {number}: {error.reason}.") from None
        if texts.setdefault(key, text) != text:
            again[key] = None
            texts[key] = text
    return texts


def _document_text(fields: dict[str, Any]) -> str:
    title = None if fields.get(TITLE_FIELD) is None else text_value(fields, TITLE_FIELD)
    return join_title(title, text_value(fields, "text"))


def _query_text(fields: dict[str, Any]) -> str:
    return text_value(fields, "text")


def _judgements(path: Path, queries: Collection[str], again: dict[str, None]) -> dict[str, dict[str, int]]:
    """Read the table of judgements; one that contradicts an earlier one is put into ``again``."""
    qrels: dict[str, dict[str, int]] = {}
    header: list[str] | None = None
    is_first = True
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        try:
            cells = line.decode().rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            raise DataError(f"{place}: {not_utf8(error)}.") from None
        if not any(cell.strip() for cell in cells):
            continue
        if is_first:
            is_first = False
            if _is_header(cells, queries):
                header = cells
                continue
        # More columns are read only where a header says that the third one is the score.
        if len(cells) < 3 or (len(cells) > 3 and (header is None or header[2:3] != [_COLUMNS[2]])):
            raise DataError(
                f"{place}: got {len(cells)} cells between tabs, wanted {', '.join(_COLUMNS)}. If this is "
                "TREC's format, take out its second column and separate the others by tabs."
            )
        query_id, doc_id, score = cells[:3]
        grade = _grade(score)
        if grade is None:
            raise DataError(f"{place}: got the score {score!r}, wanted a whole number.")
        grades = qrels.setdefault(query_id, {})
        if grades.setdefault(doc_id, grade) != grade:
            again[f"{query_id} {doc_id}"] = None
            grades[doc_id] = grade
    return qrels


def _is_header(cells: list[str], queries: Collection[str]) -> bool:
    """Whether the first row has names: no number in its third cell, and no query's id in its first."""
    try:
        float(cells[2])
    except (IndexError, ValueError):
        return cells[0] not in queries
    return False


def _grade(text: str) -> int | None:
    """Read a whole number, which may be written like ``1.0``; None if it is none."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _path(path: Path) -> Path:
    """The file, or its gzip form if only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.exists() and not path.exists() else path


@cache
def _warn_once(message: str) -> None:
    # An evaluation reads a folder several times: for its hash, and again for every arm.
    warnings.warn(message, DataWarning, stacklevel=3)


def _json_line(record: dict[str, str]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _with_header(header: str, rows: Iterable[str]) -> Iterator[str]:
    yield header
    yield from rows
