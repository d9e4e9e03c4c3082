"""A call that has not ended: the one place that ends it.

`OpenCall` joins the states of a call (`lifecycle.Call`) with where it goes (`CallCourse`), its money (`CallMoney`) and
what is told of it (`CallTelemetry`). The drivers and the streams tell it what happened; it decides what that means, and
writes it down once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from llm_otel import semconv
from llm_otel.call import Answer, Charge, Failure, Outcome, Refusal
from llm_otel.call_cache import CallCache
from llm_otel.call_course import CallCourse, shown_by, speaks_against
from llm_otel.call_leave import NobodyLeftError, leave_for_next
from llm_otel.call_money import CallMoney
from llm_otel.call_telemetry import CallTelemetry
from llm_otel.enforcement.admission import DeniedError
from llm_otel.errors import CircuitOpenError
from llm_otel.lifecycle import Call
from llm_otel.recording import record_now

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from llm_otel.budgets.denial import Denial
    from llm_otel.call import CallRecord, CallRequest, Held
    from llm_otel.content import CallContent, Silence
    from llm_otel.enforcement.offers import Offer
    from llm_otel.errors import BudgetExceededError
    from llm_otel.lifecycle import RunningAttempt
    from llm_otel.plan import Instruments, Plan
    from llm_otel.routing.itinerary import Target
    from llm_otel.steps import Step

T = TypeVar("T")
_NO_ANSWER = Answer()


class OpenCall:
    """One call between its opening and its end. Any thread may end it; the first end wins."""

    __slots__ = (
        "_cache",
        "_call",
        "_course",
        "_failed",
        "_instruments",
        "_money",
        "_plan",
        "_telemetry",
    )

    def __init__(
        self,
        instruments: Instruments,
        plan: Plan,
        *,
        may_block: bool = True,
        started: tuple[int, float] | None = None,
    ) -> None:
        """Open a call.

        Args:
            instruments: The runtime's.
            plan: What is to be done.
            may_block: Whether the thread that ends it may wait for the ledger; on an event loop it may not.
            started: Wall time in nanoseconds and monotonic seconds; now by default.
        """
        clock = instruments.clock
        self._instruments = instruments
        self._plan = plan = plan.in_conversation()
        started_ns, started_s = started or (clock.now_ns(), clock.monotonic())
        self._call = Call(plan.request, started_ns=started_ns, started_s=started_s)
        self._failed: tuple[Exception, Failure] | None = None
        self._course = CallCourse(instruments, plan, None if plan.timeout_s is None else started_s + plan.timeout_s)
        self._telemetry = telemetry = CallTelemetry(instruments)
        self._money = CallMoney(
            instruments, plan, started_ns=started_ns, may_block=may_block, alerted=telemetry.alerted
        )
        self._cache = None if plan.caching is None else CallCache(plan.caching, instruments.guard)
        record_now(lambda: telemetry.opened(plan.request, started_ns))

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
        return self._course.left_s

    # --- what the next request is, and what is said in it -------------------------------------------------------------

    @property
    def target(self) -> Target:
        """The model to ask: the request itself stands for the one that was asked for."""
        return self._course.target

    @property
    def offer(self) -> Offer | None:
        """What a budget changes about the request; `None` where none concerns it."""
        return self._money.offer

    @property
    def attempt_left_s(self) -> float | None:
        """Seconds that this attempt may take, so that time is left for the fallbacks; `None` without a deadline."""
        return self._course.attempt_left_s

    @property
    def content(self) -> CallContent | Silence:
        """What is said in the call, where somebody asked for it."""
        return self._telemetry.content

    @property
    def is_held(self) -> bool:
        """Whether a budget concerns the request that is with the provider."""
        return self._money.is_held

    def must_not_block(self) -> None:
        """Note that the call may be ended amid anything: that must not wait for the ledger, nor join an answer."""
        self._money.may_block = False
        self.brings(None)

    def current_span(self) -> AbstractContextManager[None]:
        """Make the call's span the current one: what happens underneath nests, and is not counted there once more."""
        return self._telemetry.current_span(self.request.operation)

    def guarded(self, where: str, function: Callable[..., T], /, *args: Any) -> T | None:
        """Call a part of ours that must not break the caller's completion."""
        result: T | None = self._instruments.guard.call(where, function, *args)
        return result

    def note_internal_error(self, where: str, error: Exception) -> None:
        """Take note of a failure of ours; in strict mode it is raised."""
        self._instruments.guard.failed(where, error)

    # --- an answer that was given before ------------------------------------------------------------------------------

    def seek_answer(self) -> Generator[Step, Any, Any] | None:
        """Return the steps to an answer that was given before; `None` where nobody wants one.

        They end in what a request would have brought, or in `None`.
        """
        return None if self._cache is None else self._cache.recall(self.left_s)

    def brings(self, raw: Any, whole_of: Callable[[Any], Any] | None = None) -> None:
        """Say what the provider answers, to be given again: whole, or to be made whole once the call has ended well."""
        if self._cache is not None:
            self._cache.brings(raw, whole_of)

    # --- leave for a request ------------------------------------------------------------------------------------------

    def seek_leave(self) -> Generator[Step, Any, None] | None:
        """Return the steps to leave for the next request; `None` where nothing stands in its way.

        They raise what the caller is to see where nobody may be asked.
        """
        is_let_through = self._course.enter()
        if is_let_through and not self._money.is_concerned():
            return None
        return self._leave(is_let_through=is_let_through)

    def _leave(self, *, is_let_through: bool) -> Generator[Step, Any, None]:
        clock = self._instruments.clock
        try:
            yield from leave_for_next(self._course, self._money, clock, is_let_through=is_let_through)
        except DeniedError as exc:
            raise self._denied(exc.denial) from None
        except NobodyLeftError as exc:
            self._run_out(exc.denial)

    def _denied(self, denial: Denial) -> BudgetExceededError:
        """End the call: a budget refuses it. Return what the caller is to see."""
        refusal = Refusal(
            budget=denial.budget.id,
            scope=denial.line.scope,
            kind=denial.kind.value,
            is_declared=self._money.is_declared(denial),
        )
        self._end(Outcome.DENIED, _NO_ANSWER, Failure(error_type=semconv.ERROR_BUDGET_EXCEEDED), refusal)
        return denial.error()

    def _run_out(self, denial: Denial | None) -> NoReturn:
        """End the call: nobody is left to be asked. Raise what the caller is to see, which is the first trouble.

        Where no fallback could help, that is what the last request failed of; where none was sent, the open circuit.
        """
        if self._failed is not None:
            self._give_up(*self._failed)
        (provider, model), retry_after_s = self._course.first_to_open()
        error = CircuitOpenError(provider=provider, model=model, retry_after_s=retry_after_s)
        self._end(Outcome.ERROR, _NO_ANSWER, Failure(error_type=error.error_type, retry_after_s=retry_after_s))
        raise error from (None if denial is None else denial.error())

    def made_without_leave(self) -> None:
        """Note that the only request went out at the start and is through: it is booked, whatever the budgets say."""
        self._call.begin_attempt(now_s=self._call.started_s)
        self._money.take_unasked()

    # --- what happens to it -------------------------------------------------------------------------------------------

    def begin_attempt(self) -> RunningAttempt:
        """Note that a request is about to be sent."""
        offer, target = self._money.offer, self._course.target
        model = (target.provider, target.model)
        if offer is not None and offer.is_downgraded:
            model = (offer.asked.provider, offer.asked.model)
        # Its traceback leads to all that the caller holds, such as a stream that has to end when it is dropped.
        self._failed = None
        reason = self._course.begin()
        return self._call.begin_attempt(now_s=self._instruments.clock.monotonic(), model=model, reason=reason)

    def served_by(self, provider: str, model: str) -> None:
        """Note that another model answers than the one that was asked: its price holds."""
        running = self._call.running
        if running is not None:
            running.provider, running.model = provider, model

    def lives(self) -> None:
        """Note that the provider still answers."""
        self._money.lives()

    @property
    def times_every_chunk(self) -> bool:
        """Whether somebody wants to know when each chunk came, and not just the first."""
        return self._instruments.times_every_chunk()

    def note_content(self) -> None:
        """Note that generated content arrived."""
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
        # Noted before the next step is chosen: this failure may be the one that opens the circuit.
        self._course.note(speaks_against(failure))
        pause_s = self._course.after(failure)
        if pause_s is None:
            self._give_up(error, failure)
        self._end_attempt(Outcome.ERROR, _NO_ANSWER, failure, self._instruments.clock.monotonic())
        self._failed = error, failure
        return pause_s

    def _give_up(self, error: Exception, failure: Failure) -> NoReturn:
        record = self._end(Outcome.ERROR, _NO_ANSWER, failure)
        if self._plan.to_error is None or record is None:
            raise error
        raise self._plan.to_error(record) from error

    def succeeded(self, answer: Answer) -> CallRecord | None:
        """End it well."""
        return self._end(Outcome.CACHED if answer.is_cache_hit else Outcome.SUCCESS, answer, None)

    def answered(self, answer: Answer) -> CallRecord | None:
        """End it as the answer says: the provider may tell there that it failed."""
        if answer.error_type is not None:
            return self.truncated(answer.error_type, answer)
        return self.succeeded(answer)

    def broken(self, error: BaseException, answer: Answer, *, has_begun: bool) -> CallRecord | None:
        """End a stream that raised; `answer` is what came before. It has begun once a chunk has come.

        One that has not may not even have been sent: LiteLLM does that on the first read for some providers.
        """
        if not isinstance(error, Exception):
            return self.cancelled(error, answer)
        failure = self._instruments.reader.failure_of(error)
        if has_begun:
            # Whatever the error says, the tokens before it are billed.
            failure = replace(failure, charge=Charge.RECEIVED)
        return self._end(Outcome.ERROR, answer, failure)

    def truncated(self, error_type: str, answer: Answer) -> CallRecord | None:
        """End a stream that stopped without saying why."""
        failure = Failure(error_type=error_type, is_retryable=True, charge=Charge.RECEIVED)
        return self._end(Outcome.ERROR, answer, failure)

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

    def _end(
        self, outcome: Outcome, answer: Answer, failure: Failure | None, refusal: Refusal | None = None
    ) -> CallRecord | None:
        """End the call unless somebody did. Return the record to the one who ended it."""
        if not self._call.claim_end():
            return None
        self._failed = None
        cache, saved_nano, now_s = self._cache, 0, self._instruments.clock.monotonic()
        if cache is not None:
            outcome, answer, saved_nano = cache.ending(outcome, answer)
        try:
            self._end_attempt(outcome, answer, failure, now_s)
        finally:
            # Ctrl-C strikes where one waits, which is for the ledger: the call is written down all the same.
            record = self._call.record(
                now_s=now_s,
                outcome=outcome,
                answer=answer,
                failure=failure,
                trace=self._telemetry.trace(),
                refusal=refusal,
                saved_by_cache_nano=saved_nano + self._money.saved_by_cache_nano,
            )
            record_now(lambda: self._publish(record))
        return record

    def _end_attempt(self, outcome: Outcome, answer: Answer, failure: Failure | None, now_s: float) -> None:
        """Write the running attempt down. The time was read before: counting tokens is not part of it."""
        running = self._call.running
        try:
            # Struck between the leave and the request, nothing was sent, and nothing is shown of the model.
            self._course.note(None if running is None else shown_by(outcome, failure))
        finally:
            # A recorder of circuits may raise, in strict mode: what is held is settled all the same.
            self._pay_for(running, outcome, answer, failure, now_s)

    def _pay_for(
        self, running: RunningAttempt | None, outcome: Outcome, answer: Answer, failure: Failure | None, now_s: float
    ) -> None:
        if running is None:
            self._money.give_back()
            return
        usage, cost = self._money.count(running, answer, failure)
        held: Held | None = None
        try:
            held = self._money.settle(usage, cost, failure)
        finally:
            self._call.end_attempt(now_s=now_s, outcome=outcome, failure=failure, usage=usage, cost=cost, held=held)

    async def settled(self) -> None:
        """Wait until the ledger has the bill: whoever asks next finds it there. A cancel leaves it on its way."""
        await self._money.settled()

    def _publish(self, record: CallRecord) -> None:
        try:
            if self._plan.scope is not None:
                self._plan.scope.add(record)
            self._telemetry.closed(record)
        finally:
            if self._cache is not None:
                self._cache.ended(record)


def _cancel_type(error: BaseException) -> str:
    return "CancelledError" if isinstance(error, asyncio.CancelledError) else type(error).__name__
