"""The spans of the demo, kept in memory: what an exporter would send elsewhere."""

from __future__ import annotations

import threading
from collections import deque

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

MAX_SPANS = 20_000
"""About 60 MB. The demo's largest run stays below; when it goes on serving, the oldest make room."""


class SpanLog(SpanProcessor):
    """Keeps the spans that ended, as long as it is open. Thread-safe."""

    def __init__(self, max_spans: int = MAX_SPANS) -> None:
        self._spans: deque[ReadableSpan] = deque(maxlen=max_spans)
        self._lock = threading.Lock()
        self._is_open = True

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span."""
        with self._lock:
            if self._is_open:
                self._spans.append(span)

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        """The spans so far, in the order of their ends."""
        with self._lock:
            return tuple(self._spans)

    def close(self) -> None:
        """Keep no more: a provider cannot be told to forget a processor."""
        with self._lock:
            self._is_open = False


def watch_spans() -> SpanLog:
    """Keep the spans of this process from now on.

    They are taken from the tracer provider that is set (under `opentelemetry-instrument`, say, which goes on
    exporting them); where none is, one is set, which samples everything.
    """
    log = SpanLog()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(sampler=ALWAYS_ON)
        trace.set_tracer_provider(provider)
    provider.add_span_processor(log)
    return log
