"""Telemetry that fails is counted, and breaks nothing; in strict mode it is raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from llm_otel.scope import current_scope
from llm_otel.traced import traced_llm


class BrokenError(Exception):
    """What broken telemetry raises."""


class BodyError(Exception):
    """What bodies raise."""


class BrokenProcessor(SpanProcessor):
    """Fails where it is told to."""

    def __init__(self, at: str) -> None:
        self.at = at

    def on_start(self, span: Span, parent_context: object = None) -> None:
        """Fail at the start of a span."""
        if self.at == "start":
            raise BrokenError

    def on_end(self, span: ReadableSpan) -> None:
        """Fail at its end."""
        if self.at == "end":
            raise BrokenError


@pytest.fixture
def break_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`break_at("start" | "attributes" | "end" | "tracer")` breaks the telemetry there."""

    def install(at: str) -> None:
        provider = TracerProvider()
        provider.add_span_processor(BrokenProcessor(at))

        def get_provider() -> TracerProvider:
            if at == "tracer":
                raise BrokenError
            return provider

        monkeypatch.setattr(trace, "get_tracer_provider", get_provider)
        if at == "attributes":
            monkeypatch.setattr(Span, "set_attributes", _raise_broken)

    return install


def _raise_broken(*_: object) -> None:
    raise BrokenError


POINTS = pytest.mark.parametrize("at", ["tracer", "start", "attributes", "end"])


@POINTS
def test_body_runs_all_the_same(
    run: Callable[..., None], fake_runtime: Any, break_at: Callable[[str], None], at: str
) -> None:
    """Once, in its scope, and the failure is counted once."""
    fake_runtime.is_strict = False
    break_at(at)
    scopes: list[Any] = []

    run(lambda: scopes.append(current_scope.get()))

    assert ["work"] == [scope.name for scope in scopes]
    assert [("scope", BrokenError)] == [(where, type(error)) for where, error in fake_runtime.errors]


@POINTS
def test_exception_of_the_body_is_the_one_that_is_seen(
    run: Callable[..., None], fake_runtime: Any, break_at: Callable[[str], None], at: str
) -> None:
    """Unchanged, with no trace of ours."""
    fake_runtime.is_strict = False
    break_at(at)
    error = BodyError()

    def body() -> None:
        raise error

    with pytest.raises(BodyError) as caught:
        run(body)

    assert caught.value is error
    assert error.__context__ is None
    assert 1 == len(fake_runtime.errors)


@POINTS
def test_strict_mode_raises(run: Callable[..., None], break_at: Callable[[str], None], at: str) -> None:
    """And leaves nothing current behind: the fixtures look."""
    break_at(at)

    with pytest.raises(BrokenError):
        run(lambda: None)

    assert trace.INVALID_SPAN is trace.get_current_span()


def test_span_ends_though_its_totals_cannot_be_written(
    spans: Any, fake_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open span is never exported: better one without totals."""
    monkeypatch.setattr(Span, "set_attributes", _raise_broken)

    with pytest.raises(BrokenError), traced_llm("work"):
        pass

    assert "invoke_workflow work" == spans.only.name


def test_calls_keep_their_parent_when_no_span_could_be_started(
    spans: Any, fake_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's span stays current, so that the trace is not torn."""
    fake_runtime.is_strict = False
    with trace.get_tracer("app").start_as_current_span("request") as request:
        with monkeypatch.context() as patch:
            patch.setattr(trace, "get_tracer_provider", _raise_broken)
            with traced_llm("work"):
                assert request is trace.get_current_span()

    assert ["request"] == spans.names


def test_interception_that_cannot_be_armed_is_counted(run: Callable[..., None], spans: Any, fake_runtime: Any) -> None:
    """Router calls are traced all the same."""
    fake_runtime.is_strict = False
    fake_runtime.arm_error = ImportError("litellm")
    run(lambda: None)

    assert [("scope", fake_runtime.arm_error)] == fake_runtime.errors
    assert 1 == len(spans.ended)


def test_response_that_cannot_be_recorded_is_returned(
    spans: Any, fake_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose attributes raise."""
    fake_runtime.is_strict = False

    class Hostile:
        @property
        def usage(self) -> object:
            raise BrokenError

    hostile = Hostile()
    assert hostile is traced_llm("work")(lambda: hostile)()
    assert 1 == len(fake_runtime.errors)


def test_generator_keeps_its_items(fake_runtime: Any, break_at: Callable[[str], None]) -> None:
    """Send, throw and return included."""
    fake_runtime.is_strict = False
    break_at("start")

    @traced_llm
    def body() -> Iterator[int]:
        yield from range(3)

    assert [0, 1, 2] == list(body())


@pytest.mark.parametrize("at", ["on_start", "on_end"])
def test_generator_dropped_while_a_span_is_written(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Processors hold locks that are not re-entrant: its end waits until they are done with the other."""
    left: list[Any] = []
    events: list[str] = []

    class Dropping(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            if at == "on_start" and span.name.endswith("written"):
                self.drop("started")

        def on_end(self, span: ReadableSpan) -> None:
            if at == "on_end" and span.name.endswith("written"):
                self.drop("ended")
            elif span.name.endswith("dropped"):
                events.append("dropped one ended")

        def drop(self, what: str) -> None:
            left.clear()
            events.append(what)

    provider = TracerProvider()
    provider.add_span_processor(Dropping())
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    @traced_llm("dropped")
    def body() -> Iterator[int]:
        yield 1

    left.append(body())
    next(left[0])
    with traced_llm("written"):
        pass

    assert ["started" if at == "on_start" else "ended", "dropped one ended"] == events


def test_no_provider_is_no_failure(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an SDK the body runs in its scope, and there is no span to speak of."""
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    scopes: list[Any] = []
    run(lambda: scopes.append(current_scope.get()))

    assert ["work"] == [scope.name for scope in scopes]
