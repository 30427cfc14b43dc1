"""Ray Serve: the server of ``search-r3 serve`` as replicas on a cluster.

Needs ``pip install 'search-r3[ray]'``. The engine is Ray's: it starts replicas, spreads requests over them,
starts a dead one again, adds some when requests wait, and updates one after the other. A replica is the same
application as on one machine, with a model of its own.

::

    serve run search_r3.server.ray_serve:application model=default index=/shared/my-index
"""

from __future__ import annotations

import json
from typing import Any

from search_r3.extras import needs_extra

with needs_extra("ray"):
    from fastapi import FastAPI
    from ray import serve

from search_r3.server.serving import load_application
from search_r3.server.settings import ServerSettings, read_settings

_PER_DEPLOYMENT = {
    "num_replicas",
    "max_ongoing_requests",
    "autoscaling_config",
    "ray_actor_options",
    "graceful_shutdown_timeout_s",
    "health_check_period_s",
}


def application(arguments: dict[str, Any]) -> serve.Application:
    """Make the application for ``serve run``, or for ``applications`` of a configuration file of Ray Serve.

    Args:
        arguments: Settings of the server (:class:`search_r3.server.settings.ServerSettings`; the host, the
            port and the drain are Ray's), and options of the deployment: ``num_replicas``,
            ``max_ongoing_requests``, ``autoscaling_config``, ``ray_actor_options``,
            ``graceful_shutdown_timeout_s`` and ``health_check_period_s``; see :func:`parsed`.

    Raises:
        InvalidOptionError: A setting is unknown, or its value cannot be used.
    """
    options = {name: parsed(value) for name, value in arguments.items() if name in _PER_DEPLOYMENT}
    given = {name: value for name, value in arguments.items() if name not in _PER_DEPLOYMENT}
    return deployment(read_settings(given), **options)


def parsed(value: object) -> object:
    """An option's value: ``serve run`` gives strings, of which those in JSON become numbers or objects."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # such as num_replicas=auto


def deployment(settings: ServerSettings, **options: Any) -> serve.Application:
    """Make the application from settings; each replica loads the model and the index anew.

    Args:
        settings: Of the server. Paths must be there on every machine.
        **options: Of ``serve.deployment``, such as ``num_replicas=2``.
    """

    def build() -> FastAPI:
        return load_application(settings)

    replica: Any = serve.deployment(serve.ingress(build)())
    found: serve.Application = replica.options(name="SearchR3", **options).bind()
    return found
