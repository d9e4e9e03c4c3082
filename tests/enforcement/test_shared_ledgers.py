"""Async calls over ledgers that others share: what a call leaves behind when it ends, however it ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from decimal import Decimal

import pytest

from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter
from llm_otel.demo.simulator import Break, Fail, Hang, Reply

HELLO = [{"role": "user", "content": "Hello!"}]
REPLY = Reply("Hello there, how can I help you today?", input_tokens=9, output_tokens=9)
COST = 9 * 150 + 9 * 600
"""Of that reply by gpt-4o-mini, at the list price of 2026-11-22, in nano-USD."""
CONFIG = LLMConfig(model="gpt-4o-mini", max_tokens=50, max_retries=0)


@pytest.fixture(params=["sqlite", "redis"])
def ledger(request, ledger_at, url_of):
    """A ledger of each kind that others share, with a budget for all calls."""
    return ledger_at(url_of(request.param), Budget("all", limit_usd=1, window="lifetime"))


def test_the_next_call_finds_what_the_last_one_spent(ledger, simulator, run):
    """Whoever awaited an answer finds its cost in the ledger: nothing is under way any more."""
    simulator.script(*[REPLY] * 5)
    seen = []

    async def main():
        for _ in range(5):
            await LLMRouter().acomplete(HELLO, CONFIG)
            seen.append(ledger.standing())

    run(main())

    assert [(COST * number, 0) for number in range(1, 6)] == seen
    assert 5 * COST == ledger.by_spans


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_the_next_attempt_finds_free_what_the_last_one_held(simulator, run, ledger_at, url_of, monkeypatch, kind):
    """A budget that takes one request at a time takes a call with retries, however slow the ledger is."""
    ledger = ledger_at(url_of(kind), Budget("all", limit_usd="0.00004", window="lifetime"))
    store = ledger.runtime.enforcer.store
    settle = store.settle

    async def at_once(clock, seconds):
        pass

    def slowly(settlement):
        threading.Event().wait(0.05)
        return settle(settlement)

    monkeypatch.setattr("llm_otel.clock.SystemClock.asleep", at_once)
    monkeypatch.setattr(store, "settle", slowly)
    simulator.script(Fail(500), Fail(500), REPLY)

    run(LLMRouter().acomplete(HELLO, LLMConfig(model="gpt-4o-mini", max_tokens=50, max_retries=2)))

    assert (COST, 0) == ledger.standing()


def test_a_call_that_fails_holds_nothing_when_it_has(ledger, simulator, run):
    """By status: the provider bills nothing."""
    simulator.script(Fail(400))
    seen = []

    async def main():
        with pytest.raises(Exception, match="gpt-4o-mini"):
            await LLMRouter().acomplete(HELLO, CONFIG)
        seen.append(ledger.standing())

    run(main())

    assert [(0, 0)] == seen


def test_a_cancelled_call_settles(ledger, simulator, run):
    """Its input at least; nobody waits for that, and nothing stays held."""
    simulator.script(Hang(reply=REPLY))

    async def main():
        task = asyncio.create_task(LLMRouter().acomplete(HELLO, CONFIG))
        await asyncio.to_thread(simulator.wait_for_requests)
        assert ledger.standing()[1] > 0
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run(main())

    assert ledger.by_spans > 0
    assert (ledger.by_spans, 0) == ledger.flushed()


def test_a_stream_that_is_closed_midway_is_settled_when_it_is(ledger, simulator, run):
    """Input and what was received."""
    simulator.script(Hang(after_chunks=2, reply=REPLY))
    seen = []

    async def main():
        stream = LLMRouter().astream(HELLO, CONFIG)
        await anext(aiter(stream))
        await stream.aclose()
        seen.append(ledger.standing())

    run(main())

    assert ledger.by_spans > 0
    assert [(ledger.by_spans, 0)] == seen


def test_a_stream_that_breaks_is_settled_when_it_is_told(ledger, simulator, run):
    """Whoever catches the error and asks again finds its cost."""
    simulator.script(Break(after_chunks=2))
    seen = []

    async def main():
        with pytest.raises(Exception, match="gpt-4o-mini"):
            async for _ in LLMRouter().astream(HELLO, CONFIG):
                pass
        seen.append(ledger.standing())

    run(main())

    assert ledger.by_spans > 0
    assert [(ledger.by_spans, 0)] == seen


def test_a_stream_that_is_dropped_settles(ledger, simulator, run):
    """From the garbage collector, which waits for nobody."""
    simulator.script(Hang(after_chunks=2, reply=REPLY))

    async def main():
        stream = LLMRouter().astream(HELLO, CONFIG)
        await anext(aiter(stream))
        del stream
        gc.collect()

    run(main())

    assert ledger.by_spans > 0
    assert (ledger.by_spans, 0) == ledger.flushed()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_what_is_left_is_exact(ledger_at, url_of, simulator, run, kind):
    """Call after call, until the next would not fit: the ledger refuses it, and nothing more is sent."""
    simulator.script(REPLY, repeat=True)
    ledger = ledger_at(url_of(kind), Budget("all", limit_usd=Decimal(100_000).scaleb(-9), window="lifetime"))

    async def main():
        while True:
            await LLMRouter().acomplete(HELLO, CONFIG)

    with pytest.raises(BudgetExceededError) as caught:
        run(main())

    sent, requested = len(simulator.requests), int(caught.value.requested_usd * 10**9)
    assert (COST * sent, 0) == ledger.standing()
    assert Decimal(COST * sent).scaleb(-9) == caught.value.spent_usd
    assert COST * (sent - 1) + requested <= 100_000 < COST * sent + requested
