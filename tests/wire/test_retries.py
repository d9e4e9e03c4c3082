"""Requests that are sent again, by `LLMRouter` alone: when, how often, and after what pause."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest

from llm_otel import ProviderError, semconv
from llm_otel.call import AttemptReason
from llm_otel.demo.simulator import Break, Fail, Hang, Reply, Reset, StreamError
from tests.wire.books import Ending, billed, refused, success
from tests.wire.callers import LITELLM_ROUTER, PLAIN, ROUTER, asked_by

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)


def attempts_of(books):
    """Return name, outcome, reason, status and cost of each attempt of the one call, as its child spans tell."""
    told = []
    for span in books.children(books.call):
        said = dict(span.attributes)
        told.append(
            (
                span.name,
                said[semconv.OUTCOME],
                said[semconv.ATTEMPT_REASON],
                said.get(semconv.HTTP_RESPONSE_STATUS_CODE),
                said.get(semconv.ATTEMPT_COST_NANO_USD, 0),
            )
        )
    return told


@asked_by(entrances=(ROUTER,))
def test_a_retry_that_helps(caller, simulator, books):
    """The call is a success with two attempts, each a child; the refused one cost nothing."""
    simulator.script(Fail(429), ANSWER)

    got = caller.ask(max_retries=2)

    cost = caller.model.cost(18, 3)
    assert (None, "Hello there!") == (got.error, got.text)
    assert success(18, 3, cost, attempts=2) == books.only
    assert [
        ("attempt 1", "error", "first", 429, 0),
        ("attempt 2", "success", "retry", None, cost),
    ] == attempts_of(books)
    assert 1 == books.metric(semconv.ATTEMPTS, outcome="error", reason=AttemptReason.FIRST)
    assert 1 == books.metric(semconv.ATTEMPTS, outcome="success", reason=AttemptReason.RETRY)
    assert 1 == got.scope.calls
    assert 2 == len(simulator.requests)


@asked_by(entrances=(ROUTER,))
def test_retries_that_do_not_help(caller, simulator, books):
    """The error is the last one's, and says how often it was tried."""
    simulator.script(Fail(503), Fail(429), Fail(500))

    got = caller.ask(max_retries=2)

    error_type = type(caller.cause_of(got.error)).__name__
    assert refused(error_type, 500, attempts=3) == books.only
    assert (error_type, 500, 3) == (got.error.error_type, got.error.status_code, got.error.attempts)
    assert [503, 429, 500] == [status for _, _, _, status, _ in attempts_of(books)]


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_a_retry_after_a_loss(caller, simulator, books, clock):
    """The lost request may be billed: its input is a part of the sum, and of what was wasted on retries."""
    simulator.script(Reset(), ANSWER)

    caller.ask(max_retries=1)

    lost, cost = caller.model.cost(9, 0), caller.model.cost(18, 3)
    assert success(27, 3, lost + cost, attempts=2, is_estimated=True) == books.only
    assert [lost, cost] == [cost for *_, cost in attempts_of(books)]
    assert lost == round(books.metric(semconv.WASTED_COST, reason="retry") * 1e9)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_what_cannot_help_is_not_retried(caller, status, simulator, books):
    """The same request would get the same answer."""
    simulator.script(Fail(status))

    got = caller.ask(max_retries=2)

    assert 1 == got.error.attempts == len(simulator.requests)


@asked_by(entrances=(ROUTER,), is_stream=True, is_async=False)
@pytest.mark.parametrize("behaviour", [Break(2), StreamError(2)], ids=["cut", "error"])
def test_a_stream_that_has_begun_is_not_retried(caller, behaviour, simulator, books):
    """Its consumer has seen the beginning."""
    simulator.script(behaviour)

    caller.ask(max_retries=2)

    assert 1 == books.only.attempts == len(simulator.requests)


@asked_by(providers=("openai",), entrances=(ROUTER,))
@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_the_provider_says_when_to_come_again(caller, form, simulator, books, clock):
    """`Retry-After` is the least pause, in each of its forms: a date counts from the answer's own."""
    now = {"date": formatdate(usegmt=True)}
    simulator.script(Fail(429, retry_after_s=7, retry_after_as=form, headers=now), ANSWER)

    got = caller.ask(max_retries=1)

    (pause_s,) = clock.pauses
    assert None is got.error
    # A date has whole seconds.
    assert 7 == pytest.approx(pause_s, abs=1 if form == "date" else 0)


@asked_by(entrances=(ROUTER,), is_async=False, is_stream=False)
def test_retry_after_reaches_us_from_every_provider(caller, simulator, books, clock):
    """LiteLLM keeps the header somewhere else for each."""
    simulator.script(Fail(429, retry_after_s=7), ANSWER)

    caller.ask(max_retries=1)

    assert [7] == clock.pauses


def test_pauses_of_our_own(caller, simulator, books, clock):
    """Full jitter below a bound that doubles: half a second, then one."""
    simulator.script(Fail(503), Fail(503), ANSWER)

    caller.ask(max_retries=2)

    first, second = clock.pauses
    assert 0 <= first <= 0.5
    assert 0 <= second <= 1


def test_a_pause_beyond_the_deadline_is_not_begun(caller, simulator, books, clock):
    """The caller hears of the error now rather than later, with the pause that the provider asked for."""
    simulator.script(Fail(429, retry_after_s=60))

    got = caller.ask(max_retries=2, timeout_s=30)

    assert [] == clock.pauses
    assert (1, 60) == (got.error.attempts, got.error.retry_after_s)
    assert "asks to wait 60 s" in str(got.error)


def test_one_deadline_for_all_attempts(caller, simulator, books, clock):
    """Each pause takes from it; the clock jumps, so that 2 x 8 s are nothing here."""
    clock.jumps = True
    simulator.script(Fail(429, retry_after_s=8), repeat=True)

    got = caller.ask(in_scope=False, max_retries=9, timeout_s=20)

    assert [8, 8] == clock.pauses
    assert 3 == got.error.attempts == len(simulator.requests)


@asked_by(providers=("openai",), entrances=(PLAIN,))
def test_a_plain_call_is_not_repeated_by_us(caller, simulator, books, clock):
    """What its caller or LiteLLM do about errors stays theirs."""
    simulator.script(Fail(429, retry_after_s=7))

    caller.ask()

    assert 1 == len(simulator.requests)
    assert [] == clock.pauses


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN), is_async=False)
def test_nobody_below_us_retries(caller, simulator, books):
    """`LLMRouter` switches off the retries of LiteLLM and of the OpenAI SDK, so that attempts do not multiply."""
    simulator.script(Fail(500), Fail(500), Fail(500))

    caller.ask()

    assert 1 == len(simulator.requests)


@asked_by(providers=("openai",), entrances=(LITELLM_ROUTER,), is_stream=False)
def test_retries_of_litellms_router(caller, simulator, books):
    """Each is a call of its own: one span each, for that is what LiteLLM's router makes of it."""
    simulator.script(Fail(500), ANSWER)

    got = caller.ask(num_retries=1)

    assert "Hello there!" == got.text
    assert ["error", "success"] == [ending.outcome for ending in books.endings]
    assert success(18, 3, caller.model.cost(18, 3)) == books.endings[1]
    assert 2 == got.scope.calls


class Waiting(asyncio.Event):
    """A pause that never ends."""

    async def asleep(self, _seconds):
        self.set()
        await asyncio.Event().wait()


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=True)
def test_a_task_cancelled_in_a_pause(caller, simulator, books, clock, monkeypatch, run):
    """The call ends as cancelled; its one request had failed, and cost nothing."""
    simulator.script(Fail(429))
    waiting = Waiting()
    monkeypatch.setattr(clock, "asleep", waiting.asleep, raising=False)

    async def cancel():
        asked = asyncio.ensure_future(caller.aask(max_retries=1))
        await waiting.wait()
        asked.cancel()
        await asyncio.wait([asked])
        return asked.cancelled()

    assert run(cancel())
    assert Ending(outcome="cancelled", status="ERROR", error_type="CancelledError", cost_nano=0) == books.only


@asked_by(entrances=(ROUTER,))
def test_a_provider_that_hangs(caller, simulator, books):
    """Nothing for ten minutes: the call ends at its deadline, in every form, and the input may be billed."""
    simulator.script(Hang())

    got = caller.ask(timeout_s=0.6, max_retries=2)

    assert isinstance(got.error, ProviderError)
    assert got.error.error_type in {"Timeout", "TimeoutError"}
    assert 1 == got.error.attempts
    assert billed("error", got.error.error_type, (9, 0), caller.model.cost(9, 0)) == books.only


@asked_by(entrances=(ROUTER,), is_stream=True)
def test_a_stream_that_hangs_after_its_headers(caller, simulator, books):
    """The deadline holds up to the first chunk."""
    simulator.script(Hang(after_chunks=0))

    got = caller.ask(timeout_s=0.6, max_retries=2)

    assert isinstance(got.error, ProviderError)
    assert billed("error", got.error.error_type, (9, 0), caller.model.cost(9, 0)) == books.only


@asked_by(entrances=(PLAIN,), is_stream=False)
def test_a_plain_call_that_hangs(caller, simulator, books):
    """The time-out is the caller's own, and so is LiteLLM's exception."""
    simulator.script(Hang())

    got = caller.ask(timeout_s=0.4)

    assert "Timeout" == type(got.error).__name__
    assert billed("error", "Timeout", (9, 0), caller.model.cost(9, 0)) == books.only
