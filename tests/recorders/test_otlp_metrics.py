"""Our own metrics over OTLP: what a reader of the SDK is given, held against what a scrape says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import Counter, MeterProvider, ObservableCounter, ObservableUpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, Metric, Sum
from prometheus_client import REGISTRY, CollectorRegistry

from llm_otel import Budget, ConfigurationError, semconv
from llm_otel.assembly import Runtime
from llm_otel.budgets.ledger import RowState, StoreUnavailableError
from llm_otel.budgets.reports import statuses_of
from llm_otel.call import Held, Outcome, Refusal
from llm_otel.config import Settings, load_settings
from llm_otel.recorders.backlog import ENOUGH, backlog
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.routing.health import CircuitEvent
from llm_otel.semconv import TokenType
from tests.contract import conventions
from tests.metering import Metering

LEFT_TO_THE_CONVENTIONS = {"llm_otel_request_duration_seconds", "llm_otel_time_to_first_chunk_seconds"}
COMPANY = Budget("company", limit_usd=5, window="month")
USER = Budget("user", limit_usd=1, window="day", by="user")
CALL = {"provider": "openai", "model": "gpt-4o-mini", "operation": "chat", "team": "search", "feature": "answer"}


def statuses() -> Any:
    """What the ledger says: one dollar of the company's, and one user's."""
    spent = statuses_of(COMPANY, [RowState("company", "", 10**9, 0)], now_s=0)
    return [*spent, *statuses_of(USER, [RowState("user", "john", 0, 0)], now_s=0)]


def pushed(**options: Any) -> PrometheusRecorder:
    """Return a recorder whose metrics leave over OTLP."""
    return PrometheusRecorder(is_pushed=True, **options)


def translated(metric: Metric) -> str:
    """Return the name that a metric has in Prometheus, by the standard translation."""
    unit = {"s": "_seconds"}.get(metric.unit or "", "")
    is_counter = isinstance(metric.data, Sum) and metric.data.is_monotonic
    return metric.name.replace(".", "_") + unit + ("_total" if is_counter else "")


def ours(metering: Metering) -> dict[str, dict[Any, float]]:
    """Return the sums and gauges of ours that a reader is given: name in Prometheus -> labels -> value."""
    return {
        translated(metric): {frozenset(point.attributes.items()): point.value for point in metric.data.data_points}
        for name, metric in metering.metrics.items()
        if name.startswith("llm_otel.") and hasattr(metric.data.data_points[0], "value")
    }


def scraped(registry: CollectorRegistry) -> dict[str, dict[Any, float]]:
    """Return what a scrape says of them; a label without a value is an absent one."""
    return {
        name: {
            frozenset((label, value) for label, value in sample.labels.items() if value): sample.value
            for sample in family.samples
            if sample.name == name
        }
        for family in registry.collect()
        if family.type != "histogram" and family.samples
        for name in [f"{family.name}_total" if family.type == "counter" else family.name]
    }


def trip(recorder: PrometheusRecorder) -> None:
    """Have circuits open: one of a model of its own, two of models that share a label."""
    open_models = [("openai", "gpt-4o-mini"), ("openai", "o3"), ("openai", "o4")]
    circuits = recorder.for_circuits(lambda: open_models[:2])
    for model in open_models:
        for event in (CircuitEvent.KNOWN, CircuitEvent.OPENED, CircuitEvent.REFUSED):
            circuits.noticed(model, event)
    circuits.noticed(("anthropic", "gpt-4o-mini"), CircuitEvent.KNOWN)


def calls(facts: Any) -> list[Any]:
    """Return calls of all kinds."""
    cost = facts.cost({TokenType.INPUT: 5, TokenType.CACHE_READ: 10, TokenType.REQUEST: 7}, saved=3)
    held = Held(budgets=(("company", ""), ("user", "john")), downgraded_for=("company", ""), saved_nano=9)
    refusal = Refusal(budget="user", scope="john", kind="exhausted", is_declared=True)
    return [
        facts.record(),
        facts.record(request=facts.request(tags={})),
        facts.record(request=facts.request(model="gpt-4o", tags={"team": "growth"})),
        facts.record(facts.failed_attempt(), facts.attempt(number=2, cost=cost, held=held)),
        facts.record(facts.attempt(cost=None)),
        facts.record(attempts=(), outcome=Outcome.DENIED, usage=None, cost_nano=0, refusal=refusal),
    ]


# --- the same numbers -------------------------------------------------------------------------------------------------


def test_a_reader_is_given_what_a_scrape_says(metering, facts):
    """Every series, with the same labels and the same value, overflow and budgets included."""
    registry = CollectorRegistry()
    options: dict[str, Any] = {"max_models": 1, "recorders": ("span",), "price_age_s": lambda: 3.5}
    for recorder in (PrometheusRecorder(registry=registry, **options), pushed(**options)):
        of_budgets = recorder.for_budgets(lambda: (COMPANY, USER), statuses)
        for record in calls(facts):
            for each in (recorder, of_budgets):
                each.opened(record.request)
                each.closed(record)
        recorder.opened(facts.request())
        trip(recorder)
        recorder.internal_error("span")

    given = ours(metering)
    assert scraped(registry) == given
    assert {"__other__"} < {dict(labels)["model"] for labels in given["llm_otel_requests_total"]} | {""}
    assert 1 == given["llm_otel_requests_in_flight"][frozenset(CALL.items())]


def test_the_names_are_the_same_on_both_routes(metering, facts):
    """All but the durations, which the conventions' own metrics say."""
    recorder = pushed(price_age_s=lambda: 1.0)
    recorder.for_budgets(lambda: (COMPANY, USER), statuses)
    trip(recorder)
    for record in calls(facts):
        recorder.opened(record.request)
        recorder.closed(record)

    names = {translated(metric) for metric in metering.metrics.values()}
    assert set(conventions.METRICS) - LEFT_TO_THE_CONVENTIONS == names


def test_kinds_units_and_texts(metering, facts):
    """Counters are monotonic, calls in flight add up over processes, everything else is a gauge; all cumulative."""
    recorder = pushed(price_age_s=lambda: 1.0)
    recorder.for_budgets(lambda: (COMPANY, USER), statuses)
    trip(recorder)
    recorder.opened(facts.request())
    recorder.closed(facts.record())

    specs = {spec.otel_name: spec for spec in semconv.METRICS}
    kinds = {"counter": ("Sum", True), "gauge": ("Gauge", None), "histogram": ("Histogram", None)}
    for name, metric in metering.metrics.items():
        spec = specs[name]
        kind = kinds[conventions.METRICS[spec.prometheus_name].type]
        expected = ("Sum", False) if spec is semconv.REQUESTS_IN_FLIGHT else kind
        assert expected == (type(metric.data).__name__, getattr(metric.data, "is_monotonic", None)), name
        assert (spec.unit, spec.help) == (metric.unit, metric.description), name
        if hasattr(metric.data, "aggregation_temporality"):
            assert AggregationTemporality.CUMULATIVE == metric.data.aggregation_temporality, name


def test_counts_are_whole_numbers_and_labels_plain_text(metering, facts):
    """As OTLP knows both; money is a fraction."""
    recorder = pushed()
    recorder.opened(facts.request())
    recorder.closed(facts.record())

    values = metering.values("llm_otel.requests")
    assert {int} == {type(value) for value in values.values()}
    assert {str} == {type(text) for labels in values for _, text in labels}
    assert {float} == {type(value) for value in metering.values("llm_otel.cost.usd").values()}


def test_series_are_there_at_zero_before_the_first_call_ends(metering, facts):
    """`increase()` never sees the first value of a counter that is born with one."""
    pushed().opened(facts.request())

    assert {0} == set(metering.values("llm_otel.requests").values())
    assert 0 == sum(metering.values("llm_otel.cost.usd").values())


def test_what_a_call_cost(metering, facts):
    """A real histogram, with our own steps; its exemplar is the span of the call."""
    recorder = pushed()
    recorder.opened(facts.request())
    recorder.closed(facts.record(trace=facts.trace))

    point = metering.only("llm_otel.request_cost.usd")
    assert (1, 5.7e-6) == (point.count, point.sum)
    assert (CALL, semconv.COST_BUCKETS) == (dict(point.attributes), tuple(point.explicit_bounds))
    assert [facts.trace.span_id] == [exemplar.span_id for exemplar in point.exemplars]


def test_unpriced_and_refused_calls_have_no_cost(metering, facts):
    """Unknown is not 0, and nothing is no price."""
    recorder = pushed()
    for record in (facts.record(facts.attempt(cost=None)), facts.record(attempts=(), outcome=Outcome.DENIED)):
        recorder.opened(record.request)
        recorder.closed(record)

    assert {} == metering.points("llm_otel.request_cost.usd")


def test_differences(metering, facts):
    """A reader that wants them is given what came since the last time."""
    delta = dict.fromkeys((Counter, ObservableCounter), AggregationTemporality.DELTA)
    reader = InMemoryMetricReader(preferred_temporality=delta)
    metering.set(MeterProvider([reader]))
    metering._reader = reader
    recorder = pushed()
    given = []
    for _ in range(3):
        recorder.opened(facts.request())
        recorder.closed(facts.record())
        given.append(sum(metering.values("llm_otel.requests").values()))

    assert [1, 1, 1] == given
    assert ObservableUpDownCounter not in delta


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_the_ledger_is_asked_once_for_each_time_a_reader_collects(metering):
    """Seven metrics show what it said, all of one moment."""
    asked = []

    def ask() -> Any:
        asked.append(1)
        return statuses()

    pushed().for_budgets(lambda: (COMPANY,), ask)

    for times in (1, 2, 3):
        given = ours(metering)
        assert times == len(asked)
    company = frozenset({("budget", "company")})
    assert (5, 1) == (given["llm_otel_budget_limit_usd"][company], given["llm_otel_budget_spent_usd"][company])


def test_a_ledger_that_is_out(metering):
    """Its gauges are absent, not 0 and not what they were; and it is said, and counted."""
    answers = [statuses()]

    def ask() -> Any:
        if not answers:
            raise StoreUnavailableError("redis", "no")
        return answers.pop()

    pushed().for_budgets(lambda: (COMPANY,), ask)

    before, after = ours(metering), ours(metering)
    assert "llm_otel_budget_limit_usd" in before
    assert [] == [name for name in after if name.startswith("llm_otel_budget_") and not name.endswith("_total")]
    assert ({frozenset(): 1}, {frozenset(): 0}) == (before["llm_otel_ledger_up"], after["llm_otel_ledger_up"])
    assert 1 == ours(metering)["llm_otel_internal_errors_total"][frozenset({("recorder", "budgets")})]


# --- providers and runtimes -------------------------------------------------------------------------------------------


def test_a_second_configure_goes_on_with_the_same_counts(metering, facts):
    """The process counts, whatever runtimes come and go; what is asked for is asked of the newest."""
    for age_s in (1.0, 2.0):
        recorder = pushed(price_age_s=lambda age_s=age_s: age_s)
        recorder.opened(facts.request())
        recorder.closed(facts.record())

    assert 2 == sum(metering.values("llm_otel.requests").values())
    assert 2 == metering.only("llm_otel.request_cost.usd").count
    assert {frozenset(): 2.0} == metering.values("llm_otel.price_age")


def test_other_labels_are_refused(metering):
    """The series of one metric have the same labels, as long as the process lives."""
    pushed(tag_labels=("team",))

    with pytest.raises(ConfigurationError, match="tag_labels"):
        pushed(tag_labels=("team", "user"))


def test_a_provider_that_is_set_after_configure(metering, facts):
    """The API's own stands in until then; what was counted before is not lost, and nothing is counted twice."""
    real, proxy = metrics.get_meter_provider(), metrics._internal._ProxyMeterProvider()
    metering.set(proxy)
    recorder = pushed()
    recorder.opened(facts.request())
    recorder.closed(facts.record())

    proxy.on_set_meter_provider(real)
    metering.set(real)
    pushed()

    assert 1 == sum(metering.values("llm_otel.requests").values())


def test_without_a_provider_the_backlog_does_not_grow(metering, facts):
    """Sums are kept; the calls behind them are not."""
    metering.set(metrics.NoOpMeterProvider())
    runtime = Runtime(Settings(metrics_export="otlp", strict=True))
    for _ in range(3 * ENOUGH):
        for each in runtime.instruments.recorders:
            each.opened(facts.request())
        for each in runtime.instruments.recorders:
            each.closed(facts.record())

    assert len(backlog) <= ENOUGH


def test_nothing_stands_in_a_registry(metering, facts):
    """The metrics leave by one route; who wants to serve them is told so."""
    before = {family.name for family in REGISTRY.collect()}
    runtime = Runtime(Settings(metrics_export="otlp", strict=True))

    assert before == {family.name for family in REGISTRY.collect()}
    with pytest.raises(ConfigurationError, match="metrics_export='otlp'"):
        runtime.metrics_registry()


@pytest.mark.parametrize("name", ["metrics_export", "genai_metrics"])
def test_a_route_or_generation_that_there_is_not(name, monkeypatch):
    """The error names the variable, and what there is."""
    monkeypatch.setenv(f"LLM_OTEL_{name.upper()}", "statsd")

    with pytest.raises(ConfigurationError, match=f"LLM_OTEL_{name.upper()}='statsd'.* or '(otlp|both)'"):
        load_settings({})


def test_a_registry_beside_the_other_route_is_refused():
    """One of the two is a mistake."""
    with pytest.raises(ConfigurationError, match="registry"):
        Runtime(Settings(metrics_export="otlp"), registry=CollectorRegistry())


WORKER = """
import os, sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from llm_otel.assembly import Runtime
from llm_otel.budgets.budget import Budget
from llm_otel.call import CallRequest
from llm_otel.config import Settings

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
budget = Budget("company", limit_usd=5, window="month", kind="soft")
runtime = Runtime(Settings(metrics_export="otlp", strict=True), budgets=[budget])
request = CallRequest(operation="chat", provider="openai", model="gpt-4o-mini", litellm_model="gpt-4o-mini")
for recorder in runtime.instruments.recorders:
    recorder.opened(request)
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
print(*sorted({"llm_otel.requests_in_flight", "llm_otel.budget.spend.usd"} & {each.name for each in scope.metrics}))
"""


def test_several_worker_processes_leave_no_files(tmp_path):
    """Each exports its own: prometheus_client's way of adding them up is not needed."""
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", WORKER], env=environment, capture_output=True, text=True, check=False, timeout=60
    )

    assert "llm_otel.budget.spend.usd llm_otel.requests_in_flight\n" == run.stdout, run.stderr
    assert [] == list(tmp_path.iterdir())
