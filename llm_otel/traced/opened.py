"""One run of a traced body, from its first step to its end: the logic that all forms share."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from llm_otel import semconv, tracing
from llm_otel.budgets.matching import run_of
from llm_otel.call import NO_TAGS
from llm_otel.clock import Clock, SystemClock
from llm_otel.recording import Guard, record_now
from llm_otel.scope import current_scope
from llm_otel.traced.carried import CarriedContext
from llm_otel.traced.response import is_response
from llm_otel.traced.trace import Trace
from llm_otel.tracing import AttributeValue, mark_failed, start_span

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from llm_otel.assembly import Runtime
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.matching import Matched
    from llm_otel.scope import Scope

T = TypeVar("T")

_WHERE = "scope"
_INVOKE_WORKFLOW = semconv.Operation.INVOKE_WORKFLOW.value
_SYSTEM_CLOCK = SystemClock()
_logger = logging.getLogger(__name__)


class OpenScope:
    """A scope with its span, open from construction to `end`; only the first end counts.

    As a context manager it ends with what leaves the block. `running` is a second context manager, for the
    stretches in which the body runs: all of it for a function, one step after the other for a generator.
    """

    __slots__ = ("_clock", "_runtime", "_span", "_started_s", "running", "scope")

    def __init__(
        self,
        name: str,
        tags: Mapping[str, str],
        budget: Budget | None = None,
        conversation_id: str | None = None,
        *,
        clock: Clock = _SYSTEM_CLOCK,
    ) -> None:
        self._span: Span | None = None
        self._clock = clock
        started = (clock.now_ns(), clock.monotonic())
        self._started_s = started[1]
        # Kept to the end: whatever is configured meanwhile, and when the interpreter exits nothing can be imported.
        self._runtime: Runtime | None = _guard.call(_WHERE, _make_ready)
        baggage = None if self._runtime is None else self._runtime.baggage
        self.scope = Trace(
            name,
            tags,
            current_scope.get(),
            received=NO_TAGS if baggage is None else _guard.call(_WHERE, baggage.received) or NO_TAGS,
            conversation_id=conversation_id,
            budget=_of_this_run(budget, clock),
            clock=clock,
            started=started,
        )
        record_now(self._start_span)
        self.scope.shown_by(self._span)
        context = tracing.context_with(self._span)
        if baggage is not None:
            context = _guard.call(_WHERE, baggage.sent, context, self.scope.tags) or context
        self.running = CarriedContext(self.scope, context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(exc)

    def __del__(self) -> None:
        # Before 3.13, Python drops, without unwinding it, an async generator that waits when its consumer is closed.
        if self._span is not None:
            self.end(None)

    def returned(self, value: T) -> T:
        """Pass on what the body returned; where no call was recorded inside, record a response as one."""
        if not self.scope.calls:
            _guard.call(_WHERE, self._record_response, value)
        return value

    def end(self, error: BaseException | None) -> None:
        """Write down the totals and how the body ended, and end the span."""
        record_now(self._end_span, error)
        if not self.scope.calls and _logger.isEnabledFor(logging.DEBUG):
            _log_without_calls(self.scope.name)

    def end_closed(self, closed: GeneratorExit) -> None:
        """End the scope of a generator whose body has let itself be closed.

        The traceback goes first, and with it the body's frame and the streams in it: their cost counts.
        """
        closed.__traceback__ = None
        self.end(closed)

    def _start_span(self) -> None:
        self._span = _guard.call(_WHERE, self._new_span)

    def _new_span(self) -> Span:
        name = f"{_INVOKE_WORKFLOW} {self.scope.name}"
        return start_span(name, _attributes_at_start(self.scope), is_client=False)

    def _end_span(self, error: BaseException | None) -> None:
        span, self._span = self._span, None
        if span is None:
            return
        try:
            _guard.call(_WHERE, _describe_end, span, self.scope, error)
        finally:
            _guard.call(_WHERE, span.end)
            if self._runtime is not None:
                duration_s, trace = self._clock.monotonic() - self._started_s, span.get_span_context()
                _guard.call(_WHERE, self._runtime.scope_ended, self.scope.name, duration_s, _error_type(error), trace)

    def _record_response(self, value: object) -> None:
        if not is_response(value):
            return
        from llm_otel.wiring import runtime

        started_ns, duration_s = self.scope.since
        runtime().record_response(value, scope=self.scope, started_ns=started_ns, duration_s=duration_s)


def _of_this_run(budget: Budget | None, clock: Clock) -> Matched | None:
    if budget is None:
        return None
    return run_of(budget, f"run-{secrets.token_hex(6)}", now_s=clock.now_ns() // 10**9)


def _on_internal_error(where: str, error: Exception) -> None:
    from llm_otel.wiring import runtime

    runtime().internal_error(where, error)


_guard = Guard(_on_internal_error)


def _make_ready() -> Runtime:
    """Have plain calls inside watched; return the runtime."""
    from llm_otel.intercept import arm
    from llm_otel.wiring import runtime

    arm()
    return runtime()


def _attributes_at_start(scope: Scope) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        semconv.GEN_AI_OPERATION_NAME: _INVOKE_WORKFLOW,
        semconv.GEN_AI_WORKFLOW_NAME: scope.name,
    }
    if scope.conversation_id is not None:
        attributes[semconv.GEN_AI_CONVERSATION_ID] = scope.conversation_id
    for name, value in scope.tags.items():
        attributes[semconv.TAG_PREFIX + name] = value
    return attributes


def _describe_end(span: Span, scope: Scope, error: BaseException | None) -> None:
    totals = scope.totals
    attributes: dict[str, AttributeValue] = {
        semconv.TOTAL_CALLS: totals.calls,
        semconv.TOTAL_INPUT_TOKENS: totals.input_tokens,
        semconv.TOTAL_OUTPUT_TOKENS: totals.output_tokens,
        semconv.TOTAL_COST_USD: totals.cost_nano / 1e9,
        semconv.TOTAL_COST_NANO_USD: totals.cost_nano,
    }
    if totals.unpriced_calls:
        attributes[semconv.TOTAL_UNPRICED_CALLS] = totals.unpriced_calls
    span.set_attributes(attributes)
    error_type = _error_type(error)
    if error_type is not None:
        # No description and no exception event: the text of an exception may quote the prompt.
        mark_failed(span, error_type)


def _error_type(error: BaseException | None) -> str | None:
    return type(error).__qualname__ if error is not None and _is_failure(error) else None


def _is_failure(error: BaseException) -> bool:
    """Tell failures from endings: a consumer that breaks off, an exhausted iterator, `sys.exit(0)`."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, (GeneratorExit, StopIteration, StopAsyncIteration))


@lru_cache(maxsize=1024)
def _log_without_calls(name: str) -> None:
    """Say once that a scope saw no call: the cache makes it once, and is bounded as names may be made up."""
    _logger.debug("llm_otel.scope_without_calls name=%r", name)
