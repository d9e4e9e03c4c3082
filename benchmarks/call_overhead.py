"""What one call costs over bare LiteLLM, beside a hand-written span with metrics around the same call.

The floor is what a careful engineer writes by hand with the OpenTelemetry SDK: a span with 20 attributes, half of them
read off the response, three histogram records and two counters. Its prices are two constants, and it knows no other
model, no cached or reasoning tokens, no stream, no retry and no scope.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

import llm_otel
from benchmarks.measure import Added, pair_up
from llm_otel import Budget, LLMConfig, LLMRouter, LLMStream, traced_llm, wiring
from llm_otel.call import CallRequest
from llm_otel.plan import Plan
from llm_otel.providers.adapter import Opened

if TYPE_CHECKING:
    from llm_otel.assembly import Runtime
    from llm_otel.open_call import OpenCall

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello!"}]
ANSWER = "hello"
LONG_ANSWER = "".join(f"{number:03}" for number in range(300))
"""LiteLLM's mock cuts a text into chunks of three characters, and refuses one that repeats itself."""
TAGS = {"team": "search", "feature": "answer"}
INPUT_USD, OUTPUT_USD = 0.15, 0.6
"""Of a million tokens of `MODEL`, as good a price as any for a benchmark."""
PAIRS = 1_500
CHUNK_PAIRS = 400
BUDGETS = [
    Budget("company", limit_usd=1_000_000, window="month"),
    Budget("team", limit_usd=1_000_000, window="day", by="team"),
    Budget("feature", limit_usd=1_000_000, window="day", by="feature"),
]
HAND_WRITTEN = "a hand-written span with metrics"
ROUTED = "LLMRouter.complete"


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
        self._duration = meter.create_histogram("gen_ai.client.operation.duration", "s")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}")
        self._requests = meter.create_counter("requests")
        self._cost = meter.create_counter("cost", "{USD}")

    def around(self, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        labels = {"provider": "openai", "model": MODEL, "operation": "chat", **TAGS}
        asked: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": MODEL,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 100,
            "server.address": "api.openai.com",
            "server.port": 443,
            "tag.team": TAGS["team"],
            "tag.feature": TAGS["feature"],
        }
        with self._tracer.start_as_current_span(f"chat {MODEL}", kind=trace.SpanKind.CLIENT, attributes=asked) as span:
            response = call()
            usage = response.usage
            cost_usd = (usage.prompt_tokens * INPUT_USD + usage.completion_tokens * OUTPUT_USD) / 1e6
            answered: dict[str, Any] = {
                "gen_ai.response.id": response.id,
                "gen_ai.response.model": response.model,
                "gen_ai.response.finish_reasons": (response.choices[0].finish_reason,),
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
                "gen_ai.usage.cost.amount": cost_usd,
                "gen_ai.usage.cost.currency": "USD",
                "gen_ai.usage.cost.source": "local",
                "price.source": "constants",
                "price.date": "2026-11-22",
                "outcome": "success",
            }
            span.set_attributes(answered)
        self._duration.record(time.perf_counter() - start, labels)
        self._tokens.record(usage.prompt_tokens, labels | {"token_type": "input"})
        self._tokens.record(usage.completion_tokens, labels | {"token_type": "output"})
        self._requests.add(1, labels)
        self._cost.add(cost_usd, labels)
        return response


def bare() -> Any:
    return litellm.completion(MODEL, MESSAGES, mock_response=ANSWER, temperature=0.5, max_tokens=100)


def use(runtime: Runtime) -> None:
    wiring._runtime = runtime  # noqa: SLF001  # the last step of `configure`, without the others


def variants() -> dict[str, Callable[[], Any]]:
    """Return the sync calls that are compared with the bare one."""
    floor, router = Floor(), LLMRouter()
    config = LLMConfig(model=MODEL, temperature=0.5, max_tokens=100, extra={"mock_response": ANSWER})
    scope = traced_llm("benchmark", tags=TAGS)
    with scope:
        inside = contextvars.copy_context()

    def with_scope() -> Any:
        with scope:
            return bare()

    unlimited = llm_otel.runtime()
    limited = llm_otel.configure(registry=CollectorRegistry(), strict=True, budgets=BUDGETS)

    use(unlimited)

    def with_budgets() -> None:
        use(limited)
        router.complete(MESSAGES, config, tags=TAGS)
        use(unlimited)

    return {
        HAND_WRITTEN: lambda: floor.around(bare),
        ROUTED: lambda: router.complete(MESSAGES, config, tags=TAGS),
        "the same, with three budgets in memory": with_budgets,
        "litellm.completion in a traced_llm scope": lambda: inside.run(bare),
        "the same, and the scope with its own span": with_scope,
    }


def measure_async_calls() -> dict[str, Added]:
    router = LLMRouter()
    config = LLMConfig(model=MODEL, temperature=0.5, max_tokens=100, extra={"mock_response": ANSWER})

    async def bare_async() -> Any:
        return await litellm.acompletion(MODEL, MESSAGES, mock_response=ANSWER, temperature=0.5, max_tokens=100)

    async def routed() -> Any:
        return await router.acomplete(MESSAGES, config)

    # Not a plain loop: closed over LiteLLM's waiting tasks, CPython 3.11.7 crashed when the process ended.
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        return pair_up(
            lambda: loop.run_until_complete(bare_async()),
            {"LLMRouter.acomplete": lambda: loop.run_until_complete(routed())},
            pairs=PAIRS,
        )


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
    """An order of the router, and its job: the provider has answered already."""

    def __init__(self) -> None:
        request = CallRequest(operation="chat", provider="openai", model=MODEL, litellm_model=MODEL, is_streaming=True)
        self.instruments = llm_otel.runtime().instruments
        self.plan = Plan(request=request)

    def job(self) -> Self:
        return self


def main() -> None:
    set_up()
    print("CPU time that one call adds to bare litellm.completion(mock_response=...): median of pairs [quartiles]")
    calls = pair_up(bare, variants(), pairs=PAIRS) | measure_async_calls()
    floor = calls[HAND_WRITTEN].median
    for name, cost in calls.items():
        spread = f"[{cost.low:.0f}, {cost.high:.0f}]"
        print(f"  {name:<42} {cost.median:6.0f} us {spread:<14} {cost.median / floor:5.2f} x hand-written")
    print(f"Each chunk of LLMRouter.stream, over iterating LiteLLM's chunks: {measure_chunks():.1f} us")
    # Last: from here on there is a MeterProvider for good.
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    metered = pair_up(bare, {ROUTED: variants()[ROUTED]}, pairs=PAIRS)[ROUTED].median
    print(f"With a MeterProvider, for the metrics of the GenAI conventions: {metered:.0f} us a call, ", end="")
    print(f"{metered / floor:.2f} x hand-written, and {measure_chunks():.1f} us a chunk")


if __name__ == "__main__":
    main()
