"""The metrics of the GenAI conventions beside the spans of the same calls, over real HTTP, in every form."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import metrics

from llm_otel import Budget, LLMConfig, LLMRouter, UsageTracker, semconv, traced_llm
from llm_otel.demo.simulator import Break, Fail, Hang, Reply
from tests.contract.checker import check_genai_metrics
from tests.metering import metering
from tests.wire.callers import HELLO, ROUTER, asked_by, text_of

__all__ = ["metering"]

REPLY = Reply("Hello there, how can I help you today?", input_tokens=18, output_tokens=9)
DURATION = "gen_ai.client.inference.duration"
USAGE = "gen_ai.client.inference.usage"
SHARED = (
    semconv.GEN_AI_OPERATION_NAME,
    semconv.GEN_AI_PROVIDER_NAME,
    semconv.GEN_AI_REQUEST_MODEL,
    semconv.GEN_AI_RESPONSE_MODEL,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
)


@pytest.fixture(autouse=True)
def _conformant(metering):
    """Whatever is recorded follows the conventions."""
    yield
    assert [] == [str(finding) for finding in check_genai_metrics(metering.collect())]


def seconds(span):
    """Return how long a span lasted."""
    return pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-6)


def shared(books):
    """Return the attributes of the one inference span that its metrics have."""
    return {name: books.said(name) for name in SHARED if books.said(name) is not None}


def used(metering, name):
    """Return the tokens of a counter, whatever their modality."""
    return sum(metering.values(f"{USAGE}.{name}").values())


@asked_by()
def test_an_answer(caller, simulator, books, metering):
    """The duration is that of the span, and so are the tokens; the exemplar leads there."""
    simulator.script(REPLY)

    caller.ask()

    point = metering.only(DURATION)
    assert (1, seconds(books.call), shared(books)) == (point.count, point.sum, dict(point.attributes))
    assert [books.call.context.span_id] == [exemplar.span_id for exemplar in point.exemplars]
    assert (18, 9) == (used(metering, "input_tokens"), used(metering, "output_tokens"))
    assert 9 == metering.only("gen_ai.client.inference.operation.output_tokens").sum
    workflow = metering.only("gen_ai.invoke_workflow.duration")
    assert (1, {"gen_ai.workflow.name": "work"}) == (workflow.count, dict(workflow.attributes))
    assert point.sum < workflow.sum


@asked_by(is_stream=True)
def test_the_chunks_of_a_stream(caller, simulator, books, metering):
    """Together they are the time from the first to the last of them."""
    simulator.script(REPLY)

    got = caller.ask()

    first = metering.only("gen_ai.client.inference.time_to_first_chunk")
    later = metering.only("gen_ai.client.inference.time_per_output_chunk")
    assert (1, books.said(semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK)) == (first.count, first.sum)
    assert len([chunk for chunk in got.chunks if text_of(chunk)]) - 1 == later.count > 0
    assert 0 < first.sum + later.sum <= metering.only(DURATION).sum


@asked_by(providers=("openai", "anthropic", "gemini"), is_async=False)
def test_parts_of_the_usage(caller, simulator, books, metering):
    """Under the names of the span, with the same counts."""
    simulator.script(Reply("Hi", input_tokens=1800, output_tokens=50, cached_tokens=1500, reasoning_tokens=40))

    caller.ask()

    for name in ("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens"):
        assert books.said(f"gen_ai.usage.{name}") == (used(metering, name) or None), name


@asked_by(entrances=(ROUTER,))
def test_an_error(caller, simulator, books, metering):
    """The error of the span, and its duration; no tokens."""
    simulator.script(Fail(429))

    caller.ask()

    point = metering.only(DURATION)
    assert books.only.error_type == dict(point.attributes)["error.type"]
    assert seconds(books.call) == point.sum
    assert 0 == used(metering, "input_tokens") + used(metering, "output_tokens")


@asked_by(entrances=(ROUTER,), is_async=False)
def test_a_retry(caller, simulator, books, metering):
    """One operation, as its caller saw it: an error that was overcome is none."""
    simulator.script(Fail(503), REPLY)

    caller.ask(max_retries=1)

    point = metering.only(DURATION)
    assert (1, seconds(books.call), shared(books)) == (point.count, point.sum, dict(point.attributes))
    assert 18 == used(metering, "input_tokens")


@asked_by(entrances=(ROUTER,), is_async=True)
def test_a_cancel(caller, simulator, books, metering, run):
    """It is a failure, and what it used is not known to anybody: the span says an estimate, the metrics nothing."""
    simulator.script(Hang(reply=REPLY))

    async def cancelled():
        task = asyncio.ensure_future(caller.aask())
        await asyncio.to_thread(simulator.wait_for_requests)
        task.cancel()
        await asyncio.wait([task])

    run(cancelled())

    point = metering.only(DURATION)
    assert ("CancelledError", seconds(books.call)) == (dict(point.attributes)["error.type"], point.sum)
    assert (True, 0) == (books.only.is_estimated, used(metering, "input_tokens"))


@asked_by(is_async=False, is_stream=True)
def test_a_stream_that_is_dropped(caller, simulator, books, metering):
    """The garbage collector ends it; the metrics have it, and it is no failure."""
    simulator.script(Break(after_chunks=3, how="close", where="between_events", reply=REPLY))

    with traced_llm("work"):
        stream = caller.stream()
        next(stream)
        del stream

    point = metering.only(DURATION)
    assert (1, seconds(books.call)) == (point.count, point.sum)
    assert "error.type" not in point.attributes


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=False, is_stream=False)
def test_a_refusal(caller, simulator, books, metering, use, registry):
    """Nothing was sent: the metrics of inferences know nothing of it."""
    use(registry, budgets=[Budget("all", limit_usd="0.0000001", window="lifetime")])

    caller.ask()

    assert {"gen_ai.invoke_workflow.duration"} == set(metering.metrics)


def test_a_scope_that_fails(metering, use, registry):
    """Under the error of its span."""
    use(registry)
    with pytest.raises(KeyError), traced_llm("work"):
        raise KeyError

    labels = {"gen_ai.workflow.name": "work", "error.type": "KeyError"}
    assert labels == dict(metering.only("gen_ai.invoke_workflow.duration").attributes)


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=True)
def test_chunks_are_timed_only_where_somebody_looks(caller, simulator, metering, monkeypatch):
    """Most services have no MeterProvider, and a stream can have thousands of chunks."""
    metering.set(metrics.NoOpMeterProvider())
    closed, real = [], UsageTracker.closed
    monkeypatch.setattr(UsageTracker, "closed", lambda tracker, record: closed.append(record) or real(tracker, record))

    caller.ask(in_scope=False)

    assert [()] == [record.later_chunks_s for record in closed]


@pytest.mark.parametrize("generation", ["latest", "legacy", "both"])
def test_the_generations(simulator, books, metering, use, registry, generation):
    """The setting says which names; the numbers are the same."""
    use(registry, genai_metrics=generation)
    simulator.script(REPLY)

    LLMRouter().complete(HELLO, LLMConfig(model="gpt-4o-mini"))

    names = (DURATION, "gen_ai.client.operation.duration")
    durations = {name: point for name in names for point in metering.points(name).values()}
    expected = {"latest": {DURATION}, "legacy": {"gen_ai.client.operation.duration"}}
    assert expected.get(generation, expected["latest"] | expected["legacy"]) == set(durations)
    assert {1} == {point.count for point in durations.values()}
    if generation != "latest":
        points = metering.points("gen_ai.client.token.usage").values()
        assert {"input": 18, "output": 9} == {point.attributes["gen_ai.token.type"]: point.sum for point in points}
