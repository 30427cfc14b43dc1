"""Running the application: loads the model and the index, listens, and drains when it is told to stop."""

from __future__ import annotations

import signal
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from search_r3.extras import needs_extra

with needs_extra("serve"):
    import uvicorn
    from fastapi import FastAPI

from search_r3.demo.stdlib_demo import build_demo_index, demo_folder
from search_r3.model.default import SHIPPED, load_model
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.server.application import make_application
from search_r3.server.settings import ServerSettings

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Shows how far work is: given what it is called, gives what is told (done, in all)."""


def serve(settings: ServerSettings, say: Callable[[str], None], progress: Progress) -> None:
    """Serve until SIGINT or SIGTERM; open requests are answered, as long as ``drain_seconds`` lets them.

    Args:
        settings: How.
        say: Told what happens, in a line each.
        progress: Shows how far the first build of the demo's index is.

    Raises:
        ModelError: The model cannot be loaded.
        VectorIndexError: The index cannot be read, or is of another model.
    """
    application = load_application(settings, say, progress)
    say(f"Listening on http://{settings.host}:{settings.port}")
    server = DrainingServer(
        application,
        uvicorn.Config(
            application,
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=settings.drain_seconds,
        ),
    )
    server.run()


@contextmanager
def _unseen(description: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def load_application(
    settings: ServerSettings, say: Callable[[str], None] = lambda text: None, progress: Progress = _unseen
) -> FastAPI:
    """Load the model and the index, and make the application.

    Args:
        settings: How.
        say: Told what happens, in a line each.
        progress: Shows how far the first build of the demo's index is.

    Raises:
        ModelError: The model cannot be loaded.
        VectorIndexError: The index cannot be read, or is of another model.
    """
    index = None
    if settings.index is not None:
        with progress("opening the index") as on_progress:
            index = CorpusIndex.load(
                settings.index, approximate=settings.approximate, on_progress=on_progress
            )
    settings = with_model(settings, index)
    assert settings.model is not None
    say(f"Loading the model {settings.model}")
    model = load_model(settings.model, dtype=settings.dtype)
    if index is None and settings.model in ("default", *SHIPPED):
        say("No --index: searching in the documentation of Python's standard library, as the demo does")
        with progress("embedding the standard library") as on_progress:
            index = build_demo_index(model, demo_folder(model), on_progress, name=settings.model)[0]
    return make_application(settings, model, index)


class DrainingServer(uvicorn.Server):
    """uvicorn's server, which tells the application that it is about to stop.

    Args:
        application: The application.
        config: uvicorn's.
    """

    def __init__(self, application: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._application = application

    def handle_exit(self, sig: int, frame: types.FrameType | None) -> None:
        """Take no new connections; a second signal does not wait for open requests."""
        self._application.state.is_draining = True
        super().handle_exit(signal.Signals(sig), frame)


def with_model(settings: ServerSettings, index: CorpusIndex | None) -> ServerSettings:
    """The settings with a model: the one asked for, else the one that made the index, else the default."""
    recorded = index.model if index is not None else ""
    return settings.model_copy(update={"model": settings.model or recorded or "default"})
