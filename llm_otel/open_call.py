"""A call that has not ended: the one place that ends it.

`OpenCall` joins the states of a call (`lifecycle.Call`) with its span, its price and its recorders. The drivers and the
streams tell it what happened; it decides what that means, and writes it down once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, cast

from llm_otel import tracing
from llm_otel.call import Answer, Charge, Failure, Outcome
from llm_otel.clock import Clock, to_datetime
from llm_otel.lifecycle import Call
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.recorders import span as span_recorder
from llm_otel.recording import Guard, record_now
from llm_otel.routing.retry import NO_RETRY, RetryPolicy

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from llm_otel.call import CallRecord, CallRequest, TraceRef
    from llm_otel.lifecycle import RunningAttempt
    from llm_otel.pricing.book import PriceBook
    from llm_otel.recorders.base import Recorder
    from llm_otel.scope import Scope
    from llm_otel.usage import Usage

T = TypeVar("T")
_NO_ANSWER = Answer()
FREE_FROM_CACHE = CostBreakdown(
    total_nano=0, parts={}, saved_by_cache_nano=0, price_source="response_cache", price_date=None
)
"""What a completion costs that LiteLLM answered from its own response cache (its own figure stays the full price)."""


class ProviderReader(Protocol):
    """What the driver has to know of a provider's answers and errors."""

    def failure_of(self, error: BaseException, handled: BaseException | None = None) -> Failure:
        """Read an exception, apart from one that was being handled when the call began. Never raises."""

    def count(self, request: CallRequest, text: str) -> Usage:
        """Estimate the usage of a request that brought `text` before it was cut off. Never raises."""


@dataclass(frozen=True, slots=True)
class Instruments:
    """What every call needs. Made once for each runtime; all of it thread-safe."""

    clock: Clock
    prices: PriceBook
    reader: ProviderReader
    recorders: tuple[Recorder, ...]
    guard: Guard
    chance: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, and how patiently.

    Attributes:
        timeout_s: One deadline over all attempts and pauses, to the answer or to the first chunk; `None` for none.
        to_error: Makes the error that the caller sees from the record of the failed call; `None` leaves the
            provider's own exception as it is.
    """

    request: CallRequest
    scope: Scope | None = None
    retry: RetryPolicy = NO_RETRY
    timeout_s: float | None = None
    to_error: Callable[[CallRecord], Exception] | None = None


class OpenCall:
    """One call between its opening and its end. Any thread may end it; the first end wins."""

    __slots__ = ("_call", "_deadline_s", "_instruments", "_plan", "_span")

    def __init__(self, instruments: Instruments, plan: Plan, *, started: tuple[int, float] | None = None) -> None:
        """Open the call now, or as of `started`: wall time in nanoseconds and monotonic seconds."""
        clock = instruments.clock
        self._instruments = instruments
        self._plan = plan
        started_ns, started_s = started or (clock.now_ns(), clock.monotonic())
        self._call = Call(plan.request, started_ns=started_ns, started_s=started_s)
        self._deadline_s = None if plan.timeout_s is None else self._call.started_s + plan.timeout_s
        self._span: Span | None = None
        record_now(self._announce)

    def _announce(self) -> None:
        guard, request = self._instruments.guard, self._plan.request
        self._span = guard.call("span", span_recorder.start, request, self._call.started_ns)
        for recorder in self._instruments.recorders:
            guard.call(recorder.name, recorder.opened, request)

    @property
    def request(self) -> CallRequest:
        """What was asked for."""
        return self._plan.request

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._call.is_over

    @property
    def left_s(self) -> float | None:
        """Seconds to the deadline, never negative; `None` without one."""
        if self._deadline_s is None:
            return None
        return max(0.0, self._deadline_s - self._instruments.clock.monotonic())

    def current_span(self) -> AbstractContextManager[None]:
        """Make the call's span the current one, so that what happens underneath nests."""
        return nullcontext() if self._span is None else tracing.Current(self._span)

    def guarded(self, where: str, function: Callable[..., T], /, *args: Any) -> T | None:
        """Call a part of ours that must not break the caller's completion."""
        return cast("T | None", self._instruments.guard.call(where, function, *args))

    def note_internal_error(self, where: str, error: Exception) -> None:
        """Take note of a failure of ours; in strict mode it is raised."""
        self._instruments.guard.failed(where, error)

    # --- what happens to it -------------------------------------------------------------------------------------------

    def begin_attempt(self) -> RunningAttempt:
        """Note that a request is about to be sent."""
        return self._call.begin_attempt(now_s=self._instruments.clock.monotonic())

    def note_content(self) -> None:
        """Note that generated content arrived."""
        if self._call.first_chunk_s is None:
            self._call.note_chunk(self._instruments.clock.monotonic())

    def failed(self, error: BaseException, handled: BaseException | None = None) -> float:
        """Note that the running attempt raised, from within the `except` block. Return the pause before the next one.

        Args:
            error: What it raised.
            handled: What the caller was just handling when the call began.

        Raises:
            BaseException: What the caller is to see, when there is to be no next one.
        """
        if not isinstance(error, Exception):
            self.cancelled(error)
            raise  # noqa: PLE0704  # called from the except block: re-raises the very same exception
        failure = self._instruments.reader.failure_of(error, handled)
        pause_s = self._plan.retry.pause_s(
            failure,
            attempt=self._call.attempt_count + 1,
            left_s=self.left_s,
            chance=self._instruments.chance(),
        )
        if pause_s is None:
            self._give_up(error, failure)
        self._end_attempt(Outcome.ERROR, _NO_ANSWER, failure, self._instruments.clock.monotonic())
        return pause_s

    def _give_up(self, error: Exception, failure: Failure) -> NoReturn:
        record = self._end(Outcome.ERROR, _NO_ANSWER, failure)
        if self._plan.to_error is None or record is None:
            raise  # noqa: PLE0704  # as above: the provider's own exception, unchanged
        raise self._plan.to_error(record) from error

    def succeeded(self, answer: Answer) -> CallRecord | None:
        """End it well."""
        return self._end(Outcome.CACHED if answer.is_cache_hit else Outcome.SUCCESS, answer, None)

    def broken(self, error: BaseException, answer: Answer, *, has_begun: bool) -> CallRecord | None:
        """End a stream that raised; `answer` is what came before. It has begun once a chunk has come.

        One that has not may not even have been sent: LiteLLM does that on the first read for some providers.
        """
        if not isinstance(error, Exception):
            return self.cancelled(error, answer)
        failure = self._instruments.reader.failure_of(error)
        return self._end(Outcome.ERROR, answer, _billed(failure) if has_begun else failure)

    def truncated(self, error_type: str, answer: Answer) -> CallRecord | None:
        """End a stream that stopped without saying why."""
        return self._end(Outcome.ERROR, answer, Failure(error_type=error_type, charge=Charge.RECEIVED))

    def cancelled(self, error: BaseException, answer: Answer = _NO_ANSWER) -> CallRecord | None:
        """End it because its task or thread was told to stop."""
        failure = Failure(error_type=_cancel_type(error), charge=Charge.RECEIVED)
        return self._end(Outcome.CANCELLED, answer, failure)

    def abandoned(self, answer: Answer) -> CallRecord | None:
        """End it because its consumer wants no more of it."""
        return self._end(Outcome.ABANDONED, answer, None)

    def interrupted(self, error: BaseException) -> None:
        """End it if nobody has: its task was cancelled in a pause, or a bug struck between two steps."""
        if self._call.is_over:
            return
        if isinstance(error, Exception):
            self._end(Outcome.ERROR, _NO_ANSWER, self._instruments.reader.failure_of(error))
        else:
            self.cancelled(error)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _end(self, outcome: Outcome, answer: Answer, failure: Failure | None) -> CallRecord | None:
        """End the call unless somebody did. Return the record to the one who ended it."""
        if not self._call.claim_end():
            return None
        now_s = self._instruments.clock.monotonic()
        self._end_attempt(outcome, answer, failure, now_s)
        record = self._call.record(
            now_s=now_s,
            outcome=outcome,
            answer=answer,
            failure=failure,
            trace=self._trace_ref(),
        )
        record_now(lambda: self._publish(record))
        return record

    def _end_attempt(self, outcome: Outcome, answer: Answer, failure: Failure | None, now_s: float) -> None:
        """Write the running attempt down. The time was read before: counting tokens is not part of it."""
        if self._call.running is None:
            return
        guard = self._instruments.guard
        usage: Usage | None = guard.call("usage", self._usage, answer, failure)
        cost: CostBreakdown | None = None
        if usage is not None:
            cost = guard.call("price", self._price, usage, answer)
        self._call.end_attempt(now_s=now_s, outcome=outcome, failure=failure, usage=usage, cost=cost)

    def _usage(self, answer: Answer, failure: Failure | None) -> Usage | None:
        """Return what was used: as reported, else as counted here, else nothing where nothing can be billed."""
        if answer.usage is not None:
            return answer.usage
        if failure is not None and failure.charge is Charge.NOTHING:
            return None
        return self._instruments.reader.count(self._plan.request, answer.text)

    def _price(self, usage: Usage, answer: Answer) -> CostBreakdown | None:
        request = self._plan.request
        if answer.is_cache_hit:
            return FREE_FROM_CACHE
        return self._instruments.prices.price(
            usage,
            provider=request.provider,
            model=request.model,
            at=to_datetime(self._call.started_ns),
            service_tier=answer.service_tier or request.service_tier,
        )

    def _trace_ref(self) -> TraceRef | None:
        return None if self._span is None else self._instruments.guard.call("span", tracing.trace_ref, self._span)

    def _publish(self, record: CallRecord) -> None:
        guard, scope = self._instruments.guard, self._plan.scope
        if scope is not None:
            scope.add(record)
        if self._span is not None:
            guard.call("span", span_recorder.finish, self._span, record)
        for recorder in self._instruments.recorders:
            guard.call(recorder.name, recorder.closed, record)


def _billed(failure: Failure) -> Failure:
    """Return the failure of a stream that had begun: whatever the error says, the tokens before it are billed."""
    return Failure(
        error_type=failure.error_type,
        status_code=failure.status_code,
        retry_after_s=failure.retry_after_s,
        charge=Charge.RECEIVED,
    )


def _cancel_type(error: BaseException) -> str:
    return "CancelledError" if isinstance(error, asyncio.CancelledError) else type(error).__name__
