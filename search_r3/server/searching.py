"""``POST /v1/search``: an index asked with the model, with what was thought and what that changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import numpy as np

from search_r3.extras import needs_extra

with needs_extra("serve"):
    from fastapi import APIRouter, Request
    from fastapi.responses import JSONResponse, Response, StreamingResponse

from search_r3.model.sentence_transformer import SearchR3
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.corpus_search import Explanation, search_corpus
from search_r3.server.embeddings import ERRORS, unless_gone
from search_r3.server.engine import Engine
from search_r3.server.failures import RequestError, invalid
from search_r3.server.schemas import HitAnswer, SearchAnswer, SearchBody, StepAnswer, ThoughtAnswer
from search_r3.server.streaming import as_events, started_stream

router = APIRouter()

_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["thought", "result", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
_STREAMED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK.value: {"content": {"text/event-stream": {"itemSchema": _EVENT}}}
}
"""What the route answers beside JSON, for the schema."""


@router.post("/v1/search", responses=_STREAMED | ERRORS, response_model=SearchAnswer)
async def search(request: Request, body: SearchBody) -> Response:
    """Search the index."""
    index: CorpusIndex | None = request.app.state.index
    if index is None:
        raise RequestError(
            HTTPStatus.NOT_FOUND, "There is no index: start the server with --index DIR.", "no_index"
        )
    if body.explain and (body.hybrid or body.steps != 1):
        raise invalid(
            "Got explain with hybrid or steps, wanted neither: it compares two rankings.", "explain"
        )
    if body.thought is not None and (body.hybrid or body.steps != 1):
        raise invalid("Got a thought with hybrid or steps, wanted neither: it is of one search.", "thought")
    engine: Engine = request.app.state.engine
    if body.stream:
        events = await started_stream(lambda tell: engine.run(lambda: _timed(engine, index, body, tell)))
        return StreamingResponse(
            as_events(events),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )
    answer = await unless_gone(request, engine.run(lambda: _timed(engine, index, body)))
    return JSONResponse(answer.model_dump())


def _timed(
    engine: Engine, index: CorpusIndex, body: SearchBody, on_thought: Callable[[str], None] | None = None
) -> SearchAnswer:
    """On the engine's thread, so that the time is that of the search without its wait."""
    started = time.monotonic()
    found = _search(engine, index, body, on_thought)
    return _answer(body, found, time.monotonic() - started)


def _search(
    engine: Engine, index: CorpusIndex, body: SearchBody, on_thought: Callable[[str], None] | None
) -> Explanation:
    if body.thought is not None:
        return _with_thought(engine.model, index, body)
    [found] = search_corpus(  # that the model is the index's was seen to when the server started
        engine.model,
        index.retriever(hybrid=body.hybrid),
        [body.query],
        body.k,
        reasoning=body.reasoning,
        max_reasoning_tokens=body.max_reasoning_tokens,
        steps=body.steps,
        read=body.read,
        together=body.together,
        explain=body.explain,
        cache=engine.cache,
        on_thought=on_thought if body.steps == 1 else None,
    )
    return found


def _with_thought(model: SearchR3, index: CorpusIndex, body: SearchBody) -> Explanation:
    encoding = model.encode_query_with_thoughts([body.query], thoughts=[body.thought], on_truncation="ignore")
    [hits] = index.retriever().retrieve([body.query], encoding.embeddings, body.k)
    return Explanation(encoding.thoughts[0], hits)


def _answer(body: SearchBody, found: Explanation, seconds: float) -> SearchAnswer:
    ranks: list[Any] = found.direct.ranks if found.direct is not None else [None] * len(found.hits)
    return SearchAnswer(
        query=body.query,
        thought=ThoughtAnswer.of(found.thought),
        hits=[
            HitAnswer(
                rank=hit.rank,
                doc_id=hit.doc_id,
                score=float(np.float32(hit.score)),
                text=hit.text,
                direct_rank=rank,
            )
            for hit, rank in zip(found.hits, ranks, strict=True)
        ],
        cosine_to_direct=found.direct.cosine if found.direct is not None else None,
        steps=[
            [
                StepAnswer(
                    read=list(one.read),
                    thought=ThoughtAnswer.of(one.thought),
                    found=[hit.doc_id for hit in one.hits[: body.k]],
                )
                for one in searches
            ]
            for searches in found.steps
        ],
        seconds=round(seconds, 4),
    )
