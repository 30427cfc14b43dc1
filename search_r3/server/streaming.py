"""Answers in pieces: a thought as it is written, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from search_r3.server.failures import as_request_error

Found = TypeVar("Found", bound=BaseModel)


@dataclass
class Stream(Generic[Found]):
    """Work that tells what it does.

    Attributes:
        work: What it ends in.
        told: Texts that it told so far and that were not sent yet.
    """

    work: asyncio.Future[Found]
    told: asyncio.Queue[str]


async def started_stream(start: Callable[[Callable[[str], None]], Awaitable[Found]]) -> Stream[Found]:
    """Start work that tells what it does from another thread.

    Args:
        start: Given what to tell it to, starts the work.

    Raises:
        RequestError: The work was refused at once; it is answered with its status, as without a stream.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[str] = asyncio.Queue()

    def tell(text: str) -> None:
        loop.call_soon_threadsafe(told.put_nowait, text)

    work = asyncio.ensure_future(start(tell))
    await asyncio.sleep(0)  # it runs until it waits for the engine
    if work.done() and (error := work.exception()) is not None:
        raise as_request_error(error)
    return Stream(work, told)


async def as_events(stream: Stream[Found]) -> AsyncIterator[str]:
    """What is told, each as an event ``thought``, and then ``result`` or ``error``.

    A client that goes away ends it, and the work is not done if it has not begun.

    Args:
        stream: The work.
    """
    waiting = asyncio.ensure_future(stream.told.get())
    try:
        while True:
            both: set[asyncio.Future[Any]] = {stream.work, waiting}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield _event("thought", {"text": waiting.result()})
                waiting = asyncio.ensure_future(stream.told.get())
                continue
            break
        error = stream.work.exception()
        if error is None:
            yield _event("result", stream.work.result().model_dump())
        else:
            failed = as_request_error(error)
            yield _event("error", {"status": int(failed.status), **failed.body()})
    finally:
        waiting.cancel()
        stream.work.cancel()


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
