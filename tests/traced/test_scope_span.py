"""What holds in every form: the span of a scope, its attributes, its parents, its totals, its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from llm_otel.scope import current_scope
from llm_otel.traced import traced_llm

Run = Callable[..., None]
MakeCall = Callable[..., None]


class BodyError(Exception):
    """What bodies raise."""


class TestStart:
    """The span from its start, and what is current."""

    def test_span_is_an_internal_workflow_span(self, run: Run, spans: Any) -> None:
        """Name, kind and operation follow the conventions for workflows."""
        run(lambda: None, name="answer")

        assert "invoke_workflow answer" == spans.only.name
        assert SpanKind.INTERNAL == spans.only.kind
        assert "invoke_workflow" == spans.only.attributes["gen_ai.operation.name"]
        assert "answer" == spans.only.attributes["gen_ai.workflow.name"]
        assert "llm_otel" == spans.only.instrumentation_scope.name

    def test_attributes_are_there_when_the_span_starts(self, run: Run, spans: Any) -> None:
        """Samplers decide by what they see at the start."""
        seen: dict[str, Any] = {}

        def body() -> None:
            (span,) = spans.open.values()
            seen.update(span.attributes)

        run(body, name="answer", tags={"team": "search", "research": ""})

        expected = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": "answer",
            "llm_otel.tag.team": "search",
            "llm_otel.tag.research": "",
        }
        assert expected == seen

    def test_scope_and_span_are_current_in_the_body(self, run: Run, spans: Any) -> None:
        """What runs inside finds both; what runs after finds neither."""
        seen: list[Any] = []
        run(lambda: seen.extend((current_scope.get(), trace.get_current_span())))

        scope, span = seen
        assert "work" == scope.name
        assert spans.only.get_span_context() == span.get_span_context()
        assert current_scope.get() is None

    def test_span_is_a_child_of_the_callers(self, run: Run, spans: Any) -> None:
        """A scope joins the trace that it is opened in, and hands the caller's span back."""
        with trace.get_tracer("app").start_as_current_span("request") as request:
            run(lambda: None)
            assert request is trace.get_current_span()

        assert request.get_span_context() == spans.named("invoke_workflow work").parent

    def test_interception_is_armed(self, run: Run, spans: Any, fake_runtime: Any) -> None:
        """Plain calls inside a scope are caught: each entry arms."""
        run(lambda: None)
        run(lambda: None)

        assert 2 == fake_runtime.times_armed


class TestNesting:
    """Scopes in scopes."""

    def test_tags_merge_inward(self, run: Run, spans: Any) -> None:
        """Inner scopes have the tags of all around them, and win where both name one."""

        def inner() -> None:
            with traced_llm("inner", tags={"feature": "answer"}):
                pass

        run(inner, name="outer", tags={"team": "search", "feature": "none"})

        attributes = spans.named("invoke_workflow inner").attributes
        assert "search" == attributes["llm_otel.tag.team"]
        assert "answer" == attributes["llm_otel.tag.feature"]
        assert "none" == spans.named("invoke_workflow outer").attributes["llm_otel.tag.feature"]

    def test_totals_sum_outward(self, run: Run, spans: Any, make_call: MakeCall) -> None:
        """A call counts in its scope and in every scope around."""

        def inner() -> None:
            make_call(input_tokens=1)
            with traced_llm("inner"):
                make_call(input_tokens=2)

        run(inner, name="outer")

        assert 1 == spans.named("invoke_workflow inner").attributes["llm_otel.total.calls"]
        assert 2 == spans.named("invoke_workflow outer").attributes["llm_otel.total.calls"]
        assert 3 == spans.named("invoke_workflow outer").attributes["llm_otel.total.input_tokens"]

    def test_inner_span_is_a_child(self, run: Run, spans: Any) -> None:
        """Scopes nest as spans do."""

        def inner() -> None:
            with traced_llm("inner"):
                pass

        run(inner, name="outer")

        assert ["invoke_workflow inner", "invoke_workflow outer"] == spans.names
        assert spans.ended[1].get_span_context() == spans.ended[0].parent

    def test_failure_marks_every_scope_that_it_leaves(self, run: Run, spans: Any) -> None:
        """An exception that an outer scope catches is the inner one's alone."""

        def inner() -> None:
            with pytest.raises(BodyError), traced_llm("inner"):
                raise BodyError

        run(inner, name="outer")

        assert StatusCode.ERROR == spans.named("invoke_workflow inner").status.status_code
        assert StatusCode.UNSET == spans.named("invoke_workflow outer").status.status_code


class TestTotals:
    """What the calls inside came to."""

    def test_totals_are_on_the_span(self, run: Run, spans: Any, make_call: MakeCall) -> None:
        """Calls, tokens and cost; the cost in dollars for people and exact for machines."""

        def body() -> None:
            make_call(input_tokens=18, output_tokens=5, cost_nano=5_700)
            make_call(input_tokens=2, output_tokens=1, cost_nano=300)

        run(body)

        attributes = spans.only.attributes
        assert 2 == attributes["llm_otel.total.calls"]
        assert 20 == attributes["llm_otel.total.input_tokens"]
        assert 6 == attributes["llm_otel.total.output_tokens"]
        assert 0.000006 == attributes["llm_otel.total.cost_usd"]
        assert 6_000 == attributes["llm_otel.total.cost.nano_usd"]
        assert {"calls": int, "cost_usd": float, "cost.nano_usd": int} == {
            name: type(attributes[f"llm_otel.total.{name}"]) for name in ("calls", "cost_usd", "cost.nano_usd")
        }

    def test_unpriced_calls_are_counted_where_there_are_any(self, run: Run, spans: Any, make_call: MakeCall) -> None:
        """The cost says what is known; this says how much is not."""
        run(lambda: make_call(cost_nano=7, is_unpriced=False))
        run(lambda: make_call(is_unpriced=True))

        priced, unpriced = spans.ended
        assert "llm_otel.total.unpriced_calls" not in priced.attributes
        assert 1 == unpriced.attributes["llm_otel.total.unpriced_calls"]
        assert 0.0 == unpriced.attributes["llm_otel.total.cost_usd"]

    def test_span_of_a_failed_body_has_totals(self, run: Run, spans: Any, make_call: MakeCall) -> None:
        """What was spent before the failure is spent."""

        def body() -> None:
            make_call(cost_nano=5)
            raise BodyError

        with pytest.raises(BodyError):
            run(body)

        assert 5 == spans.only.attributes["llm_otel.total.cost.nano_usd"]


class TestEnd:
    """How the body ended."""

    def test_success_leaves_the_status_unset(self, run: Run, spans: Any) -> None:
        """As the conventions ask."""
        run(lambda: None)

        assert StatusCode.UNSET == spans.only.status.status_code
        assert "error.type" not in spans.only.attributes

    @pytest.mark.parametrize(
        ("error", "error_type"),
        [
            (BodyError("text"), "BodyError"),
            (KeyboardInterrupt(), "KeyboardInterrupt"),
            (SystemExit(2), "SystemExit"),
        ],
    )
    def test_failure_is_an_error_of_its_class(
        self, run: Run, spans: Any, error: BaseException, error_type: str
    ) -> None:
        """The class alone: the text of an exception may quote the prompt."""

        def body() -> None:
            raise error

        with pytest.raises(type(error)):
            run(body)

        assert StatusCode.ERROR == spans.only.status.status_code
        assert spans.only.status.description is None
        assert error_type == spans.only.attributes["error.type"]
        assert () == spans.only.events

    def test_exception_passes_through_unchanged(self, run: Run, spans: Any) -> None:
        """The same object, with no notes, cause or context of ours."""
        error = BodyError("text")

        def body() -> None:
            raise error

        with pytest.raises(BodyError) as caught:
            run(body)

        assert caught.value is error
        assert ("text",) == error.args
        assert not hasattr(error, "__notes__")
        assert error.__cause__ is None
        assert error.__context__ is None

    def test_cancellation_is_an_error(self, run: Run, spans: Any) -> None:
        """A task that is told to stop did not do its work."""

        def body() -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            run(body)

        assert "CancelledError" == spans.only.attributes["error.type"]

    def test_sys_exit_with_success_is_no_error(self, run: Run, spans: Any) -> None:
        """A program that ends well says so by raising."""

        def body() -> None:
            raise SystemExit(0)

        with pytest.raises(SystemExit):
            run(body)

        assert StatusCode.UNSET == spans.only.status.status_code

    @pytest.mark.parametrize("ending", [StopIteration, StopAsyncIteration])
    def test_end_of_an_iteration_is_no_error(self, spans: Any, ending: type[Exception]) -> None:
        """An iterator's method says by raising that there is no more."""

        @traced_llm("next")
        def advance() -> None:
            raise ending

        with pytest.raises(ending):
            advance()
        with pytest.raises(ending), traced_llm("next"):
            raise ending

        assert [StatusCode.UNSET] * 2 == [span.status.status_code for span in spans.ended]


class TestWithoutCalls:
    """Scopes that saw no call."""

    def test_is_said_once_for_each_name(self, run: Run, spans: Any, caplog: pytest.LogCaptureFixture) -> None:
        """At debug level: a hint that calls are made outside of what is traced."""
        name = f"idle {run.__name__}"
        with caplog.at_level(logging.DEBUG, logger="llm_otel"):
            run(lambda: None, name=name)
            run(lambda: None, name=name)

        assert [f"llm_otel.scope_without_calls name={name!r}"] == caplog.messages

    def test_is_not_said_of_a_scope_with_calls(
        self, run: Run, spans: Any, make_call: MakeCall, caplog: pytest.LogCaptureFixture
    ) -> None:
        """There is nothing to say."""
        with caplog.at_level(logging.DEBUG, logger="llm_otel"):
            run(make_call, name=f"busy {run.__name__}")

        assert [] == caplog.messages
