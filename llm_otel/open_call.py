"""A call that has not ended: the one place that ends it.

`OpenCall` joins the states of a call (`lifecycle.Call`) with its span, its price and its recorders. The drivers and the
streams tell it what happened; it decides what that means, and writes it down once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from llm_otel import genai_util, semconv, tracing
from llm_otel.budgets.matching import NOTHING
from llm_otel.budgets.reports import alert_of
from llm_otel.call import Answer, Charge, Failure, Held, Outcome, Refusal
from llm_otel.clock import to_datetime
from llm_otel.content import NOTHING_SAID, SILENCE
from llm_otel.enforcement.purse import Purse
from llm_otel.lifecycle import Call
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.recorders import span as span_recorder
from llm_otel.recording import record_now

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.trace import Span

    from llm_otel.budgets.denial import Denial
    from llm_otel.budgets.ledger import Crossing
    from llm_otel.budgets.matching import Matched
    from llm_otel.call import CallRecord, CallRequest
    from llm_otel.content import CallContent, Said, Silence
    from llm_otel.enforcement.admission import Admission
    from llm_otel.enforcement.offers import Offer
    from llm_otel.enforcement.steps import Step
    from llm_otel.errors import BudgetExceededError
    from llm_otel.lifecycle import RunningAttempt
    from llm_otel.plan import Instruments, Plan
    from llm_otel.usage import Usage

T = TypeVar("T")
_NO_ANSWER = Answer()
FREE_FROM_CACHE = CostBreakdown(
    total_nano=0, parts={}, saved_by_cache_nano=0, price_source="response_cache", price_date=None
)
"""What a completion costs that LiteLLM answered from its own response cache (its own figure stays the full price)."""


class OpenCall:
    """One call between its opening and its end. Any thread may end it; the first end wins."""

    __slots__ = ("_call", "_deadline_s", "_instruments", "_plan", "_purse", "_span", "content", "may_block", "offer")

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
        self.may_block = may_block
        self._purse: Purse | None = None
        self.offer: Offer | None = None
        self._instruments = instruments
        self._plan = plan = _in_conversation(plan)
        started_ns, started_s = started or (clock.now_ns(), clock.monotonic())
        self._call = Call(plan.request, started_ns=started_ns, started_s=started_s)
        self._deadline_s = None if plan.timeout_s is None else self._call.started_s + plan.timeout_s
        self._span: Span | None = None
        self.content: CallContent | Silence = SILENCE
        record_now(self._announce)

    def _announce(self) -> None:
        guard, request = self._instruments.guard, self._plan.request
        self._span = guard.call("span", span_recorder.start, request, self._call.started_ns)
        for recorder in self._instruments.recorders:
            guard.call(recorder.name, recorder.opened, request)
        if self._instruments.content is not None:
            self.content = guard.call("content", self._instruments.content.opened, request, self._span) or SILENCE

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

    @property
    def is_held(self) -> bool:
        """Whether a budget concerns the request that is with the provider."""
        return self._purse is not None and self._purse.admission is not None

    def current_span(self) -> AbstractContextManager[None]:
        """Make the call's span the current one: what happens underneath nests, and is not counted there once more."""
        if self._span is None:
            return nullcontext()
        return tracing.Current(self._span, self.guarded("span", genai_util.mark, self.request.operation))

    def guarded(self, where: str, function: Callable[..., T], /, *args: Any) -> T | None:
        """Call a part of ours that must not break the caller's completion."""
        result: T | None = self._instruments.guard.call(where, function, *args)
        return result

    def note_internal_error(self, where: str, error: Exception) -> None:
        """Take note of a failure of ours; in strict mode it is raised."""
        self._instruments.guard.failed(where, error)

    # --- what happens to it -------------------------------------------------------------------------------------------

    def seek_leave(self) -> Generator[Step, Any, Admission] | None:
        """Return the steps to leave for the next request, which raise `DeniedError`; `None` where none is needed."""
        purse, plan = self._open_purse(), self._plan
        if purse is None:
            return None
        return purse.seek(
            plan.request,
            plan.arguments,
            at=to_datetime(self._call.started_ns),
            left_s=self.left_s,
            may_change_model=plan.may_change_model,
            shape=plan.shape,
        )

    def made_without_leave(self) -> None:
        """Note that the only request went out at the start and is through: it is booked, whatever the budgets say."""
        self._call.begin_attempt(now_s=self._call.started_s)
        if (purse := self._open_purse()) is not None:
            at, now_s = to_datetime(self._call.started_ns), self._instruments.clock.monotonic()
            purse.take_unasked(self._plan.request, at=at, now_s=now_s)

    def _open_purse(self) -> Purse | None:
        """Return the call's purse; `None` where no budget can concern it."""
        enforcer = self._instruments.enforcer
        if self._purse is None and enforcer is not None and enforcer.concerns(self._run_budgets):
            self._purse = Purse(enforcer, self._run_budgets, self._crossed)
        return self._purse

    @property
    def _run_budgets(self) -> Matched:
        return NOTHING if self._plan.scope is None else self._plan.scope.run_budgets

    def admitted(self, admission: Admission) -> None:
        """Note the leave for the next request, and what it changes."""
        assert self._purse is not None, "who has leave has sought it"
        self._purse.admitted(admission, now_s=self._instruments.clock.monotonic())
        self.offer = admission.offer

    def denied(self, denial: Denial) -> BudgetExceededError:
        """End the call: a budget refuses it. Return what the caller is to see."""
        refusal = Refusal(
            budget=denial.budget.id,
            scope=denial.line.scope,
            kind=denial.kind.value,
            is_declared=all(denial.budget is not each for each in self._run_budgets.budgets),
        )
        self._end(Outcome.DENIED, _NO_ANSWER, Failure(error_type=semconv.ERROR_BUDGET_EXCEEDED), refusal)
        return denial.error()

    def begin_attempt(self) -> RunningAttempt:
        """Note that a request is about to be sent."""
        offer = self.offer
        other = (offer.asked.provider, offer.asked.model) if offer is not None and offer.is_downgraded else None
        return self._call.begin_attempt(now_s=self._instruments.clock.monotonic(), model=other)

    def served_by(self, provider: str, model: str) -> None:
        """Note that another model answers than the one that was asked: its price holds."""
        running = self._call.running
        if running is not None:
            running.provider, running.model = provider, model

    def lives(self) -> None:
        """Note that the provider still answers."""
        if self._purse is not None:
            self._purse.lives(self._instruments.clock.monotonic())

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

    def _end(
        self, outcome: Outcome, answer: Answer, failure: Failure | None, refusal: Refusal | None = None
    ) -> CallRecord | None:
        """End the call unless somebody did. Return the record to the one who ended it."""
        if not self._call.claim_end():
            return None
        now_s = self._instruments.clock.monotonic()
        try:
            self._end_attempt(outcome, answer, failure, now_s)
        finally:
            # Ctrl-C strikes where one waits, which is for the ledger: the call is written down all the same.
            span = self._span
            record = self._call.record(
                now_s=now_s,
                outcome=outcome,
                answer=answer,
                failure=failure,
                trace=None if span is None else self._instruments.guard.call("span", span.get_span_context),
                refusal=refusal,
            )
            record_now(lambda: self._publish(record))
        return record

    def _end_attempt(self, outcome: Outcome, answer: Answer, failure: Failure | None, now_s: float) -> None:
        """Write the running attempt down. The time was read before: counting tokens is not part of it."""
        guard = self._instruments.guard
        if self._call.running is None:
            # Struck between the leave and the request: nothing was sent.
            guard.call("ledger", self._settle, None, None, Charge.NOTHING)
            return
        usage: Usage | None = answer.usage or guard.call("usage", self._estimate, answer, failure)
        cost: CostBreakdown | None = None
        if usage is not None:
            cost = guard.call("price", self._price, usage, answer)
        held: Held | None = None
        try:
            if self._purse is not None:
                charge = Charge.RECEIVED if usage is not None or failure is None else failure.charge
                held = guard.call("ledger", self._settle, usage, cost, charge)
        finally:
            self._call.end_attempt(now_s=now_s, outcome=outcome, failure=failure, usage=usage, cost=cost, held=held)

    def _settle(self, usage: Usage | None, cost: CostBreakdown | None, charge: Charge) -> Held | None:
        if self._purse is None:
            return None
        nano = None if cost is None else cost.total_nano
        return self._purse.settle(usage, nano, may_be_billed=charge is not Charge.NOTHING, may_block=self.may_block)

    async def settled(self) -> None:
        """Wait until the ledger has the bill: whoever asks next finds it there. A cancel leaves it on its way."""
        bill = None if self._purse is None else self._purse.settled
        if bill is not None:
            await asyncio.shield(asyncio.wrap_future(bill))

    def _crossed(self, crossings: tuple[Crossing, ...]) -> None:
        """Tell of thresholds that this call has taken spend to: on its span too, where that has not ended."""
        assert self._instruments.enforcer is not None, "thresholds belong to budgets"
        self._instruments.enforcer.announce(crossings)
        for crossing in crossings:
            self._instruments.guard.call("span", span_recorder.alert, self._span, alert_of(crossing))

    def _estimate(self, answer: Answer, failure: Failure | None) -> Usage | None:
        """Return what was used where nobody reports it: as counted here, or nothing where nothing can be billed."""
        if failure is not None and failure.charge is Charge.NOTHING:
            return None
        return self._instruments.reader.count(self._plan.request, answer.text)

    def _price(self, usage: Usage, answer: Answer) -> CostBreakdown | None:
        running, request = self._call.running, self._plan.request
        if answer.is_cache_hit:
            return FREE_FROM_CACHE
        assert running is not None, "only a request is priced"
        return self._instruments.prices.price(
            usage,
            provider=running.provider,
            model=request.base_model or running.model if running.model == request.model else running.model,
            at=self._call.started_ns / 1e9,
            service_tier=answer.service_tier or request.service_tier,
        )

    def _publish(self, record: CallRecord) -> None:
        guard, scope, events = self._instruments.guard, self._plan.scope, self._instruments.events
        content, self.content = self.content, SILENCE
        said: Said = NOTHING_SAID if content is SILENCE else guard.call("content", content.end) or NOTHING_SAID
        if scope is not None:
            scope.add(record)
        if self._span is not None:
            guard.call("span", span_recorder.finish, self._span, record, said.on_span)
        if events is not None:
            guard.call("events", events.closed, record, said.on_event, self._span)
        for recorder in self._instruments.recorders:
            guard.call(recorder.name, recorder.closed, record)


def _in_conversation(plan: Plan) -> Plan:
    """Return the plan with the conversation of its scope: written in here, so that no entrance can forget it."""
    if plan.scope is None or plan.scope.conversation_id is None:
        return plan
    return replace(plan, request=replace(plan.request, conversation_id=plan.scope.conversation_id))


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
