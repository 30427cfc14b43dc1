"""Errors in the form of OpenAI's API, which its clients read."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from search_r3.extras import needs_extra

with needs_extra("serve"):
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.server.engine import EngineFullError, EngineStoppedError


class RequestError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        message: What was got, what was wanted, what to do.
        code: A word for programs.
        param: The field of the request that it is about, if it is about one.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        code: str,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """What the answer holds."""
        kind = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error}

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.body(), status_code=self.status, headers=self.headers)


def invalid(message: str, param: str | None = None, code: str = "invalid_value") -> RequestError:
    """A request that can never be answered."""
    return RequestError(HTTPStatus.BAD_REQUEST, message, code, param)


def as_request_error(error: BaseException) -> RequestError:
    """What a failure of the engine, or of what it ran, is answered with."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, EngineFullError):
        return RequestError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"Too many texts wait. Try again in {error.seconds} s, or send fewer at once.",
            "queue_full",
            headers={"Retry-After": str(error.seconds)},
        )
    if isinstance(error, EngineStoppedError):
        return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), "unavailable")
    if isinstance(error, InvalidInputError | InvalidOptionError):
        return invalid(str(error))
    message = f"The server failed ({type(error).__name__}); its log says where."
    return RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, message, "internal_error")


def add_handlers(application: FastAPI) -> None:
    """Answer every error in this form."""

    @application.exception_handler(RequestError)
    async def of_request(_: Request, error: RequestError) -> JSONResponse:
        return error.response()

    @application.exception_handler(RequestValidationError)
    async def of_schema(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        message = f"{place or 'body'}: {first['msg']}"
        return invalid(message, place or None).response()

    @application.exception_handler(InvalidInputError)
    @application.exception_handler(InvalidOptionError)
    async def of_package(_: Request, error: ValueError) -> JSONResponse:
        return invalid(str(error)).response()

    @application.exception_handler(Exception)
    async def of_nobody(_: Request, error: Exception) -> JSONResponse:
        return as_request_error(error).response()

    @application.exception_handler(HTTPException)
    async def of_routing(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        return RequestError(status, str(error.detail), status.name.lower(), headers=headers).response()
