"""Documented Python functions of an unpacked package: docstring summary and source without the docstring."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_r3.errors import DataError

_SKIPPED_FOLDERS = frozenset({"tests", "test", "testing", "_vendor", "vendor", "_vendored", "externals"})
_MAX_FILE_BYTES = 2_000_000
_MIN_SOURCE_LINES = 3
_WORDS = range(3, 61)
# Where the summary ends: an empty line, or the first section of the common docstring styles.
_SUMMARY_END = re.compile(
    r"\n\s*\n|\n\s*(?:Args|Arguments|Parameters|Returns|Yields|Raises|Examples?)\b|\n\s*:param"
)


@dataclass(frozen=True)
class PythonFunction:
    """A documented function or method.

    Attributes:
        package: Name of the package it is of.
        module: Path of its file inside the package, with slashes.
        name: Its bare name.
        line: Line of its definition in the file.
        summary: First paragraph of its docstring, on one line.
        source: Its definition without decorators and docstrings (those of inner functions included), with
            the outer indentation taken away.
    """

    package: str
    module: str
    name: str
    line: int
    summary: str
    source: str

    @property
    def function_id(self) -> str:
        """Package, file, name and line: unique in a version of a package."""
        return f"{self.package}:{self.module}:{self.name}:{self.line}"

    @property
    def anonymous_source(self) -> str:
        """The source with every occurrence of the function's name replaced by ``f``."""
        return re.sub(rf"\b{re.escape(self.name)}\b", "f", self.source)


def read_functions(folder: Path, package: str) -> list[PythonFunction]:
    """Read the documented functions of an unpacked package, file by file in the order of their names.

    Left out: tests and vendored copies, special methods, summaries that are not ASCII or not 3 to 60 words
    long, functions with fewer than three lines without their docstring, and repetitions: a source (whitespace
    aside) or a summary (case aside) that came before.

    Raises:
        DataError: The folder holds no documented function.
    """
    functions: list[PythonFunction] = []
    seen: set[str] = set()
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        inside = path.relative_to(folder)
        if _SKIPPED_FOLDERS.isdisjoint(inside.parts[:-1]) and not path.name.startswith("test_"):
            for function in _functions_of(path, package, inside.as_posix()):
                keys = {"".join(function.source.split()), function.summary.lower()}
                if seen.isdisjoint(keys):
                    functions.append(function)
                    seen |= keys
    if not functions:
        raise DataError(f"Found no documented Python function in {folder}; wanted the sources of {package}.")
    return functions


def _functions_of(path: Path, package: str, module: str) -> Iterator[PythonFunction]:
    if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of others' code: "\d" in a plain string
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # templates and deliberately broken samples
    lines = text.split("\n")
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in sorted(nodes, key=lambda node: node.lineno):
        docstring = ast.get_docstring(node)
        if not docstring or len(node.body) < 2 or node.name.startswith("__"):
            continue
        summary = " ".join(_SUMMARY_END.split(docstring.strip(), maxsplit=1)[0].split())
        # From the line after the docstring's: a statement on the same line as its end is too odd to keep.
        head = lines[node.lineno - 1 : node.body[0].lineno - 1]
        inner = _docstring_lines(node)
        start = node.body[0].end_lineno or node.lineno
        body = [
            line
            for number, line in enumerate(lines[start : node.end_lineno], start=start + 1)
            if number not in inner
        ]
        if len(summary.split()) not in _WORDS or not summary.isascii():
            continue
        if sum(bool(line.strip()) for line in body) < _MIN_SOURCE_LINES:
            continue
        source = textwrap.dedent("\n".join([*head, *body])).strip()
        yield PythonFunction(package, module, node.name, node.lineno, summary, source)


def _docstring_lines(node: ast.AST) -> set[int]:
    """Lines of the docstrings of a function and of those inside it, each of which is a query of its own."""
    lines: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(
            inner
        ):
            docstring = inner.body[0]
            lines.update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return lines
