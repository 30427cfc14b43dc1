"""Imports that only an extra of this package brings: the error says which one to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from search_r3.errors import MissingExtraError


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Import optional dependencies in a ``with`` block; what is missing is named with the pip line.

    Args:
        extra: The extra of search-r3 that installs what the block imports.

    Raises:
        MissingExtraError: An import of the block failed.
    """
    try:
        yield
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"This needs the extra {extra!r} of search-r3 ({error}). Install it:\n"
            f"    pip install 'search-r3[{extra}]'"
        ) from error


def require_extra(purpose: str, extra: str, *modules: str) -> None:
    """Check for optional dependencies before any work is done.

    Args:
        purpose: What needs them, as the subject of a sentence.
        extra: The extra that installs them.
        *modules: Names by which they are imported.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"{purpose} needs {', '.join(missing)}, which is not installed. Install it:\n"
            f"    pip install 'search-r3[{extra}]'"
        )
