"""What a Collector writes (OTLP in JSON) as the objects of the SDK, which the checker knows.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and, for the names that Prometheus gives,
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/, both of 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import export
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from prometheus_client.metrics_core import Metric as Family

from tests.contract import conventions

Json = Mapping[str, Any]

_KINDS = {number + 1: kind for number, kind in enumerate(SpanKind)}
_CODES = {0: StatusCode.UNSET, 1: StatusCode.OK, 2: StatusCode.ERROR}


def value_of(value: Json) -> Any:
    """Return a value of OTLP as Python's: an int is a string in JSON, and stays an int."""
    if not value:
        return None
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    if kind == "doubleValue":
        return float(content)
    if kind == "arrayValue":
        return tuple(value_of(each) for each in content.get("values", ()))
    if kind == "kvlistValue":
        return attributes_of(content)
    return content


def attributes_of(holder: Json) -> dict[str, Any]:
    """Return the attributes (or the entries) of something as a dictionary."""
    return {each["key"]: value_of(each["value"]) for each in holder.get("attributes") or holder.get("values") or ()}


def resource_of(holder: Json) -> Resource:
    """Return where some telemetry is from."""
    return Resource(attributes_of(holder.get("resource", {})), holder.get("schemaUrl"))


def _scope(holder: Json) -> InstrumentationScope:
    scope = holder.get("scope", {})
    return InstrumentationScope(scope.get("name", ""), scope.get("version"), holder.get("schemaUrl"))


# --- spans ------------------------------------------------------------------------------------------------------------


def spans_of(received: Iterable[Json]) -> list[ReadableSpan]:
    """Return the spans in some `resourceSpans`."""
    return [
        _span(each, _scope(scope), resource)
        for holder in received
        for resource in [resource_of(holder)]
        for scope in holder["scopeSpans"]
        for each in scope["spans"]
    ]


def _span(span: Json, scope: InstrumentationScope, resource: Resource) -> ReadableSpan:
    status = span.get("status", {})
    return ReadableSpan(
        name=span["name"],
        context=_context(span["traceId"], span["spanId"]),
        parent=_context(span["traceId"], span["parentSpanId"]) if span.get("parentSpanId") else None,
        resource=resource,
        attributes=attributes_of(span),
        events=[Event(each["name"], attributes_of(each), int(each["timeUnixNano"])) for each in span.get("events", ())],
        kind=_KINDS[span["kind"]],
        instrumentation_scope=scope,
        status=Status(_CODES[status.get("code", 0)], status.get("message")),
        start_time=int(span["startTimeUnixNano"]),
        end_time=int(span["endTimeUnixNano"]),
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


# --- metrics ----------------------------------------------------------------------------------------------------------


def metrics_of(received: Iterable[Json]) -> export.MetricsData:
    """Return what is in some `resourceMetrics`, as a reader would have been given it."""
    return export.MetricsData([_of_resource(holder) for holder in received])


def _of_resource(holder: Json) -> export.ResourceMetrics:
    scopes = [
        export.ScopeMetrics(_scope(scope), [_metric(each) for each in scope["metrics"]], scope.get("schemaUrl", ""))
        for scope in holder["scopeMetrics"]
    ]
    return export.ResourceMetrics(resource_of(holder), scopes, holder.get("schemaUrl", ""))


def _metric(metric: Json) -> export.Metric:
    data: export.Sum | export.Gauge | export.Histogram
    if "histogram" in metric:
        points = [_distribution(point) for point in metric["histogram"]["dataPoints"]]
        data = export.Histogram(points, _temporality(metric["histogram"]))
    elif "sum" in metric:
        numbers = [_number(point) for point in metric["sum"]["dataPoints"]]
        data = export.Sum(numbers, _temporality(metric["sum"]), metric["sum"].get("isMonotonic", False))
    else:
        data = export.Gauge([_number(point) for point in metric["gauge"]["dataPoints"]])
    return export.Metric(metric["name"], metric.get("description"), metric.get("unit", ""), data)


def _temporality(data: Json) -> export.AggregationTemporality:
    return export.AggregationTemporality(data["aggregationTemporality"])


def _times(point: Json) -> tuple[int, int]:
    return int(point.get("startTimeUnixNano", 0)), int(point["timeUnixNano"])


def _number(point: Json) -> export.NumberDataPoint:
    value = int(point["asInt"]) if "asInt" in point else float(point.get("asDouble", 0))
    return export.NumberDataPoint(attributes_of(point), *_times(point), value)


def _distribution(point: Json) -> export.HistogramDataPoint:
    return export.HistogramDataPoint(
        attributes_of(point),
        *_times(point),
        count=int(point["count"]),
        sum=float(point.get("sum", 0)),
        bucket_counts=[int(each) for each in point.get("bucketCounts", ())],
        explicit_bounds=[float(each) for each in point.get("explicitBounds", ())],
        min=float(point.get("min", 0)),
        max=float(point.get("max", 0)),
    )


def families_of(data: export.MetricsData) -> list[Family]:
    """Return metrics under the names and with the samples that Prometheus gives them."""
    return [
        _family(metric)
        for of_resource in data.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
    ]


def _family(metric: export.Metric) -> Family:
    # Units in braces are notes to the reader, and no part of a name.
    name = metric.name.replace(".", "_") + ("_seconds" if metric.unit == "s" else "")
    is_counter = isinstance(metric.data, export.Sum) and metric.data.is_monotonic
    kind = "histogram" if isinstance(metric.data, export.Histogram) else "counter" if is_counter else "gauge"
    family = Family(name, metric.description or "", kind)
    for point in metric.data.data_points:
        said = {key.replace(".", "_"): str(value) for key, value in (point.attributes or {}).items()}
        labels = {**dict.fromkeys(_may_be_empty(f"{name}_total" if is_counter else name), ""), **said}
        for suffix, more, value in _samples(point, is_counter=is_counter):
            family.add_sample(f"{name}{suffix}", {**labels, **more}, value)
    return family


def _may_be_empty(name: str) -> tuple[str, ...]:
    """Return the labels of a metric that may say nothing: they are not sent, and to Prometheus that is the same."""
    known = conventions.METRICS.get(name)
    if known is None:
        return ()
    return ("team", "feature") if known.is_per_model else tuple({"scope"} & {*known.labels})


def _samples(point: Any, *, is_counter: bool) -> Iterator[tuple[str, dict[str, str], float]]:
    if isinstance(point, export.NumberDataPoint):
        yield "_total" if is_counter else "", {}, point.value
        return
    below = 0
    for bound, count in zip([*map(str, point.explicit_bounds), "+Inf"], point.bucket_counts, strict=True):
        below += count
        yield "_bucket", {"le": bound}, below
    yield "_sum", {}, point.sum
    yield "_count", {}, point.count


# --- logs -------------------------------------------------------------------------------------------------------------


def logs_of(received: Iterable[Json]) -> list[ReadableLogRecord]:
    """Return the log records in some `resourceLogs`."""
    return [
        ReadableLogRecord(_log_record(each), resource, _scope(scope))
        for holder in received
        for resource in [resource_of(holder)]
        for scope in holder["scopeLogs"]
        for each in scope["logRecords"]
    ]


def _log_record(record: Json) -> LogRecord:
    return LogRecord(
        timestamp=int(record.get("timeUnixNano", 0)),
        observed_timestamp=int(record.get("observedTimeUnixNano", 0)),
        severity_text=record.get("severityText"),
        severity_number=SeverityNumber(record.get("severityNumber", 0)),
        body=value_of(record.get("body", {})),
        attributes=attributes_of(record),
        event_name=record.get("eventName"),
        context=_around(record),
    )


def _around(record: Json) -> Context:
    """Return the context of the span that a record was emitted in, if in any."""
    if not record.get("spanId"):
        return Context()
    return set_span_in_context(NonRecordingSpan(_context(record["traceId"], record["spanId"])), Context())
