"""Real calls, by OTLP to a real OpenTelemetry Collector: what comes out there follows the conventions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from llm_otel.demo.simulator import Fail, Reply, Simulator
from tests.contract.checker import check_genai_metrics, check_metrics, check_spans
from tests.contract.content import check_logs
from tests.contract.otlp_json import families_of, logs_of, metrics_of, spans_of
from tests.integration.collecting import Collector, collecting

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio

import llm_otel
from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, traced_llm

llm_otel.configure(
    service_name="shop",
    environment="test",
    otlp=True,
    metrics_export="otlp",
    budgets=[Budget("tiny", limit_usd="0.000001", window="day", match={"team": "growth"})],
)
router = LLMRouter()
config = LLMConfig(provider="openai", model="gpt-4o-mini", max_retries=1, max_tokens=50)
hello = [{"role": "user", "content": "Hello!"}]

with traced_llm("answer", tags={"team": "search", "feature": "chat"}):
    router.complete(hello, config)
    for chunk in router.stream(hello, config):
        pass
with traced_llm("digest", tags={"team": "growth"}):
    try:
        router.complete(hello, config)
    except BudgetExceededError as refused:
        print(refused.kind)

async def main():
    await router.acomplete(hello, config)

asyncio.run(main())
"""
REPLY = Reply("Good day to you, what can I do?", input_tokens=18, output_tokens=5)


@pytest.fixture(scope="module", params=["grpc", "http/protobuf"])
def collector(request, tmp_path_factory) -> Collector:
    """A Collector that has been sent everything of one program, and has ended."""
    with collecting(tmp_path_factory.mktemp("collector")) as running, Simulator(chunk_tokens=1) as simulator:
        simulator.script(REPLY, Fail(503), REPLY, REPLY)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LLM_OTEL_"))}
        content = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY"}
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            cwd=ROOT,
            env={**kept, **simulator.env(with_keys=True), **running.environ(request.param), **content},
        )
        assert (0, "too_large\n") == (ended.returncode, ended.stdout), ended.stderr
    return running


def test_spans_arrive_and_follow_the_conventions(collector):
    """All of them, each once, as trees."""
    spans = spans_of(collector.received("traces"))

    assert [] == [str(finding) for finding in check_spans(spans)]
    expected = {"chat gpt-4o-mini": 4, "attempt 1": 1, "attempt 2": 1}
    expected |= {"invoke_workflow answer": 1, "invoke_workflow digest": 1}
    assert expected == Counter(span.name for span in spans)
    assert {("shop", "test")} == {
        (span.resource.attributes["service.name"], span.resource.attributes["deployment.environment.name"])
        for span in spans
    }


def test_metrics_arrive_and_follow_the_conventions(collector):
    """Those of the conventions, and our own under the names that a scrape gives them."""
    metrics = metrics_of(collector.received("metrics"))
    families = families_of(metrics)

    assert [] == [str(finding) for finding in (*check_genai_metrics(metrics), *check_metrics(families))]
    samples = {(each.name, frozenset(each.labels.items())): each.value for all_ in families for each in all_.samples}
    asked = {"provider": "openai", "model": "gpt-4o-mini", "operation": "chat", "outcome": "success"}
    of_search = frozenset({**asked, "team": "search", "feature": "chat"}.items())
    assert 2 == samples["llm_otel_requests_total", of_search]
    arrived = {family.name for family in families}
    assert {"llm_otel_cost_usd", "llm_otel_budget_limit_usd", "gen_ai_client_inference_duration_seconds"} <= arrived


def test_log_records_arrive_and_follow_the_conventions(collector):
    """The details of each call, with the content that was asked for, and the exceptions that callers saw."""
    logs = logs_of(collector.received("logs"))

    assert [] == [str(finding) for finding in check_logs(logs, with_content=True)]
    names = Counter(each.log_record.event_name for each in logs)
    assert {"gen_ai.client.inference.operation.details": 4, "gen_ai.client.operation.exception": 1} == names
