"""Ctrl-C while a call waits for its ledger: it comes through, the call is written down, and the money is right."""

from __future__ import annotations

import pytest

from llm_otel import Budget, LLMConfig, LLMRouter
from llm_otel.call_money import CallMoney
from llm_otel.demo.simulator import Fail, Reply

HELLO = [{"role": "user", "content": "Hello!"}]
REPLY = Reply("Hello there, how can I help you today?", input_tokens=9, output_tokens=9)
COST = 9 * 150 + 9 * 600
"""Of that reply by gpt-4o-mini, at the list price of 2026-11-22, in nano-USD."""
CONFIG = LLMConfig(model="gpt-4o-mini", max_tokens=50, max_retries=0)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def ledger(request, ledger_at, url_of):
    """A ledger of each kind, with a budget for all calls."""
    return ledger_at(url_of(request.param), Budget("all", limit_usd=1, window="lifetime"))


@pytest.fixture
def interrupted(ledger, monkeypatch):
    """`interrupted("settle")` lets Ctrl-C strike once, in an operation of the store that is done by then or is not."""

    def interrupted(operation, *, is_done):
        store = ledger.runtime.enforcer.store
        original = getattr(store, operation)

        def struck(what):
            monkeypatch.setattr(store, operation, original)
            if is_done:
                original(what)
            raise KeyboardInterrupt

        monkeypatch.setattr(store, operation, struck)

    return interrupted


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_ctrl_c_while_money_is_held(ledger, interrupted, simulator, spans, is_done):
    """Nothing is sent, and nothing stays held."""
    interrupted("reserve", is_done=is_done)

    with pytest.raises(KeyboardInterrupt):
        LLMRouter().complete(HELLO, CONFIG)

    assert () == simulator.requests
    assert (0, 0) == ledger.flushed()
    assert ["chat gpt-4o-mini"] == spans.names


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_ctrl_c_while_the_bill_is_paid(ledger, interrupted, simulator, spans, is_done):
    """The answer has come, and its cost is booked once: at once or from the journal."""
    simulator.script(REPLY)
    interrupted("settle", is_done=is_done)

    with pytest.raises(KeyboardInterrupt):
        LLMRouter().complete(HELLO, CONFIG)

    ledger.runtime.enforcer._settler.work(None)
    assert (COST, 0) == ledger.flushed()
    assert COST == ledger.by_spans
    assert ["chat gpt-4o-mini"] == spans.names


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("struck")], ids=["ctrl-c", "strict"])
def test_struck_while_the_bill_is_counted(ledger, simulator, spans, monkeypatch, error):
    """What the answer cost will never be known: all that was held for it is booked, and nothing stays held."""

    def count(self, running, answer, failure):
        held.append(ledger.standing()[1])
        raise error

    held = []
    simulator.script(REPLY)
    monkeypatch.setattr(CallMoney, "count", count)

    with pytest.raises(type(error)):
        LLMRouter().complete(HELLO, CONFIG)

    assert held[0] > 0
    assert (*held, 0) == ledger.flushed()
    assert ["chat gpt-4o-mini"] == spans.names


def test_ctrl_c_while_an_attempt_is_released(ledger, interrupted, simulator, spans):
    """It ends the call: there is no next attempt, and nothing stays held."""
    simulator.script(Fail(500), REPLY)
    interrupted("settle", is_done=False)

    with pytest.raises(KeyboardInterrupt):
        LLMRouter().complete(HELLO, LLMConfig(model="gpt-4o-mini", max_tokens=50, max_retries=2))

    ledger.runtime.enforcer._settler.work(None)
    assert (0, 0) == ledger.flushed()
    assert 1 == len(simulator.requests)
    assert ["chat gpt-4o-mini"] == spans.names
