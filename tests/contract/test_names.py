"""The names of `llm_otel.semconv` are those of the conventions: attributes, metrics, labels, units and buckets."""

from __future__ import annotations

import re

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, openai_attributes
from prometheus_client import CollectorRegistry

from llm_otel import Budget, semconv
from llm_otel.budgets.ledger import RowState
from llm_otel.budgets.reports import statuses_of
from llm_otel.recorders.prometheus import PrometheusRecorder
from tests.contract import conventions
from tests.contract.checker import check_metrics

ATTRIBUTE = re.compile(r"(gen_ai|openai|llm_otel|server|error|http)\.[a-z0-9_.]+")
TEXTS = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
REGISTERED = {
    name
    for convention in (*conventions.CONVENTIONS.values(), *conventions.GENAI_METRICS.values())
    for name in convention.attributes
}
TEMPLATES = {prefix for convention in conventions.CONVENTIONS.values() for prefix in convention.templates}


@pytest.mark.parametrize("name", [name for name, value in TEXTS.items() if ATTRIBUTE.fullmatch(value)])
def test_every_attribute_is_registered(name):
    """One that is in no registry is a violation wherever it stands."""
    assert TEXTS[name] in REGISTERED | TEMPLATES | conventions.EVENTS.keys() | conventions.LOG_EVENTS.keys()


@pytest.mark.parametrize("package", [gen_ai_attributes, openai_attributes], ids=["gen_ai", "openai"])
def test_attributes_agree_with_the_installed_conventions(package):
    """The package lags behind and marks them as moved; where both have a name, it is the same."""
    both = {name: value for name, value in TEXTS.items() if hasattr(package, name)}

    assert both
    assert both == {name: getattr(package, name) for name in both}


def test_the_schema_is_the_one_that_is_checked():
    """Spans carry it."""
    assert (conventions.SCOPE_NAME, conventions.SCHEMA_URL) == (semconv.INSTRUMENTATION_NAME, semconv.SCHEMA_URL)


def test_the_operations_are_well_known():
    """Both of them."""
    assert set() == {each.value for each in semconv.Operation} - conventions.OPERATIONS


def test_the_metrics_are_those_of_the_table():
    """No more, no fewer."""
    assert set(conventions.METRICS) == {spec.prometheus_name for spec in semconv.METRICS}
    assert len(conventions.METRICS) == len(semconv.METRICS)


every_metric = pytest.mark.parametrize("spec", semconv.METRICS, ids=lambda spec: spec.prometheus_name)


@every_metric
def test_a_metric_has_the_labels_and_the_unit_of_the_table(spec):
    """Labels are closed sets."""
    known = conventions.METRICS[spec.prometheus_name]

    assert (known.labels, known.unit, known.is_per_model) == (spec.labels, spec.unit, spec.is_per_model)
    assert set() == conventions.NEVER_A_LABEL & {*spec.labels, *conventions.PER_MODEL_LABELS}


@every_metric
def test_a_metric_has_one_name_on_both_ways_out(spec):
    """By the standard translation: dots to underscores, `s` to `_seconds`, braces to nothing, `_total` on counters."""
    known = conventions.METRICS[spec.prometheus_name]
    translated = spec.otel_name.replace(".", "_")
    if spec.unit == "s":
        translated += "_seconds"
    if known.type == "counter":
        translated += "_total"

    assert spec.prometheus_name == translated
    assert spec.unit in {"", "s"} or re.fullmatch(r"\{\w+\}", spec.unit)


@every_metric
def test_a_metric_speaks_in_base_units(spec):
    """Seconds and dollars, never milliseconds, cents or percent; the currency is in the name."""
    assert not re.search(r"milli|_ms\b|cent|percent", spec.prometheus_name)
    assert ("usd" in spec.prometheus_name) is (spec.unit == "{USD}")
    assert ("_total" in spec.prometheus_name) is (conventions.METRICS[spec.prometheus_name].type == "counter")


@every_metric
def test_a_metric_is_explained(spec):
    """`# HELP` is what an operator reads."""
    assert re.fullmatch(r"[A-Z].*\.", spec.help)


def test_durations_have_the_buckets_of_the_conventions():
    """So that quantiles of different libraries can be compared. Costs have steps of their own, ascending."""
    of_seconds = [spec.buckets for spec in semconv.METRICS if spec.unit == "s" and spec.buckets]

    assert [conventions.DURATION_BUCKETS] * 2 == of_seconds
    assert sorted(set(semconv.COST_BUCKETS)) == list(semconv.COST_BUCKETS)


def test_what_is_exported_follows_the_table():
    """From the start, before any call: types and labels as registered."""
    registry = CollectorRegistry()
    recorder = PrometheusRecorder(
        registry=registry, declared_models=[("openai", "gpt-4o-mini")], price_age_s=lambda: 1.0
    )
    budgets = [Budget("company", limit_usd=5, window="month"), Budget("user", limit_usd=1, window="day", by="user")]
    of_user = statuses_of(budgets[1], [RowState("user", "john", 0, 0)], now_s=0)
    recorder.for_budgets(lambda: budgets, lambda: [*statuses_of(budgets[0], [], now_s=0), *of_user])
    families = list(registry.collect())

    exported = {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    assert set(conventions.METRICS) == exported
    assert [] == [str(finding) for finding in check_metrics(families)]
