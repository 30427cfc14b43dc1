"""What the server is started with: by option, or by an environment variable ``SEARCH_R3_SERVER_<NAME>``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from search_r3.extras import needs_extra

with needs_extra("serve"):
    from pydantic_settings import BaseSettings, SettingsConfigDict

from search_r3.errors import InvalidOptionError
from search_r3.retrieval.candidates import Approximation

LOOPBACK = "127.0.0.1"


class ServerSettings(BaseSettings):
    """Settings of a server.

    Attributes:
        model: ``default``, another embedded model's name, a folder or a Hub id; None takes that of the index,
            or the default.
        served_name: How requests name the model; None takes the name of ``model``, or of its folder.
        dtype: Type of the weights; None takes the type they are saved in.
        index: An index of ``search-r3 index`` to search in; None takes the demo's with a trained model of the
            package, and serves embeddings alone with any other.
        approximate: What finds candidates in a large index; None searches exactly.
        host: Address to listen on; anything but the loopback address is open to the network.
        port: Port to listen on.
        api_key_file: File with a key in each line, one of which every request must have; None asks for none.
        cors_origins: Origins whose pages may call the server; none by default.
        thought_cache: File of a cache of thoughts; None keeps thoughts in memory.
        max_cached_thoughts: Most thoughts that are kept.
        max_body_bytes: Largest body of a request.
        max_items: Most texts of a request.
        max_queue: Most texts that wait; beyond that a request is answered with 429.
        batch_tokens: Most tokens of a forward pass, by an estimate from the lengths of the texts.
        window_ms: How long a text waits for others to share its forward pass, in milliseconds.
        drain_seconds: How long open requests may take after the signal to stop.
    """

    model_config = SettingsConfigDict(env_prefix="SEARCH_R3_SERVER_", extra="forbid", frozen=True)

    model: str | None = None
    served_name: str | None = None
    dtype: str | None = None
    index: Path | None = None
    approximate: Approximation | None = None
    host: str = LOOPBACK
    port: int = Field(default=8080, ge=0, le=65535)
    api_key_file: Path | None = None
    cors_origins: tuple[str, ...] = ()
    thought_cache: Path | None = None
    max_cached_thoughts: int = Field(default=100_000, ge=1)
    max_body_bytes: int = Field(default=8_000_000, ge=1000)
    max_items: int = Field(default=2048, ge=1)
    max_queue: int = Field(default=8192, ge=1)
    batch_tokens: int = Field(default=4096, ge=1)
    window_ms: float = Field(default=5.0, ge=0, le=1000)
    drain_seconds: int = Field(default=30, ge=0)


def read_settings(given: dict[str, Any]) -> ServerSettings:
    """Settings out of what is given, the environment, and defaults, in this order.

    Raises:
        InvalidOptionError: A value cannot be used; the message names the setting.
    """
    try:
        return ServerSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InvalidOptionError(f"Got {name}={first.get('input')!r}: {first['msg']}.") from None
