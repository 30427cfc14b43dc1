"""Asking a server of `search-r3 serve`: nothing of the model is imported, so an answer comes at once."""

from __future__ import annotations

import json
import os
from http.client import HTTPException, IncompleteRead
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from search_r3.errors import InvalidOptionError, SearchR3Error

KEY_VARIABLE = "SEARCH_R3_API_KEY"
"""The environment variable with the key that the server asks for."""

_SECONDS = 600  # a queue may be long


class ServerError(SearchR3Error):
    """A server did not answer, or refused the request; the message has its reason."""


def search_by_server(address: str, query: str, options: dict[str, Any]) -> dict[str, Any]:
    """Ask ``POST /v1/search``.

    Args:
        address: Of the server, such as ``http://127.0.0.1:8080``.
        query: The query.
        options: More fields of the body; those that are None are left out.

    Returns:
        The answer's fields, less those without a value.

    Raises:
        InvalidOptionError: The address is none of HTTP.
        ServerError: There is no server, its answer is none of ours, or it refuses.
    """
    opener = _opener(address)
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    body = {"query": query, **{name: value for name, value in options.items() if value is not None}}
    request = Request(address.rstrip("/") + "/v1/search", json.dumps(body).encode(), headers)
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return _without_empty(json.load(answer))
    except HTTPError as error:
        raise ServerError(f"{address} refused the search ({error.code}): {_reason(error)}") from None
    except (URLError, TimeoutError, ConnectionError, IncompleteRead) as error:
        reason = getattr(error, "reason", error)
        raise ServerError(
            f"No answer from {address} ({reason}). Start it with `search-r3 serve`, or leave --server out."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, HTTPException):
        raise ServerError(f"{address} is no server of `search-r3 serve`: it answers otherwise.") from None


def _opener(address: str) -> OpenerDirector:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or any(c.isspace() for c in address):
        raise InvalidOptionError(
            f"Got the server {address!r}, wanted an address such as http://127.0.0.1:8080."
        )
    # A proxy cannot reach this machine's own loopback address, and would be shown the key.
    is_here = host in ("localhost", "::1") or host.startswith("127.")
    return build_opener(ProxyHandler({})) if is_here else build_opener()


def _reason(error: HTTPError) -> str:
    try:
        message: str = json.load(error)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return "it is no server of `search-r3 serve`"
    if error.code == 401:
        return f"{message} Set {KEY_VARIABLE}."
    return message


def _without_empty(answer: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in answer.items() if value not in (None, [])}  # no steps are none
    kept["hits"] = [
        {name: value for name, value in hit.items() if value is not None} for hit in answer["hits"]
    ]
    return kept
