"""Traced generators behave as the plain ones do, and their scope is current only while the body runs."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from llm_otel.scope import current_scope
from llm_otel.traced import traced_llm


class BodyError(Exception):
    """What bodies raise."""


@traced_llm
def echo(first: str) -> Generator[str, str, str]:
    """Answer with what is sent, until it is sent "end"."""
    received = yield first
    while received != "end":
        received = yield f"got {received}"
    return "returned"


class TestProtocol:
    """Items, `send`, `throw`, `close` and the return value."""

    def test_yields_what_the_body_yields(self, spans: Any) -> None:
        """Nothing is added, lost or reordered."""

        @traced_llm
        def count() -> Iterator[int]:
            yield from range(3)

        assert [0, 1, 2] == list(count())
        assert "invoke_workflow " + "count" in spans.only.name

    def test_send_reaches_the_body(self, spans: Any) -> None:
        """And the value of `send` is what the body yields next."""
        generator = echo("first")

        assert "first" == next(generator)
        assert "got one" == generator.send("one")
        assert "got None" == next(generator)
        with pytest.raises(StopIteration):
            generator.send("end")

    def test_return_value_comes_through_yield_from(self, spans: Any) -> None:
        """`yield from` of a traced generator has the value of its `return`."""
        results: list[str] = []

        def delegate() -> Iterator[str]:
            results.append((yield from echo("first")))

        outer: Any = delegate()
        next(outer)
        with pytest.raises(StopIteration):
            outer.send("end")

        assert ["returned"] == results
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_throw_reaches_the_body(self, spans: Any) -> None:
        """A body that handles what is thrown goes on, and its span knows of no error."""

        @traced_llm
        def sturdy() -> Iterator[str]:
            try:
                yield "before"
            except BodyError as error:
                yield f"handled {error}"

        generator: Any = sturdy()
        next(generator)

        assert "handled text" == generator.throw(BodyError("text"))
        assert [] == list(generator)
        assert StatusCode.UNSET == spans.only.status.status_code

    def test_thrown_exception_that_is_not_handled_ends_the_span(self, spans: Any) -> None:
        """The same exception leaves the generator, once."""
        generator: Any = echo("first")
        next(generator)
        error = BodyError("text")

        with pytest.raises(BodyError) as caught:
            generator.throw(error)

        assert caught.value is error
        assert "BodyError" == spans.only.attributes["error.type"]
        assert [] == list(generator)

    def test_stop_iteration_thrown_in_is_the_bodys_affair(self, spans: Any) -> None:
        """Python turns it into a RuntimeError where the body lets it out; it does not end our loop."""
        generator: Any = echo("first")
        next(generator)

        with pytest.raises(RuntimeError, match="generator raised StopIteration"):
            generator.throw(StopIteration("x"))

        assert "RuntimeError" == spans.only.attributes["error.type"]

    def test_close_runs_the_bodys_cleanup(self, spans: Any) -> None:
        """`finally` of the body runs inside of its scope; being closed is no error."""
        seen: list[Any] = []

        @traced_llm("work")
        def tidy() -> Iterator[int]:
            try:
                yield 1
            finally:
                seen.append(current_scope.get())

        generator: Any = tidy()
        next(generator)
        generator.close()

        assert ["work"] == [scope.name for scope in seen]
        assert StatusCode.UNSET == spans.only.status.status_code
        assert "error.type" not in spans.only.attributes

    def test_body_that_swallows_the_close_ends_well(self, spans: Any) -> None:
        """Returning when closed is allowed."""

        @traced_llm
        def stubborn() -> Iterator[int]:
            try:
                yield 1
            except GeneratorExit:
                return

        generator: Any = stubborn()
        next(generator)
        generator.close()

        assert StatusCode.UNSET == spans.only.status.status_code

    def test_body_that_yields_when_closed_is_told_off_by_python(self, spans: Any) -> None:
        """As it would be without the decorator; its span ends when it does."""

        @traced_llm
        def rude() -> Iterator[int]:
            try:
                yield 1
            except GeneratorExit:
                yield 2

        generator: Any = rude()
        next(generator)
        with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
            generator.close()
        del generator
        gc.collect()

        assert StatusCode.UNSET == spans.only.status.status_code

    def test_body_that_raises_when_closed_failed(self, spans: Any) -> None:
        """A cleanup that goes wrong is an error of its own."""

        @traced_llm
        def clumsy() -> Iterator[int]:
            try:
                yield 1
            finally:
                raise BodyError

        generator: Any = clumsy()
        next(generator)
        with pytest.raises(BodyError):
            generator.close()

        assert "BodyError" == spans.only.attributes["error.type"]

    def test_reentering_is_refused_as_by_any_generator(self, spans: Any) -> None:
        """And does not disturb the scope."""
        generators: list[Any] = []

        @traced_llm
        def inward() -> Iterator[int]:
            with pytest.raises(ValueError, match="already executing"):
                next(generators[0])
            yield 1

        generators.append(inward())

        assert [1] == list(generators[0])
        assert StatusCode.UNSET == spans.only.status.status_code


class TestEnd:
    """One start, one end."""

    def test_span_starts_with_the_first_step(self, spans: Any) -> None:
        """A generator that is made and not used has run nothing: there is nothing to trace."""
        generator = echo("first")
        assert {} == spans.open

        next(generator)
        assert 1 == len(spans.open)
        generator.close()

        echo("unused").close()
        assert 1 == len(spans.ended)

    def test_break_is_no_error(self, spans: Any) -> None:
        """The caller has what it wanted."""
        for _ in echo("first"):
            break

        assert StatusCode.UNSET == spans.only.status.status_code

    def test_stream_that_the_body_holds_ends_before_the_scope(
        self, spans: Any, costly_stream: Callable[[], object]
    ) -> None:
        """What it cost is in the totals, though it is only dropped because the body is closed."""

        @traced_llm
        def body() -> Iterator[object]:
            stream = costly_stream()
            yield type(stream)

        for _ in body():
            break

        assert 5 == spans.only.attributes["llm_otel.total.cost.nano_usd"]

    def test_failure_of_the_body_is_an_error(self, spans: Any) -> None:
        """Midway as well as at once."""

        @traced_llm
        def failing() -> Iterator[int]:
            yield 1
            raise BodyError

        with pytest.raises(BodyError):
            list(failing())

        assert StatusCode.ERROR == spans.only.status.status_code

    def test_failure_of_the_consumer_is_not_the_bodys(self, spans: Any) -> None:
        """What goes wrong between two items leaves the generator closed, not failed."""

        def consume() -> None:
            for _ in echo("first"):
                raise BodyError

        with pytest.raises(BodyError):
            consume()
        gc.collect()

        assert StatusCode.UNSET == spans.only.status.status_code

    def test_dropped_midway_ends_once(self, spans: Any) -> None:
        """By reference counting and by the collector of cycles alike."""
        generator: Any = echo("first")
        next(generator)
        del generator
        gc.collect()
        assert 1 == len(spans.ended)

        class Holder:
            generator: Any

        holder = Holder()
        holder.generator = (lambda me: (yield me))(holder)
        cycle: Any = echo("second")
        next(cycle)
        holder.generator = (cycle, holder)
        del cycle, holder
        gc.collect()

        assert 2 == len(spans.ended)
        assert [StatusCode.UNSET] * 2 == [span.status.status_code for span in spans.ended]

    def test_collected_by_another_thread_ends_once(self, spans: Any) -> None:
        """Where the collector happens to run does not matter."""
        generators: list[Any] = [echo("first")]
        next(generators[0])
        thread = threading.Thread(target=generators.clear)
        thread.start()
        thread.join()

        assert StatusCode.UNSET == spans.only.status.status_code

    def test_thrown_exception_is_not_kept_alive(self, spans: Any) -> None:
        """A wrapper that held it would make a cycle of it and its traceback."""

        class TraceableError(Exception):
            pass

        gc.disable()
        try:
            generator: Any = echo("first")
            next(generator)
            error: Any = TraceableError()
            reference = weakref.ref(error)
            try:
                generator.throw(error)
            except TraceableError:
                pass
            del error, generator
            assert reference() is None
        finally:
            gc.enable()


def current_names() -> tuple[str | None, str | None]:
    """Return the names of the current scope and the current span."""
    scope, span = current_scope.get(), trace.get_current_span()
    return (scope.name if scope else None), getattr(span, "name", None)


class TestContext:
    """What is current where."""

    def test_scope_is_current_only_while_the_body_runs(self, spans: Any) -> None:
        """Between two items the consumer is in its own context."""
        inside: list[Any] = []

        @traced_llm("work")
        def body() -> Iterator[int]:
            for number in range(2):
                inside.append(current_names())
                yield number

        outside = []
        with trace.get_tracer("app").start_as_current_span("consumer"):
            for _ in body():
                outside.append(current_names())  # noqa: PERF401  # it is the loop that is looked at

        assert [("work", "invoke_workflow work")] * 2 == inside
        assert [(None, "consumer")] * 2 == outside

    def test_interleaved_generators_do_not_see_each_other(self, spans: Any) -> None:
        """Two that are zipped are siblings."""
        inside: list[Any] = []

        def body(number: int) -> Iterator[int]:
            for _ in range(2):
                inside.append((number, current_names()[0]))
                yield number

        one, two = traced_llm("one")(body), traced_llm("two")(body)
        assert [(1, 2), (1, 2)] == list(zip(one(1), two(2), strict=False))

        assert {(1, "one"), (2, "two")} == set(inside)
        assert [None, None] == [span.parent for span in spans.ended]

    def test_what_the_body_makes_current_stays_with_the_body(self, spans: Any) -> None:
        """A span or scope that is open across a `yield` is current after it, and not in the consumer."""
        inside: list[Any] = []

        @traced_llm("work")
        def body() -> Iterator[int]:
            with traced_llm("inner"):
                yield 1
                inside.append(current_names())
                with trace.get_tracer("app").start_as_current_span("step"):
                    yield 2
                    inside.append(current_names())
            inside.append(current_names())

        outside = [current_names() for _ in body()]

        assert [
            ("inner", "invoke_workflow inner"),
            ("inner", "step"),
            ("work", "invoke_workflow work"),
        ] == inside
        assert [(None, None)] * 2 == outside
        assert ["step", "invoke_workflow inner", "invoke_workflow work"] == spans.names

    def test_each_step_may_run_in_another_context(self, spans: Any) -> None:
        """Web frameworks pull a generator from one thread after the other."""
        inside: list[Any] = []

        @traced_llm("work")
        def body() -> Iterator[int]:
            for number in range(3):
                inside.append(current_names()[0])
                yield number

        generator = body()
        items: list[int] = []

        def step() -> None:
            items.append(next(generator))
            assert current_scope.get() is None

        for _ in range(3):
            thread = threading.Thread(target=copy_context().run, args=(step,))
            thread.start()
            thread.join()
        assert [] == list(generator)

        assert [0, 1, 2] == items
        assert ["work"] * 3 == inside
        assert 1 == len(spans.ended)

    def test_calls_count_wherever_the_consumer_is(self, spans: Any, make_call: Callable[..., None]) -> None:
        """Calls of the body are the generator's; calls of the consumer are the consumer's."""

        @traced_llm("work")
        def body() -> Iterator[int]:
            make_call(cost_nano=1)
            yield 1
            make_call(cost_nano=2)

        with traced_llm("consumer") as consumer:
            for _ in body():
                make_call(cost_nano=10)

        assert 3 == spans.named("invoke_workflow work").attributes["llm_otel.total.cost.nano_usd"]
        assert 13 == consumer.totals.cost_nano
