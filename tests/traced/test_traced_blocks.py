"""`with traced_llm(...)`: one object may be entered again, nested, and from everywhere at once."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from llm_otel.errors import ConfigurationError
from llm_otel.scope import Scope, current_scope
from llm_otel.traced import traced_llm

MakeCall = Callable[..., None]


class BodyError(Exception):
    """What bodies raise."""


class TestBlock:
    """One entry."""

    def test_yields_the_scope(self, spans: Any, make_call: MakeCall) -> None:
        """Its totals can be read inside and after."""
        with traced_llm("nightly-digest", tags={"team": "growth"}) as opened:
            make_call(input_tokens=2, output_tokens=1, cost_nano=3_000)
            assert 1 == opened.calls

        assert isinstance(opened, Scope)
        assert "nightly-digest" == opened.name
        assert {"team": "growth"} == dict(opened.tags)
        assert (1, 3, Decimal("0.000003")) == (opened.calls, opened.tokens, opened.cost_usd)

    def test_async_block_is_current_in_the_tasks_it_starts(self, spans: Any, make_call: MakeCall) -> None:
        """A task has a copy of the context that it was started in."""

        async def call() -> None:
            await asyncio.sleep(0)
            make_call()

        async def main() -> None:
            async with traced_llm("work") as opened:
                await asyncio.gather(*(call() for _ in range(10)))
                assert 10 == opened.calls

        asyncio.run(main())
        assert 10 == spans.only.attributes["llm_otel.total.calls"]

    def test_name_is_needed(self, spans: Any) -> None:
        """There is no function whose name could be taken."""
        with pytest.raises(ConfigurationError) as caught, traced_llm(tags={"team": "search"}):
            pass

        assert "name" == caught.value.field

    def test_leaving_more_often_than_entering_is_an_error(self, spans: Any) -> None:
        """Only code that calls `__exit__` itself can do that."""
        block = traced_llm("work")
        with block:
            pass

        with pytest.raises(RuntimeError, match="more often"):
            block.__exit__(None, None, None)


class TestSharedObject:
    """One object, many entries."""

    def test_entered_again(self, spans: Any, make_call: MakeCall) -> None:
        """Each entry is a scope of its own."""
        shared = traced_llm("work")
        with shared as first:
            make_call()
        with shared as second:
            pass

        assert (1, 0) == (first.calls, second.calls)
        assert 2 == len(spans.ended)

    def test_nested_in_itself(self, spans: Any) -> None:
        """The inner one is left first."""
        shared = traced_llm("work")
        with shared as outer, pytest.raises(BodyError), shared as inner:
            assert outer is inner.parent
            raise BodyError

        inner_span, outer_span = spans.ended
        assert StatusCode.ERROR == inner_span.status.status_code
        assert StatusCode.UNSET == outer_span.status.status_code

    def test_used_by_a_recursive_function(self, spans: Any) -> None:
        """Every frame leaves what it entered."""
        shared = traced_llm("work")
        depths: list[int] = []

        def depth_of(scope: Scope | None) -> int:
            return 0 if scope is None else 1 + depth_of(scope.parent)

        def recurse(left: int) -> None:
            with shared as opened:
                if left:
                    recurse(left - 1)
                assert opened is current_scope.get()
                depths.append(depth_of(opened))

        recurse(4)
        assert [5, 4, 3, 2, 1] == depths

    def test_from_many_threads(self, spans: Any, make_call: MakeCall) -> None:
        """Threads that overlap in every order keep their own scopes."""
        shared = traced_llm("work")
        barrier = threading.Barrier(8)
        totals: dict[int, int] = {}

        def work(number: int) -> None:
            for _ in range(20):
                barrier.wait()
                with shared as opened:
                    barrier.wait()
                    for _ in range(number):
                        make_call()
                    assert opened is current_scope.get()
                totals[number] = totals.get(number, 0) + opened.calls

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {number: 20 * number for number in range(8)} == totals
        counts = sorted(span.attributes["llm_otel.total.calls"] for span in spans.ended)
        assert sorted([*range(8)] * 20) == counts

    @pytest.mark.parametrize("use_stack", [False, True])
    def test_from_many_tasks(self, spans: Any, make_call: MakeCall, use_stack: bool) -> None:
        """Tasks that overlap in every order keep their own scopes, in a `with` and in an `ExitStack`."""
        shared = traced_llm("work")

        async def work(number: int) -> int:
            async with AsyncExitStack() as stack:
                if use_stack:
                    opened = await stack.enter_async_context(shared)
                    await asyncio.sleep(0)
                    make_call(cost_nano=number)
                    await _yield_often(number)
                    return opened.totals.cost_nano
                async with shared as opened:
                    make_call(cost_nano=number)
                    await _yield_often(number)
                    return opened.totals.cost_nano

        async def main() -> list[int]:
            return await asyncio.gather(*(work(number) for number in range(40)))

        assert [*range(40)] == asyncio.run(main())
        assert [*range(40)] == sorted(span.attributes["llm_otel.total.cost.nano_usd"] for span in spans.ended)

    def test_failure_belongs_to_the_entry_that_failed(self, spans: Any, make_call: MakeCall) -> None:
        """Even where the first to enter is the first to leave."""
        shared = traced_llm("work")

        async def work(number: int) -> None:
            with shared:
                make_call(cost_nano=number)
                await _yield_often(number)
                if number % 3 == 0:
                    raise BodyError

        async def main() -> None:
            await asyncio.gather(*(work(number) for number in range(12)), return_exceptions=True)

        asyncio.run(main())
        failed = {
            span.attributes["llm_otel.total.cost.nano_usd"]
            for span in spans.ended
            if span.status.status_code is StatusCode.ERROR
        }
        assert {0, 3, 6, 9} == failed

    def test_entered_and_left_by_helpers(self, spans: Any, make_call: MakeCall) -> None:
        """Their frames are gone when the block is left, and the next ones lie where they lay."""
        shared = traced_llm("work")

        def enter(number: int) -> None:
            shared.__enter__()
            make_call(cost_nano=number)

        def leave() -> None:
            shared.__exit__(None, None, None)

        contexts = [copy_context() for _ in range(5)]
        for number, context in enumerate(contexts):
            context.run(enter, number)
        for context in contexts:
            context.run(leave)

        assert [*range(5)] == [span.attributes["llm_otel.total.cost.nano_usd"] for span in spans.ended]

    def test_in_generators_that_end_out_of_order(self, spans: Any, make_call: MakeCall) -> None:
        """Each frame leaves the entry that it made, though both are in one context."""
        shared = traced_llm("work")

        def body(number: int) -> Iterator[None]:
            with shared:
                make_call(cost_nano=number)
                yield

        def run() -> None:
            one, two = body(1), body(2)
            next(one)
            next(two)
            with pytest.raises(BodyError):
                one.throw(BodyError)  # type: ignore[attr-defined]  # a generator, typed as what it is used as
            two.close()  # type: ignore[attr-defined]

        copy_context().run(run)

        first, second = spans.ended
        # The call of the second counts in the first as well: its block was open around it.
        assert 3 == first.attributes["llm_otel.total.cost.nano_usd"]
        assert "BodyError" == first.attributes["error.type"]
        assert 2 == second.attributes["llm_otel.total.cost.nano_usd"]
        assert StatusCode.UNSET == second.status.status_code


class TestLeftElsewhere:
    """Entered in one context, left in another."""

    def test_left_in_another_task(self, spans: Any, make_call: MakeCall) -> None:
        """As fixtures are: no error, and nothing is left current in either."""
        block = traced_llm("work")

        async def main() -> None:
            opened = await asyncio.create_task(block.__aenter__())
            assert 0 == opened.calls
            await asyncio.create_task(block.__aexit__(None, None, None))
            assert current_scope.get() is None

        asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_left_in_a_copy_of_its_context(self, spans: Any) -> None:
        """There the scope is current, and no token helps: what was current before is current again."""
        with (
            trace.get_tracer("app").start_as_current_span("request") as request,
            traced_llm("outer") as outer,
        ):
            stack = ExitStack()

            def enter() -> Any:
                stack.enter_context(traced_llm("inner"))
                return copy_context()

            inner_context = copy_context().run(enter)

            def leave() -> tuple[Any, Any]:
                stack.close()
                return current_scope.get(), trace.get_current_span()

            scope, span = inner_context.run(leave)

        assert outer is scope
        assert "invoke_workflow outer" == span.name
        assert request.get_span_context() == spans.named("invoke_workflow outer").parent

    def test_in_async_generators_that_the_loop_finalises(self, spans: Any, make_call: MakeCall) -> None:
        """A shared object, undecorated generators, consumers that break off: each entry is left as itself."""
        shared = traced_llm("work")

        async def body(number: int) -> AsyncIterator[None]:
            with shared:
                make_call(cost_nano=number)
                yield

        async def consume(number: int) -> None:
            async for _ in body(number):
                await asyncio.sleep(0)
                break
            await _yield_often(number)

        async def main() -> None:
            await asyncio.gather(*(consume(number) for number in range(20)))
            gc.collect()
            await asyncio.sleep(0)

        asyncio.run(main())
        assert [*range(20)] == sorted(span.attributes["llm_otel.total.cost.nano_usd"] for span in spans.ended)

    def test_dropped_generator_leaves_its_own_entry(self, spans: Any, make_call: MakeCall) -> None:
        """Finalised in the context of another entry of the same object, it does not end that one."""
        shared = traced_llm("work")

        def body() -> Iterator[None]:
            with shared:
                make_call(cost_nano=1)
                yield

        dropped = [body()]
        copy_context().run(next, dropped[0])
        with shared:
            dropped.clear()
            make_call(cost_nano=2)
            assert 1 == len(spans.open)

        assert [1, 2] == [span.attributes["llm_otel.total.cost.nano_usd"] for span in spans.ended]


async def _yield_often(number: int) -> None:
    for _ in range(number % 4):
        await asyncio.sleep(0)
