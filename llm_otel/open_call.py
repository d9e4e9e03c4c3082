"""A call that has not ended: the one place that ends it.

`OpenCall` joins the states of a call (`lifecycle.Call`) with where it goes (`CallCourse`), its money (`CallMoney`) and
what is told of it (`CallTelemetry`). The drivers and the streams tell it what happened; it decides what that means, and
writes it down once. What the next request is to be they read off those parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from llm_otel import semconv
from llm_otel.call import Answer, Charge, Failure, Outcome, Refusal
from llm_otel.call_cache import CallCache
from llm_otel.call_course import CallCourse
from llm_otel.call_leave import NobodyLeftError, leave_for_next
from llm_otel.call_money import CallMoney
from llm_otel.call_telemetry import CallTelemetry
from llm_otel.enforcement.admission import DeniedError
from llm_otel.errors import CircuitOpenError
from llm_otel.lifecycle import Call
from llm_otel.recording import record_now

if TYPE_CHECKING:
    from collections.abc import Generator

    from llm_otel.budgets.denial import Denial
    from llm_otel.call import CallRecord, CallRequest, Held
    from llm_otel.errors import BudgetExceededError
    from llm_otel.lifecycle import RunningAttempt
    from llm_otel.plan import Instruments, Plan
    from llm_otel.pricing.rate import CostBreakdown
    from llm_otel.steps import Step
    from llm_otel.usage import Usage

_NO_ANSWER = Answer()


class OpenCall:
    """One call between its opening and its end. Any thread may end it; the first end wins.

    Attributes:
        request: What was asked for.
        course: Where the next request goes.
        money: What a budget changes about it.
        telemetry: What is told of the call.
        guard: Calls parts of ours that must not break the caller's completion.
    """

    __slots__ = (
        "_cache",
        "_call",
        "_failed",
        "_instruments",
        "_plan",
        "course",
        "guard",
        "money",
        "request",
        "telemetry",
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
        started_ns, started_s = started or (clock.now_ns(), clock.monotonic())
        self._instruments = instruments
        if plan.scope is not None and plan.scope.conversation_id is not None:
            plan = plan.in_conversation(plan.scope.conversation_id)
        self._plan = plan
        self.request: CallRequest = plan.request
        self.guard = instruments.guard
        self._call = Call(plan.request, started_ns=started_ns, started_s=started_s)
        self._failed: tuple[Exception, Failure] | None = None
        self.course = CallCourse(instruments, plan, None if plan.timeout_s is None else started_s + plan.timeout_s)
        self.telemetry = telemetry = CallTelemetry(instruments, plan.request)
        self.money = CallMoney(instruments, plan, started_ns=started_ns, may_block=may_block, alerted=telemetry.alerted)
        self._cache = None if plan.caching is None else CallCache(plan.caching, instruments.guard)
        record_now(telemetry.opened, started_ns)

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._call.is_over

    def must_not_block(self) -> None:
        """Note that the call may be ended amid anything: that must not wait for the ledger, nor join an answer."""
        self.money.may_block = False
        self.brings(None)

    # --- an answer that was given before ------------------------------------------------------------------------------

    def seek_answer(self) -> Generator[Step, Any, Any] | None:
        """Return the steps to an answer that was given before; `None` where nobody wants one.

        They end in what a request would have brought, or in `None`.
        """
        return None if self._cache is None else self._cache.recall(self.course.left_s)

    def brings(self, raw: Any, whole_of: Callable[[Any], Any] | None = None) -> None:
        """Say what the provider answers, to be given again: whole, or to be made whole once the call has ended well."""
        if self._cache is not None:
            self._cache.brings(raw, whole_of)

    # --- leave for a request ------------------------------------------------------------------------------------------

    def seek_leave(self) -> Generator[Step, Any, None] | None:
        """Return the steps to leave for the next request; `None` where nothing stands in its way.

        They raise what the caller is to see where nobody may be asked.
        """
        is_let_through = self.course.enter()
        if is_let_through and not self.money.is_concerned():
            return None
        return self._leave(is_let_through=is_let_through)

    def _leave(self, *, is_let_through: bool) -> Generator[Step, Any, None]:
        clock = self._instruments.clock
        try:
            yield from leave_for_next(self.course, self.money, clock, is_let_through=is_let_through)
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
            is_declared=self.money.is_declared(denial),
        )
        self._end(Outcome.DENIED, _NO_ANSWER, Failure(error_type=semconv.ERROR_BUDGET_EXCEEDED), refusal)
        return denial.error()

    def _run_out(self, denial: Denial | None) -> NoReturn:
        """End the call: nobody is left to be asked. Raise what the caller is to see, which is the first trouble.

        Where no fallback could help, that is what the last request failed of; where none was sent, the open circuit.
        """
        if self._failed is not None:
            self._give_up(*self._failed)
        (provider, model), retry_after_s = self.course.first_to_open()
        error = CircuitOpenError(provider=provider, model=model, retry_after_s=retry_after_s)
        self._end(Outcome.ERROR, _NO_ANSWER, Failure(error_type=error.error_type, retry_after_s=retry_after_s))
        raise error from (None if denial is None else denial.error())

    def _run_late(self) -> NoReturn:
        """End the call: a choice, a budget or a pause has taken its time. Nobody would read what a request brought."""
        if self._failed is not None:
            self._give_up(*self._failed)
        error = TimeoutError("no time was left to send a request")
        self._give_up(error, self._instruments.reader.failure_of(error))

    def made_without_leave(self) -> None:
        """Note that the only request went out at the start and is through: it is booked, whatever the budgets say."""
        self._call.begin_attempt(now_s=self._call.started_s)
        self.money.take_unasked()

    # --- what happens to it -------------------------------------------------------------------------------------------

    def begin_attempt(self) -> RunningAttempt:
        """Note that a request is about to be sent. Raise what the caller is to see where no time is left for one."""
        now_s = self._instruments.clock.monotonic()
        if self.course.is_late(now_s):
            self._run_late()
        offer, target = self.money.offer, self.course.target
        model = (target.provider, target.model)
        if offer is not None and offer.is_downgraded:
            model = (offer.asked.provider, offer.asked.model)
        # Its traceback leads to all that the caller holds, such as a stream that has to end when it is dropped.
        self._failed = None
        reason = self.course.begin()
        return self._call.begin_attempt(now_s=now_s, model=model, reason=reason)

    def served_by(self, provider: str, model: str) -> None:
        """Note that another model answers than the one that was asked: its price holds."""
        running = self._call.running
        if running is not None:
            running.provider, running.model = provider, model

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
        pause_s = self.course.after(failure)
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

    def answered(self, answer: Answer) -> CallRecord | None:
        """End it as the answer says: well, unless the provider tells there that it failed."""
        if answer.error_type is not None:
            return self.truncated(answer.error_type, answer)
        return self._end(Outcome.CACHED if answer.is_cache_hit else Outcome.SUCCESS, answer, None)

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
                trace=self.telemetry.trace(),
                refusal=refusal,
                saved_by_cache_nano=saved_nano + self.money.saved_by_cache_nano,
            )
            record_now(self._publish, record)
        return record

    def _end_attempt(self, outcome: Outcome, answer: Answer, failure: Failure | None, now_s: float) -> None:
        """Write the running attempt down. The time was read before: counting tokens is not part of it."""
        running = self._call.running
        try:
            self.course.ended(None if running is None else outcome, failure)
        finally:
            # A recorder of circuits may raise, in strict mode: what is held is settled all the same.
            if running is None:
                self.money.give_back()
            else:
                self._pay_for(running, outcome, answer, failure, now_s)

    def _pay_for(
        self, running: RunningAttempt, outcome: Outcome, answer: Answer, failure: Failure | None, now_s: float
    ) -> None:
        usage: Usage | None = None
        cost: CostBreakdown | None = None
        held: Held | None = None
        try:
            usage, cost = self.money.count(running, answer, failure)
        finally:
            # Ctrl-C may strike while tokens are counted, and a price source may raise, in strict mode.
            try:
                held = self.money.settle(usage, cost, failure)
            finally:
                self._call.end_attempt(now_s=now_s, outcome=outcome, failure=failure, usage=usage, cost=cost, held=held)

    async def settled(self) -> None:
        """Wait until the ledger has the bill: whoever asks next finds it there. A cancel leaves it on its way."""
        await self.money.settled()

    def _publish(self, record: CallRecord) -> None:
        try:
            if self._plan.scope is not None:
                self._plan.scope.add(record)
            self.telemetry.closed(record)
        finally:
            if self._cache is not None:
                self._cache.ended(record)


def _cancel_type(error: BaseException) -> str:
    return "CancelledError" if isinstance(error, asyncio.CancelledError) else type(error).__name__
