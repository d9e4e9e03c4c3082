"""A runtime and an interception that only take notes, and every form of `traced_llm` under one signature."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from llm_otel.baggage import Baggage
from llm_otel.call import Answer, AttemptReason, AttemptRecord, CallRecord, CallRequest, Outcome
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.scope import Scope, Tags, current_scope
from llm_otel.traced import traced_llm
from llm_otel.usage import Usage


@dataclass
class FakeRuntime:
    """Stands in for the runtime: keeps what it is told, re-raises when strict."""

    is_strict: bool = False
    errors: list[tuple[str, Exception]] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    ended_scopes: list[tuple[str, str | None]] = field(default_factory=list)
    times_armed: int = 0
    arm_error: Exception | None = None
    baggage: Baggage | None = None

    def internal_error(self, where: str, error: Exception) -> None:
        """Keep an error of our own."""
        self.errors.append((where, error))
        if self.is_strict:
            raise error

    def record_response(self, response: object, *, scope: Scope, started_ns: int, duration_s: float) -> None:
        """Keep a response, and count it as a call of one input token."""
        self.responses.append({"response": response, "scope": scope, "ns": started_ns, "s": duration_s})
        scope.add(ended_call(input_tokens=1))

    def scope_ended(self, name: str, duration_s: float, error_type: str | None, trace: object) -> None:
        """Keep how a scope ended."""
        self.ended_scopes.append((name, error_type))

    def arm(self) -> None:
        """Stand in for `llm_otel.intercept.arm`."""
        self.times_armed += 1
        if self.arm_error is not None:
            raise self.arm_error


@pytest.fixture(autouse=True)
def fake_runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    """The runtime that scopes find, strict: an error of our own fails the test unless it says otherwise."""
    fake = FakeRuntime(is_strict=True)
    runtime_module: Any = ModuleType("llm_otel.wiring")
    runtime_module.runtime = lambda: fake
    intercept_module: Any = ModuleType("llm_otel.intercept")
    intercept_module.arm = fake.arm
    monkeypatch.setitem(sys.modules, runtime_module.__name__, runtime_module)
    monkeypatch.setitem(sys.modules, intercept_module.__name__, intercept_module)
    return fake


@pytest.fixture(autouse=True)
def _no_scope_left() -> Iterator[None]:
    yield
    assert current_scope.get() is None, "a scope was left current"


def ended_call(
    *, input_tokens: int = 0, output_tokens: int = 0, cost_nano: int = 0, is_unpriced: bool = False
) -> CallRecord:
    """Make the record of a call, as far as scopes read it."""
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    cost = CostBreakdown(total_nano=cost_nano, parts={}, saved_by_cache_nano=0, price_source="test", price_date=None)
    attempt = AttemptRecord(
        number=1,
        reason=AttemptReason.FIRST,
        provider="openai",
        model="gpt-4o-mini",
        outcome=Outcome.SUCCESS,
        started_s=0.0,
        duration_s=0.1,
        usage=usage,
        cost=None if is_unpriced else cost,
    )
    return CallRecord(
        request=CallRequest(operation="chat", provider="openai", model="gpt-4o-mini", litellm_model="gpt-4o-mini"),
        outcome=Outcome.SUCCESS,
        started_ns=0,
        duration_s=0.1,
        time_to_first_chunk_s=None,
        attempts=(attempt,),
        answer=Answer(),
        failure=None,
        usage=usage,
        cost_nano=None if is_unpriced else cost_nano,
    )


def make_call(**facts: Any) -> None:
    """End a call in the current scope, as the driver would."""
    scope = current_scope.get()
    assert scope is not None
    scope.add(ended_call(**facts))


@pytest.fixture(name="make_call")
def _make_call() -> Callable[..., None]:
    return make_call


class CostlyStream:
    """A stream that ends its call when it is dropped, in the scope that it was made in."""

    def __init__(self) -> None:
        self._context = copy_context()

    def __del__(self) -> None:
        self._context.run(make_call, cost_nano=5)


@pytest.fixture
def costly_stream() -> Callable[[], CostlyStream]:
    """`costly_stream()` opens a stream that will have cost 5 nano-USD."""
    return CostlyStream


# --- every form, run once to its end --------------------------------------------------------------------

Body = Callable[[], object]
RunForm = Callable[..., None]


def _function(body: Body, name: str = "work", tags: Tags | None = None) -> None:
    @traced_llm(name, tags=tags)
    def work() -> None:
        body()

    work()


def _coroutine(body: Body, name: str = "work", tags: Tags | None = None) -> None:
    @traced_llm(name, tags=tags)
    async def work() -> None:
        await asyncio.sleep(0)
        body()

    asyncio.run(work())


def _generator(body: Body, name: str = "work", tags: Tags | None = None) -> None:
    @traced_llm(name, tags=tags)
    def work() -> Iterator[int]:
        yield 1
        body()
        yield 2

    for _ in work():
        pass


def _async_generator(body: Body, name: str = "work", tags: Tags | None = None) -> None:
    @traced_llm(name, tags=tags)
    async def work() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0)
        body()
        yield 2

    async def consume() -> None:
        async for _ in work():
            pass

    asyncio.run(consume())


def _block(body: Body, name: str = "work", tags: Tags | None = None) -> None:
    with traced_llm(name, tags=tags):
        body()


def _async_block(body: Body, name: str = "work", tags: Tags | None = None) -> None:
    async def main() -> None:
        async with traced_llm(name, tags=tags):
            await asyncio.sleep(0)
            body()

    asyncio.run(main())


@pytest.fixture(params=[_function, _coroutine, _generator, _async_generator, _block, _async_block])
def run(request: pytest.FixtureRequest) -> RunForm:
    """`run(body, name="work", tags=None)` runs `body` once in a scope, in each of the six forms."""
    form: RunForm = request.param
    return form
