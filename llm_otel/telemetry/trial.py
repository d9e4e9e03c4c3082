"""Sending one span, to see whether an endpoint takes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from llm_otel import semconv
from llm_otel.telemetry.outages import Outages, without_secrets
from llm_otel.telemetry.providers import sender_of
from llm_otel.telemetry.resource import resource_of

if TYPE_CHECKING:
    from llm_otel.telemetry.asked import Route

SPAN_NAME = "llm-otel check"


class _Reasons(Outages):
    """Keeps the reason, and logs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.reason: str | None = None

    def failed(self, route: Route, reason: str, *, lost: int = 0) -> None:  # noqa: ARG002  # as the logged one
        self.reason = without_secrets(reason)


def try_out(route: Route, *, timeout_s: float) -> str | None:
    """Send a test span by a route for traces.

    Returns:
        `None` where it was taken, else why not, in the exporter's words and without what gives access.

    Raises:
        ValueError: The exporter (`ConfigurationError`) or the provider cannot be made from the variables.
    """
    reasons = _Reasons()
    sender = sender_of(route, reasons)
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource_of({}), shutdown_on_exit=False)
    span = provider.get_tracer(semconv.INSTRUMENTATION_NAME).start_span(SPAN_NAME)
    span.end()
    # A daemon: an exporter that tries again beyond the limit does not keep the program.
    sending = threading.Thread(target=sender.send, args=([span],), kwargs={"items": 1}, daemon=True)
    sending.start()
    sending.join(timeout_s)
    was_in_time = not sending.is_alive()
    sender.stop()
    return reasons.reason if was_in_time else f"no answer within {timeout_s:g} s"
