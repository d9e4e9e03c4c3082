"""Leave to ask a model is given back exactly once, wherever a call is struck: a lost probe would shut the model out."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from llm_otel import drive
from llm_otel.call import Answer, CallRequest
from llm_otel.call_money import CallMoney
from llm_otel.models.resolve import resolve_model
from llm_otel.open_call import OpenCall
from llm_otel.plan import Plan
from llm_otel.routing.health import BreakerRules, Health
from llm_otel.routing.retry import RetryPolicy
from llm_otel.usage import Usage
from tests.wire.callers import HELLO

FIRST, OTHER = resolve_model("gpt-4o-mini"), resolve_model("anthropic/claude-3-haiku-20240307")
REQUEST = CallRequest(
    operation="chat",
    provider=FIRST.provider,
    model=FIRST.model,
    litellm_model=FIRST.litellm_model,
    messages=HELLO,
    server_address="localhost",
    server_port=1,
)
ANSWER = Answer(
    usage=Usage.of(input_tokens=9, output_tokens=3),
    response_id="1",
    response_model=FIRST.model,
    finish_reasons=("stop",),
)


class Watched(Health):
    """Remembers the passes it gave, and what was said of each."""

    def __init__(self):
        super().__init__(BreakerRules(min_calls=1))
        self.given, self.noted_of = [], []

    def admits(self, model, now_s):
        admitted = super().admits(model, now_s)
        if admitted is not None:
            self.given.append(admitted.model)
        return admitted

    def noted(self, admitted, now_s, *, failed):
        self.noted_of.append((admitted.model, failed))
        super().noted(admitted, now_s, failed=failed)


@pytest.fixture
def health():
    """The circuits, each of which opens with the first failure."""
    return Watched()


@pytest.fixture
def make(runtime, health, run):
    """`make(is_async, send, finish)`: make a call with a fallback and a retry; return what it raised."""

    def make(is_async, send, finish=lambda call, raw: call.answered(ANSWER)):
        plan = Plan(
            request=REQUEST, targets=(FIRST, OTHER), retry=RetryPolicy(max_attempts=4), health=health, timeout_s=60.0
        )

        async def asend(call):
            return send(call)

        try:
            if is_async:
                run(drive.arun(runtime.instruments, plan, asend, finish))
            else:
                drive.run(runtime.instruments, plan, send, finish)
        except BaseException as exc:
            return exc
        return None

    yield make
    assert Counter(health.given) == Counter(model for model, _ in health.noted_of), "each pass is given back once"


def strike(error):
    """Return a function that raises it."""

    def raises(*_args, **_kwargs):
        raise error

    return raises


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
STRIKES = (asyncio.CancelledError, RuntimeError, ConnectionResetError)
any_strike = pytest.mark.parametrize(
    "error", [each("struck") for each in STRIKES], ids=lambda each: type(each).__name__
)


@both
def test_a_good_answer(make, health, is_async):
    """It speaks for its model."""
    assert None is make(is_async, lambda call: "raw")
    assert [(("openai", FIRST.model), False)] == health.noted_of


@both
def test_failures_and_fallbacks(make, health, is_async):
    """Each speaks against its own; then nobody is left to be asked again."""
    error = make(is_async, strike(ConnectionResetError("struck")))

    assert isinstance(error, ConnectionResetError)
    assert [(("openai", FIRST.model), True), (("anthropic", OTHER.model), True)] == health.noted_of


@both
@any_strike
def test_struck_before_the_request(make, health, is_async, error, monkeypatch):
    """Nothing was sent: whatever it looks like, it says nothing of the model."""
    monkeypatch.setattr(OpenCall, "begin_attempt", strike(error))

    assert error is make(is_async, strike(AssertionError("never sent")))
    assert [(("openai", FIRST.model), None)] == health.noted_of


@both
@any_strike
def test_struck_while_money_is_sought(make, health, is_async, error, monkeypatch):
    """As before the request."""
    monkeypatch.setattr(CallMoney, "seek", strike(error))

    assert error is make(is_async, strike(AssertionError("never sent")))
    assert [(("openai", FIRST.model), None)] == health.noted_of


@both
@pytest.mark.parametrize("error", [asyncio.CancelledError("struck"), RuntimeError("struck")], ids=["cancel", "bug"])
def test_struck_in_the_request(make, health, is_async, error):
    """A cancel, or a bug of somebody's, says nothing of the model."""
    assert error is make(is_async, strike(error))
    assert [(("openai", FIRST.model), None)] == health.noted_of


@both
def test_struck_while_it_ends(make, health, is_async):
    """The answer came, and nobody can use it: that says nothing of the model."""
    error = RuntimeError("struck")

    assert error is make(is_async, lambda call: "raw", strike(error))
    assert [(("openai", FIRST.model), None)] == health.noted_of


def test_ctrl_c_in_the_request(make, health):
    """As a cancel."""
    assert isinstance(make(False, strike(KeyboardInterrupt())), KeyboardInterrupt)
    assert [(("openai", FIRST.model), None)] == health.noted_of


def test_ctrl_c_before_a_fallback(make, health, clock, monkeypatch):
    """Between two requests nothing is out; the failure of the first stands."""
    monkeypatch.setattr(clock, "sleep", strike(KeyboardInterrupt()), raising=False)

    assert isinstance(make(False, strike(ConnectionResetError("struck"))), KeyboardInterrupt)
    assert [(("openai", FIRST.model), True)] == health.noted_of


@both
def test_a_recorder_of_circuits_that_raises(make, health, is_async, books, monkeypatch):
    """In strict mode it does: the attempt is paid for and written down all the same."""

    def noted(admitted, now_s, *, failed):
        Watched.noted(health, admitted, now_s, failed=failed)
        raise RuntimeError("struck")

    monkeypatch.setattr(health, "noted", noted)

    assert isinstance(make(is_async, lambda call: "raw"), RuntimeError)
    assert ("success", 1) == (books.only.outcome, books.only.attempts)
