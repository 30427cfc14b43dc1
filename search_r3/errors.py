"""Errors raised by search_r3. Every one also inherits the standard type a caller would expect."""

from __future__ import annotations


class SearchR3Error(Exception):
    """Root of every error this package raises on purpose."""


class InvalidInputError(SearchR3Error, ValueError):
    """A text that cannot be embedded (not a string, or not valid Unicode).

    Attributes:
        reason: What was got, what was wanted, what to do.
        item: The offending input object itself, so that callers can find its index in their list.
    """

    def __init__(self, reason: str, item: object = None, location: str = "") -> None:
        super().__init__(f"{location}: {reason}" if location else reason)
        self.reason = reason
        self.item = item


class TruncationError(InvalidInputError):
    """A text is longer than the model's limit and ``on_truncation="error"`` was asked for."""


class InvalidOptionError(SearchR3Error, ValueError):
    """An option has a value that means nothing, or that contradicts the model."""


class ModelError(SearchR3Error, ValueError):
    """A model folder or architecture that cannot serve as a Search-R3 model."""


class VectorIndexError(SearchR3Error, ValueError):
    """An index that is unreadable, or that does not belong to this model or these documents."""


class DataError(SearchR3Error, ValueError):
    """Data that is missing, damaged or not the pinned version, or that breaks a promise (a leak, a hash)."""


class MissingExtraError(SearchR3Error, ImportError):
    """An optional dependency is not installed; the message holds the exact pip line."""


class TruncationWarning(UserWarning):
    """Texts were cut to the model's limit; the message counts them and the tokens dropped."""


class DataWarning(UserWarning):
    """Data is loaded, but some of it cannot be scored or was there twice; the message counts and names it."""
