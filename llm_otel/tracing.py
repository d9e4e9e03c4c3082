"""OpenTelemetry's tracing API, its context and its baggage: the few calls that the library makes of them.

The provider is the application's: nothing here installs one. A tracer is asked for at each span (a dictionary look-up),
so that a provider which is set later is used from then on; the instrumentor may be given another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry import baggage as otel_baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from llm_otel import semconv
from llm_otel.versions import OURS, version_of

if TYPE_CHECKING:
    from opentelemetry.context import Context

AttributeValue = str | bool | int | float | Sequence[str]


@lru_cache(maxsize=8)
def _tracer_of(provider: TracerProvider) -> Tracer:
    name = semconv.INSTRUMENTATION_NAME
    return provider.get_tracer(name, version_of(OURS), schema_url=semconv.SCHEMA_URL)


class _Chosen:
    """The provider that the instrumentor was given; `None` for the global one."""

    provider: TracerProvider | None = None


def use_provider(provider: TracerProvider | None) -> None:
    """Have all spans from now on made by a provider; `None` for the global one, whichever that is at the time."""
    _Chosen.provider = provider


def start_span(
    name: str,
    attributes: Mapping[str, AttributeValue],
    *,
    is_client: bool,
    start_ns: int | None = None,
    parent: Span | None = None,
) -> Span:
    """Start a span under `parent`, or under the current one. Samplers see all of `attributes`."""
    return _tracer_of(_Chosen.provider or trace.get_tracer_provider()).start_span(
        name,
        context=trace.set_span_in_context(parent) if parent is not None else None,
        kind=SpanKind.CLIENT if is_client else SpanKind.INTERNAL,
        attributes=attributes,
        start_time=start_ns,
        record_exception=False,
        set_status_on_exception=False,
    )


class Current:
    """Makes a span the current one in this thread or task; neither ends it nor touches its status.

    A class, since it is entered for every call: a generator's context manager costs four times as much.
    """

    __slots__ = ("_entry", "_span", "_token")

    def __init__(self, span: Span, entry: tuple[str, object] | None = None) -> None:
        """Take the span, and what else is to stand in its context: a key and a value."""
        self._span = span
        self._entry = entry

    def __enter__(self) -> None:
        context = trace.set_span_in_context(self._span)
        if self._entry is not None:
            context = otel_context.set_value(*self._entry, context)
        self._token = otel_context.attach(context)

    def __exit__(self, *_exc_info: object) -> None:
        otel_context.detach(self._token)


current_context = otel_context.get_current
attach = otel_context.attach
detach = otel_context.detach
"""OpenTelemetry's own, for scopes: a generator's body takes its context along from step to step."""


def context_with(span: Span | None) -> Context:
    """Return the current context, with `span` as its current span if there is one."""
    return otel_context.get_current() if span is None else trace.set_span_in_context(span)


baggage = otel_baggage.get_all
"""What other services sent along with the current context; nothing of it is checked."""


def with_baggage(context: Context, name: str, value: str | None) -> Context:
    """Return the context with an entry in its baggage; without it where there is no value."""
    if value is None:
        return otel_baggage.remove_baggage(name, context)
    return otel_baggage.set_baggage(name, value, context)


def mark_failed(span: Span, error_type: str, description: str | None = None) -> None:
    """Set the status ERROR and `error.type`. Success leaves the status unset, as the conventions ask."""
    span.set_attribute(semconv.ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR, description))
