"""The gate: one question to a ledger that is out, and nothing left held by who gives up."""

from __future__ import annotations

import asyncio

import pytest

from llm_otel.budgets.ledger import Balance, Ended, Granted, Hold, Settlement, StoreUnavailableError
from llm_otel.enforcement.gate import UNREACHABLE, Gate
from llm_otel.outage import FIRST_PAUSE_S, OUTAGE_S
from tests.enforcement.fakes import FakeStore, HandClock
from tests.stores.lines import line, standing

LINE = line("company", 100)


class Bench:
    """A gate to a fake store; what is released is settled when the test says so."""

    def __init__(self, *, is_async: bool) -> None:
        self.clock = HandClock()
        self.store = FakeStore(self.clock)
        self.released: list[Settlement] = []
        self.errors: list[Exception] = []
        self.is_strict = False
        self.gate = Gate(self.store, self.clock, release=self.released.append, on_error=self._fail)
        self._is_async = is_async

    def _fail(self, where: str, error: Exception) -> None:
        assert "ledger" == where
        self.errors.append(error)
        if self.is_strict:
            raise error

    def reserve(self, id_: str):
        """Ask for 10 nano-USD."""
        hold = Hold(id_, 10, 1, 60_000, (LINE,))
        if self._is_async:
            return asyncio.run(self.gate.areserve(hold))
        return self.gate.reserve(hold)

    def look(self):
        """Ask how a line stands."""
        return asyncio.run(self.gate.abalances([LINE])) if self._is_async else self.gate.balances([LINE])

    @property
    def given_back(self) -> list[str]:
        """The ids of what was released, all of it."""
        assert {0} >= {each.actual for each in self.released}
        assert {(LINE,)} >= {each.lines for each in self.released}
        return [each.id for each in self.released]

    def settle_released(self) -> None:
        """Bring the releases to the ledger."""
        for each in self.released:
            self.store.settle(each)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def bench(request):
    """A gate, asked from threads and from tasks."""
    return Bench(is_async=request.param)


def test_a_decision_goes_through(bench):
    """Nothing is released then."""
    assert Granted() == bench.reserve("a")
    assert [] == bench.released
    assert not bench.gate.is_shut


# --- outage -----------------------------------------------------------------------------------------------------------


def test_a_ledger_that_is_out_is_left_alone_for_a_while(bench, caplog):
    """Its first failure shuts the gate: nobody else waits for it. Said once."""
    bench.store.is_out = True

    answers = [bench.reserve(id_) for id_ in "abc"]

    assert [UNREACHABLE] * 3 == answers
    assert ["a"] == bench.store.reserved
    assert bench.gate.is_shut
    assert ["llm_otel.ledger_unavailable ledger=fake:// error=it is out"] == caplog.messages


def test_what_may_be_held_is_released(bench):
    """The store may have done it and failed to say so. Of who did not ask nothing can be held."""
    bench.store.late_errors["a"] = StoreUnavailableError("the answer did not come")

    bench.reserve("a")
    bench.reserve("b")

    assert (0, 10) == standing(bench.store, LINE)
    assert ["a"] == bench.given_back
    bench.settle_released()
    assert (0, 0) == standing(bench.store, LINE)


def test_after_that_one_finds_out_whether_it_is_back(bench):
    """While it asks, the others do not wait for it."""
    bench.store.is_out = True
    bench.reserve("a")
    bench.clock.passed_s += OUTAGE_S
    meanwhile = []
    reserve = bench.store.reserve

    def slowly(hold):
        bench.store.reserve = reserve
        meanwhile.extend(bench.gate.reserve(Hold(id_, 10, 1, 60_000, (LINE,))) for id_ in "xyz")
        return reserve(hold)

    bench.store.reserve = slowly

    assert bench.reserve("b") is UNREACHABLE
    assert [UNREACHABLE] * 3 == meanwhile
    assert ["a", "b"] == bench.store.reserved


def test_a_probe_that_fails_shuts_it_again(bench, caplog):
    """For longer, and without another line in the log."""
    bench.store.is_out = True
    bench.reserve("a")
    bench.clock.passed_s += OUTAGE_S
    bench.reserve("b")
    bench.clock.passed_s += 2 * FIRST_PAUSE_S - 0.001

    bench.reserve("c")

    assert ["a", "b"] == bench.store.reserved
    assert 1 == len(caplog.messages)


def test_a_probe_that_gets_through_opens_it(bench, caplog):
    """For all, and said once."""
    bench.store.is_out = True
    bench.reserve("a")
    bench.store.is_out = False
    assert bench.reserve("b") is UNREACHABLE
    bench.clock.passed_s += OUTAGE_S

    assert [Granted(), Granted()] == [bench.reserve("c"), bench.reserve("d")]
    assert not bench.gate.is_shut
    assert ["llm_otel.ledger_available ledger=fake://"] == caplog.messages[1:]


def test_a_settle_that_gets_through_opens_it_too(bench, caplog):
    """The settler tries every second."""
    bench.store.is_out = True
    bench.reserve("a")
    bench.store.is_out = False

    bench.gate.reached()
    bench.gate.reached()

    assert Granted() == bench.reserve("b")
    assert 2 == len(caplog.messages)


# --- who gives up -----------------------------------------------------------------------------------------------------


def test_ctrl_c_releases_what_may_be_held(bench):
    """It comes through unchanged."""
    bench.store.late_errors["a"] = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        bench.reserve("a")

    assert ["a"] == bench.given_back
    bench.settle_released()
    assert (0, 0) == standing(bench.store, LINE)


@pytest.mark.parametrize("is_held", [False, True], ids=["before", "after"])
async def test_a_cancel_releases_what_may_be_held(is_held):
    """Whether the store has held it already, or does so when it was released."""
    bench = Bench(is_async=True)
    asked, forever = asyncio.Event(), asyncio.Event()

    async def areserve(hold):
        if is_held:
            bench.store.reserve(hold)
        asked.set()
        await forever.wait()

    bench.store.areserve = areserve
    task = asyncio.create_task(bench.gate.areserve(Hold("a", 10, 1, 60_000, (LINE,))))
    await asked.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert ["a"] == bench.given_back
    bench.settle_released()
    if not is_held:
        assert Ended() == bench.store.reserve(Hold("a", 10, 1, 60_000, (LINE,)))
    assert (0, 0) == standing(bench.store, LINE)
    assert not bench.gate.is_shut


# --- looks ------------------------------------------------------------------------------------------------------------


def test_a_look_that_finds_the_ledger_out_spares_the_hold_after_it(bench):
    """One of the two waits; nothing is released for a look."""
    bench.store.is_out = True

    assert [UNREACHABLE, UNREACHABLE] == [bench.look(), bench.reserve("a")]
    assert ([], []) == (bench.store.reserved, bench.released)


def test_a_look_may_find_out_that_the_ledger_is_back(bench):
    """As a hold may."""
    bench.store.is_out = True
    bench.reserve("a")
    bench.store.is_out = False
    assert UNREACHABLE == bench.look()
    bench.clock.passed_s += OUTAGE_S

    assert [Balance(0, 0)] == bench.look()
    assert Granted() == bench.reserve("b")


# --- bugs -------------------------------------------------------------------------------------------------------------


def test_a_bug_in_the_store_is_no_error_of_the_callers(bench):
    """Budgets say what becomes of the call. It is counted; other calls may fare better, and ask."""
    bench.store.late_errors["a"] = RuntimeError("bug")

    assert bench.reserve("a") is UNREACHABLE
    assert Granted() == bench.reserve("b")
    assert [RuntimeError] == [type(error) for error in bench.errors]
    assert ["a"] == bench.given_back


def test_in_strict_mode_a_bug_is_raised(bench):
    """And nothing stays held all the same."""
    bench.is_strict = True
    bench.store.late_errors["a"] = RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        bench.reserve("a")

    assert ["a"] == bench.given_back
