"""Names that requests call the model by: with a suffix they say the role, for clients that cannot."""

from __future__ import annotations

from http import HTTPStatus

from search_r3.model.thoughts import Reasoning
from search_r3.server.failures import RequestError, invalid
from search_r3.server.schemas import EmbeddingsBody, Role

SUFFIXES: dict[str, tuple[Role, Reasoning | None]] = {
    "document": ("document", None),
    "query": ("query", None),
    "query-think": ("query", "always"),
    "query-direct": ("query", "never"),
}
"""What is said behind the colon: the role, and whether a query thinks (None: the model's default)."""


def served_names(name: str) -> list[str]:
    """All names of a model."""
    return [name, *(f"{name}:{suffix}" for suffix in SUFFIXES)]


def role_of(body: EmbeddingsBody, served: str) -> tuple[Role, Reasoning | None]:
    """The role that a request gives its texts, and whether they think.

    Raises:
        RequestError: There is no such model, or the request says two different things.
    """
    asked_for = body.model or served
    name, _, suffix = (served, "", "") if asked_for == served else asked_for.rpartition(":")
    if name != served or (suffix and suffix not in SUFFIXES):
        raise RequestError(
            HTTPStatus.NOT_FOUND,
            f"Got the model {body.model!r}, wanted one of {', '.join(served_names(served))}.",
            "model_not_found",
            "model",
        )
    said: list[Role] = [role for role in (body.input_type, body.task) if role is not None]
    by_suffix, reasoning = SUFFIXES.get(suffix, (None, None))
    if by_suffix is not None:
        said.append(by_suffix)
    if len(set(said)) > 1:
        raise invalid(
            f"Got the roles {said}, wanted one: of input_type, task and the model's suffix, say one."
        )
    role = said[0] if said else "document"
    if reasoning is not None and body.reasoning not in (None, reasoning):
        raise invalid(
            f"Got reasoning={body.reasoning!r} for {body.model}, wanted {reasoning!r} or none.", "reasoning"
        )
    asked = body.reasoning or reasoning
    for field in ("reasoning", "max_reasoning_tokens", "evidence"):
        if role == "document" and getattr(body, field) is not None:
            raise invalid(
                f"Got {field} for documents, wanted none: only queries read and think. Set input_type.",
                field,
            )
    return role, asked
