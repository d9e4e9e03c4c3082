"""OpenTelemetry's metrics API, the few calls that the library makes of it.

The provider is the application's: nothing here installs one. It is asked for at each call, so that one which is set
later is used from then on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.context import Context

from llm_otel import semconv
from llm_otel.recorders.backlog import backlog
from llm_otel.recorders.postings import exemplar_of
from llm_otel.versions import OURS, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation

    from llm_otel.call import TraceRef
    from llm_otel.semconv import InstrumentSpec

_API = "opentelemetry.metrics"
"""Where the API's own providers and meters are at home, which record nothing: those before one is set, and no-ops."""
NOWHERE = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""A context without a span. Not an empty one, for which the SDK takes the current one."""


def is_recording() -> bool:
    """Whether somebody may see what is recorded now. Takes no lock, unlike the others on their first call."""
    return not _is_of_the_api(metrics.get_meter_provider())


def meter() -> Meter | None:
    """Return the meter of the provider that is set now; `None` while nobody would see what it records."""
    return _recording_meter(metrics.get_meter_provider())


def watch() -> bool:
    """See to it that readers of the provider that is set now work off the backlog before they collect.

    Return whether somebody may see what is recorded. Never from a reader's callback: it holds the lock that a new
    observable instrument takes.
    """
    return _watch(metrics.get_meter_provider())


@lru_cache(maxsize=8)
def _recording_meter(provider: MeterProvider) -> Meter | None:
    if _is_of_the_api(provider):
        return None
    found = meter_of(provider)
    return None if _is_of_the_api(found) else found


@lru_cache(maxsize=8)
def _watch(provider: MeterProvider) -> bool:
    found, hook = _recording_meter(provider), semconv.BACKLOG
    if found is not None:
        found.create_observable_gauge(hook.name, [_work_off], hook.unit, hook.description)
    return found is not None


def meter_of(provider: MeterProvider) -> Meter:
    """Return our meter of a provider, recording or not."""
    return provider.get_meter(semconv.INSTRUMENTATION_NAME, version_of(OURS), schema_url=semconv.SCHEMA_URL)


def histogram(meter: Meter, spec: InstrumentSpec) -> Histogram:
    """Return a histogram with the buckets that the conventions advise."""
    return meter.create_histogram(
        spec.name, spec.unit, spec.description, explicit_bucket_boundaries_advisory=spec.buckets
    )


def context_of(ref: TraceRef | None) -> Context:
    """Return a context in which the span of a call is current, for exemplars; one without a span, where it is not kept.

    Never the context around: what is written down now belongs to a call that ended some time ago, elsewhere.
    """
    if not isinstance(kept := exemplar_of(ref), trace.SpanContext):
        return NOWHERE
    return trace.set_span_in_context(trace.NonRecordingSpan(kept), NOWHERE)


def _is_of_the_api(part: MeterProvider | Meter) -> bool:
    return type(part).__module__.startswith(_API)


def _work_off(_options: CallbackOptions) -> Iterable[Observation]:
    backlog.work_off()
    return ()
