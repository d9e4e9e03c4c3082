"""What a scrape says after calls: the Prometheus recorder through the real exposition formats."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, TraceFlags
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from llm_otel import semconv
from llm_otel.call import AttemptReason, Outcome
from llm_otel.errors import ConfigurationError
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.routing.health import CircuitEvent
from llm_otel.semconv import TokenType
from llm_otel.usage import Usage

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry()


def scrape(registry: CollectorRegistry) -> Samples:
    """Return what a scrape gives, without the `_created` series, as (name, labels) -> value."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def collect(registry: CollectorRegistry) -> Samples:
    """Return what `scrape` does, without the detour through text."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """Sum the samples of a name that have these labels."""
    wanted = labels.items()
    return sum(value for (each, has), value in samples.items() if each == name and wanted <= set(has))


def label_values(samples: Samples, name: str, label: str) -> set[str]:
    """Return the values that a label has."""
    return {dict(has).get(label, "") for (each, has) in samples if each == name}


def run(recorder: PrometheusRecorder, record: Any) -> None:
    """Record one call from its start to its end."""
    recorder.opened(record.request)
    recorder.closed(record)


OF_BUDGETS = (*semconv.BUDGET_GAUGES, *semconv.BUDGET_COUNTERS, semconv.LEDGER_UP)
"""What only budgets have; `test_budgets` is about them."""


class TestExposition:
    """Names, types, labels and values, as Prometheus reads them."""

    def test_one_call_gives_these_lines(self, registry: CollectorRegistry, facts: Any) -> None:
        """What is not 0 after one success, to the letter."""
        run(PrometheusRecorder(registry=registry), facts.record())
        lines = generate_latest(registry).decode().splitlines()
        call = 'feature="answer",model="gpt-4o-mini",operation="chat"'
        rest = 'provider="openai",team="search"'
        first = 'provider="openai",reason="first",team="search"'
        assert [
            f'llm_otel_requests_total{{{call},outcome="success",{rest}}} 1.0',
            f'llm_otel_attempts_total{{{call},outcome="success",{first}}} 1.0',
            f'llm_otel_tokens_total{{{call},{rest},token_type="input"}} 18.0',
            f'llm_otel_tokens_total{{{call},{rest},token_type="output"}} 5.0',
            f'llm_otel_cost_usd_total{{{call},{rest},token_type="input"}} 2.7e-06',
            f'llm_otel_cost_usd_total{{{call},{rest},token_type="output"}} 3e-06',
            f"llm_otel_request_duration_seconds_count{{{call},{rest}}} 1.0",
            f"llm_otel_request_duration_seconds_sum{{{call},{rest}}} 0.5",
            f"llm_otel_request_cost_usd_count{{{call},{rest}}} 1.0",
            f"llm_otel_request_cost_usd_sum{{{call},{rest}}} 5.7e-06",
        ] == [
            line
            for line in lines
            if not line.startswith(("#", "llm_otel_build_info"))
            and not line.endswith(" 0.0")
            and "_bucket{" not in line
            and "_created{" not in line
        ]

    def test_names_types_and_labels_are_those_of_semconv(self, registry: CollectorRegistry, facts: Any) -> None:
        """Every metric of the table is there, with its labels and bounds, and no other."""
        recorder = PrometheusRecorder(registry=registry, price_age_s=lambda: 1.0)
        recorder.opened(facts.request(is_streaming=True))
        recorder.for_circuits(tuple).noticed(("openai", "gpt-4o-mini"), CircuitEvent.KNOWN)
        names: dict[str, tuple[str, set[str]]] = {}
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            if not family.name.endswith("_created"):
                labels = set().union(*(sample.labels for sample in family.samples))
                suffix = "_total" if family.type == "counter" else ""
                names[family.name + suffix] = (family.type, labels)
        of_a_call = {"provider", "model", "operation", "team", "feature"}
        expected = {
            spec.prometheus_name: (
                _type_of(spec),
                (of_a_call if spec.is_per_model else set()) | set(spec.labels) | ({"le"} if spec.buckets else set()),
            )
            for spec in semconv.METRICS
            if spec not in OF_BUDGETS
        }
        assert expected == {name: found for name, found in names.items() if "_budget_" not in name}

    def test_help_text_is_that_of_semconv(self, registry: CollectorRegistry) -> None:
        """The text beside a metric is the one that the documentation gives."""
        PrometheusRecorder(registry=registry, price_age_s=lambda: 1.0)
        lines = set(generate_latest(registry).decode().splitlines())
        shown = [s for s in semconv.METRICS if s not in OF_BUDGETS]
        missing = [s for s in shown if f"# HELP {s.prometheus_name} {s.help}" not in lines]
        assert [] == missing

    @pytest.mark.parametrize("spec", semconv.METRICS, ids=lambda spec: spec.otel_name)
    def test_otel_name_and_unit_translate_to_the_prometheus_name(self, spec: semconv.MetricSpec) -> None:
        """One dashboard serves a scrape and OTLP, so both ways out give one name."""
        is_monotonic = _type_of(spec) == "counter"
        assert spec.prometheus_name == translated(spec.otel_name, spec.unit, is_monotonic=is_monotonic)

    def test_every_format_can_be_read(self, registry: CollectorRegistry, facts: Any) -> None:
        """Label values are escaped, whatever the tags are."""
        tags = {"team": 'a"b\\c\nd', "feature": "größer 世界"}
        run(
            PrometheusRecorder(registry=registry),
            facts.record(request=facts.request(tags=tags), trace=facts.trace),
        )
        assert {'a"b\\c\nd'} == label_values(scrape(registry), "llm_otel_requests_total", "team")
        assert generate_openmetrics(registry).endswith(b"# EOF\n")


def _type_of(spec: semconv.MetricSpec) -> str:
    if spec.buckets:
        return "histogram"
    return "counter" if spec.prometheus_name.endswith("_total") else "gauge"


def translated(name: str, unit: str, *, is_monotonic: bool) -> str:
    """Translate as OTLP to Prometheus does.

    By opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics:
    dots become underscores, a unit in braces is dropped, another is spelt out and appended, and `_total`
    comes last.
    """
    suffix = {"s": "seconds", "": ""}[unit] if not unit.startswith("{") else ""
    translated_name = name.replace(".", "_")
    if suffix and not translated_name.endswith(f"_{suffix}"):
        translated_name = f"{translated_name}_{suffix}"
    return f"{translated_name}_total" if is_monotonic else translated_name


class TestCreatedAtZero:
    """`increase()` loses the first value of a series that is born with one."""

    def test_an_opened_call_has_all_series_at_zero(self, registry: CollectorRegistry, facts: Any) -> None:
        """All are 0 but the call in flight and the constant."""
        PrometheusRecorder(registry=registry).opened(facts.request())
        raised = {name for (name, _), value in scrape(registry).items() if value}
        assert {"llm_otel_requests_in_flight", "llm_otel_build_info"} == raised

    @pytest.mark.parametrize("is_streaming", [False, True])
    @pytest.mark.parametrize("outcome", Outcome)
    def test_no_ending_makes_a_series(
        self, registry: CollectorRegistry, facts: Any, outcome: Outcome, is_streaming: bool
    ) -> None:
        """However a call ends, what it writes was there when it started."""
        recorder = PrometheusRecorder(registry=registry)
        request = facts.request(is_streaming=is_streaming)
        every_type = dict.fromkeys(TokenType, 10)
        attempts = [
            facts.attempt(reason=AttemptReason.FIRST, outcome=Outcome.ERROR, cost=None),
            facts.attempt(
                reason=AttemptReason.RETRY,
                outcome=outcome,
                usage=Usage.of(
                    input_tokens=9,
                    output_tokens=9,
                    cache_read_tokens=3,
                    cache_write_tokens=3,
                    reasoning_tokens=3,
                    is_estimated=True,
                ),
                cost=facts.cost(every_type, saved=5),
            ),
        ]
        record = facts.record(
            *([] if outcome is Outcome.DENIED else attempts),
            **({"attempts": ()} if outcome is Outcome.DENIED else {}),
            request=request,
            outcome=outcome,
            time_to_first_chunk_s=0.1 if is_streaming else None,
        )
        recorder.opened(request)
        at_start = scrape(registry)
        recorder.closed(record)
        at_end = scrape(registry)
        assert at_start.keys() == at_end.keys()
        assert 1 == total(at_end, "llm_otel_requests_total", outcome=outcome.value)

    def test_declared_values_and_models_are_there_before_any_call(self, registry: CollectorRegistry) -> None:
        """Declared tag values × declared models; a tag without declared values is absent."""
        PrometheusRecorder(
            registry=registry,
            tag_labels={"team": ("search", "growth"), "feature": 50},
            declared_models=[("openai", "gpt-4o"), ("anthropic", "claude")],
        )
        sets = {
            (
                dict(labels)["provider"],
                dict(labels)["model"],
                dict(labels)["team"],
                dict(labels).get("feature"),
            )
            for (name, labels) in scrape(registry)
            if name == "llm_otel_cost_usd_total"
        }
        assert {
            ("openai", "gpt-4o", "search", None),
            ("openai", "gpt-4o", "growth", None),
            ("anthropic", "claude", "search", None),
            ("anthropic", "claude", "growth", None),
        } == {(provider, model, team, feature or None) for provider, model, team, feature in sets}

    def test_series_of_a_fallback_model_are_made_whole(self, registry: CollectorRegistry, facts: Any) -> None:
        """A model that only ever answers as a fallback gets every series, not just those it wrote."""
        fallback = facts.attempt(number=2, reason=AttemptReason.FALLBACK, provider="anthropic", model="claude")
        run(PrometheusRecorder(registry=registry), facts.record(facts.failed_attempt(), fallback))
        samples = scrape(registry)
        assert len(TokenType) == sum(
            name == "llm_otel_cost_usd_total" and ("model", "claude") in labels for (name, labels) in samples
        )


class TestNumbers:
    """Each fact lands once, and where it belongs."""

    def test_a_fallback_is_counted_under_its_own_model(self, registry: CollectorRegistry, facts: Any) -> None:
        """Tokens, cost and attempts by the attempt's model; all that is counted once by the one asked for."""
        fallback = facts.attempt(number=2, reason=AttemptReason.FALLBACK, provider="anthropic", model="claude")
        run(PrometheusRecorder(registry=registry), facts.record(facts.failed_attempt(), fallback))
        samples = scrape(registry)
        asked, answered = {"model": "gpt-4o-mini"}, {"provider": "anthropic", "model": "claude"}
        assert 1 == total(samples, "llm_otel_requests_total", **asked)
        assert 1 == total(samples, "llm_otel_request_duration_seconds_count", **asked)
        assert 5.7e-6 == total(samples, "llm_otel_request_cost_usd_sum", **asked)
        assert 1 == total(samples, "llm_otel_attempts_total", outcome="error", reason="first", **asked)
        assert 1 == total(samples, "llm_otel_attempts_total", outcome="success", reason="fallback", **answered)
        assert 23 == total(samples, "llm_otel_tokens_total", **answered)
        assert pytest.approx(5.7e-6) == total(samples, "llm_otel_cost_usd_total", **answered)
        assert 0 == total(samples, "llm_otel_requests_total", **answered)
        assert 0 == total(samples, "llm_otel_cost_usd_total", **asked)

    @pytest.mark.parametrize("outcome", [Outcome.ERROR, Outcome.CANCELLED, Outcome.ABANDONED])
    def test_cost_without_a_complete_answer_is_wasted(
        self, registry: CollectorRegistry, facts: Any, outcome: Outcome
    ) -> None:
        """The last attempt by how it ended, one that was followed as a retry; it is a part of the cost."""
        first = facts.attempt(outcome=Outcome.ERROR)
        last = facts.attempt(number=2, reason=AttemptReason.RETRY, outcome=outcome)
        run(PrometheusRecorder(registry=registry), facts.record(first, last))
        samples = scrape(registry)
        wasted = {
            reason: total(samples, "llm_otel_wasted_cost_usd_total", reason=reason)
            for reason in ("retry", "error", "cancelled", "abandoned")
        }
        assert {reason: 5.7e-6 if reason in ("retry", outcome) else 0 for reason in wasted} == wasted
        assert pytest.approx(2 * 5.7e-6) == total(samples, "llm_otel_cost_usd_total")

    def test_cost_of_an_answer_is_not_wasted(self, registry: CollectorRegistry, facts: Any) -> None:
        """Success after a retry that was billed: only the retried attempt was in vain."""
        run(
            PrometheusRecorder(registry=registry),
            facts.record(facts.attempt(outcome=Outcome.ERROR), facts.attempt()),
        )
        assert 5.7e-6 == total(scrape(registry), "llm_otel_wasted_cost_usd_total")

    def test_a_denied_call_is_counted_and_nothing_else(self, registry: CollectorRegistry, facts: Any) -> None:
        """No request was sent: neither latency nor unit cost may get better by it."""
        record = facts.record(outcome=Outcome.DENIED, attempts=(), usage=None, cost_nano=0)
        run(PrometheusRecorder(registry=registry), record)
        raised = {name for (name, _), value in scrape(registry).items() if value}
        assert {"llm_otel_requests_total", "llm_otel_build_info"} == raised

    @pytest.mark.parametrize("attempts", [0, 1])
    def test_an_answer_from_a_cache_has_a_cost_and_no_latency(
        self, registry: CollectorRegistry, facts: Any, attempts: int
    ) -> None:
        """Ours (no attempt) or LiteLLM's: no provider was waited for. That it costs nothing is what a cache is for."""
        asked = [facts.attempt(outcome=Outcome.CACHED, cost=None, usage=None)] * attempts
        times = {"duration_s": 0.002, "time_to_first_chunk_s": 0.001}
        record = facts.record(outcome=Outcome.CACHED, attempts=tuple(asked), usage=None, cost_nano=0, **times)
        run(PrometheusRecorder(registry=registry), record)
        samples = scrape(registry)
        assert 1 == total(samples, "llm_otel_requests_total", outcome="cached")
        assert 1 == total(samples, "llm_otel_request_cost_usd_count")
        assert 0 == total(samples, "llm_otel_request_duration_seconds_count")
        assert 0 == total(samples, "llm_otel_time_to_first_chunk_seconds_count")

    def test_an_unpriced_call_is_counted_under_the_model_without_price(
        self, registry: CollectorRegistry, facts: Any
    ) -> None:
        """Once for the completion. What is known of its cost is in the cost, and not in that of a request."""
        priced = facts.attempt(outcome=Outcome.ERROR)
        unpriced = facts.attempt(number=2, reason=AttemptReason.FALLBACK, model="new-model", cost=None)
        run(PrometheusRecorder(registry=registry), facts.record(priced, unpriced))
        samples = scrape(registry)
        assert 1 == total(samples, "llm_otel_unpriced_requests_total")
        assert 1 == total(samples, "llm_otel_unpriced_requests_total", model="new-model")
        assert pytest.approx(5.7e-6) == total(samples, "llm_otel_cost_usd_total")
        assert 0 == total(samples, "llm_otel_request_cost_usd_count")

    def test_estimated_usage_is_counted(self, registry: CollectorRegistry, facts: Any) -> None:
        """Once for a completion, however many of its attempts were estimated."""
        guessed = facts.attempt(usage=Usage.of(input_tokens=3, output_tokens=1, is_estimated=True))
        run(PrometheusRecorder(registry=registry), facts.record(guessed, guessed))
        assert 1 == total(scrape(registry), "llm_otel_estimated_usage_requests_total")

    @pytest.mark.parametrize(("saved", "counted"), [(1_500, 1.5e-6), (0, 0), (-1_500, 0)])
    def test_savings_of_the_prompt_cache_never_count_down(
        self, registry: CollectorRegistry, facts: Any, saved: int, counted: float
    ) -> None:
        """A cache that cost more than it saved saved nothing."""
        cost = facts.cost({TokenType.CACHE_READ: 100}, saved=saved)
        run(PrometheusRecorder(registry=registry), facts.record(facts.attempt(cost=cost)))
        assert counted == total(scrape(registry), "llm_otel_saved_usd_total", reason="prompt_cache")

    def test_a_stream_has_its_time_to_first_chunk(self, registry: CollectorRegistry, facts: Any) -> None:
        """Only streams have the histogram at all."""
        recorder = PrometheusRecorder(registry=registry)
        run(recorder, facts.record())
        name = "llm_otel_time_to_first_chunk_seconds_count"
        assert set() == label_values(scrape(registry), name, "model")
        run(recorder, facts.record(request=facts.request(is_streaming=True), time_to_first_chunk_s=0.25))
        assert 1 == total(scrape(registry), name)

    def test_calls_in_flight_go_up_and_down(self, registry: CollectorRegistry, facts: Any) -> None:
        """By one for each, under the call's own labels."""
        recorder = PrometheusRecorder(registry=registry)
        levels = []
        for step in (recorder.opened, recorder.opened):
            step(facts.request())
            levels.append(total(scrape(registry), "llm_otel_requests_in_flight", team="search"))
        for _ in range(2):
            recorder.closed(facts.record())
            levels.append(total(scrape(registry), "llm_otel_requests_in_flight", team="search"))
        assert [1, 2, 1, 0] == levels

    def test_a_record_that_cannot_be_written_still_lands_its_call(
        self, registry: CollectorRegistry, facts: Any
    ) -> None:
        """Part of `closed` fails: the error comes out, and the call is no longer in flight."""
        recorder = PrometheusRecorder(registry=registry)
        broken = facts.record(duration_s="half a second")
        recorder.opened(broken.request)
        with pytest.raises(TypeError):
            recorder.closed(broken)
        assert 0 == total(scrape(registry), "llm_otel_requests_in_flight")

    def test_an_ending_that_was_not_foreseen_is_not_lost(self, registry: CollectorRegistry, facts: Any) -> None:
        """An attempt that was denied does not occur today; if one comes it gets its series then."""
        denied = facts.failed_attempt(outcome=Outcome.DENIED)
        run(PrometheusRecorder(registry=registry), facts.record(denied))
        assert 1 == total(scrape(registry), "llm_otel_attempts_total", outcome="denied")


nano = st.integers(min_value=0, max_value=10**12)
costs = st.none() | st.dictionaries(st.sampled_from(list(TokenType)), nano, min_size=1)
usages = st.none() | st.builds(
    Usage.of,
    input_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
    cache_read_tokens=st.integers(0, 10**6),
    cache_write_tokens=st.integers(0, 10**6),
    reasoning_tokens=st.integers(0, 10**6),
    is_estimated=st.booleans(),
)
sent = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.DENIED])
attempt_facts = st.fixed_dictionaries(
    {
        "reason": st.sampled_from(AttemptReason),
        "model": st.sampled_from(["a", "b", "c"]),
        "outcome": sent,
        "usage": usages,
        "parts": costs,
    }
)
call_facts = st.fixed_dictionaries(
    {
        "team": st.sampled_from(["", "x", "y", "z"]),
        "attempts": st.lists(attempt_facts, min_size=1, max_size=4),
    }
)


class TestSums:
    """For any calls at all, the counters add up to what the records say."""

    @settings(deadline=None)
    @given(calls=st.lists(call_facts, max_size=8))
    def test_tokens_and_cost_add_up(self, facts: Any, calls: list[dict[str, Any]]) -> None:
        """Capped labels, retries and unknown prices do not lose or double anything."""
        registry = CollectorRegistry()
        recorder = PrometheusRecorder(registry=registry, tag_labels={"team": 2}, max_models=2)
        records = [_record_of(facts, call) for call in calls]
        for record in records:
            run(recorder, record)
        samples = collect(registry)
        attempts = [attempt for record in records for attempt in record.attempts]
        usages_ = [attempt.usage for attempt in attempts if attempt.usage]
        costs_ = [attempt.cost for attempt in attempts if attempt.cost]
        assert sum(usage.total_tokens for usage in usages_) == total(samples, "llm_otel_tokens_total")
        for token_type in TokenType:
            expected = sum(cost.parts.get(token_type, 0) for cost in costs_) / 1e9
            spent = total(samples, "llm_otel_cost_usd_total", token_type=token_type.value)
            assert pytest.approx(expected, rel=1e-12) == spent
        priced = [record.cost_nano for record in records if record.cost_nano is not None]
        assert len(priced) == total(samples, "llm_otel_request_cost_usd_count")
        assert pytest.approx(sum(priced) / 1e9, rel=1e-12) == total(samples, "llm_otel_request_cost_usd_sum")
        assert sum(r.is_unpriced for r in records) == total(samples, "llm_otel_unpriced_requests_total")
        assert len(attempts) == total(samples, "llm_otel_attempts_total")
        assert Counter(record.outcome.value for record in records) == {
            outcome.value: count
            for outcome in Outcome
            if (count := total(samples, "llm_otel_requests_total", outcome=outcome.value))
        }
        assert 0 == total(samples, "llm_otel_requests_in_flight")
        assert total(samples, "llm_otel_wasted_cost_usd_total") <= total(samples, "llm_otel_cost_usd_total") * (
            1 + 1e-12
        )


def _record_of(facts: Any, call: dict[str, Any]) -> Any:
    attempts = []
    for number, given_ in enumerate(call["attempts"], start=1):
        changes = dict(given_)
        parts = changes.pop("parts")
        cost = None if parts is None or changes["usage"] is None else facts.cost(parts)
        attempts.append(facts.attempt(number=number, cost=cost, **changes))
    request = facts.request(model=call["attempts"][0]["model"], tags={"team": call["team"]})
    return facts.record(*attempts, request=request)


class TestThreads:
    """Many threads, one recorder."""

    def test_no_update_is_lost(self, registry: CollectorRegistry, facts: Any) -> None:
        """8 threads, 40 teams for 20 places: 20 kept, and every call and token counted somewhere."""
        recorder = PrometheusRecorder(registry=registry, tag_labels={"team": 20})
        barrier = threading.Barrier(8)

        def work(thread: int) -> None:
            barrier.wait()
            for number in range(40):
                tags = {"team": f"team-{(number * 7 + thread) % 40}"}
                run(recorder, facts.record(request=facts.request(tags=tags)))

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        samples = scrape(registry)
        assert 320 == total(samples, "llm_otel_requests_total")
        assert 320 * 23 == total(samples, "llm_otel_tokens_total")
        assert 0 == total(samples, "llm_otel_requests_in_flight")
        teams = label_values(samples, "llm_otel_requests_total", "team")
        assert 21 == len(teams)
        assert semconv.OVERFLOW_LABEL in teams
        in_flight = {v for (name, _), v in samples.items() if name == "llm_otel_requests_in_flight"}
        assert {0.0} == in_flight, "every call landed under the labels it started under"


class TestExemplars:
    """From a number to a trace."""

    def test_they_lead_to_the_span_of_the_call(self, registry: CollectorRegistry, facts: Any) -> None:
        """On requests that failed, cost, duration, first chunk and cost of a request; in OpenMetrics only."""
        request = facts.request(is_streaming=True)
        record = facts.record(request=request, outcome=Outcome.ABANDONED, time_to_first_chunk_s=0.1, trace=facts.trace)
        run(PrometheusRecorder(registry=registry), record)
        lines = generate_openmetrics(registry).decode().splitlines()
        labels = '# {span_id="00f067aa0ba902b7",trace_id="4bf92f3577b34da6a3ce929d0e0e4736"}'
        with_exemplar = {line.split("{")[0] for line in lines if labels in line}
        assert {
            "llm_otel_requests_total",
            "llm_otel_cost_usd_total",
            "llm_otel_request_duration_seconds_bucket",
            "llm_otel_time_to_first_chunk_seconds_bucket",
            "llm_otel_request_cost_usd_bucket",
        } == with_exemplar
        assert "4bf92f3577b34da6a3ce929d0e0e4736" not in generate_latest(registry).decode()

    def test_cost_has_one_exemplar_on_its_dearest_part(self, registry: CollectorRegistry, facts: Any) -> None:
        """A call is one dot in a graph of cost, not one for each kind of token."""
        run(PrometheusRecorder(registry=registry), facts.record(trace=facts.trace))
        lines = generate_openmetrics(registry).decode().splitlines()
        dots = [line for line in lines if line.startswith("llm_otel_cost_usd_total") and " # " in line]
        assert 1 == len(dots)
        assert 'token_type="output"' in dots[0]

    @pytest.mark.parametrize(
        "trace",
        [
            None,
            SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.DEFAULT)),
            SpanContext(0, 0, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)),
        ],
        ids=["no span", "not sampled", "no provider"],
    )
    def test_there_is_none_without_a_trace_to_lead_to(
        self, registry: CollectorRegistry, facts: Any, trace: SpanContext | None
    ) -> None:
        """The call is counted all the same."""
        run(PrometheusRecorder(registry=registry), facts.record(trace=trace))
        assert " # {" not in generate_openmetrics(registry).decode()
        assert 1 == total(scrape(registry), "llm_otel_requests_total")


class TestRegistry:
    """Whose registry it is, and who else is in it."""

    def test_the_next_recorder_goes_on_counting(self, registry: CollectorRegistry, facts: Any) -> None:
        """A second `configure()`: the same series; a call in flight lands through the old recorder."""
        old = PrometheusRecorder(registry=registry)
        run(old, facts.record())
        old.opened(facts.request())
        new = PrometheusRecorder(registry=registry, tag_labels={"feature": 5, "team": ("search",)})
        run(new, facts.record())
        old.closed(facts.record())
        samples = scrape(registry)
        assert 3 == total(samples, "llm_otel_requests_total")
        assert 0 == total(samples, "llm_otel_requests_in_flight")

    def test_the_next_recorder_knows_the_values_that_are_taken(self, registry: CollectorRegistry, facts: Any) -> None:
        """A reconfigured service cannot have twice as many series as its cap."""
        for first in ("a", "b"):
            recorder = PrometheusRecorder(registry=registry, tag_labels={"team": 2})
            for team in (first, f"{first}-too", "c"):
                run(recorder, facts.record(request=facts.request(tags={"team": team})))
        teams = label_values(scrape(registry), "llm_otel_requests_total", "team")
        assert {"a", "a-too", semconv.OVERFLOW_LABEL} == teams

    def test_other_labels_in_the_same_registry_are_refused(self, registry: CollectorRegistry) -> None:
        """A metric has one set of labels; the error names both sets."""
        PrometheusRecorder(registry=registry, tag_labels=("team",))
        with pytest.raises(ConfigurationError, match=r"'customer'.*'team'"):
            PrometheusRecorder(registry=registry, tag_labels=("customer",))

    def test_somebody_elses_metric_of_our_name_is_refused(self, registry: CollectorRegistry, facts: Any) -> None:
        """Nothing of ours is left behind, so that it can be tried again when the other is gone."""
        other = Gauge("llm_otel_tokens_total", "Not ours.", registry=registry)
        with pytest.raises(ConfigurationError, match="llm_otel_tokens") as caught:
            PrometheusRecorder(registry=registry)
        assert "registry" == caught.value.field
        assert {("llm_otel_tokens_total", frozenset())} == set(scrape(registry))
        registry.unregister(other)
        run(PrometheusRecorder(registry=registry), facts.record())
        assert 23 == total(scrape(registry), "llm_otel_tokens_total")

    def test_what_was_unregistered_comes_back(self, registry: CollectorRegistry, facts: Any) -> None:
        """A test suite that empties the registry does not make the next recorder write into nowhere."""
        run(PrometheusRecorder(registry=registry), facts.record())
        for collector in set(registry._names_to_collectors.values()):
            registry.unregister(collector)
        run(PrometheusRecorder(registry=registry), facts.record())
        assert 2 == total(scrape(registry), "llm_otel_requests_total")

    def test_two_registries_are_two_counts(self, registry: CollectorRegistry, facts: Any) -> None:
        """Nothing is shared between them."""
        other = CollectorRegistry()
        run(PrometheusRecorder(registry=registry), facts.record())
        PrometheusRecorder(registry=other, tag_labels=())
        assert 0 == total(scrape(other), "llm_otel_requests_total")

    def test_a_registry_can_be_forgotten(self, facts: Any) -> None:
        """We keep no registry alive."""
        registry = CollectorRegistry()
        run(PrometheusRecorder(registry=registry), facts.record())
        gone = weakref.ref(registry)
        del registry
        gc.collect()
        assert gone() is None

    @pytest.mark.parametrize("registry", ["default", 5, CollectorRegistry])
    def test_what_is_no_registry_is_refused_by_name(self, registry: Any) -> None:
        """A class is none either: somebody forgot to call it."""
        with pytest.raises(ConfigurationError, match=r"registry=.*CollectorRegistry\(\)"):
            PrometheusRecorder(registry=registry)


class TestProcessFacts:
    """What a scrape asks the process."""

    def test_build_info_names_the_versions(self, registry: CollectorRegistry) -> None:
        """Always 1, with both versions as they are installed."""
        PrometheusRecorder(registry=registry)
        ((labels, value),) = (
            (dict(labels), value) for (name, labels), value in scrape(registry).items() if name == "llm_otel_build_info"
        )
        assert {"version", "litellm_version"} == set(labels)
        assert labels["litellm_version"][0].isdigit()
        assert 1 == value

    def test_price_age_is_asked_at_the_scrape(self, registry: CollectorRegistry) -> None:
        """It grows without a call being made; the newest recorder's prices count."""
        ages = iter([60.0, 75.0])
        PrometheusRecorder(registry=registry, price_age_s=lambda: 1e9)
        PrometheusRecorder(registry=registry, price_age_s=lambda: next(ages))
        seen = [total(scrape(registry), "llm_otel_price_age_seconds") for _ in range(2)]
        assert [60.0, 75.0] == seen

    @pytest.mark.parametrize("price_age_s", [None, lambda: None], ids=["nobody to ask", "not known"])
    def test_an_unknown_price_age_is_absent(self, registry: CollectorRegistry, price_age_s: Any) -> None:
        """Never 0: that would be the freshest of all prices."""
        PrometheusRecorder(registry=registry, price_age_s=price_age_s)
        assert set() == label_values(scrape(registry), "llm_otel_price_age_seconds", "any")

    def test_a_price_age_that_fails_does_not_fail_the_scrape(self, registry: CollectorRegistry) -> None:
        """It is counted, and shows at the next scrape."""
        PrometheusRecorder(registry=registry, price_age_s=lambda: 1 / 0)
        scrape(registry)
        samples = scrape(registry)
        assert set() == label_values(samples, "llm_otel_price_age_seconds", "any")
        assert total(samples, "llm_otel_internal_errors_total", recorder="prometheus") >= 1

    def test_internal_errors_count_by_recorder(self, registry: CollectorRegistry) -> None:
        """Those that are known are there at 0."""
        recorder = PrometheusRecorder(registry=registry, recorders=("span",))
        at_start = scrape(registry)
        recorder.internal_error("span")
        samples = scrape(registry)
        assert {"prometheus", "span"} == label_values(at_start, "llm_otel_internal_errors_total", "recorder")
        assert 1 == total(samples, "llm_otel_internal_errors_total", recorder="span")
        assert 0 == total(at_start, "llm_otel_internal_errors_total")
