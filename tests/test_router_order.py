"""What is ordered of the router, before anything is sent: how much time a choice leaves to the call."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from llm_otel import LLMConfig
from llm_otel.pricing.book import PriceBook
from llm_otel.recording import Guard
from llm_otel.route_finding import Surroundings
from llm_otel.router_order import Order
from llm_otel.routing.taper import Taper
from llm_otel.wiring import runtime
from tests.enforcement.fakes import HandClock

HELLO = [{"role": "user", "content": "Hello!"}]


class Wait:
    """A step that takes its time."""

    def __init__(self, clock: HandClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def run(self) -> None:
        """Let it pass."""
        self._clock.passed_s += self._seconds

    async def arun(self) -> None:
        """Let it pass."""
        self.run()


class SlowBudgets:
    """Knows nothing of any model, after a while."""

    def __init__(self, clock: HandClock, seconds: float) -> None:
        self._step = Wait(clock, seconds)

    def headrooms(self, models, tags, run):
        """Look."""
        yield self._step
        return {}


def timeout_of(config: LLMConfig, *, look_s: float, is_async: bool) -> float | None:
    """Return what is left of a call's time when its model is known, where a look at the budgets takes `look_s`."""
    clock = HandClock()
    order = Order(HELLO, config, tags=None, policy=None, is_streaming=False)
    made = runtime()
    order._made = SimpleNamespace(
        surroundings=Surroundings(
            prices=PriceBook(),
            clock=clock,
            guard=Guard(lambda _where, error: pytest.fail(str(error))),
            environ={"OPENAI_API_KEY": "sk-of-nobody"},
            taper=Taper(),
            budgets=SlowBudgets(clock, look_s),
        ),
        instruments=made.instruments,
        health=None,
        settings=made.settings,
    )
    job = asyncio.run(order.ajob()) if is_async else order.job()
    return job.plan.timeout_s


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("look_s", "left_s"), [(0.0, 30.0), (0.25, 29.75), (31.0, 0.0)])
def test_what_a_choice_waits_for_is_a_part_of_the_calls_time(look_s, left_s, is_async):
    """The deadline is the caller's: a ledger that hangs does not add to it."""
    assert left_s == timeout_of(LLMConfig(capability="simple", timeout_s=30), look_s=look_s, is_async=is_async)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_model_that_is_named_has_all_the_time(is_async):
    """No budget is looked at for it."""
    assert 30.0 == timeout_of(LLMConfig(model="gpt-4o", timeout_s=30), look_s=1.0, is_async=is_async)
