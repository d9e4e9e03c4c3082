"""Traced async generators behave as the plain ones do, cancellation, time-outs and finalisers included."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from llm_otel.scope import current_scope
from llm_otel.traced import traced_llm


class BodyError(Exception):
    """What bodies raise."""


@traced_llm
async def echo(first: str) -> AsyncGenerator[str, str]:
    """Answer with what is sent, until it is sent "end"."""
    received = yield first
    while received != "end":
        await asyncio.sleep(0)
        received = yield f"got {received}"


class TestProtocol:
    """Items, `asend`, `athrow`, `aclose`."""

    def test_asend_reaches_the_body(self, spans: Any) -> None:
        """And the value of `asend` is what the body yields next."""

        async def main() -> None:
            generator = echo("first")
            assert "first" == await anext(generator)
            assert "got one" == await generator.asend("one")
            assert "got None" == await anext(generator)
            with pytest.raises(StopAsyncIteration):
                await generator.asend("end")

        asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_athrow_reaches_the_body(self, spans: Any) -> None:
        """A body that handles what is thrown goes on, and its span knows of no error."""

        @traced_llm
        async def sturdy() -> AsyncGenerator[str, None]:
            try:
                yield "before"
            except BodyError as error:
                await asyncio.sleep(0)
                yield f"handled {error}"

        async def main() -> None:
            generator = sturdy()
            await anext(generator)
            assert "handled text" == await generator.athrow(BodyError("text"))
            assert [] == [item async for item in generator]

        asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_thrown_exception_that_is_not_handled_ends_the_span(self, spans: Any) -> None:
        """The same exception leaves the generator, once."""
        error = BodyError("text")

        async def main() -> None:
            generator = echo("first")
            await anext(generator)
            with pytest.raises(BodyError) as caught:
                await generator.athrow(error)
            assert caught.value is error
            assert [] == [item async for item in generator]

        asyncio.run(main())
        assert "BodyError" == spans.only.attributes["error.type"]

    def test_aclose_runs_the_bodys_cleanup(self, spans: Any) -> None:
        """`finally` of the body runs inside of its scope, awaits included; being closed is no error."""
        seen: list[Any] = []

        @traced_llm("work")
        async def tidy() -> AsyncGenerator[int, None]:
            try:
                yield 1
            finally:
                await asyncio.sleep(0)
                seen.append(current_scope.get())

        async def main() -> None:
            generator = tidy()
            await anext(generator)
            await generator.aclose()
            await generator.aclose()

        asyncio.run(main())
        assert ["work"] == [scope.name for scope in seen]
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_body_that_swallows_the_close_ends_well(self, spans: Any) -> None:
        """Returning when closed is allowed."""

        @traced_llm
        async def stubborn() -> AsyncGenerator[int, None]:
            try:
                yield 1
            except GeneratorExit:
                return

        async def main() -> None:
            generator = stubborn()
            await anext(generator)
            await generator.aclose()

        asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_body_that_yields_when_closed_is_told_off_by_python(self, spans: Any) -> None:
        """As it would be without the decorator; its span ends with the generator."""

        @traced_llm
        async def rude() -> AsyncGenerator[int, None]:
            try:
                yield 1
            except GeneratorExit:
                yield 2

        async def main() -> None:
            generator = rude()
            await anext(generator)
            with pytest.raises(RuntimeError, match="async generator ignored GeneratorExit"):
                await generator.aclose()

        asyncio.run(main())
        gc.collect()
        assert 1 == len(spans.ended)

    def test_two_steps_at_once_are_refused_as_by_any_generator(self, spans: Any) -> None:
        """The second is refused, the first goes on."""

        @traced_llm
        async def slow() -> AsyncGenerator[int, None]:
            await asyncio.sleep(0)
            yield 1

        async def main() -> None:
            generator = slow()
            first, second = await asyncio.gather(anext(generator), anext(generator), return_exceptions=True)
            assert 1 == first
            assert isinstance(second, RuntimeError)
            await generator.aclose()

        asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code


class TestCancellation:
    """Time-outs and cancelled tasks."""

    def test_timeout_in_the_body_fires(self, spans: Any) -> None:
        """The body runs in its consumer's task, so `asyncio.timeout` knows whom to cancel."""

        @traced_llm
        async def patient() -> AsyncIterator[str]:
            yield "before"
            try:
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
            except TimeoutError:
                yield "timed out"

        async def main() -> list[str]:
            return [item async for item in patient()]

        assert ["before", "timed out"] == asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_timeout_around_a_yield_fires(self, spans: Any) -> None:
        """Also where it is open while the consumer has its turn."""

        @traced_llm
        async def patient() -> AsyncIterator[int]:
            async with asyncio.timeout(0):
                yield 1
                await asyncio.Event().wait()

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async for _ in patient():
                    pass

        asyncio.run(main())
        assert "TimeoutError" == spans.only.attributes["error.type"]

    def test_task_cancelled_while_the_body_waits(self, spans: Any) -> None:
        """The body is told, its cleanup runs, and the span says so."""
        seen: list[str] = []

        @traced_llm("work")
        async def waiting() -> AsyncIterator[int]:
            try:
                yield 1
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append(getattr(current_scope.get(), "name", "none"))
                raise

        async def main() -> None:
            started = asyncio.Event()

            async def consume() -> None:
                async for _ in waiting():
                    started.set()

            task = asyncio.create_task(consume())
            await started.wait()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert current_scope.get() is None

        asyncio.run(main())
        assert ["work"] == seen
        assert StatusCode.ERROR == spans.only.status.status_code
        assert "CancelledError" == spans.only.attributes["error.type"]

    def test_consumer_cancelled_between_two_items(self, spans: Any) -> None:
        """It is the consumer that was stopped: the generator was left, and did not fail."""

        async def main() -> None:
            started = asyncio.Event()

            async def consume() -> None:
                async for _ in echo("first"):
                    started.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(consume())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code


class TestEnd:
    """One start, one end."""

    def test_span_starts_with_the_first_step(self, spans: Any) -> None:
        """A generator that is made and not used has run nothing."""

        async def main() -> None:
            generator = echo("first")
            assert {} == spans.open
            await anext(generator)
            assert 1 == len(spans.open)
            await generator.aclose()
            await echo("unused").aclose()

        asyncio.run(main())
        assert 1 == len(spans.ended)

    def test_break_is_no_error(self, spans: Any) -> None:
        """The loop's finaliser closes what was left, in a task and a context of its own."""

        async def main() -> None:
            async for _ in echo("first"):
                break
            gc.collect()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert 1 == len(spans.ended)

        asyncio.run(main())
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_stream_that_the_body_holds_ends_before_the_scope(
        self, spans: Any, costly_stream: Callable[[], object]
    ) -> None:
        """What it cost is in the totals, though it is only dropped because the body is closed."""

        @traced_llm
        async def body() -> AsyncGenerator[object, None]:
            stream = costly_stream()
            yield type(stream)

        async def main() -> None:
            generator = body()
            await anext(generator)
            await generator.aclose()

        asyncio.run(main())
        assert 5 == spans.only.attributes["llm_otel.total.cost.nano_usd"]

    def test_failure_of_the_body_is_an_error(self, spans: Any) -> None:
        """Midway as well as at once."""

        @traced_llm
        async def failing() -> AsyncIterator[int]:
            yield 1
            await asyncio.sleep(0)
            raise BodyError

        async def main() -> None:
            with pytest.raises(BodyError):
                async for _ in failing():
                    pass

        asyncio.run(main())
        assert StatusCode.ERROR == spans.only.status.status_code

    def test_not_exhausted_at_the_loops_shutdown(self, spans: Any) -> None:
        """Each generator is closed once: cleanups with awaits run, and nothing is reported."""
        seen: list[str] = []
        kept: list[Any] = []
        reported: list[dict[str, Any]] = []

        async def tidy(name: str) -> AsyncGenerator[int, None]:
            try:
                yield 1
            finally:
                for _ in range(3):
                    await asyncio.sleep(0)
                seen.append(name)

        traced = traced_llm("work")(tidy)

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, report: reported.append(report))
            for name in ("one", "two", "three"):
                generator = traced(name)
                await anext(generator)
                kept.append(generator)

        asyncio.run(main())
        assert [] == reported
        assert ["one", "three", "two"] == sorted(seen)
        assert [StatusCode.UNSET] * 3 == [span.status.status_code for span in spans.ended]

    def test_dropped_without_a_loop_ends_once(self, spans: Any) -> None:
        """Driven by hand, nobody finalises it but reference counting."""
        generator = echo("first")
        with pytest.raises(StopIteration):
            anext(generator).__await__().__next__()
        del generator
        gc.collect()

        assert StatusCode.UNSET == spans.only.status.status_code

    @pytest.mark.parametrize("is_loop_running_on", [False, True])
    def test_waiting_when_its_consumer_is_dropped(self, spans: Any, is_loop_running_on: bool) -> None:
        """A coroutine closed by hand tells no generator that it waits for; the span ends all the same."""

        @traced_llm
        async def waiting() -> AsyncGenerator[int, None]:
            await asyncio.Event().wait()
            yield 1

        async def main() -> None:
            async def consume() -> None:
                async for _ in waiting():
                    pass

            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            coroutine = consume()
            coroutine.send(None)
            coroutine.close()
            if is_loop_running_on:
                await asyncio.sleep(0)

        asyncio.run(main())
        gc.collect()
        assert 1 == len(spans.ended)


def current_names() -> tuple[str | None, str | None]:
    """Return the names of the current scope and the current span."""
    scope, span = current_scope.get(), trace.get_current_span()
    return (scope.name if scope else None), getattr(span, "name", None)


class TestContext:
    """What is current where."""

    def test_scope_is_current_only_while_the_body_runs(self, spans: Any) -> None:
        """Across its awaits, and not in the consumer between two items."""
        inside: list[Any] = []

        @traced_llm("work")
        async def body() -> AsyncIterator[int]:
            for number in range(2):
                await asyncio.sleep(0)
                inside.append(current_names())
                yield number

        async def main() -> list[Any]:
            with trace.get_tracer("app").start_as_current_span("consumer"):
                return [current_names() async for _ in body()]

        outside = asyncio.run(main())
        assert [("work", "invoke_workflow work")] * 2 == inside
        assert [(None, "consumer")] * 2 == outside

    def test_each_step_may_run_in_another_task(self, spans: Any) -> None:
        """A queue that hands a generator from task to task."""
        inside: list[Any] = []

        @traced_llm("work")
        async def body() -> AsyncIterator[int]:
            with traced_llm("inner"):
                for number in range(3):
                    inside.append(current_names())
                    yield number

        async def main() -> None:
            generator = body()

            async def step() -> int:
                item = await anext(generator)
                assert current_scope.get() is None
                return item

            assert [0, 1, 2] == [await asyncio.create_task(step()) for _ in range(3)]
            with pytest.raises(StopAsyncIteration):
                await asyncio.create_task(step())

        asyncio.run(main())
        assert [("inner", "invoke_workflow inner")] * 3 == inside
        assert ["invoke_workflow inner", "invoke_workflow work"] == spans.names

    def test_many_at_once_keep_their_own_scopes(self, spans: Any) -> None:
        """One decorated function, many runs."""

        @traced_llm("work")
        async def body(number: int) -> AsyncIterator[bool]:
            mine = current_scope.get()
            assert mine is not None
            for _ in range(number % 5):
                await asyncio.sleep(0)
                yield current_scope.get() is mine

        async def consume(number: int) -> list[bool]:
            return [item async for item in body(number)]

        async def main() -> None:
            results = await asyncio.gather(*(consume(number) for number in range(50)))
            assert all(all(items) for items in results)

        asyncio.run(main())
        assert 50 == len(spans.ended)
        assert {None} == {span.parent for span in spans.ended}
