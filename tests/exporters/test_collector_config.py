"""exporters/collector/config.yaml, run by the real Collector: which traces it keeps, and what becomes of metrics."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context

from llm_otel import semconv
from tests.contract.otlp_json import spans_of
from tests.exporters.gateway import CONFIG, Gateway, config, gateway
from tests.exporters.programs import awaited, fetched, free_port, prometheus, value_of
from tests.exporters.rule_files import SPECS
from tests.exporters.tools import ROOT, built, run
from tests.integration.collecting import collecting

HERE = Path(__file__).parent
SERVICE = HERE / "sending_service.py"
NANO_PER_MS = 1_000_000
STARTED_NS = 1_795_000_000 * 10**9
DECIDED_WITHIN_S = 30.0
JOB = 'job="shop"'


# --- As it is written -------------------------------------------------------------------------------------


def test_the_configuration_is_sound():
    """By the Collector's own judgement, which knows every field of every component."""
    done = run(built("otelcol"), "validate", f"--config={CONFIG}")

    assert 0 == done.returncode, done.stdout


def test_every_pipeline_minds_its_memory_first_and_sends_in_batches():
    """What there is no memory for is refused while senders still have it."""
    pipelines = config()["service"]["pipelines"]

    assert {"traces", "metrics", "logs"} == pipelines.keys()
    ends = {(each["processors"][0], each["processors"][-1]) for each in pipelines.values()}
    assert {("memory_limiter", "batch")} == ends


def test_what_the_environment_can_say_stands_at_the_head():
    """Each variable, with the default that it has further down."""
    head, _, text = CONFIG.read_text(encoding="utf-8").partition("\nreceivers:\n")
    used = {}
    for part in text.split("${env:")[1:]:
        name, _, default = part.partition("}")[0].partition(":-")
        used[name] = default
    lines = [line.removeprefix("#   ").split() for line in head.splitlines() if line.startswith("#   ")]

    # A default may have a remark behind it.
    said = {words[0]: [word for word in words if word == used.get(words[0])] for words in lines}
    assert {name: [default] for name, default in used.items()} == said


# --- Traces -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """A trace of one span, or of a run with one call in it.

    Attributes:
        of_run: Attributes of the run; without any there is no run.
    """

    call: Mapping[str, Any] = field(default_factory=dict)
    of_run: Mapping[str, Any] = field(default_factory=dict)
    duration_ms: int = 800
    is_error: bool = False

    def send(self, tracer: Tracer, name: str) -> None:
        """Send it."""
        end_ns = STARTED_NS + self.duration_ms * NANO_PER_MS
        run = tracer.start_span(f"{name} (run)", start_time=STARTED_NS, attributes=self.of_run) if self.of_run else None
        context = set_span_in_context(run) if run else None
        span = tracer.start_span(name, context=context, start_time=STARTED_NS, attributes=self.call)
        if self.is_error:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_ns)
        if run:
            run.end(end_ns)


COSTLY_NANO = 50_000_000
KEPT = {
    "failed": Sent(is_error=True),
    "denied": Sent({semconv.OUTCOME: "denied"}),
    "costly": Sent({semconv.COST_NANO_USD: COSTLY_NANO + 1}),
    "of a costly run": Sent({semconv.COST_NANO_USD: 1}, {semconv.TOTAL_COST_NANO_USD: COSTLY_NANO + 1}),
    "costly in a run": Sent({semconv.COST_NANO_USD: COSTLY_NANO + 1}, {semconv.OUTCOME: "success"}),
    "downgraded": Sent({semconv.BUDGET_DOWNGRADED_FOR: "team"}),
    "dearer than its bound": Sent({semconv.ESTIMATE_EXCEEDED: True}),
    "slow": Sent(duration_ms=30_001),
}
DROPPED = {
    "ordinary": Sent({semconv.OUTCOME: "success", semconv.COST_NANO_USD: 5_700}),
    "as dear as may be": Sent({semconv.COST_NANO_USD: COSTLY_NANO}),
    "of a run that costs as much": Sent({semconv.COST_NANO_USD: 1}, {semconv.TOTAL_COST_NANO_USD: COSTLY_NANO}),
    "without a price": Sent({semconv.OUTCOME: "success"}),
    "within its bound": Sent({semconv.ESTIMATE_EXCEEDED: False}),
    "unhurried": Sent(duration_ms=29_999),
}


def kept_of(directory: Path, traces: Mapping[str, Sent], **settings: str) -> set[str]:
    """Send traces through the Collector; return the names of the spans that come out of it."""
    with collecting(directory) as beyond:
        target = {"TRACES_ENDPOINT": beyond.endpoints["grpc"].removeprefix("http://"), "DECISION_WAIT": "1s"}
        with gateway(directory, **target, **settings) as between:
            provider = TracerProvider(resource=Resource({"service.name": "shop"}))
            provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{between.http}/v1/traces")))
            for name, sent in traces.items():
                sent.send(provider.get_tracer("test"), name)
            provider.shutdown()
            wait_for_decisions(between, len(traces))
    return {span.name for span in spans_of(beyond.received("traces"))}


def wait_for_decisions(between: Gateway, count: int) -> None:
    """Wait until it has been decided about so many traces."""
    awaited(lambda: between.decided() >= count or None, f"{count} decisions", within_s=DECIDED_WITHIN_S)


def names_of(traces: Mapping[str, Sent]) -> set[str]:
    """Return the names of all their spans: a trace is kept whole."""
    return {*traces} | {f"{name} (run)" for name, sent in traces.items() if sent.of_run}


def test_what_somebody_will_ask_for_is_kept_and_nothing_else(tmp_path):
    """Of the traces that nothing was wrong with: none, as asked."""
    assert names_of(KEPT) == kept_of(tmp_path, KEPT | DROPPED, KEEP_PERCENT="0")


def test_thresholds_and_the_share_of_the_rest_are_settings(tmp_path):
    """Who wants to see everything does."""
    assert names_of(DROPPED) == kept_of(tmp_path, DROPPED, KEEP_PERCENT="100")
    cheaper = kept_of(tmp_path, DROPPED, KEEP_PERCENT="0", COSTLY_NANO_USD="49999999", SLOW_MS="29000")
    asked_for = {"as dear as may be", "of a run that costs as much", "unhurried"}
    assert names_of({name: DROPPED[name] for name in asked_for}) == cheaper


# --- A service that pushes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrived:
    """What became of the telemetry of a service.

    Attributes:
        traces: The spans that were kept.
        series: The labels of what Prometheus has, `__name__` among them.
        spend: US dollars, as the counters say.
        growth: The same, as PromQL's `increase` sees it.
    """

    traces: list[Any]
    series: list[dict[str, str]]
    spend: float
    growth: float


@pytest.fixture(scope="module")
def arrived(tmp_path_factory) -> Arrived:
    """The service's spans and metrics, through the Collector: spans beyond it, metrics in Prometheus."""
    directory = tmp_path_factory.mktemp("pushed")
    nowhere = f"127.0.0.1:{free_port()}"
    with prometheus(directory, target=nowhere, alertmanager=nowhere) as address, collecting(directory) as beyond:
        settings = {
            "TRACES_ENDPOINT": beyond.endpoints["grpc"].removeprefix("http://"),
            "METRICS_ENDPOINT": f"http://{address}/api/v1/otlp",
            "KEEP_PERCENT": "0",
            "DECISION_WAIT": "1s",
        }
        with gateway(directory, **settings) as between:
            push(between)
            wait_for_decisions(between, 4)
        awaited(lambda: value_of(address, semconv.COST.prometheus_name), "the spend is in Prometheus")
        pushed = urllib.parse.urlencode({"match[]": f"{{{JOB}}}"})
        series = fetched(f"http://{address}/api/v1/series?{pushed}")["data"]
        spend = value_of(address, f"sum({semconv.COST.prometheus_name})")
        growth = value_of(address, f"sum(increase({semconv.COST.prometheus_name}[5m]))")
    return Arrived(spans_of(beyond.received("traces")), series, spend, growth)


def push(between: Gateway) -> None:
    """Run the service to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LLM_OTEL_"))}
    where = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": between.grpc}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", str(SERVICE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**kept, **where, "PYTHONPATH": str(ROOT)},
    )
    assert (0, "too_large\n") == (ended.returncode, ended.stdout), ended.stderr


def test_refused_and_downgraded_calls_are_kept(arrived):
    """As the library itself records them; the two calls that nothing was wrong with are dropped, as asked."""
    kept = {span.name: span.attributes for span in arrived.traces}

    assert {"chat gpt-4o-mini", "chat gpt-4o"} == kept.keys()
    assert "denied" == kept["chat gpt-4o-mini"][semconv.OUTCOME]
    assert "small" == kept["chat gpt-4o"][semconv.BUDGET_DOWNGRADED_FOR]


def test_metrics_arrive_under_the_names_that_a_scrape_has(arrived):
    """All of them, but the two durations that go by the conventions' own names on this route."""
    names = {each["__name__"] for each in arrived.series if each["__name__"].startswith("llm_otel_")}
    by_convention = (semconv.REQUEST_DURATION, semconv.TIME_TO_FIRST_CHUNK)
    # No budget of the service is split by what is not a label.
    expected = {name for name, spec in SPECS.items() if spec not in (*by_convention, semconv.BUDGET_SCOPES)}

    assert expected == names
    assert "gen_ai_client_inference_duration_seconds_bucket" in {each["__name__"] for each in arrived.series}


def test_metrics_say_where_they_are_from_as_targets_do(arrived):
    """`job`, `instance` and `environment` are labels of every series that a process sent."""
    of_targets = [each for each in arrived.series if each["__name__"] in SPECS]

    assert {("shop", "test")} == {(each["job"], each["environment"]) for each in of_targets}
    (instance,) = {each["instance"] for each in of_targets}
    assert instance
    assert {"search"} == {each["team"] for each in of_targets if each["__name__"] == semconv.COST.prometheus_name}


def test_the_spend_of_a_program_that_has_ended_has_grown(arrived):
    """It was pushed once, at the end: Prometheus knows from the start time that it began at 0."""
    assert 0 < arrived.spend
    assert 0 < arrived.growth
