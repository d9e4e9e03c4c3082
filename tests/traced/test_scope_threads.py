"""Scopes in threads, pools and tasks: what comes along, and that every call counts exactly once."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
from opentelemetry import baggage, context, trace

from llm_otel.errors import ConfigurationError
from llm_otel.scope import Scope, current_scope
from llm_otel.traced import carry, traced_llm

MakeCall = Callable[..., None]
Spread = Callable[[Callable[[], None]], None]

TIMES = 8


def _by_threads(work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=carry(work)) for _ in range(TIMES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _by_pool(work: Callable[[], None]) -> None:
    carried = carry(work)
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(carried) for _ in range(TIMES)]:
            done.result()


def _by_map(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(carry(lambda _: work()), range(TIMES)))


def _by_executor_of_a_loop(work: Callable[[], None]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(3) as pool:
            await asyncio.gather(*(loop.run_in_executor(pool, carry(work)) for _ in range(TIMES)))

    asyncio.run(main())


def _by_to_thread(work: Callable[[], None]) -> None:
    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(TIMES)))

    asyncio.run(main())


def _by_tasks(work: Callable[[], None]) -> None:
    async def one() -> None:
        await asyncio.sleep(0)
        work()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(TIMES):
                group.create_task(one())

    asyncio.run(main())


def _by_a_loop_of_its_own(work: Callable[[], None]) -> None:
    _by_threads(lambda: _by_tasks_once(work))


def _by_tasks_once(work: Callable[[], None]) -> None:
    async def main() -> None:
        await asyncio.sleep(0)
        work()

    asyncio.run(main())


WAYS = [_by_threads, _by_pool, _by_map, _by_executor_of_a_loop, _by_to_thread, _by_tasks, _by_a_loop_of_its_own]


@pytest.mark.parametrize("spread", WAYS)
class TestTotals:
    """Whatever runs the calls, the scopes around count each of them once."""

    def test_calls_elsewhere_count_in_all_scopes_around(self, spread: Spread, spans: Any, make_call: MakeCall) -> None:
        """Of the scope that was carried, and of those around it."""
        with traced_llm("outer") as outer, traced_llm("inner") as inner:
            spread(lambda: make_call(input_tokens=2, cost_nano=3))

        assert [(TIMES, 2 * TIMES, 3 * TIMES)] * 2 == [
            (each.calls, each.tokens, each.totals.cost_nano) for each in (inner, outer)
        ]

    def test_scopes_opened_elsewhere_count_outward(self, spread: Spread, spans: Any, make_call: MakeCall) -> None:
        """Each of its own calls, and the one around of all."""
        seen: list[int] = []

        def work() -> None:
            with traced_llm("inner") as inner:
                make_call(input_tokens=1)
                make_call(input_tokens=1)
            seen.append(inner.calls)

        with traced_llm("outer", tags={"team": "search"}) as outer:
            spread(work)

        assert [2] * TIMES == seen
        assert 2 * TIMES == outer.calls
        inner_spans = [span for span in spans.ended if span.name == "invoke_workflow inner"]
        outer_span = spans.named("invoke_workflow outer")
        assert {"search"} == {span.attributes["llm_otel.tag.team"] for span in inner_spans}
        assert {outer_span.get_span_context().span_id} == {span.parent.span_id for span in inner_spans}


class TestCarry:
    """The helper for threads."""

    def test_what_comes_along(self, spans: Any) -> None:
        """Scope, span, baggage and every other context variable, as they were when `carry` was called."""
        own: ContextVar[str] = ContextVar("own")
        token, own_token = context.attach(baggage.set_baggage("team", "search")), own.set("mine")
        with traced_llm("work") as scope:
            carried = carry(
                lambda: (current_scope.get(), trace.get_current_span(), baggage.get_baggage("team"), own.get())
            )
            span = trace.get_current_span()
        context.detach(token)
        own.reset(own_token)

        with ThreadPoolExecutor(1) as pool:
            assert (scope, span, "search", "mine") == pool.submit(carried).result()

    def test_without_it_nothing_does(self, spans: Any) -> None:
        """Which is why there is one; when Python's threads begin to inherit, the docs have to say so."""
        with traced_llm("work"), ThreadPoolExecutor(1) as pool:
            assert pool.submit(current_scope.get).result() is None

    def test_one_function_runs_many_times_at_once(self, spans: Any) -> None:
        """Each call has a context to itself: what one sets, no other sees."""
        own: ContextVar[int] = ContextVar("own", default=0)
        together = threading.Barrier(TIMES, timeout=30)

        def work(number: int) -> tuple[int, int, Scope | None]:
            before = own.get()
            own.set(number)
            together.wait()
            return before, own.get(), current_scope.get()

        with traced_llm("work") as scope:
            carried = carry(work)
            with ThreadPoolExecutor(TIMES) as pool:
                found = list(pool.map(carried, range(TIMES)))

        assert [(0, number, scope) for number in range(TIMES)] == found
        assert 0 == own.get()

    def test_arguments_results_and_errors_pass_through(self) -> None:
        """It is the function, elsewhere."""

        def half(number: int, *, of: int = 2) -> float:
            """Divide."""
            return number / of

        carried = carry(half)

        assert 3.0 == carried(6)
        assert 2.0 == carried(6, of=3)
        assert ("half", "Divide.") == (carried.__name__, carried.__doc__)
        with pytest.raises(ZeroDivisionError):
            carried(1, of=0)

    def test_a_method_a_partial_and_a_class_can_be_carried(self) -> None:
        """Anything whose body runs when it is called."""
        assert 2 == carry([1, 2].pop)()
        assert 3 == carry(functools.partial(max, 3))(2)
        assert "7" == carry(str)(7)

    @pytest.mark.parametrize("value", [None, "answer", 5])
    def test_what_cannot_be_called_is_refused(self, value: Any) -> None:
        """`carry(answer())` is the slip to expect."""
        with pytest.raises(ConfigurationError, match=r"not its result: carry\(answer\)"):
            carry(value)

    def test_what_does_not_run_when_called_is_refused(self) -> None:
        """Its body would run later, where nothing was carried to."""

        async def coroutine() -> None: ...
        def generator() -> Iterator[int]:
            yield 1

        async def async_generator() -> AsyncIterator[int]:
            yield 1

        class Service:
            async def __call__(self) -> None: ...

        for function in (coroutine, functools.partial(coroutine), Service()):
            with pytest.raises(ConfigurationError, match="tasks carry their context by themselves"):
                carry(function)
        for each in (generator, async_generator):
            with pytest.raises(ConfigurationError, match="its body does not run when called"):
                carry(each)
