"""``POST /v1/embeddings`` and ``GET /v1/models``."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TypeVar

import numpy as np

from search_r3.extras import needs_extra

with needs_extra("serve"):
    from fastapi import APIRouter, Request
    from fastapi.responses import JSONResponse, Response

from search_r3.errors import InvalidInputError
from search_r3.server.engine import Ask, Embedded, Engine, EngineFullError, EngineStoppedError
from search_r3.server.failures import RequestError, as_request_error, invalid
from search_r3.server.model_names import role_of, served_names
from search_r3.server.schemas import (
    EmbeddingAnswer,
    EmbeddingsAnswer,
    EmbeddingsBody,
    ErrorAnswer,
    ModelAnswer,
    ModelsAnswer,
    ThoughtAnswer,
    Usage,
)
from search_r3.server.settings import ServerSettings

Answer = TypeVar("Answer")

ERRORS: dict[int | str, dict[str, type[ErrorAnswer]]] = {
    status.value: {"model": ErrorAnswer}
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}
"""Answers of every route that asks the model, for the schema."""

_SECONDS_BETWEEN_LOOKS = 0.1

router = APIRouter()


async def unless_gone(request: Request, work: Awaitable[Answer]) -> Answer:
    """Await work for as long as the client is there, and give errors of the engine their status.

    Raises:
        RequestError: The queue is full, the server stops, the text cannot be embedded, or the client is gone.
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_SECONDS_BETWEEN_LOOKS)
            if not task.done() and await request.is_disconnected():
                raise RequestError(HTTPStatus.REQUEST_TIMEOUT, "The client is gone.", "client_gone")
        return task.result()
    except (EngineFullError, EngineStoppedError) as error:
        raise as_request_error(error) from None
    finally:
        task.cancel()


@router.get("/v1/models", responses=ERRORS)
async def models(request: Request) -> ModelsAnswer:
    """The names that the model has, one for each role."""
    return ModelsAnswer(data=[ModelAnswer(id=name) for name in served_names(request.app.state.served_name)])


@router.post("/v1/embeddings", responses=ERRORS, response_model=EmbeddingsAnswer)
async def embeddings(request: Request, body: EmbeddingsBody) -> Response:
    """Embed texts, as OpenAI's API does."""
    engine: Engine = request.app.state.engine
    settings: ServerSettings = request.app.state.settings
    role, reasoning = role_of(body, request.app.state.served_name)
    texts = _texts(body, settings.max_items)
    width = engine.model.get_embedding_dimension() or 0
    if body.dimensions is not None and body.dimensions != width:
        raise invalid(
            f"Got dimensions={body.dimensions}, wanted {width} or none: this model is not trained to be cut.",
            "dimensions",
        )
    if body.evidence is not None and len(body.evidence) != len(texts):
        raise invalid(
            f"Got {len(body.evidence)} lists of evidence for {len(texts)} texts, wanted one each.", "evidence"
        )
    ask = Ask(role, reasoning, body.max_reasoning_tokens, body.instruction, body.truncation == "cut")
    try:
        found = await unless_gone(request, engine.embed(texts, ask, body.evidence))
    except InvalidInputError as error:
        raise invalid(str(error), "input") from None
    usage = Usage(
        prompt_tokens=sum(one.tokens for one in found),
        thought_tokens=sum(one.thought.length for one in found if one.thought is not None),
        total_tokens=sum(one.tokens + (one.thought.length if one.thought else 0) for one in found),
    )
    data = [_answer(index, one, body) for index, one in enumerate(found)]
    answer = EmbeddingsAnswer(data=data, model=body.model or request.app.state.served_name, usage=usage)
    return JSONResponse(answer.model_dump(exclude_none=True))


def _texts(body: EmbeddingsBody, most: int) -> list[str]:
    if isinstance(body.input, str):
        return [body.input]
    if any(not isinstance(item, str) for item in body.input):
        raise invalid(
            "Got token ids, wanted texts: the model puts its own template around a text, and another "
            "tokenizer's ids mean other words. In LangChain set check_embedding_ctx_length=False.",
            "input",
            "token_ids",
        )
    texts = [str(item) for item in body.input]
    if not texts:
        raise invalid("Got an empty list, wanted at least one text.", "input")
    if len(texts) > most:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"Got {len(texts)} texts, wanted at most {most}: send them in several requests.",
            "too_many_texts",
            "input",
        )
    return texts


def _answer(index: int, one: Embedded, body: EmbeddingsBody) -> EmbeddingAnswer:
    vector: list[float] | str = (
        base64.b64encode(one.vector.astype(np.dtype("<f4")).tobytes()).decode()
        if body.encoding_format == "base64"
        else one.vector.tolist()
    )
    thought = ThoughtAnswer.of(one.thought) if body.return_thoughts and one.thought is not None else None
    return EmbeddingAnswer(index=index, embedding=vector, dropped_tokens=one.dropped_tokens, thought=thought)
