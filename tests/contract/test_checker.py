"""The checker checks: each rule has a span or metric that breaks it and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from tests.contract import checker
from tests.contract.checker import check_genai_metrics, check_metrics, check_span, check_spans
from tests.contract.conventions import DURATION_BUCKETS, SCHEMA_URL

SCOPE = InstrumentationScope("llm_otel", "", SCHEMA_URL)
ABSENT = object()


@dataclass(frozen=True)
class Draft:
    """A span to be, which a test spoils."""

    name: str
    attributes: Mapping[str, Any]
    kind: SpanKind = SpanKind.CLIENT
    status: Status = field(default_factory=Status)
    events: tuple[Event, ...] = ()
    scope: InstrumentationScope | None = SCOPE
    times: tuple[int, int] = (100, 200)
    span_id: int = 1
    parent_id: int | None = None

    def but(self, **changes: Any) -> Draft:
        """Return a variant."""
        return replace(self, **changes)

    def with_attributes(self, changes: Mapping[str, Any]) -> Draft:
        """Return a variant with other attributes; `ABSENT` takes one away."""
        merged = {**self.attributes, **changes}
        return self.but(attributes={name: value for name, value in merged.items() if value is not ABSENT})

    def span(self) -> ReadableSpan:
        """Make it."""
        return ReadableSpan(
            name=self.name,
            context=SpanContext(1, self.span_id, is_remote=False),
            parent=None if self.parent_id is None else SpanContext(1, self.parent_id, is_remote=False),
            attributes=self.attributes,
            events=self.events,
            kind=self.kind,
            status=self.status,
            start_time=self.times[0],
            end_time=self.times[1],
            instrumentation_scope=self.scope,
        )


ANSWERED = Draft(
    "chat gpt-4o-mini",
    {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.stream": True,
        "openai.request.service_tier": "flex",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 18,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 10,
        "gen_ai.usage.audio.input_tokens": 4,
        "gen_ai.usage.audio.cache_read.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.usage.cost.amount": 5.7e-06,
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "local",
        "llm_otel.cost.nano_usd": 5700,
        "llm_otel.price.source": "catalog",
        "llm_otel.price.date": "2026-11-22",
        "llm_otel.outcome": "success",
        "llm_otel.tag.team": "search",
    },
)
REFUSED = Draft(
    "chat gpt-4o-mini",
    {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "llm_otel.outcome": "error",
        "error.type": "RateLimitError",
        "http.response.status_code": 429,
    },
    status=Status(StatusCode.ERROR, "RateLimitError: HTTP 429"),
)
WORKFLOW = Draft(
    "invoke_workflow nightly-digest",
    {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "nightly-digest",
        "llm_otel.total.calls": 1,
        "llm_otel.total.input_tokens": 18,
        "llm_otel.total.output_tokens": 5,
        "llm_otel.total.cost_usd": 5.7e-06,
        "llm_otel.total.cost.nano_usd": 5700,
    },
    kind=SpanKind.INTERNAL,
    times=(50, 250),
)
ATTEMPT = Draft(
    "attempt 1",
    {
        "llm_otel.attempt.number": 1,
        "llm_otel.attempt.reason": "first",
        "llm_otel.attempt.model": "gpt-4o-mini",
        "llm_otel.attempt.provider": "openai",
        "llm_otel.outcome": "error",
        "error.type": "RateLimitError",
    },
    kind=SpanKind.INTERNAL,
    status=Status(StatusCode.ERROR),
    times=(100, 150),
)
SECOND_ATTEMPT = ATTEMPT.with_attributes({"llm_otel.attempt.number": 2, "llm_otel.attempt.reason": "retry"}).but(
    name="attempt 2", times=(150, 200), span_id=4, parent_id=2
)
TREE = (
    WORKFLOW,
    ANSWERED.with_attributes({"llm_otel.attempt.count": 2}).but(span_id=2, parent_id=1),
    ATTEMPT.but(span_id=3, parent_id=2),
    SECOND_ATTEMPT,
)


def rules(findings: list[checker.Finding]) -> set[str]:
    """Return what was violated."""
    return {finding.rule for finding in findings}


@pytest.mark.parametrize("draft", [ANSWERED, REFUSED, WORKFLOW, ATTEMPT], ids=lambda draft: draft.name)
def test_a_good_span_passes(draft):
    """What follows the conventions is left alone."""
    assert [] == check_span(draft.span())


def test_a_good_trace_passes():
    """Calls under their scope, attempts under their call."""
    assert [] == check_spans(draft.span() for draft in TREE)


def test_spans_of_others_are_left_alone():
    """An HTTP client's instrumentation has conventions of its own."""
    foreign = Draft("GET", {"x": 1}, scope=InstrumentationScope("opentelemetry.instrumentation.httpx"))

    assert [] == check_spans([foreign.span()])


BAD_ATTRIBUTES = [
    # Values of another type.
    ("type", {"gen_ai.usage.audio.cache_read.input_tokens": True}),
    ("type", {"gen_ai.usage.input_tokens": 18.0}),
    ("type", {"gen_ai.request.temperature": 1}),
    ("type", {"gen_ai.request.max_tokens": "100"}),
    ("type", {"gen_ai.request.stream": 1}),
    ("type", {"gen_ai.request.stop_sequences": "END"}),
    ("type", {"gen_ai.response.finish_reasons": "stop"}),
    ("type", {"gen_ai.response.finish_reasons": (1,)}),
    ("type", {"server.port": "443"}),
    ("type", {"llm_otel.tag.team": 7}),
    # Values out of their domain.
    ("value", {"gen_ai.request.stream": False}),
    ("value", {"gen_ai.output.type": "json_object"}),
    ("value", {"gen_ai.request.choice.count": 1}),
    ("value", {"gen_ai.response.finish_reasons": ()}),
    ("value", {"gen_ai.response.id": ""}),
    ("value", {"gen_ai.response.time_to_first_chunk": -0.1}),
    ("value", {"gen_ai.response.time_to_first_chunk": float("nan")}),
    ("value", {"gen_ai.request.seed": 2**63}),
    ("value", {"gen_ai.usage.cost.source": "estimated"}),
    ("value", {"openai.request.service_tier": "auto"}),
    ("value", {"llm_otel.price.date": "yesterday"}),
    ("value", {"llm_otel.attempt.count": -1}),
    # What has to be there.
    ("required", {"gen_ai.provider.name": ABSENT}),
    ("required", {"llm_otel.outcome": ABSENT}),
    ("recommended", {"gen_ai.response.id": ABSENT}),
    ("recommended", {"gen_ai.response.model": ABSENT}),
    ("recommended", {"gen_ai.response.finish_reasons": ABSENT}),
    ("recommended", {"gen_ai.usage.output_tokens": ABSENT, "gen_ai.usage.reasoning.output_tokens": ABSENT}),
    ("recommended", {"server.address": ABSENT, "server.port": ABSENT}),
    ("conditional", {"server.port": ABSENT}),
    ("conditional", {"gen_ai.usage.cost.source": ABSENT}),
    ("conditional", {"llm_otel.cost.nano_usd": ABSENT}),
    ("conditional", {"llm_otel.outcome": "cached"}),
    # What may not be there.
    ("unknown_attribute", {"gen_ai.usage.cache_creation.input_tokens": 1}),
    ("unknown_attribute", {"llm_otel.tag.": "no name"}),
    ("content", {"gen_ai.input.messages": "[]"}),
    ("out_of_place", {"server.address": ABSENT, "llm_otel.outcome": "abandoned"}),
    ("out_of_place", {"llm_otel.cache.hit": True}),
    # Providers.
    ("provider", {"gen_ai.provider.name": "azure", "openai.request.service_tier": ABSENT}),
    ("provider", {"gen_ai.provider.name": "gemini", "openai.request.service_tier": ABSENT}),
    ("refinement", {"gen_ai.provider.name": "anthropic"}),
    # Sums.
    ("usage_part", {"gen_ai.usage.reasoning.output_tokens": 6}),
    ("usage_part", {"gen_ai.usage.audio.cache_read.input_tokens": 11, "gen_ai.usage.audio.input_tokens": 11}),
    ("usage_sum", {"gen_ai.usage.cache_write.input_tokens": 9}),
    ("cost_sum", {"llm_otel.cost.nano_usd": 5701}),
    ("cost_currency", {"gen_ai.usage.cost.currency": "EUR"}),
    ("cost_unsourced", {"llm_otel.price.source": ABSENT}),
]


@pytest.mark.parametrize(("rule", "changes"), BAD_ATTRIBUTES, ids=[f"{rule}-{c}" for rule, c in BAD_ATTRIBUTES])
def test_a_bad_attribute_is_found(rule, changes):
    """One thing is wrong, and just that is said."""
    assert {rule} == rules(check_span(ANSWERED.with_attributes(changes).span()))


BAD_SHELLS = [
    ("name", ANSWERED.but(name="chat")),
    ("name", ANSWERED.with_attributes({"gen_ai.request.model": ABSENT})),
    ("kind", ANSWERED.but(kind=SpanKind.INTERNAL)),
    ("kind", WORKFLOW.but(kind=SpanKind.CLIENT)),
    ("status_ok", ANSWERED.but(status=Status(StatusCode.OK))),
    ("outcome_and_status", REFUSED.with_attributes({"error.type": ABSENT}).but(status=Status())),
    ("error_type_missing", REFUSED.with_attributes({"error.type": ABSENT})),
    ("error_type_without_error", WORKFLOW.with_attributes({"error.type": "ValueError"})),
    ("value", REFUSED.with_attributes({"error.type": "the prompt was: Hello!"})),
    ("value", REFUSED.with_attributes({"http.response.status_code": 200})),
    ("span_type", ANSWERED.with_attributes({"gen_ai.operation.name": "completion"})),
    ("value", ANSWERED.with_attributes({"gen_ai.operation.name": "retrieval"}).but(name="retrieval gpt-4o-mini")),
    ("schema_url", ANSWERED.but(scope=InstrumentationScope("llm_otel"))),
    ("no_events", REFUSED.but(events=(Event("exception", {"exception.message": "Hello!"}),))),
    ("event_attributes", ANSWERED.but(events=(Event("llm_otel.budget.alert", {"llm_otel.alert.budget": "team"}),))),
    ("times", ANSWERED.but(times=(200, 100))),
    ("required", WORKFLOW.with_attributes({"llm_otel.total.cost_usd": ABSENT})),
    ("unknown_attribute", WORKFLOW.with_attributes({"gen_ai.usage.input_tokens": 18})),
    ("unknown_attribute", ATTEMPT.with_attributes({"gen_ai.usage.input_tokens": 18})),
]


@pytest.mark.parametrize(("rule", "draft"), BAD_SHELLS, ids=[f"{rule}-{draft.name}" for rule, draft in BAD_SHELLS])
def test_a_bad_span_is_found(rule, draft):
    """The rule is named; other rules may be broken along with it."""
    assert rule in rules(check_span(draft.span()))


def _tree_with(index: int, draft: Draft) -> list[ReadableSpan]:
    return [(draft if index == at else each).span() for at, each in enumerate(TREE)]


BAD_TREES = [
    ("totals", 0, WORKFLOW.with_attributes({"llm_otel.total.calls": 2})),
    ("totals", 0, WORKFLOW.with_attributes({"llm_otel.total.input_tokens": 36})),
    ("totals", 0, WORKFLOW.with_attributes({"llm_otel.total.cost.nano_usd": 0})),
    ("attempt_count", 1, ANSWERED.but(span_id=2, parent_id=1)),
    ("attempt_count", 3, SECOND_ATTEMPT.with_attributes({"llm_otel.attempt.number": 3})),
    ("attempt_parent", 3, SECOND_ATTEMPT.but(parent_id=1)),
    ("attempt_times", 3, SECOND_ATTEMPT.but(times=(150, 201))),
]


@pytest.mark.parametrize(("rule", "index", "draft"), BAD_TREES)
def test_a_bad_trace_is_found(rule, index, draft):
    """Sums and places are checked over the whole trace."""
    assert rule in rules(check_spans(_tree_with(index, draft)))


# --- metrics ----------------------------------------------------------------------------------------------------------

CALL = ["openai", "gpt-4o-mini", "chat", "answer", "search"]
CALL_LABELS = ["provider", "model", "operation", "feature", "team"]


def counter(name: str, labels: list[str], values: list[str]) -> Metric:
    """Return a counter's family with one sample."""
    family = CounterMetricFamily(name, "", labels=labels)
    family.add_metric(values, 1.0)
    return family


def test_good_metrics_pass():
    """What follows the table is left alone, and so are the metrics of others."""
    duration = HistogramMetricFamily("llm_otel_request_duration_seconds", "", labels=CALL_LABELS)
    duration.add_metric(CALL, [("0.01", 1.0), ("+Inf", 1.0)], 0.005)
    families = [
        counter("llm_otel_requests", [*CALL_LABELS, "outcome"], [*CALL, "success"]),
        duration,
        counter("http_requests", ["url"], ["/"]),
    ]

    assert [] == check_metrics(families)


BAD_METRICS = [
    ("unknown_metric", counter("llm_otel_calls", CALL_LABELS, CALL)),
    ("metric_type", GaugeMetricFamily("llm_otel_requests_total", "", labels=[])),
    ("metric_labels", counter("llm_otel_requests", [*CALL_LABELS, "outcome", "user"], [*CALL, "success", "john"])),
    ("metric_labels", counter("llm_otel_tokens", CALL_LABELS, CALL)),
    ("label_value", counter("llm_otel_requests", [*CALL_LABELS, "outcome"], [*CALL, "ok"])),
    ("sample_name", None),
    ("metric_name", None),
]


def _bad_metric(rule: str, family: Metric | None, monkeypatch: pytest.MonkeyPatch) -> Metric:
    if rule == "sample_name":
        made = counter("llm_otel_unpriced_requests", CALL_LABELS, CALL)
        made.add_sample("llm_otel_unpriced_requests_sum", dict(zip(CALL_LABELS, CALL, strict=True)), 1.0)
        return made
    if rule == "metric_name":
        known = checker.conventions.METRICS["llm_otel_unpriced_requests_total"]
        monkeypatch.setitem(checker.conventions.METRICS, "llm_otel_costUSD_total", known)
        return counter("llm_otel_costUSD", CALL_LABELS, CALL)
    assert family is not None
    return family


@pytest.mark.parametrize(("rule", "family"), BAD_METRICS)
def test_a_bad_metric_is_found(rule, family, monkeypatch):
    """One rule after the other."""
    assert rule in rules(check_metrics([_bad_metric(rule, family, monkeypatch)]))


# --- the metrics of the conventions -----------------------------------------------------------------------------------

DURATION = "gen_ai.client.inference.duration"
TOKENS = "gen_ai.client.inference.usage.input_tokens"
INFERENCE = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
TEXT = INFERENCE | {"gen_ai.token.modality": "text"}


def instrument(
    name: str = DURATION,
    unit: str = "s",
    description: str = "What it is.",
    buckets: tuple[float, ...] = DURATION_BUCKETS,
    attributes: Mapping[str, Any] = INFERENCE,
    scope: tuple[str, str, str] = ("llm_otel", "1.0", SCHEMA_URL),
) -> MetricsData:
    """Return what a reader is given of one measurement; without buckets, of a counter."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter(*scope[:2], schema_url=scope[2])
    if buckets:
        histogram = meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)
        histogram.record(0.5, attributes)
    else:
        meter.create_counter(name, unit, description).add(1, attributes)
    data = reader.get_metrics_data()
    assert data is not None
    return data


@pytest.mark.parametrize(
    "data",
    [
        instrument(),
        instrument(attributes=INFERENCE | {"error.type": "TimeoutError", "server.address": "a", "server.port": 1}),
        instrument(TOKENS, "{token}", buckets=(), attributes=TEXT),
        instrument("http.client.duration", "ms", "", buckets=(1,)),
    ],
)
def test_good_instruments_pass(data):
    """What follows the tables is left alone, and so are the metrics of others."""
    assert [] == check_genai_metrics(data)


BAD_INSTRUMENTS = [
    ("unknown_metric", instrument("gen_ai.client.inference.durations")),
    ("scope", instrument(scope=("llm_otel", "1.0", "https://opentelemetry.io/schemas/1.41.0"))),
    ("scope", instrument(scope=("llm_otel", "", SCHEMA_URL))),
    ("metric_unit", instrument(unit="ms")),
    ("metric_description", instrument(description="")),
    ("metric_type", instrument(buckets=())),
    ("metric_type", instrument(TOKENS, "{token}", attributes=TEXT)),
    ("metric_buckets", instrument(buckets=(1, 2))),
    ("required", instrument(attributes={"gen_ai.operation.name": "chat"})),
    ("required", instrument(TOKENS, "{token}", buckets=(), attributes=INFERENCE)),
    ("conditional", instrument(attributes=INFERENCE | {"server.address": "a"})),
    ("unknown_attribute", instrument(attributes=INFERENCE | {"gen_ai.response.id": "1"})),
    ("value", instrument(attributes=INFERENCE | {"gen_ai.operation.name": "embeddings"})),
]


@pytest.mark.parametrize(("rule", "data"), BAD_INSTRUMENTS)
def test_a_bad_instrument_is_found(rule, data):
    """One rule after the other."""
    assert [rule] == sorted(rules(check_genai_metrics(data)))


def test_every_rule_has_a_violation_here():
    """A rule that nothing breaks may check nothing."""
    source = Path(checker.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:say|Finding)\(\s*\"(\w+)\"", source)) | {"required", "conditional", "recommended"}
    broken = {rule for rule, *_ in (*BAD_ATTRIBUTES, *BAD_SHELLS, *BAD_TREES, *BAD_METRICS, *BAD_INSTRUMENTS)}

    assert named == broken
