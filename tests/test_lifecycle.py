"""A call ends exactly once, whatever happens to it, from however many threads. Its sums are those of its attempts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_otel.call import Answer, AttemptReason, CallRecord, CallRequest, Charge, Failure, Outcome
from llm_otel.clock import SystemClock
from llm_otel.lifecycle import Call
from llm_otel.open_call import OpenCall
from llm_otel.plan import Instruments, Plan
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.recording import Guard
from llm_otel.routing.retry import RetryPolicy
from llm_otel.scope import Scope
from llm_otel.semconv import TokenType
from llm_otel.usage import Usage

REQUEST = CallRequest(
    operation="chat", provider="openai", model="gpt-4o-mini", litellm_model="openai/gpt-4o-mini", is_streaming=True
)
ANSWER = Answer(usage=Usage.of(input_tokens=18, output_tokens=5), finish_reasons=("stop",))
SECONDS = st.floats(0, 1_000)


class Refused(Exception):
    """The provider said no, and may say yes next time."""


class Cut(Exception):
    """The connection was lost."""


class HandClock(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def now_ns(self) -> int:
        """Return the wall time."""
        return 10**18 + int(self.now_s * 1e9)

    def monotonic(self) -> float:
        """Return the monotonic time."""
        return self.now_s


class Reader:
    """Reads the two exceptions above, and counts three tokens of input and the letters of the output."""

    @staticmethod
    def failure_of(error: BaseException, handled: BaseException | None = None) -> Failure:
        """Read an exception."""
        charge = Charge.RECEIVED if isinstance(error, Cut) else Charge.NOTHING
        return Failure(error_type=type(error).__name__, is_retryable=isinstance(error, Refused), charge=charge)

    @staticmethod
    def count(request: CallRequest, text: str) -> Usage:
        """Estimate."""
        return Usage.of(input_tokens=3, output_tokens=len(text), is_estimated=True)


class Prices:
    """A nano-dollar for each token."""

    @staticmethod
    def price(usage: Usage, **_: Any) -> CostBreakdown:
        """Price."""
        nano = usage.total_tokens
        return CostBreakdown(nano, {TokenType.INPUT: nano}, 0, "test", None)


@dataclass
class Recorder:
    """Keeps what it is told."""

    name: str = "test"
    opened_requests: list[CallRequest] = field(default_factory=list)
    records: list[CallRecord] = field(default_factory=list)

    def opened(self, request: CallRequest) -> None:
        """Keep a request."""
        self.opened_requests.append(request)

    def closed(self, record: CallRecord) -> None:
        """Keep a record."""
        self.records.append(record)


def _raise(where: str, error: Exception) -> None:
    raise error


def instruments(recorder: Recorder, clock: SystemClock | None = None) -> Any:
    """Return what a call needs, without a vendor in it, strict."""
    return Instruments(
        clock=clock or HandClock(),
        prices=Prices(),  # type: ignore[arg-type]  # as far as calls use it
        reader=Reader(),
        recorders=(recorder,),
        guard=Guard(_raise),
        chance=lambda: 0.5,
    )


def fail(call: OpenCall, error: BaseException) -> float | None:
    """Have an attempt raise, as the driver does; `None` when the caller gets an exception."""
    try:
        try:
            raise error
        except BaseException as exc:
            return call.failed(exc)
    except type(error):
        return None


# Every way in which a call can end, and how that is called.
ENDS: dict[str, tuple[Callable[[OpenCall], Any], Outcome]] = {
    "answered": (lambda call: call.answered(ANSWER), Outcome.SUCCESS),
    "answered from the cache": (lambda call: call.answered(Answer(is_cache_hit=True)), Outcome.CACHED),
    "refused": (lambda call: fail(call, ValueError()), Outcome.ERROR),
    "interrupted by Ctrl-C": (lambda call: fail(call, KeyboardInterrupt()), Outcome.CANCELLED),
    "broken": (lambda call: call.broken(Cut(), Answer(text="Hi"), has_begun=True), Outcome.ERROR),
    "broken before it began": (lambda call: call.broken(Refused(), Answer(), has_begun=False), Outcome.ERROR),
    "cancelled amid": (lambda call: call.broken(GeneratorExit(), Answer(), has_begun=True), Outcome.CANCELLED),
    "truncated": (lambda call: call.truncated("IncompleteStream", Answer(text="Hi")), Outcome.ERROR),
    "abandoned": (lambda call: call.abandoned(Answer(text="Hi")), Outcome.ABANDONED),
    "cancelled in a pause": (lambda call: call.interrupted(KeyboardInterrupt()), Outcome.CANCELLED),
    "struck by a bug": (lambda call: call.interrupted(KeyError()), Outcome.ERROR),
}
every_end = pytest.mark.parametrize(("end", "outcome"), ENDS.values(), ids=ENDS)


@every_end
def test_each_end_has_its_outcome(end, outcome, spans):
    """One record, one span, one more in the scope's totals."""
    recorder, scope = Recorder(), Scope("work")
    call = OpenCall(instruments(recorder), Plan(request=REQUEST, scope=scope))
    call.begin_attempt()
    end(call)

    (record,) = recorder.records
    assert (outcome, outcome) == (record.outcome, record.attempts[0].outcome)
    assert (outcome.value, 1, True) == (spans.only.attributes["llm_otel.outcome"], scope.calls, call.is_over)


@given(st.lists(st.sampled_from(sorted(ENDS)), min_size=1, max_size=6))
def test_the_first_end_wins(names):
    """Whatever else is said of the call afterwards changes nothing."""
    recorder = Recorder()
    call = OpenCall(instruments(recorder), Plan(request=REQUEST))
    call.begin_attempt()
    for name in names:
        ENDS[name][0](call)

    assert [ENDS[names[0]][1]] == [record.outcome for record in recorder.records]


def test_of_many_threads_one_ends_the_call(spans):
    """Closing, dropping, cancelling and finishing at the same moment: one record, one span, one count."""
    for _ in range(50):
        recorder, scope, barrier = Recorder(), Scope("work"), threading.Barrier(len(ENDS))
        call = OpenCall(instruments(recorder), Plan(request=REQUEST, scope=scope))
        call.begin_attempt()

        def end_now(end: Callable[[OpenCall], Any], call: OpenCall = call, barrier: Any = barrier) -> None:
            barrier.wait(timeout=30)
            end(call)

        threads = [threading.Thread(target=end_now, args=(end,)) for end, _ in ENDS.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (1, 1, 1) == (len(recorder.records), scope.calls, len(recorder.records[0].attempts))
    assert ["chat gpt-4o-mini"] * 50 == spans.names


def test_the_claim_is_won_once():
    """Also when many ask at once."""
    call = Call(REQUEST, started_ns=0, started_s=0.0)
    barrier, won = threading.Barrier(16), []

    def claim() -> None:
        barrier.wait(timeout=30)
        won.append(call.claim_end())

    threads = [threading.Thread(target=claim) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1, 16, True) == (sum(won), len(won), call.is_over)


class OneCall(RuleBasedStateMachine):
    """Everything that can happen to a call, in any order that the driver and the streams can bring about."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.recorder = Recorder()
        self.attempts = 0
        self.is_running = False
        self.outcome: Outcome | None = None
        self.first_chunk_s: float | None = None
        plan = Plan(request=REQUEST, retry=RetryPolicy(max_attempts=4), timeout_s=600.0)
        self.call = OpenCall(instruments(self.recorder, self.clock), plan)

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        """As it does."""
        self.clock.now_s += seconds

    @precondition(lambda self: not self.is_running and self.outcome is None)
    @rule()
    def attempt_begins(self) -> None:
        """A request is sent, if time is left for one."""
        if not self.call.course.left_s:
            with pytest.raises(Refused if self.attempts else TimeoutError):
                self.call.begin_attempt()
            self.outcome = Outcome.ERROR
            return
        begun = self.call.begin_attempt()
        self.attempts, self.is_running = self.attempts + 1, True
        reason = AttemptReason.FIRST if self.attempts == 1 else AttemptReason.RETRY
        assert (self.attempts, reason) == (begun.number, begun.reason)

    @precondition(lambda self: self.is_running and self.outcome is None and self.first_chunk_s is None)
    @rule()
    def attempt_fails(self) -> None:
        """It may be tried again, or be the end."""
        left_s = self.call.course.left_s
        pause_s = fail(self.call, Refused())
        self.is_running = False
        if pause_s is None:
            self.outcome = Outcome.ERROR
        else:
            assert self.attempts < 4
            assert pause_s < left_s

    @precondition(lambda self: self.is_running)
    @rule()
    def content_comes(self) -> None:
        """The first time is kept."""
        self.call.note_content()
        if self.first_chunk_s is None:
            self.first_chunk_s = self.clock.now_s

    @precondition(lambda self: self.is_running or self.outcome is not None)
    @rule(name=st.sampled_from(sorted(ENDS)))
    def it_ends(self, name: str) -> None:
        """Perhaps not for the first time."""
        end, outcome = ENDS[name]
        end(self.call)
        self.outcome, self.is_running = self.outcome or outcome, False

    @precondition(lambda self: not self.is_running)
    @rule()
    def its_task_is_cancelled_in_a_pause(self) -> None:
        """Or before the first attempt."""
        self.call.interrupted(KeyboardInterrupt())
        self.outcome = self.outcome or Outcome.CANCELLED

    @invariant()
    def it_has_ended_once_or_not_at_all(self) -> None:
        """The record is there as soon as somebody ended it, and never changes."""
        expected = [] if self.outcome is None else [self.outcome]
        assert expected == [record.outcome for record in self.recorder.records]
        assert (self.outcome is not None) is self.call.is_over

    def teardown(self) -> None:
        """Whatever happened: the driver sees to it that there is an end. Its facts add up."""
        self.call.interrupted(KeyError())
        (record,) = self.recorder.records
        assert self.attempts == len(record.attempts)
        assert list(range(1, self.attempts + 1)) == [attempt.number for attempt in record.attempts]
        assert sum(a.usage.total_tokens for a in record.attempts if a.usage) == (
            record.usage.total_tokens if record.usage else 0
        )
        assert sum(a.cost.total_nano for a in record.attempts if a.cost) == record.cost_nano
        for attempt in record.attempts:
            assert 0 <= attempt.started_s
            assert attempt.started_s + attempt.duration_s <= record.duration_s + 1e-6
        if self.first_chunk_s is not None:
            assert pytest.approx(self.first_chunk_s - 1_000.0) == record.time_to_first_chunk_s


OneCall.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=20)
TestOneCall = OneCall.TestCase


# --- what an end means for the money ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "usage"),
    [
        ("answered", Usage.of(input_tokens=18, output_tokens=5)),
        ("refused", None),
        ("broken before it began", None),
        ("struck by a bug", None),
        ("broken", Usage.of(input_tokens=3, output_tokens=2, is_estimated=True)),
        ("truncated", Usage.of(input_tokens=3, output_tokens=2, is_estimated=True)),
        ("abandoned", Usage.of(input_tokens=3, output_tokens=2, is_estimated=True)),
        ("cancelled amid", Usage.of(input_tokens=3, is_estimated=True)),
        ("interrupted by Ctrl-C", Usage.of(input_tokens=3, is_estimated=True)),
    ],
)
def test_what_an_end_costs(end, usage):
    """What was reported; else what was sent and received; nothing where the provider turned it away."""
    recorder = Recorder()
    call = OpenCall(instruments(recorder), Plan(request=REQUEST))
    call.begin_attempt()
    ENDS[end][0](call)

    (record,) = recorder.records
    assert usage == record.usage
    assert (usage.total_tokens if usage else 0) == record.cost_nano


def test_a_stream_that_had_begun_is_billed_whatever_the_error_says():
    """An error status amid a stream does not take back the tokens before it."""
    recorder = Recorder()
    call = OpenCall(instruments(recorder), Plan(request=REQUEST))
    call.begin_attempt()
    call.broken(Refused(), Answer(text="Hi"), has_begun=True)

    (record,) = recorder.records
    assert (Charge.RECEIVED, 5) == (record.failure.charge, record.usage.total_tokens)


def test_an_answer_from_the_cache_costs_nothing():
    """Its tokens are counted all the same."""
    recorder = Recorder()
    call = OpenCall(instruments(recorder), Plan(request=REQUEST))
    call.begin_attempt()
    call.answered(Answer(usage=ANSWER.usage, is_cache_hit=True))

    (record,) = recorder.records
    assert (Outcome.CACHED, 23, 0) == (record.outcome, record.usage.total_tokens, record.cost_nano)


def test_the_callers_error_is_made_of_the_record_and_the_cause():
    """Only where a plan says how; the provider's own exception is its cause."""
    plan = Plan(request=REQUEST, to_error=lambda record: RuntimeError(record.failure.error_type))
    call = OpenCall(instruments(Recorder()), plan)
    call.begin_attempt()
    with pytest.raises(RuntimeError, match="Cut") as caught:
        try:
            raise Cut
        except Cut as exc:
            call.failed(exc)

    assert Cut is type(caught.value.__cause__)


def test_a_call_may_have_begun_before_it_was_known():
    """Its times are those of its own start."""
    clock, recorder = HandClock(), Recorder()
    call = OpenCall(instruments(recorder, clock), Plan(request=REQUEST), started=(77, clock.now_s - 2.5))
    call.begin_attempt()
    call.answered(ANSWER)

    (record,) = recorder.records
    assert (77, 2.5) == (record.started_ns, record.duration_s)


@given(st.lists(st.tuples(SECONDS, st.booleans()), min_size=1, max_size=5))
def test_the_deadline_does_not_move(steps):
    """One deadline over all attempts; what is left is never negative."""
    clock = HandClock()
    call = OpenCall(instruments(Recorder(), clock), Plan(request=REQUEST, timeout_s=100.0))
    passed = 0.0
    for seconds, _ in steps:
        clock.now_s += seconds
        passed = clock.now_s - 1_000.0
        assert max(0.0, 100.0 - passed) == pytest.approx(call.course.left_s)
    call.interrupted(KeyError())


@pytest.mark.parametrize("waited_s", [100.0, 101.0])
def test_nothing_is_sent_after_the_deadline(waited_s):
    """A choice of a model, or a budget, took all the time: a request would cost money, and nobody would read it."""
    clock, recorder = HandClock(), Recorder()
    call = OpenCall(instruments(recorder, clock), Plan(request=REQUEST, timeout_s=100.0))
    clock.now_s += waited_s
    with pytest.raises(TimeoutError, match="no time was left"):
        call.begin_attempt()

    (record,) = recorder.records
    assert (Outcome.ERROR, "TimeoutError", (), 0) == (
        record.outcome,
        record.failure.error_type,
        record.attempts,
        record.cost_nano,
    )


def test_a_pause_that_lasts_past_the_deadline_ends_in_what_failed_before_it():
    """That says more than that the time is over."""
    clock, recorder = HandClock(), Recorder()
    plan = Plan(request=REQUEST, retry=RetryPolicy(max_attempts=2), timeout_s=100.0)
    call = OpenCall(instruments(recorder, clock), plan)
    call.begin_attempt()
    assert fail(call, Refused()) is not None
    clock.now_s += 100.0
    with pytest.raises(Refused):
        call.begin_attempt()

    (record,) = recorder.records
    assert ("Refused", 1) == (record.failure.error_type, len(record.attempts))


def test_the_first_chunk_stays_the_first():
    """However many come."""
    call = Call(REQUEST, started_ns=0, started_s=1.0)
    for now_s in (3.0, 4.0):
        call.note_chunk(now_s)
    record = call.record(now_s=5.0, outcome=Outcome.SUCCESS, answer=ANSWER, failure=None, trace=None)

    assert 2.0 == record.time_to_first_chunk_s
    assert (3.0,) == record.later_chunks_s


def test_one_attempt_at_a_time():
    """A second one would write over the first."""
    call = Call(REQUEST, started_ns=0, started_s=0.0)
    call.begin_attempt(now_s=0.0)
    with pytest.raises(AssertionError, match="one attempt"):
        call.begin_attempt(now_s=1.0)


def test_an_unpriced_attempt_makes_the_whole_unknown():
    """A sum without it would read as the whole."""
    call = Call(REQUEST, started_ns=0, started_s=0.0)
    usage = Usage.of(input_tokens=1)
    for number, cost in enumerate((Prices.price(usage), None), 1):
        call.begin_attempt(now_s=number)
        call.end_attempt(now_s=number, outcome=Outcome.ERROR, failure=None, usage=usage, cost=cost)
    record = call.record(now_s=9.0, outcome=Outcome.ERROR, answer=Answer(), failure=None, trace=None)

    assert (None, True, Usage.of(input_tokens=2)) == (record.cost_nano, record.is_unpriced, record.usage)


def test_a_call_without_attempts_used_nothing():
    """It was cancelled before it began: known to be free."""
    call = Call(REQUEST, started_ns=0, started_s=0.0)
    call.end_attempt(now_s=1.0, outcome=Outcome.CANCELLED, failure=None, usage=None, cost=None)
    record = call.record(now_s=1.0, outcome=Outcome.CANCELLED, answer=Answer(), failure=None, trace=None)

    assert ((), None, 0, None) == (record.attempts, record.usage, record.cost_nano, record.price_source)


def test_facts_have_room_for_nothing_else():
    """Recorders share them, and none can leave notes on them. (That no field changes, mypy sees: tests/typing.)"""
    call = Call(REQUEST, started_ns=0, started_s=0.0)
    record = call.record(now_s=1.0, outcome=Outcome.SUCCESS, answer=ANSWER, failure=None, trace=None)
    for fact in (record, record.answer, record.request):
        with pytest.raises(AttributeError):
            fact.note = "mine"
