"""An outage as a service lives through it: one provider fails in every way in turn, under load, with a hard budget."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from decimal import Decimal

import pytest

from llm_otel import Budget, CircuitOpenError, LLMConfig, LLMRouter, ProviderError, semconv
from llm_otel.demo.books import price_bill
from llm_otel.demo.simulator import Break, Fail, Hang
from tests.wire.callers import HELLO, MODELS

SICK, WELL = MODELS["openai"], MODELS["anthropic"]
THREADS, TASKS, EACH = 8, 8, 3
CALLS = (THREADS + TASKS) * EACH
DEADLINE_S = 10.0
"""Half of it is for the one that hangs."""
SLACK_S = 5.0
"""What a machine with two busy cores may add to the deadline of a blocking call, which is the transport's to keep."""
OPEN_S = 30.0
ENOUGH = 5
"""Failures that open a circuit, by default."""
CONFIG = LLMConfig(model=SICK.name, fallbacks=(WELL.litellm_name,), timeout_s=DEADLINE_S, max_retries=0, max_tokens=40)
OUTAGES = {"500s": Fail(500), "hangs": Hang(), "cut streams": Break(1)}


@dataclass(frozen=True)
class Got:
    """What one call came to."""

    provider: str | None
    error: Exception | None
    took_s: float


def of_sick(request):
    """Match the requests to the provider that is ill."""
    return request.model == SICK.name


class Cut(Exception):
    """A stream that broke after it had begun."""


def whole(router):
    """Ask for a whole answer; return whose it is."""
    return router.complete(HELLO, CONFIG).provider


async def awhole(router):
    """Ask for a whole answer; return whose it is."""
    return (await router.acomplete(HELLO, CONFIG)).provider


def streamed(router):
    """Read a stream to its end; return whose it is."""
    stream, chunks = router.stream(HELLO, CONFIG), 0
    try:
        for _ in stream:
            chunks += 1
    except ProviderError as exc:
        raise (Cut() if chunks else exc) from exc
    return stream.response.provider


async def astreamed(router):
    """Read a stream to its end; return whose it is."""
    stream, chunks = router.astream(HELLO, CONFIG), 0
    try:
        async for _ in stream:
            chunks += 1
    except ProviderError as exc:
        raise (Cut() if chunks else exc) from exc
    return stream.response.provider


def work(router, number, got):
    """Make calls one after the other, every second one streamed."""
    for turn in range(EACH):
        started_s, ask = time.monotonic(), (whole, streamed)[(number + turn) % 2]
        try:
            provider, error = ask(router), None
        except Exception as exc:
            provider, error = None, exc
        got.append(Got(provider, error, time.monotonic() - started_s))


async def awork(router, number, got):
    """Make calls one after the other, every second one streamed."""
    for turn in range(EACH):
        started_s, ask = time.monotonic(), (awhole, astreamed)[(number + turn) % 2]
        try:
            provider, error = await ask(router), None
        except Exception as exc:
            provider, error = None, exc
        got.append(Got(provider, error, time.monotonic() - started_s))


def load(run):
    """Have all threads and tasks work at once; return what their calls came to."""
    router, got = LLMRouter(), []

    async def tasks():
        await asyncio.gather(*[awork(router, number, got) for number in range(TASKS)])

    threads = [threading.Thread(target=work, args=(router, number, got)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    run(tasks())
    for thread in threads:
        thread.join()
    return got


@pytest.fixture(scope="module", autouse=True)
def _warm(_simulator, litellm, run):
    """Have LiteLLM load what it loads late."""
    for model in (SICK, WELL):
        address = _simulator.api_base(model.provider.value)
        options = {"model": model.litellm_name, "messages": HELLO, "api_base": address, "api_key": "warm"}
        litellm.completion(**options)
        run(litellm.acompletion(**options))
        litellm.token_counter(model.litellm_name, messages=HELLO)


@pytest.fixture
def lifetime(use, registry, tmp_path):
    """A runtime whose hard budgets are in a file: one for all calls, one for each provider."""

    def make(limit_usd, **more):
        return use(
            registry,
            ledger=f"sqlite:///{tmp_path}/spend.db",
            budgets=[
                Budget("everything", limit_usd=limit_usd, window="lifetime", alerts=()),
                Budget("each", limit_usd=limit_usd, window="lifetime", by="provider", alerts=()),
            ],
            **more,
        )

    return make


def ledger(runtime):
    """Return what has been spent, in nano-USD: in all, and by provider; nothing may be held."""
    assert runtime.enforcer.flush(5)
    statuses = list(runtime.enforcer.statuses())
    assert 0 == sum(status.held_usd for status in statuses)
    spent = {(status.budget.id, status.scope): int(status.spent_usd * 10**9) for status in statuses}
    return spent["everything", ""], {scope: nano for (budget, scope), nano in spent.items() if budget == "each"}


def test_an_outage_in_every_form(simulator, books, run, lifetime, clock):
    """All who can be served are, in time; the breaker stops the waste; every nano-dollar is where it belongs."""
    runtime = lifetime("10")
    clock.jumps = True
    sent = 0
    for how, behaviour in OUTAGES.items():
        simulator.script(behaviour, when=of_sick, repeat=True)
        got = load(run)

        failed = [each for each in got if each.error is not None]
        assert CALLS == len(got)
        # Only those fail whose stream broke under their eyes.
        assert [] == [each.error for each in failed if not isinstance(each.error, Cut)], how
        assert (how == "cut streams") == bool(failed)
        assert {"anthropic"} == {each.provider for each in got if each.error is None}, how
        assert max(each.took_s for each in got) < DEADLINE_S + SLACK_S, how
        # All may be under way when it begins. Once it is seen, nobody asks any more.
        wasted = sum(map(of_sick, simulator.requests)) - sent
        assert wasted < ENOUGH + THREADS + TASKS, how

        # It is well again, and a pause later one call finds out.
        simulator._state.script.clear()
        clock.pauses.append(OPEN_S)
        assert "openai" == LLMRouter().complete(HELLO, CONFIG).provider
        sent = sum(map(of_sick, simulator.requests))

    # Attributed: what the sick one got is attempts that failed, what the other one got are fallbacks.
    errors = books.metric(semconv.ATTEMPTS, model=SICK.name, outcome="error", reason="first")
    assert sent == errors + len(OUTAGES)
    served = books.metric(semconv.ATTEMPTS, model=WELL.name, outcome="success", reason="fallback")
    assert len([request for request in simulator.requests if not of_sick(request)]) == served
    assert len(OUTAGES) * (CALLS + 1) == books.metric(semconv.REQUESTS, model=SICK.name)

    # To the nano-dollar: of the well one by its own bill, of the sick one by what may be billed.
    total, by_provider = ledger(runtime)
    line = simulator.bill["anthropic", WELL.name]
    assert WELL.cost(line.input_tokens, line.output_tokens) == by_provider["anthropic"]
    assert round(books.metric(semconv.COST, model=SICK.name) * 1e9) == by_provider["openai"]
    assert total == sum(by_provider.values())


def test_an_outage_of_errors_costs_what_the_bill_says(simulator, books, run, lifetime):
    """Where nothing is lost on the way, nothing is estimated."""
    runtime = lifetime("10")
    simulator.script(Fail(503), when=of_sick, repeat=True)

    load(run)

    assert price_bill(simulator.bill).cost_nano == ledger(runtime)[0]


def test_an_outage_with_a_budget_that_is_used_up(simulator, books, run, lifetime):
    """The fallbacks of everybody come out of one budget: it is used up, and never overshot."""
    limit_nano = 30 * WELL.cost(30, 40)
    runtime = lifetime(Decimal(limit_nano).scaleb(-9))
    simulator.script(Fail(500), when=of_sick, repeat=True)

    got = load(run)

    spent, _ = ledger(runtime)
    served = [each for each in got if each.error is None]
    assert 0 < len(served) < CALLS
    assert spent == price_bill(simulator.bill).cost_nano <= limit_nano
    assert not [
        each.error for each in got if each.error and not isinstance(each.error, ProviderError | CircuitOpenError)
    ]
