"""What one call costs over bare LiteLLM, beside a hand-written span with metrics around the same call.

The floor is what a careful engineer writes by hand with the OpenTelemetry SDK: a span with 20 attributes, three
histogram records and two counters. It knows no price, no stream, no retry and no scope.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

import llm_otel
from benchmarks.measure import Added, pair_up
from llm_otel import LLMConfig, LLMRouter, LLMStream, traced_llm
from llm_otel.call import CallRequest
from llm_otel.open_call import OpenCall, Plan
from llm_otel.providers.adapter import Opened

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello!"}]
ANSWER = "hello"
LONG_ANSWER = "".join(f"{number:03}" for number in range(300))
"""LiteLLM's mock cuts a text into chunks of three characters, and refuses one that repeats itself."""
PAIRS = 1_500
CHUNK_PAIRS = 400
HAND_WRITTEN = "a hand-written span with metrics"


class Discard(SpanExporter):
    """Takes spans and drops them."""

    def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002  # the signature is OpenTelemetry's
        return SpanExportResult.SUCCESS


def set_up() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Discard(), max_queue_size=1_000_000))
    trace.set_tracer_provider(provider)
    llm_otel.configure(registry=CollectorRegistry(), strict=True)
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    run_logging_jobs_at_once()


def run_logging_jobs_at_once() -> None:
    """Have LiteLLM do in the call what it leaves to its logging threads, in every variant: threads blur CPU times."""
    from litellm.litellm_core_utils.thread_pool_executor import executor

    executor.submit = lambda job, *args, **kwargs: job(*args, **kwargs)


class Floor:
    """The hand-written telemetry."""

    def __init__(self) -> None:
        meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("floor")
        self._tracer = trace.get_tracer("floor")
        self._histograms = [meter.create_histogram(f"histogram.{n}") for n in range(3)]
        self._counters = [meter.create_counter(f"counter.{n}") for n in range(2)]
        self._attributes: dict[str, Any] = {f"attribute.number_{n}": f"value {n}" for n in range(20)}
        self._labels = {"provider": "openai", "model": MODEL, "operation": "chat", "outcome": "success"}

    def around(self, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        with self._tracer.start_as_current_span(f"chat {MODEL}", kind=trace.SpanKind.CLIENT) as span:
            result = call()
            span.set_attributes(self._attributes)
        for histogram in self._histograms:
            histogram.record(time.perf_counter() - start, self._labels)
        for counter in self._counters:
            counter.add(1, self._labels)
        return result


def bare() -> Any:
    return litellm.completion(MODEL, MESSAGES, mock_response=ANSWER, temperature=0.5, max_tokens=100)


def measure_calls() -> dict[str, Added]:
    floor, router = Floor(), LLMRouter()
    config = LLMConfig(model=MODEL, temperature=0.5, max_tokens=100, extra={"mock_response": ANSWER})
    tags = {"team": "search", "feature": "answer"}
    scope = traced_llm("benchmark", tags=tags)

    def in_scope() -> Any:
        with scope:
            return bare()

    variants = {
        HAND_WRITTEN: lambda: floor.around(bare),
        "LLMRouter.complete": lambda: router.complete(MESSAGES, config, tags=tags),
        "litellm.completion in a traced_llm scope": in_scope,
    }
    return pair_up(bare, variants, pairs=PAIRS)


def measure_async_calls() -> dict[str, Added]:
    router = LLMRouter()
    config = LLMConfig(model=MODEL, temperature=0.5, max_tokens=100, extra={"mock_response": ANSWER})
    loop = asyncio.new_event_loop()

    async def bare_async() -> Any:
        return await litellm.acompletion(MODEL, MESSAGES, mock_response=ANSWER, temperature=0.5, max_tokens=100)

    async def routed() -> Any:
        return await router.acomplete(MESSAGES, config)

    try:
        return pair_up(
            lambda: loop.run_until_complete(bare_async()),
            {"LLMRouter.acomplete": lambda: loop.run_until_complete(routed())},
            pairs=PAIRS,
        )
    finally:
        loop.close()


def measure_chunks() -> float:
    """Return microseconds that each chunk costs beyond iterating over it: LiteLLM's own chunks, recorded before."""
    chunks = list(litellm.completion(MODEL, MESSAGES, mock_response=LONG_ANSWER, stream=True))

    class Recorded(RecordedStream):
        def open(self, _call: OpenCall) -> Opened:
            return Opened(stream=None, chunks=iter(chunks), first=[])

    def exhaust(stream: Iterable[Any]) -> None:
        deque(stream, maxlen=0)

    added = pair_up(lambda: exhaust(iter(chunks)), {"ours": lambda: exhaust(LLMStream(Recorded()))}, pairs=CHUNK_PAIRS)
    return added["ours"].median / len(chunks)


class RecordedStream:
    """A job of the router whose provider has answered already."""

    def __init__(self) -> None:
        request = CallRequest(operation="chat", provider="openai", model=MODEL, litellm_model=MODEL, is_streaming=True)
        self.instruments = llm_otel.runtime().instruments
        self.plan = Plan(request=request)


def main() -> None:
    set_up()
    print("CPU time that one call adds to bare litellm.completion(mock_response=...): median of pairs [quartiles]")
    calls = measure_calls() | measure_async_calls()
    floor = calls[HAND_WRITTEN].median
    for name, cost in calls.items():
        spread = f"[{cost.low:.0f}, {cost.high:.0f}]"
        print(f"  {name:<42} {cost.median:6.0f} us {spread:<14} {cost.median / floor:5.2f} x hand-written")
    print(f"Each chunk of LLMRouter.stream, over iterating LiteLLM's chunks: {measure_chunks():.1f} us")


if __name__ == "__main__":
    main()
