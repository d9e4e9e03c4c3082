"""Holds spans and metrics against the conventions, and says what is wrong with them.

The rules are those that the conformance suite of the GenAI conventions enforces (open-telemetry/
semantic-conventions-conformance and Weaver's live check), and those that follow from our own registry. They are pure:
spans in, findings out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, MetricsData, ScopeMetrics, Sum
from opentelemetry.sdk.metrics.export import Metric as SdkMetric
from opentelemetry.sdk.trace import ReadableSpan
from prometheus_client.metrics_core import Metric

from tests.contract import conventions
from tests.contract.conventions import Attribute, Attributes, Kind, Level, SpanConvention


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation.

    Attributes:
        rule: The short name of the rule.
        where: The span or metric.
    """

    rule: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.rule})"


Say = Callable[[str, str], Finding]


def check_spans(spans: Iterable[ReadableSpan], *, with_content: bool = False) -> list[Finding]:
    """Check every span of ours, alone and among the others. Spans of other instrumentations are left alone.

    Content is a violation, unless it was asked for: `tests.contract.content` looks whether it is valid.
    """
    ours = [span for span in spans if _scope_name(span) == conventions.SCOPE_NAME]
    found = [finding for span in ours for finding in check_span(span)] + list(_check_trees(ours))
    return [finding for finding in found if not (with_content and finding.rule == "content")]


def check_span(span: ReadableSpan) -> list[Finding]:
    """Check one span for itself."""

    def say(rule: str, message: str) -> Finding:
        return Finding(rule, span.name, message)

    attributes: Attributes = span.attributes or {}
    found = list(_check_shell(span, say))
    kind = kind_of(attributes)
    if kind is None:
        return [*found, say("span_type", f"no known kind of span: {sorted(attributes)}")]
    convention = conventions.CONVENTIONS[kind]
    found += _check_name_and_kind(span, kind, convention, say)
    found += _check_status(span, attributes, say)
    for name, value in attributes.items():
        found += check_attribute(name, value, attributes, convention, say)
    found += check_missing(attributes, convention, say)
    if kind in (Kind.INFERENCE, Kind.EMBEDDINGS):
        found += _check_provider(attributes, say)
        found += _check_usage(attributes, say)
        found += _check_cost(attributes, say)
    return found


def kind_of(attributes: Attributes) -> Kind | None:
    """Tell what a span is meant to be."""
    operation = attributes.get("gen_ai.operation.name")
    if "llm_otel.attempt.number" in attributes:
        return Kind.ATTEMPT
    if "llm_otel.alert.budget" in attributes:
        return Kind.ALERT
    if operation == "invoke_workflow":
        return Kind.WORKFLOW
    if operation == "embeddings":
        return Kind.EMBEDDINGS
    return Kind.INFERENCE if operation in conventions.OPERATIONS else None


def is_call(span: ReadableSpan) -> bool:
    """Tell a span that stands for a call to a provider."""
    return kind_of(span.attributes or {}) in (Kind.INFERENCE, Kind.EMBEDDINGS)


def _scope_name(span: ReadableSpan) -> str | None:
    return span.instrumentation_scope.name if span.instrumentation_scope is not None else None


_NAME_PREFIX = {Kind.ATTEMPT: ("attempt",), Kind.ALERT: ("budget_alert",)}


# --- one span ---------------------------------------------------------------------------------------------------------


def _check_shell(span: ReadableSpan, say: Say) -> Iterator[Finding]:
    scope = span.instrumentation_scope
    if scope is None or scope.schema_url != conventions.SCHEMA_URL:
        yield say("schema_url", f"the scope does not say {conventions.SCHEMA_URL}")
    for event in span.events:
        known = conventions.EVENTS.get(event.name)
        if known is None:
            yield say("no_events", f"event {event.name}: texts of exceptions quote prompts")
        elif known.keys() != (event.attributes or {}).keys():
            yield say("event_attributes", f"event {event.name} has {sorted(event.attributes or {})}")
    if span.start_time is not None and span.end_time is not None and span.end_time < span.start_time:
        yield say("times", "it ends before it starts")


def _check_name_and_kind(span: ReadableSpan, kind: Kind, convention: SpanConvention, say: Say) -> Iterator[Finding]:
    attributes = span.attributes or {}
    parts = [str(attributes[name]) for name in convention.named_by if name in attributes]
    expected = " ".join([*_NAME_PREFIX.get(kind, ()), *parts])
    if span.name != expected:
        yield say("name", f"its name should be {expected!r}")
    if span.kind.name != convention.span_kind:
        yield say("kind", f"{span.kind.name} should be {convention.span_kind}")


def _check_status(span: ReadableSpan, attributes: Attributes, say: Say) -> Iterator[Finding]:
    status = span.status.status_code.name
    if status == "OK":
        yield say("status_ok", "OK is the application's to set")
    if status == "ERROR" and "error.type" not in attributes:
        yield say("error_type_missing", "status ERROR without error.type")
    if status != "ERROR" and "error.type" in attributes:
        yield say("error_type_without_error", f"error.type with status {status}")
    outcome = attributes.get("llm_otel.outcome")
    if outcome is not None and (outcome in conventions.FAILED) != (status == "ERROR"):
        yield say("outcome_and_status", f"outcome {outcome!r} with status {status}")


def check_attribute(
    name: str, value: object, attributes: Attributes, convention: SpanConvention, say: Say
) -> Iterator[Finding]:
    """Check one attribute beside the others."""
    known = _lookup(name, convention)
    if known is None:
        yield say("unknown_attribute", f"{name} is in no registry for this span")
        return
    if known.level is Level.OPT_IN:
        yield say("content", f"{name} is recorded only by those who ask for it")
    if not _has_type(value, known.type):
        yield say("type", f"{name}={value!r} is no {known.type}")
        return
    if not _is_in_domain(value, known):
        yield say("value", f"{name}={value!r} is out of its domain")
    if known.is_exact and known.where is not None and not known.where(attributes):
        yield say("out_of_place", f"{name} has no place here")


def _lookup(name: str, convention: SpanConvention) -> Attribute | None:
    found = convention.attributes.get(name)
    if found is not None:
        return found
    return next(
        (attribute for prefix, attribute in convention.templates.items() if name.startswith(prefix) and name != prefix),
        None,
    )


_PYTHON_TYPES: Mapping[str, type] = {"string": str, "int": int, "double": float, "boolean": bool}


def _has_type(value: object, wanted: str) -> bool:
    """Tell whether a value is exactly of a type: True is no int, and 1 is no double."""
    if wanted == "string[]":
        return isinstance(value, Sequence) and not isinstance(value, str) and all(type(each) is str for each in value)
    return type(value) is _PYTHON_TYPES[wanted]


def _is_in_domain(value: Any, known: Attribute) -> bool:
    if known.values is not None and value not in known.values:
        return False
    if known.pattern is not None and not known.pattern.fullmatch(value):
        return False
    if isinstance(value, str | Sequence) and not value:
        return False
    # Turned round so that NaN is refused too; int64 is what OTLP carries.
    if known.least is not None and not value >= known.least:
        return False
    return known.type != "int" or -(2**63) <= value < 2**63


def check_missing(attributes: Attributes, convention: SpanConvention, say: Say) -> Iterator[Finding]:
    """Say which attributes are not there and should be."""
    for name, known in convention.attributes.items():
        if name in attributes:
            continue
        if known.level is Level.REQUIRED:
            yield say("required", f"{name} is missing")
        elif known.where is not None and known.where(attributes):
            yield say(known.level.name.lower(), f"{name} is missing")


def _check_provider(attributes: Attributes, say: Say) -> Iterator[Finding]:
    provider = attributes.get("gen_ai.provider.name")
    if not isinstance(provider, str):
        return
    well_known = conventions.NOT_THE_WELL_KNOWN_NAME.get(provider)
    if well_known is not None:
        yield say("provider", f"{provider!r} has the well-known value {well_known!r}")
    if provider not in conventions.OPENAI_API:
        for name in attributes:
            if name.startswith("openai."):
                yield say("refinement", f"{name} on a call to {provider!r}")


def _check_usage(attributes: Attributes, say: Say) -> Iterator[Finding]:
    for part, whole in conventions.PARTS_OF.items():
        if part in attributes and _number(attributes, part) > _number(attributes, whole):
            yield say("usage_part", f"{part} is more than {whole}")
    for whole, parts in conventions.DISJOINT:
        if sum(_number(attributes, part) for part in parts) > _number(attributes, whole):
            yield say("usage_sum", f"{' + '.join(parts)} is more than {whole}")


def _check_cost(attributes: Attributes, say: Say) -> Iterator[Finding]:
    amount, nano = attributes.get("gen_ai.usage.cost.amount"), attributes.get("llm_otel.cost.nano_usd")
    if type(amount) is float and type(nano) is int and amount != nano / 1e9:
        yield say("cost_sum", f"{amount} USD is not {nano} nano-USD")
    # Prices, and so everything that is computed from them here, are in US dollars.
    if nano is not None and attributes.get("gen_ai.usage.cost.currency") != "USD":
        yield say("cost_currency", "llm_otel.cost.nano_usd beside another currency")
    if nano and "llm_otel.price.source" not in attributes:
        yield say("cost_unsourced", "a cost without the source of its price")


def _number(attributes: Attributes, name: str) -> int | float:
    value = attributes.get(name, 0)
    return value if isinstance(value, int | float) else 0


# --- spans among others -----------------------------------------------------------------------------------------------


def _check_trees(spans: Sequence[ReadableSpan]) -> Iterator[Finding]:
    children: dict[int, list[ReadableSpan]] = {}
    for span in spans:
        if span.parent is not None:
            children.setdefault(span.parent.span_id, []).append(span)
    ids = {_id(span): span for span in spans}
    for span in spans:
        kind = kind_of(span.attributes or {})
        if kind in (Kind.INFERENCE, Kind.EMBEDDINGS):
            yield from _check_attempts(span, children.get(_id(span), []))
        elif kind is Kind.WORKFLOW:
            # What outlives its scope (a stream that is read later) is not in the totals.
            ended = [call for call in _inference_below(span, children) if _end(call) <= _end(span)]
            yield from _check_totals(span, ended)
        elif kind is Kind.ATTEMPT:
            parent = ids.get(span.parent.span_id) if span.parent is not None else None
            if parent is None or not is_call(parent):
                yield Finding("attempt_parent", span.name, "it is no child of the call it belongs to")


def _check_attempts(span: ReadableSpan, children: Sequence[ReadableSpan]) -> Iterator[Finding]:
    attempts = [child for child in children if kind_of(child.attributes or {}) is Kind.ATTEMPT]
    numbers = sorted(_number(each.attributes or {}, "llm_otel.attempt.number") for each in attempts)
    counted = (span.attributes or {}).get("llm_otel.attempt.count")
    if counted is None and numbers:
        yield Finding("attempt_count", span.name, f"{len(numbers)} attempts and no llm_otel.attempt.count")
    elif counted is not None and numbers != list(range(1, int(counted) + 1)):
        yield Finding("attempt_count", span.name, f"attempts {numbers} where {counted} were made")
    for each in attempts:
        if (each.start_time or 0) < (span.start_time or 0) or _end(each) > _end(span):
            yield Finding("attempt_times", each.name, "it lies outside its call")


_TOTALS = {
    "llm_otel.total.input_tokens": "gen_ai.usage.input_tokens",
    "llm_otel.total.output_tokens": "gen_ai.usage.output_tokens",
    "llm_otel.total.cost.nano_usd": "llm_otel.cost.nano_usd",
}


def _check_totals(span: ReadableSpan, calls: Sequence[ReadableSpan]) -> Iterator[Finding]:
    totals = span.attributes or {}
    if totals.get("llm_otel.total.calls") != len(calls):
        yield Finding("totals", span.name, f"{totals.get('llm_otel.total.calls')} calls where {len(calls)} ended")
    for total, each in _TOTALS.items():
        expected = sum(_number(call.attributes or {}, each) for call in calls)
        if totals.get(total) != expected:
            yield Finding("totals", span.name, f"{total}={totals.get(total)!r} where the calls sum to {expected}")


def _inference_below(span: ReadableSpan, children: Mapping[int, list[ReadableSpan]]) -> Iterator[ReadableSpan]:
    for child in children.get(_id(span), []):
        if is_call(child):
            yield child
        yield from _inference_below(child, children)


def _end(span: ReadableSpan) -> int:
    return span.end_time or 0


def _id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None, "a span of the SDK has a context"
    return context.span_id


# --- metrics ----------------------------------------------------------------------------------------------------------

_SUFFIXES = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_sum", "_count", "_created"), "gauge": ("",)}
_BASE_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_metrics(families: Iterable[Metric], tag_labels: tuple[str, ...] = ("feature", "team")) -> list[Finding]:
    """Check what a scrape of ours holds: names, types, labels and their values."""
    return [
        finding
        for family in families
        if family.name.startswith("llm_otel")
        for finding in _check_family(family, tag_labels)
    ]


def _check_family(family: Metric, tag_labels: tuple[str, ...]) -> Iterator[Finding]:
    def say(rule: str, message: str) -> Finding:
        return Finding(rule, family.name, message)

    # prometheus_client takes the suffix of a counter off the name of its family.
    name = f"{family.name}_total" if family.type == "counter" else family.name
    known = conventions.METRICS.get(name)
    if known is None:
        yield say("unknown_metric", f"{name} is in no registry")
        return
    if not _BASE_NAME.fullmatch(name):
        yield say("metric_name", f"{name} is no lower-case name")
    if family.type != known.type:
        yield say("metric_type", f"{family.type} should be {known.type}")
    own = (*conventions.PER_MODEL_LABELS, *tag_labels) if known.is_per_model else ()
    for sample in family.samples:
        labels = set(sample.labels) - {"le"}
        if labels != {*own, *known.labels}:
            yield say("metric_labels", f"labels {sorted(labels)} should be {sorted({*own, *known.labels})}")
        for label, values in (known.values or {}).items():
            if sample.labels.get(label) not in values:
                yield say("label_value", f"{label}={sample.labels.get(label)!r} is not one of {sorted(values)}")
        if not any(sample.name.endswith(suffix) for suffix in _SUFFIXES[known.type]):
            yield say("sample_name", f"{sample.name} is no sample of a {known.type}")


# --- the metrics of the conventions -----------------------------------------------------------------------------------


def check_genai_metrics(data: MetricsData) -> list[Finding]:
    """Check what a reader of the SDK is given under `gen_ai.`: names, kinds, units, buckets and attributes."""
    return [
        finding
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith("gen_ai.")
        for finding in (*_check_scope(scope, metric.name), *_check_instrument(metric))
    ]


def _check_scope(metrics: ScopeMetrics, name: str) -> Iterator[Finding]:
    scope = metrics.scope
    if (scope.name, scope.schema_url) != (conventions.SCOPE_NAME, conventions.SCHEMA_URL) or not scope.version:
        yield Finding("scope", name, f"recorded by {scope.name} {scope.version} with {scope.schema_url}")


def _check_instrument(metric: SdkMetric) -> Iterator[Finding]:
    def say(rule: str, message: str) -> Finding:
        return Finding(rule, metric.name, message)

    known = conventions.GENAI_METRICS.get(metric.name)
    if known is None:
        yield say("unknown_metric", "it is in no registry")
        return
    if metric.unit != known.unit:
        yield say("metric_unit", f"{metric.unit!r} should be {known.unit!r}")
    if not metric.description:
        yield say("metric_description", "nothing says what it is")
    is_counter = isinstance(metric.data, Sum) and metric.data.is_monotonic
    if not (isinstance(metric.data, Histogram) if known.buckets else is_counter):
        should = "histogram" if known.buckets else "counter"
        yield say("metric_type", f"{type(metric.data).__name__} should be a {should}")
        return
    for point in metric.data.data_points:
        if isinstance(point, HistogramDataPoint) and tuple(point.explicit_bounds) != known.buckets:
            yield say("metric_buckets", f"{point.explicit_bounds} should be {known.buckets}")
        yield from _check_point(point.attributes or {}, known.attributes, say)


def _check_point(found: Attributes, known: Mapping[str, Attribute], say: Say) -> Iterator[Finding]:
    convention = SpanConvention(named_by=(), span_kind="CLIENT", attributes=known, templates={})
    for name, value in found.items():
        yield from check_attribute(name, value, found, convention, say)
    yield from check_missing(found, convention, say)
