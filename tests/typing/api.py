"""User code: the whole public surface, as a strict type checker sees it."""
# Nobody calls these functions, so that there is nothing to say of them; a print keeps a name in use.
# ruff: noqa: D103, T201

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from decimal import Decimal
from typing import Any, assert_type

from prometheus_client import CollectorRegistry

import llm_otel
from llm_otel import (
    AsyncLLMStream,
    Candidate,
    CircuitOpenError,
    ConfigurationError,
    LLMChunk,
    LLMConfig,
    LLMOtelError,
    LLMProvider,
    LLMResponse,
    LLMRouter,
    LLMStream,
    ModelCapability,
    ModelInfo,
    ModelTier,
    NoModelError,
    ProviderError,
    RouteDecision,
    RouteRequest,
    RoutingPolicy,
    UnknownModelError,
    UnknownProviderError,
    UsageStats,
    UsageTracker,
    get_cheapest_model,
    get_model_info,
    list_models,
    register_model,
    traced_llm,
)
from llm_otel import LLMRoute as Misspelt  # type: ignore[attr-defined]

MESSAGES = [{"role": "user", "content": "Hello!"}]


# --- traced_llm: every form keeps its signature -----------------------------------------------------------------------


@traced_llm
def bare(question: str, *, limit: int = 3) -> list[str]:
    return [question] * limit


@traced_llm()
def called(question: str) -> str:
    return question


@traced_llm("answer", tags={"team": "search"})
def named(question: str) -> str:
    return question


@traced_llm(tags=["team:search", "research"])
async def coroutine(question: str) -> int:
    return len(question)


@traced_llm
def generator(most: int) -> Generator[int, str, bool]:
    sent = yield most
    return bool(sent)


@traced_llm("stream")
async def async_generator(most: int) -> AsyncGenerator[int, str]:
    sent = yield most
    assert_type(sent, str)


@traced_llm
def iterator() -> Iterator[str]:
    yield "one"


class Search:
    @traced_llm
    def method(self, question: str) -> str:
        return question

    @traced_llm("lookup")
    async def async_method(self, question: str) -> str:
        return question

    @traced_llm
    @staticmethod
    def static(number: int) -> int:
        return number

    @staticmethod
    @traced_llm
    def static_below(number: int) -> int:
        return number

    @classmethod
    @traced_llm
    def of(cls, question: str) -> "Search":
        return cls()


def check_decorated() -> None:
    assert_type(bare("x", limit=1), list[str])
    assert_type(called("x"), str)
    assert_type(named("x"), str)
    awaited: Coroutine[Any, Any, int] = coroutine("x")
    awaited_method: Coroutine[Any, Any, str] = Search().async_method("x")
    assert_type(generator(3), Generator[int, str, bool])
    assert_type(async_generator(3), AsyncGenerator[int, str])
    assert_type(iterator(), Iterator[str])
    assert_type(Search().method("x"), str)
    assert_type(Search.static(1), int)
    assert_type(Search().static_below(1), int)
    assert_type(Search.of("x"), Search)
    print(awaited, awaited_method)

    bare(7)  # type: ignore[arg-type]
    bare("x", limit="many")  # type: ignore[arg-type]
    called()  # type: ignore[call-arg]
    traced_llm("x", tags=7)  # type: ignore[call-overload]
    traced_llm(7)  # type: ignore[call-overload]


def check_wrapped(function: Callable[[int], str], task: Callable[[], Awaitable[bytes]]) -> None:
    assert_type(traced_llm(function)(1), str)
    assert_type(traced_llm("named", tags={"team": "search"})(task)(), Awaitable[bytes])


def check_block() -> None:
    with traced_llm("nightly-digest", tags={"team": "growth"}) as trace:
        assert_type(trace.calls, int)
    assert_type(trace.tokens, int)
    assert_type(trace.cost_usd, Decimal)
    assert_type(trace.name, str)
    assert_type(trace.totals.unpriced_calls, int)
    trace.calls = 7  # type: ignore[misc]


async def check_async_block() -> None:
    async with traced_llm("nightly-digest") as trace:
        assert_type(trace.calls, int)


# --- the router -------------------------------------------------------------------------------------------------------


def check_router() -> None:
    config = LLMConfig(provider=LLMProvider.OPENAI, model="gpt-4o-mini", temperature=0.7)
    router = LLMRouter()
    LLMRouter(config)
    response = router.complete(MESSAGES, config, tags=["user:john", "research"])
    assert_type(response, LLMResponse)
    assert_type(router.complete(({"role": "user", "content": "Hi"},)), LLMResponse)

    with router.stream(MESSAGES, config, tags={"team": "search"}) as stream:
        assert_type(stream, LLMStream)
        for chunk in stream:
            assert_type(chunk, LLMChunk)
            assert_type(chunk.content, str)
            assert_type(chunk.finish_reason, str | None)
            assert_type(chunk.raw, Any)
    assert_type(stream.response, LLMResponse)
    stream.close()

    router.complete("Hello!", config)  # type: ignore[arg-type]
    router.complete(MESSAGES, {"model": "gpt-4o-mini"})  # type: ignore[arg-type]
    router.complete(MESSAGES, config, "team:search")  # type: ignore[call-arg]


async def check_async_router() -> None:
    router = LLMRouter()
    assert_type(await router.acomplete(MESSAGES), LLMResponse)
    stream = router.astream(MESSAGES)
    assert_type(stream, AsyncLLMStream)
    async for chunk in stream:
        assert_type(chunk, LLMChunk)
    await stream.aclose()
    async with router.astream(MESSAGES) as other:
        assert_type(other, AsyncLLMStream)
    assert_type(other.response, LLMResponse)


def check_streams_are_iterators(stream: LLMStream, astream: AsyncLLMStream) -> None:
    chunks: Iterator[LLMChunk] = stream
    achunks: AsyncIterator[LLMChunk] = astream
    print(chunks, achunks)


def check_config() -> None:
    config = LLMConfig(
        model="gpt-4o-mini",
        provider="groq",
        top_p=1,
        max_tokens=100,
        stop=["END"],
        seed=7,
        n=2,
        frequency_penalty=0.5,
        presence_penalty=0.5,
        response_format={"type": "json_object"},
        tools=[{"type": "function"}],
        tool_choice="auto",
        reasoning_effort="low",
        service_tier="flex",
        api_base="http://localhost:8080",
        api_key="sk",
        timeout_s=30,
        stream_idle_timeout_s=5,
        max_retries=0,
        extra={"user": "john"},
    )
    assert_type(config.model, str | None)
    assert_type(config.provider, LLMProvider | str | None)
    assert_type(config.timeout_s, float)
    assert_type(config.model_copy(update={"temperature": 1.0}), LLMConfig)

    routed = LLMConfig(
        capability="coding",
        tier=ModelTier.ECONOMY,
        quality_floor="moderate",
        fallbacks=["gpt-4o"],
        allow_models=("openai",),
        max_cost_usd="0.05",
        cache_ttl_s=60,
        routing="enforce",
    )
    assert_type(routed.capability, ModelCapability | None)
    assert_type(routed.fallbacks, tuple[str, ...] | None)
    assert_type(routed.max_cost_usd, Decimal | None)

    LLMConfig(fallbacks="gpt-4o")  # type: ignore[arg-type]
    LLMConfig(max_tokens="many")  # type: ignore[arg-type]
    LLMConfig(max_token=5)  # type: ignore[call-arg]


class Dearest:
    name = "dearest"

    def choose(self, request: RouteRequest, candidates: Sequence[Candidate]) -> Candidate:
        return max(candidates, key=lambda each: each.estimated_cost_usd or 0)


def check_routing() -> None:
    policy: RoutingPolicy = Dearest()
    router = LLMRouter(LLMConfig(model="auto"), policy=policy)
    try:
        decision = router.route(MESSAGES, tags={"team": "search"})
    except NoModelError as error:
        assert_type(error.why_not, dict[str, str])
        raise
    assert_type(decision.estimated_cost_usd, Decimal | None)
    assert_type(decision.capability, ModelCapability | None)
    try:
        router.complete(MESSAGES)
    except CircuitOpenError as error:
        assert_type(error.retry_after_s, float | None)
    except ProviderError as error:
        assert_type(error.tried, tuple[str, ...])


def check_response(response: LLMResponse) -> None:
    assert_type(response.content, str)
    assert_type(response.provider, str)
    assert_type(response.model, str)
    assert_type(response.latency_ms, float)
    assert_type(response.finish_reason, str | None)
    assert_type(response.tool_calls, tuple[Any, ...])
    assert_type(response.raw, Any)
    assert_type(response.usage, UsageStats)
    assert_type(response.usage.input_tokens, int)
    assert_type(response.usage.output_tokens, int)
    assert_type(response.usage.total_tokens, int)
    assert_type(response.usage.cache_read_tokens, int)
    assert_type(response.usage.cache_write_tokens, int)
    assert_type(response.usage.reasoning_tokens, int)
    assert_type(response.usage.input_cost_usd, Decimal | None)
    assert_type(response.usage.output_cost_usd, Decimal | None)
    assert_type(response.usage.total_cost_usd, Decimal | None)
    assert_type(response.usage.estimated, bool)
    print(f"Cost: ${response.usage.total_cost_usd:.6f}  Latency: {response.latency_ms:.0f}ms")


def check_decision(decision: RouteDecision) -> None:
    assert_type(decision.model, str)
    assert_type(decision.provider, str)
    assert_type(decision.candidates, tuple[Candidate, ...])
    assert_type(decision.reason_codes, tuple[str, ...])
    assert_type(decision.policy, str)
    assert_type(decision.score, float | None)
    assert_type(decision.candidates[0].estimated_cost_usd, Decimal | None)
    assert_type(decision.candidates[0].fits, bool)
    assert_type(decision.candidates[0].why_not, str | None)


# --- models, the tracker, the runtime, errors -------------------------------------------------------------------------


def check_models() -> None:
    found = get_model_info("gpt-4o-mini")
    assert_type(found, ModelInfo)
    assert_type(found.input_cost_per_1k, Decimal | None)
    assert_type(get_cheapest_model(ModelCapability.SIMPLE), str)
    models: list[ModelInfo] = list(list_models())
    register_model(models[0])
    provider: str = LLMProvider.GOOGLE
    print(provider)


def check_tracker(response: LLMResponse) -> None:
    tracker = UsageTracker(budget_limit_usd=10.0)
    tracker.track(response, tags=["user:john", "research"])
    tracker.track(response, tags={"user": "john"})
    print(tracker.get_stats()["total_cost_usd"], tracker.get_budget_status()["percentage_used"])
    assert_type(llm_otel.tracker(), UsageTracker)


def check_runtime() -> None:
    made = llm_otel.configure(tag_labels=["team"], registry=CollectorRegistry(), strict=True, warm_up=False)
    assert_type(made.tracker, UsageTracker)
    assert_type(llm_otel.runtime().tracker, UsageTracker)
    assert_type(llm_otel.metrics_registry(), CollectorRegistry)
    assert_type(llm_otel.__version__, str)
    llm_otel.configure(strict="yes")  # type: ignore[arg-type]
    print(llm_otel.no_such_name, Misspelt)  # type: ignore[attr-defined]


def check_errors() -> None:
    try:
        LLMRouter().complete(MESSAGES)
    except ProviderError as error:
        assert_type(error.provider, str)
        assert_type(error.model, str)
        assert_type(error.error_type, str)
        assert_type(error.status_code, int | None)
        assert_type(error.attempts, int)
        assert_type(error.retry_after_s, float | None)
    except (UnknownModelError, UnknownProviderError) as error:
        assert_type(error.field, str)
    except ConfigurationError as error:
        assert_type(error.value, object)
        assert_type(error.allowed, str)
    except LLMOtelError:
        raise
