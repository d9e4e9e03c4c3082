"""What the stores that tidy up by themselves forget, and when. (Redis forgets by its keys' time to live.)"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from llm_otel.budgets.ledger import HOLD_KEPT_MS, Ended, Granted, RowQuery, Settled, SettledAs
from tests.stores.kinds import Harness
from tests.stores.lines import DAY_S, line

COMPANY = line("company")


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request, tmp_path):
    """A new ledger."""
    with ExitStack() as closing:
        yield Harness(request.param, tmp_path, closing)


def make_calls(ledger, count=100):
    """Other calls, on the way of which old things are dropped."""
    later = line("later", start=ledger.now_ms // 1000, limit=10_000_000, end=None)
    for number in range(count):
        ledger.reserve(f"{ledger.now_ms}:{number}", 1, later)


def test_rows_are_forgotten_when_nobody_can_ask_for_them(ledger):
    """By their `forget_at`; not while money is held there."""
    old, held = line(scope="old"), line(scope="held")
    ledger.settle("a", 10, old)
    ledger.reserve("b", 10, held, lease_ms=9 * DAY_S * 1000)
    ledger.advance(3 * DAY_S * 1000 - 1)
    make_calls(ledger)
    assert ((10, 0), (0, 10)) == ledger.standing(old, held)

    ledger.advance(1)
    make_calls(ledger)

    assert ["held"] == [state.scope for state in ledger.store.snapshot([RowQuery("company", COMPANY.starts)])]
    ledger.settle("b", 7, held)
    assert ((0, 0), (7, 0)) == ledger.standing(old, held)

    ledger.advance(DAY_S * 1000)
    make_calls(ledger)
    assert [] == ledger.store.snapshot([RowQuery("company", COMPANY.starts)])


def test_a_row_is_kept_for_the_line_that_needs_it_longest(ledger):
    """A window that was made longer counts it for longer."""
    ledger.reserve("a", 10, COMPANY)
    ledger.reserve("b", 10, line(forget_at=COMPANY.start + 10 * DAY_S))
    ledger.reserve("c", 10, COMPANY)
    for name in "abc":
        ledger.settle(name, 10, COMPANY)
    ledger.advance(10 * DAY_S * 1000 - 1)
    make_calls(ledger)
    assert ((30, 0),) == ledger.standing(COMPANY)

    ledger.advance(1)
    make_calls(ledger)
    assert ((0, 0),) == ledger.standing(COMPANY)


def test_a_row_that_is_needed_for_ever_is_never_forgotten(ledger):
    """Even if some line once said otherwise."""
    ledger.settle("a", 10, COMPANY)
    ledger.settle("b", 10, line(forget_at=None))
    ledger.settle("c", 10, COMPANY)
    ledger.advance(5000 * DAY_S * 1000)
    make_calls(ledger)

    assert ((30, 0),) == ledger.standing(COMPANY)


def test_the_end_of_a_hold_is_remembered_for_a_day(ledger):
    """As long as a settle may be repeated, or come late; then it is unknown."""
    forever = line("forever", limit=1000, end=None, forget_at=None)
    ledger.reserve("settled", 10, forever)
    ledger.settle("settled", 3, forever)
    ledger.reserve("expired", 10, forever, floor=2, lease_ms=0)
    ledger.store.sweep(10)
    ledger.reserve("held", 10, forever, lease_ms=HOLD_KEPT_MS * 9)
    ledger.settle("unknown", 4, forever)
    ledger.advance(HOLD_KEPT_MS - 1)
    make_calls(ledger)
    assert Ended() == ledger.reserve("settled", 10, forever)
    assert Ended() == ledger.reserve("expired", 10, forever)
    assert Settled(SettledAs.REPEATED) == ledger.settle("unknown", 4, forever)

    ledger.advance(1)
    make_calls(ledger)

    assert Granted() == ledger.reserve("settled", 10, forever)
    assert Settled(SettledAs.UNKNOWN) == ledger.settle("expired", 5, forever)
    assert Settled(SettledAs.UNKNOWN) == ledger.settle("unknown", 4, forever)
    assert Settled(SettledAs.HELD) == ledger.settle("held", 6, forever)
    assert ((3 + 2 + 4 + 5 + 4 + 6, 10),) == ledger.standing(forever)


def test_a_late_settle_of_a_forgotten_row_changes_nothing(ledger):
    """The row counted for nobody any more, so there is nothing to correct; nothing goes below zero."""
    ledger.reserve("a", 10, COMPANY, floor=9, lease_ms=3 * DAY_S * 1000)
    ledger.advance(3 * DAY_S * 1000)
    make_calls(ledger)

    assert Settled(SettledAs.EXPIRED) == ledger.settle("a", 2, COMPANY)
    assert ((0, 0),) == ledger.standing(COMPANY)
