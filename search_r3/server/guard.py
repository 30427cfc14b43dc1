"""What stands before every route: the key, the size of the body, and the counters of requests."""

from __future__ import annotations

import hmac
import time
from http import HTTPStatus
from pathlib import Path

from search_r3.extras import needs_extra

with needs_extra("serve"):
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_r3.errors import InvalidOptionError
from search_r3.server.failures import RequestError
from search_r3.server.monitoring import Monitoring

OPEN_ROUTES = frozenset({"/health", "/ready"})
"""What may be asked without a key: it says nothing but that the server is there."""

_PAGE = "/page/"
"""The page's own files; what it asks for needs the key, which it asks the reader for."""


def read_keys(path: Path) -> tuple[bytes, ...]:
    """Read the keys of a file, one in each line; empty lines and those that begin with # are left out.

    Raises:
        InvalidOptionError: It cannot be read, or has no key.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOptionError(f"Cannot read the keys {path}: {error}.") from None
    keys = tuple(line.strip().encode() for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise InvalidOptionError(f"{path} has no key: write one in a line, or leave --api-key-file out.")
    return keys


class Guard:
    """Middleware that refuses requests before a route sees them, and counts those that were answered.

    Args:
        application: What comes behind it.
        keys: Keys of which a request must have one; none asks for none.
        max_body_bytes: Largest body.
        monitoring: Counts requests.
    """

    def __init__(
        self, application: ASGIApp, keys: tuple[bytes, ...], max_body_bytes: int, monitoring: Monitoring
    ) -> None:
        self._application, self._keys = application, keys
        self._most, self._monitoring = max_body_bytes, monitoring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        started, status = time.monotonic(), HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            if not self._is_allowed(scope["path"], headers):
                message = (
                    "Got no key, or a wrong one: send a right one as the header Authorization: Bearer <key>."
                )
                headers_ = {"WWW-Authenticate": "Bearer"}
                error = RequestError(HTTPStatus.UNAUTHORIZED, message, "invalid_api_key", headers=headers_)
                await error.response()(scope, receive, counted)
                return
            try:
                body = await self._body(headers, receive)
            except RequestError as error:
                await error.response()(scope, receive, counted)
                return
            await self._application(scope, _replayed(body, receive), counted)
        finally:
            known = scope.get("route")
            route = getattr(known, "path", "other")  # not the path: anybody can ask for any
            self._monitoring.requests.labels(route, status).inc()
            self._monitoring.latency.labels(route).observe(time.monotonic() - started)

    def _is_allowed(self, path: str, headers: dict[bytes, bytes]) -> bool:
        if not self._keys or path in OPEN_ROUTES or path == "/" or path.startswith(_PAGE):
            return True
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        # All are compared, whether one was right already or not: the time says nothing about any.
        right = [hmac.compare_digest(given.strip(), key) for key in self._keys]
        return kind.lower() == b"bearer" and any(right)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> list[Message]:
        """Read the body, no further than it may be long."""
        said = headers.get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._most:
            raise self._too_large(int(said))
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._most:
                raise self._too_large(size)
            if message["type"] != "http.request" or not message.get("more_body", False):
                return messages

    def _too_large(self, size: int) -> RequestError:
        message = (
            f"Got a body of {size} bytes or more, wanted at most {self._most}: send fewer texts at once."
        )
        return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, "body_too_large")


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    left = iter(messages)

    async def again() -> Message:
        for message in left:
            return message
        return await receive()

    return again
