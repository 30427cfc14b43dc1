"""One thread that owns the model: texts of all requests are embedded in common batches.

A text waits for others for a few milliseconds at most, and while a batch is computed the next one gathers.
Texts share a forward pass if they have the same role and options and are of like length; the oldest one
decides which are next. A batch is bounded in tokens. A text whose request has gone away is left out.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from search_r3.errors import InvalidInputError
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thought_cache import ThoughtCache
from search_r3.model.thoughts import Reasoning, Thought
from search_r3.server.monitoring import Monitoring

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

_LETTERS_PER_TOKEN = 3
_TEMPLATE_TOKENS = 16
_LIKE_LENGTH = 0.6  # of the longest of a batch: a shorter text waits for the next one


@dataclass(frozen=True)
class Ask:
    """How a text is to be embedded; texts with equal ones can share a batch.

    Attributes:
        role: ``query`` or ``document``.
        reasoning: Of a query; None means the model's default.
        max_reasoning_tokens: Budget of its thought; None means the model's default.
        instruction: Put before the text; None means none.
        cuts: Whether a text that is too long is cut, and not refused.
    """

    role: str
    reasoning: Reasoning | None = None
    max_reasoning_tokens: int | None = None
    instruction: str | None = None
    cuts: bool = True


@dataclass(frozen=True)
class Embedded:
    """A text's vector, what was thought, and what it took.

    Attributes:
        vector: Unit vector, shape (D,), float32.
        thought: What was thought; None of a document.
        tokens: Tokens of its sequence, template and passages included and the thought not.
        dropped_tokens: Tokens cut from its end.
    """

    vector: NDArray[np.float32]
    thought: Thought | None
    tokens: int
    dropped_tokens: int


@dataclass
class _Item:
    text: str
    evidence: tuple[str, ...]
    ask: Ask
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    since: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """About how many tokens it has."""
        letters = len(self.text) + sum(map(len, self.evidence))
        return _TEMPLATE_TOKENS + letters // _LETTERS_PER_TOKEN


@dataclass
class _Call:
    function: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    since: float = field(default_factory=time.monotonic)


class EngineFullError(Exception):
    """Too many texts wait.

    Attributes:
        seconds: After about how many there is room again.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the queue is full for about {seconds} s")
        self.seconds = seconds


class EngineStoppedError(Exception):
    """The engine takes no more texts."""


class Engine:
    """Embeds texts and runs searches, one after the other, on a thread of its own.

    Args:
        model: The model; nobody else may use it while the engine runs.
        cache: Its thoughts.
        monitoring: Counts what is done.
        batch_tokens: Most tokens of a forward pass, by an estimate.
        window: Seconds that a text waits for others.
        max_queue: Most texts that wait.
    """

    def __init__(
        self,
        model: SearchR3,
        cache: ThoughtCache,
        monitoring: Monitoring,
        *,
        batch_tokens: int,
        window: float,
        max_queue: int,
    ) -> None:
        self.model, self.cache = model, cache
        self._monitoring = monitoring
        self._batch_tokens, self._window, self._most = batch_tokens, window, max_queue
        self._waiting: deque[_Item | _Call] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._rate = 1000.0  # tokens per second, as seen of late
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    async def embed(
        self, texts: Sequence[str], ask: Ask, evidence: Sequence[Sequence[str]] | None = None
    ) -> list[Embedded]:
        """Embed texts.

        Raises:
            EngineFullError: There is no room for them now.
            InvalidInputError: A text cannot be embedded; its ``location`` is its index among these.
            EngineStoppedError: The engine was stopped.
        """
        loop = asyncio.get_running_loop()
        read = evidence or [()] * len(texts)
        items = [
            _Item(text, tuple(passages), ask, loop.create_future(), loop)
            for text, passages in zip(texts, read, strict=True)
        ]
        self._add(items)
        futures = [item.future for item in items]
        try:
            return list(await asyncio.gather(*futures))
        except BaseException:
            for future in futures:
                future.cancel()  # those that wait are left out of their batches
            raise

    async def run(self, function: Callable[[], Answer]) -> Answer:
        """Call a function on the engine's thread, between two batches.

        Raises:
            EngineFullError: There is no room for it now.
            EngineStoppedError: The engine was stopped.
            Exception: What the function raises.
        """
        loop = asyncio.get_running_loop()
        call = _Call(function, loop.create_future(), loop)
        self._add([call])
        try:
            answer: Answer = await call.future
        except BaseException:
            call.future.cancel()
            raise
        return answer

    @property
    def waiting(self) -> int:
        """How many texts wait."""
        return len(self._waiting)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Refuse new texts, finish those that wait, and end the thread."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _add(self, items: Sequence[_Item | _Call]) -> None:
        with self._changed:
            if self._is_stopping:
                raise EngineStoppedError("The server stops.")
            if len(self._waiting) + len(items) > self._most:
                tokens = sum(item.size for item in self._waiting if isinstance(item, _Item))
                raise EngineFullError(max(1, round(tokens / self._rate)))
            self._waiting.extend(items)
            self._monitoring.queue.set(len(self._waiting))
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_stopping)
                if not self._waiting:
                    return
                self._gather()
                batch = self._next()
                self._monitoring.queue.set(len(self._waiting))
            if isinstance(batch, _Call):
                self._answer_call(batch)
            elif batch:
                self._answer(batch)

    def _gather(self) -> None:
        """Wait until a batch is full, or the oldest text has waited long enough."""
        while not self._is_stopping:
            first = self._waiting[0]
            left = first.since + self._window - time.monotonic()
            tokens = sum(item.size for item in self._waiting if isinstance(item, _Item))
            if left <= 0 or tokens >= self._batch_tokens or isinstance(first, _Call):
                return
            self._changed.wait(left)

    def _next(self) -> _Call | list[_Item]:
        first = self._waiting[0]
        if isinstance(first, _Call):
            self._waiting.popleft()
            return first
        going = [item for item in self._waiting if isinstance(item, _Call) or not item.future.done()]
        if first.future.done():  # its request went away
            self._waiting = deque(going)
            return []
        sharing = [item for item in going if isinstance(item, _Item) and item.ask == first.ask]
        batch = self._of_like_length(sorted(sharing, key=lambda item: item.size), first)
        taken = {id(item) for item in batch}
        self._waiting = deque(item for item in going if id(item) not in taken)
        return batch

    def _of_like_length(self, items: Sequence[_Item], first: _Item) -> list[_Item]:
        """Those of sorted items around the first that fit into a batch with it; shorter ones before longer.

        Every text of a batch is computed at the length of the longest. Thinking costs far more than that, and
        as much for one query as for several, so queries that think are not parted by length.
        """
        like = 0.0 if self._thinks(first.ask) else _LIKE_LENGTH
        start = next(place for place, item in enumerate(items) if item is first)
        end = start + 1
        while start > 0 and self._fits(items[start - 1 : end], like):
            start -= 1
        while end < len(items) and self._fits(items[start : end + 1], like):
            end += 1
        return list(items[start:end])

    def _fits(self, items: Sequence[_Item], like: float) -> bool:
        shortest, longest = items[0].size, items[-1].size
        return shortest >= like * longest and longest * len(items) <= self._batch_tokens

    def _thinks(self, ask: Ask) -> bool:
        reasoning = ask.reasoning or self.model.reasoning_module.reasoning
        return ask.role == "query" and reasoning != "never"

    def _answer(self, batch: list[_Item]) -> None:
        started = time.monotonic()
        try:
            answers = self._embedded(batch)
        except InvalidInputError as error:
            if len(batch) == 1:
                self._fail(batch[0], error)
                return
            for item in batch:  # one of them spoils it; the others are right
                self._answer([item])
            return
        except Exception as error:  # noqa: BLE001  # the thread must live; the requests get the error
            logger.error("A batch of %d texts failed: %s", len(batch), type(error).__name__)  # no texts
            for item in batch:
                self._fail(item, error)
            return
        seconds = time.monotonic() - started
        tokens = sum(answer.tokens for answer in answers)
        self._rate = 0.8 * self._rate + 0.2 * tokens / max(seconds, 1e-6)
        thought_tokens = sum(answer.thought.length for answer in answers if answer.thought is not None)
        self._monitoring.batch(batch[0].ask.role, len(batch), tokens, thought_tokens, seconds)
        for item, answer in zip(batch, answers, strict=True):
            item.loop.call_soon_threadsafe(_set_result, item.future, answer)

    def _embedded(self, batch: list[_Item]) -> list[Embedded]:
        ask, texts = batch[0].ask, [item.text for item in batch]
        encoder, limit = self.model.reasoning_module.prompt_encoder, self.model.reasoning_module.limit
        shared: dict[str, Any] = {
            "batch_size": len(batch),
            "on_truncation": "ignore" if ask.cuts else "error",
            "prompt": ask.instruction,
        }
        instruction = ask.instruction or ""
        if ask.role == "document":
            encoded = [
                encoder.encode_document(text, instruction=instruction, max_tokens=limit) for text in texts
            ]
            found = self.model.encode_document(texts, normalize_embeddings=True, **shared)
            return [
                Embedded(vector, None, len(one.token_ids), one.dropped_tokens)
                for vector, one in zip(np.asarray(found, dtype=np.float32), encoded, strict=True)
            ]
        evidence = [item.evidence for item in batch] if any(item.evidence for item in batch) else None
        encoded = [
            encoder.encode_query(
                item.text,
                thought=(),
                evidence=item.evidence,
                instruction=instruction,
                max_tokens=limit,
                limits=self.model.reasoning_module.evidence_limits,
            )
            for item in batch
        ]
        encoding = self.cache.encode(
            self.model,
            texts,
            evidence=evidence,
            reasoning=ask.reasoning,
            max_reasoning_tokens=ask.max_reasoning_tokens,
            **shared,
        )
        return [
            Embedded(vector, thought, len(one.token_ids), dropped)
            for vector, thought, one, dropped in zip(
                encoding.embeddings, encoding.thoughts, encoded, encoding.dropped_tokens, strict=True
            )
        ]

    def _answer_call(self, call: _Call) -> None:
        if call.future.done():
            return
        try:
            answer = call.function()
        except Exception as error:  # noqa: BLE001  # as above
            call.loop.call_soon_threadsafe(_set_exception, call.future, error)
        else:
            call.loop.call_soon_threadsafe(_set_result, call.future, answer)

    @staticmethod
    def _fail(item: _Item, error: Exception) -> None:
        item.loop.call_soon_threadsafe(_set_exception, item.future, error)


def _set_result(future: asyncio.Future[Any], answer: object) -> None:
    if not future.done():
        future.set_result(answer)


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
