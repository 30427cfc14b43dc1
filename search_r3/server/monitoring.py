"""What the server counts, in Prometheus' format."""

from __future__ import annotations

from typing import Any

from search_r3.extras import needs_extra

with needs_extra("serve"):
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Monitoring:
    """Counters, gauges and histograms of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        of: dict[str, Any] = {"registry": self._registry}
        self.requests = Counter("search_r3_requests_total", "Requests answered.", ["route", "status"], **of)
        self.latency = Histogram(
            "search_r3_request_seconds", "Time to answer a request.", ["route"], buckets=_SECONDS, **of
        )
        self.queue = Gauge("search_r3_queue_texts", "Texts that wait.", **of)
        self._batches = Histogram(
            "search_r3_batch_texts", "Texts of a forward pass.", ["role"], buckets=_SIZES, **of
        )
        self._seconds = Histogram(
            "search_r3_batch_seconds", "Time of a batch.", ["role"], buckets=_SECONDS, **of
        )
        self._tokens = Counter("search_r3_text_tokens_total", "Tokens of texts.", ["role"], **of)
        self._thoughts = Counter("search_r3_thought_tokens_total", "Tokens of thoughts.", **of)

    def batch(self, role: str, size: int, tokens: int, thought_tokens: int, seconds: float) -> None:
        """Count a batch."""
        self._batches.labels(role).observe(size)
        self._seconds.labels(role).observe(seconds)
        self._tokens.labels(role).inc(tokens)
        self._thoughts.inc(thought_tokens)

    def text(self) -> bytes:
        """All of it, as ``/metrics`` gives it."""
        return generate_latest(self._registry)
