"""The application: a model, an index, the routes, and what happens at the start and the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib import metadata
from pathlib import Path

from search_r3.extras import needs_extra

with needs_extra("serve"):
    from fastapi import FastAPI, Request
    from fastapi.middleware.cors import CORSMiddleware
    from fastapi.responses import Response
    from fastapi.staticfiles import StaticFiles

from search_r3.errors import VectorIndexError
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thought_cache import ThoughtCache
from search_r3.retrieval.corpus_index import CorpusIndex, former_default
from search_r3.server import embeddings, searching
from search_r3.server.engine import Engine
from search_r3.server.failures import RequestError, add_handlers
from search_r3.server.guard import Guard, read_keys
from search_r3.server.monitoring import Monitoring
from search_r3.server.settings import ServerSettings

_PAGE = Path(__file__).parent / "page"
_POLICY = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page loads nothing from elsewhere, and runs no script that stands in a text."""


def make_application(settings: ServerSettings, model: SearchR3, index: CorpusIndex | None = None) -> FastAPI:
    """Make the application for a model that is loaded.

    Args:
        settings: How to serve it.
        model: The model; the application's thread is the only one to use it from now on.
        index: What can be searched; None serves embeddings alone.

    Raises:
        InvalidOptionError: The keys cannot be read.
        VectorIndexError: The index was made by another model.
    """
    if index is not None and index.vectors.fingerprint != (found := fingerprint(model)):
        raise VectorIndexError(
            f"Got an index of another model ({index.vectors.fingerprint[:12]}), wanted one of the served "
            f"model ({found[:12]}). Build it again with `search-r3 index`, or serve its model with --model: "
            f"it records {index.model or 'none'}.{former_default(index.model)}"
        )
    monitoring = Monitoring()
    cache = ThoughtCache(model, settings.thought_cache, max_entries=settings.max_cached_thoughts)
    keys = read_keys(settings.api_key_file) if settings.api_key_file is not None else ()

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        application.state.engine = Engine(
            model,
            cache,
            monitoring,
            batch_tokens=settings.batch_tokens,
            window=settings.window_ms / 1000,
            max_queue=settings.max_queue,
        )
        try:
            yield
        finally:
            application.state.engine.stop()
            cache.close()

    application = FastAPI(title="Search-R3", version=metadata.version("search-r3"), lifespan=lifespan)
    application.state.settings = settings
    application.state.index = index
    application.state.served_name = _served_name(settings)
    application.state.is_draining = False
    application.include_router(embeddings.router)
    application.include_router(searching.router)
    add_handlers(application)

    @application.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process is alive."""
        return {"status": "ok"}

    @application.get("/ready", responses={HTTPStatus.SERVICE_UNAVAILABLE.value: {}})
    async def ready(request: Request) -> dict[str, str]:
        """Whether it takes requests: no longer once it was told to stop."""
        state = request.app.state
        if state.is_draining or not state.engine.is_alive:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server stops.", "draining")
        return {"status": "ready"}

    @application.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counters in Prometheus' format."""
        return Response(monitoring.text(), media_type="text/plain; version=0.0.4")

    @application.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(
            (_PAGE / "index.html").read_bytes(),
            media_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"},
        )

    application.mount("/page", StaticFiles(directory=_PAGE), name="page")
    application.add_middleware(
        Guard, keys=keys, max_body_bytes=settings.max_body_bytes, monitoring=monitoring
    )
    if settings.cors_origins:
        application.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return application


def _served_name(settings: ServerSettings) -> str:
    if settings.served_name is not None:
        return settings.served_name
    model = settings.model or "default"
    return Path(model).resolve().name if Path(model).is_dir() else model
