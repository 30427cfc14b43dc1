"""The demo's corpus: the functions of Python's own standard library, described by their docstrings.

The demo must run without a network, and its corpus is the one set of short English texts that every Python
installation carries. The queries are the docstring summaries of some functions, taken out of their documents:
a document is then to be found by its meaning, from its signature and the rest of its description.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from search_r3.data.retrieval_task import RetrievalTask

# A fixed list, in the order of the collected functions, chosen for tasks a reader knows. Left out: modules
# whose methods repeat each other in other words (decimal, calendar, difflib: several right answers to a
# query), and sqlite3 and ssl, which not every build of Python has.
_MODULES = (
    "os.path",
    "pathlib",
    "shutil",
    "glob",
    "fnmatch",
    "tempfile",
    "subprocess",
    "zipfile",
    "gzip",
    "csv",
    "json",
    "re",
    "string",
    "textwrap",
    "collections",
    "functools",
    "contextlib",
    "bisect",
    "heapq",
    "random",
    "secrets",
    "statistics",
    "math",
    "datetime",
    "time",
    "base64",
    "struct",
    "ipaddress",
    "urllib.parse",
)

# "Return sin of x." and the like tell too little to be worth a document.
_MIN_DESCRIPTION_WORDS = 8
_HELD_OUT = 60
_SEED = "search-r3 demo"
_MIN_SUMMARY_WORDS = 5
_MIN_DETAILS_WORDS = 12
_MAX_DETAILS_CHARS = 600

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'`])")
# An object's address changes from run to run, and says nothing to a reader.
_OBJECT_AT_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")


@dataclass(frozen=True)
class StdlibFunction:
    """One documented public function or method of the standard library.

    Attributes:
        name: Dotted name with its module, such as ``shutil.copytree`` or ``pathlib.Path.glob``.
        signature: The parameters in parentheses, such as ``(src, dst)``; empty if Python knows none.
        summary: First sentence of the docstring, on one line.
        details: The rest of the docstring, its whitespace normalised, cut at about 600 characters.
    """

    name: str
    signature: str
    summary: str
    details: str


def collect_functions() -> list[StdlibFunction]:
    """Collect the documented public functions and methods of a fixed list of standard-library modules.

    Nothing is run beyond the import of these modules. A docstring of fewer than 8 words does not count as
    documentation. A function known under several names, or a docstring used by several functions, counts
    once, under the first name.

    Returns:
        The functions, in an order that depends on nothing but the Python version.
    """
    functions: list[StdlibFunction] = []
    seen: set[str] = set()
    for module_name in _MODULES:
        for name, routine in _public_routines(importlib.import_module(module_name)):
            function = _describe(f"{module_name}.{name}", routine)
            if function is None:
                continue
            # An alias shares its docstring, so this covers identity as well. id() would not do: methods bound
            # on access are new objects every time, and their ids are used again. The raw docstring counts
            # besides the description because the signature is only taken out of it under its own name.
            keys = {routine.__doc__ or "", f"{function.summary} {function.details}"}
            if seen.isdisjoint(keys):
                functions.append(function)
            seen |= keys
    return functions


def demo_task() -> RetrievalTask:
    """Build the demo's labelled task from held-out docstring summaries.

    For about 60 functions the summary becomes the query and is absent from the function's document, which
    keeps the signature and the details. Every other document holds signature, summary and details.

    Returns:
        The task; the same one on every run of the same Python version.
    """
    functions = collect_functions()
    candidates = [function for function in functions if _can_be_held_out(function, functions)]
    # Ordered by a hash of the name instead of drawn by position: a function that comes or goes with a Python
    # patch version then changes one query at most.
    candidates.sort(key=lambda function: hashlib.sha256(f"{_SEED}:{function.name}".encode()).digest())
    held_out = {function.name for function in candidates[:_HELD_OUT]}

    corpus: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for function in functions:
        if function.name in held_out:
            # Not the document's own id: some evaluators ignore a document which has the id of the query.
            query_id = f"query:{function.name}"
            queries[query_id] = function.summary
            qrels[query_id] = {function.name: 1}
            corpus[function.name] = _document(function, with_summary=False)
        else:
            corpus[function.name] = _document(function, with_summary=True)
    return RetrievalTask(queries, corpus, qrels)


def _public_routines(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the module's public functions and its public classes' own methods, with their names inside it."""
    own_modules = {module.__name__, f"_{module.__name__}"}  # "_bisect" is where the C half of bisect lives
    exported: list[str] | None = getattr(module, "__all__", None)
    for name in sorted(vars(module) if exported is None else exported):
        member = getattr(module, name)
        is_own = exported is not None or getattr(member, "__module__", None) in own_modules
        if name.startswith("_") or not is_own:
            continue
        if inspect.isroutine(member):
            yield name, member
        elif inspect.isclass(member):
            for method_name in sorted(vars(member)):
                if not method_name.startswith("_") and inspect.isroutine(getattr(member, method_name)):
                    yield f"{name}.{method_name}", getattr(member, method_name)


def _describe(name: str, routine: Callable[..., Any]) -> StdlibFunction | None:
    """Split the routine's docstring into its parts; None if it has none that says enough."""
    docstring = inspect.cleandoc(routine.__doc__ or "")
    signature = _signature(routine)
    bare_name = re.escape(name.rpartition(".")[2])
    # Older C functions have their signature at the start of the docstring, "hypot(*coordinates) -> value",
    # and it may go on over indented lines.
    written = re.match(rf"{bare_name}(\(.*(?:\n[ ]+.*)*)(?:\n|$)", docstring)
    if written:
        docstring = docstring[written.end() :]
        signature = signature or " ".join(written[1].split())
    if len(docstring.split()) < _MIN_DESCRIPTION_WORDS:
        return None
    first_paragraph, _, rest = docstring.strip().partition("\n\n")
    summary, *others = _SENTENCE_END.split(" ".join(first_paragraph.split()), maxsplit=1)
    details = " ".join([*others, *rest.split()])
    return StdlibFunction(
        name=name,
        signature=signature,
        summary=summary,
        details=textwrap.shorten(details, width=_MAX_DETAILS_CHARS, placeholder=" ..."),
    )


def _signature(routine: Callable[..., Any]) -> str:
    """Return the routine's parameters in parentheses, or an empty string where Python knows none."""
    try:
        signature = str(inspect.signature(routine))
    except (TypeError, ValueError):
        return ""
    return _OBJECT_AT_ADDRESS.sub("...", signature)


def _can_be_held_out(function: StdlibFunction, functions: list[StdlibFunction]) -> bool:
    """Tell whether the function's summary makes a query with one right and not trivial answer."""
    if (
        len(function.summary.split()) < _MIN_SUMMARY_WORDS
        or len(function.details.split()) < _MIN_DETAILS_WORDS
    ):
        return False
    bare_name = function.name.rpartition(".")[2]
    if re.search(rf"\b{re.escape(bare_name)}\b", function.summary, re.IGNORECASE):
        return False
    # The summary must be gone once it is taken out, and no other document may keep it: that one would be
    # found first, and the label would be wrong.
    query = function.summary.rstrip(".").casefold()
    return not any(
        query in _document(other, with_summary=other is not function).casefold() for other in functions
    )


def _document(function: StdlibFunction, *, with_summary: bool) -> str:
    """Join the function's signature and description to the text that is searched."""
    parts = [function.name + function.signature, function.summary if with_summary else "", function.details]
    return "\n".join(part for part in parts if part)
