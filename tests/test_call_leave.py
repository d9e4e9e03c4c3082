"""Leave for the next request: what was held for a model that is left out is free again for the one after it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from llm_otel import steps
from llm_otel.call_leave import leave_for_next
from llm_otel.call_money import CallMoney
from llm_otel.plan import Plan

OTHER = SimpleNamespace(is_downgraded=True, asked=SimpleNamespace(provider="openai", model="gpt-4o-mini"))


class Course:
    """Two targets; the model that a budget chooses in place of the first is out of order."""

    is_at_first = True
    left_s = None
    target = "first"

    def enter_instead(self, model):
        return False

    def enter(self):
        return True

    def note(self, failed):
        raise AssertionError("nothing is denied")

    def skip(self):
        self.target = "second"
        return 0.0


class Money:
    """Notes what is done with it."""

    def __init__(self):
        self.log = []
        self.offer = None

    def is_concerned(self):
        return True

    def seek(self, target, *, left_s):
        self.log.append(target)
        self.offer = OTHER if target == "first" else None
        return
        yield

    def give_back(self):
        self.log.append("given back")

    async def settled(self):
        self.log.append("settled")


@pytest.mark.parametrize(
    ("is_async", "expected"),
    [(True, ["first", "given back", "settled", "second"]), (False, ["first", "given back", "second"])],
    ids=["async", "sync"],
)
def test_the_next_target_finds_free_what_was_given_back(is_async, expected):
    """A task that seeks money at once would be refused for what the call itself still holds."""
    money = Money()
    walk = leave_for_next(Course(), money, None, is_let_through=True)

    if is_async:
        asyncio.run(steps.arun(walk))
    else:
        steps.run(walk)

    assert expected == money.log


def test_a_bill_that_is_through_is_not_waited_for():
    """Between two steps of a task it may be cancelled, and would drop the stream that it has just opened."""
    money = CallMoney(None, Plan(request=None), started_ns=0, may_block=False, alerted=print)
    bill = Future()
    bill.set_result(None)
    money._purse = SimpleNamespace(settled=bill)

    with pytest.raises(StopIteration):
        money.settled().send(None)
