"""The settler: every bill reaches the ledger, once, whatever happens on the way."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from llm_otel.budgets.ledger import Hold, StoreUnavailableError
from llm_otel.enforcement.journal import Journal
from llm_otel.enforcement.settler import IDLE_S, REPLAY_S, Settler
from llm_otel.errors import ConfigurationError
from llm_otel.stores.sqlite import SQLiteStore
from tests.enforcement.fakes import FakeStore, HandClock
from tests.enforcement.processes import LEDGER, LINES, settlement
from tests.stores.lines import START_MS, standing, told

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20


class Bench:
    """A settler with all that is around it."""

    def __init__(self, place: Path, *, is_instant: bool = False) -> None:
        self.clock = HandClock()
        self.store = FakeStore(self.clock, is_instant=is_instant)
        self.journal = Journal(LEDGER, place)
        self.crossings: list[object] = []
        self.errors: list[Exception] = []
        self.reached = 0
        self.is_strict = False
        self.settler = self.another()

    def another(self) -> Settler:
        """Make one more settler."""
        return Settler(
            self.store,
            self.journal,
            self.clock,
            crossed=self.crossings.extend,
            reached=self._reach,
            on_error=self._fail,
        )

    def _reach(self) -> None:
        self.reached += 1

    def _fail(self, where: str, error: Exception) -> None:
        assert "ledger" == where
        self.errors.append(error)
        if self.is_strict:
            raise error

    def soon(self, number: int):
        """Settle a numbered bill without waiting; return what is done then."""
        self.settler.ensure_worker()
        return self.settler.settle_soon(settlement(number))

    def after_a_while(self) -> None:
        """Let the worker try again what did not get through."""
        self.clock.passed_s += REPLAY_S
        # It replays when it has done the first, and does the second when it has replayed.
        assert self.settler.flush(PATIENCE_S)
        assert self.settler.flush(PATIENCE_S)


@pytest.fixture
def bench(tmp_path):
    """A settler of a store that others wait for; its worker ends with it."""
    made = Bench(tmp_path)
    yield made
    made.store.is_out = False
    made.store.errors.clear()
    made.store.go_on.set()
    made.after_a_while()
    made.journal.forget()


@pytest.fixture
def instant(tmp_path):
    """A settler of a ledger in this process."""
    return Bench(tmp_path, is_instant=True)


# --- the two ways -----------------------------------------------------------------------------------------------------


def test_settle_now_is_done_when_it_returns(bench):
    """The next call finds it there."""
    bench.settler.settle_now(settlement(7))

    assert (7, 0) == standing(bench.store, LINES[0])


def test_settle_soon_does_not_wait(bench):
    """It returns what is done once the ledger has the bill, and not before."""
    bench.store.go_on.clear()

    done = bench.soon(7)

    assert not done.done()
    bench.store.go_on.set()
    assert done.result(PATIENCE_S) is None
    assert (7, 0) == standing(bench.store, LINES[0])


def test_a_ledger_in_this_process_is_settled_at_once(instant):
    """It takes microseconds, and needs no thread."""
    threads = set(threading.enumerate())

    assert instant.soon(7) is None

    assert (7, 0) == standing(instant.store, LINES[0])
    assert threads == set(threading.enumerate())


@pytest.mark.parametrize("way", ["now", "soon"])
def test_thresholds_are_told_to_who_settles(bench, way):
    """To the call's own listener where it has one, so that its span says it."""
    seen = []
    bench.settler.ensure_worker()

    if way == "now":
        bench.settler.settle_now(settlement(15), seen.extend)
    else:
        bench.settler.settle_soon(settlement(15), seen.extend).result(PATIENCE_S)

    assert [("team", 10, 15)] == told(tuple(seen))
    assert [] == bench.crossings


def test_a_settle_of_another_amount_is_told_of(bench, caplog):
    """The first one stands; somebody has a bug."""
    bench.settler.settle_now(settlement(7))
    bench.store.inner.settle(settlement(8))

    bench.settler.settle_now(type(settlement(8))("hold-8", 9, LINES))

    assert (15, 0) == standing(bench.store, LINES[0])
    assert any("llm_otel.settle_conflict" in message and "hold-8" in message for message in caplog.messages)


# --- outage -----------------------------------------------------------------------------------------------------------


def test_what_the_ledger_does_not_take_gets_through_once_in_order(bench, tmp_path):
    """With the same ids, and nobody asks a ledger that is out for each of them."""
    bench.store.is_out = True

    for number in range(1, 6):
        bench.settler.settle_now(settlement(number))
    assert bench.soon(6).result(PATIENCE_S) is None
    assert 6 == len(bench.journal)
    assert 1 == len(list(tmp_path.iterdir()))

    bench.store.is_out = False
    bench.after_a_while()

    assert [f"hold-{number}" for number in range(1, 7)] == bench.store.settled
    assert 6 == bench.reached
    assert (21, 0) == standing(bench.store, LINES[0])
    assert [] == list(tmp_path.iterdir())
    assert [("team", 10, 10), ("team", 20, 21)] == told(tuple(bench.crossings))


def test_a_worker_that_rests_is_woken(bench):
    """It looks around every half minute; the bills of an outage need not wait for that."""
    bench.soon(1).result(PATIENCE_S)
    bench.store.is_out = True
    bench.settler.settle_now(settlement(2))
    bench.store.is_out = False
    bench.clock.passed_s += REPLAY_S

    deadline = time.monotonic() + PATIENCE_S
    while "hold-2" not in bench.store.settled:
        assert time.monotonic() < deadline < time.monotonic() + IDLE_S
        threading.Event().wait(0.01)


def test_the_ledger_is_tried_by_one_and_not_more_often_than_every_second(bench):
    """However many bills come."""
    bench.store.is_out = True
    bench.settler.settle_now(settlement(1))
    bench.after_a_while()
    asked = len(bench.store.asked_to_settle)

    for number in range(2, 50):
        bench.settler.settle_now(settlement(number))
    assert bench.settler.flush(PATIENCE_S)
    assert bench.settler.flush(PATIENCE_S)

    assert asked == len(bench.store.asked_to_settle)


def test_a_replay_stops_at_the_first_refusal_and_goes_on_there(bench):
    """The ledger may go out again amid it."""
    bench.store.is_out = True
    for number in (1, 2, 3):
        bench.settler.settle_now(settlement(number))
    bench.store.is_out = False
    bench.store.errors["hold-2"] = StoreUnavailableError("again")

    bench.after_a_while()
    assert ["hold-1"] == bench.store.settled
    bench.store.errors.clear()
    bench.after_a_while()

    assert ["hold-1", "hold-2", "hold-3"] == bench.store.settled


def test_an_answer_that_was_lost_costs_nothing_twice(bench):
    """The ledger took the settle and could not say so: brought again, it counts once."""
    bench.store.late_errors["hold-7"] = StoreUnavailableError("the answer did not come")

    bench.settler.settle_now(settlement(7))
    bench.after_a_while()

    assert ["hold-7", "hold-7"] == bench.store.settled
    assert (7, 0) == standing(bench.store, LINES[0])


def test_what_others_have_left_is_settled(bench, tmp_path):
    """By whoever starts next on that ledger."""
    gone = Journal(LEDGER, tmp_path)
    gone.add(settlement(3))
    gone.forget()

    bench.soon(4).result(PATIENCE_S)
    bench.settler.work(None)
    bench.after_a_while()

    assert ["hold-3", "hold-4"] == sorted(bench.store.settled)
    assert [] == list(tmp_path.iterdir())


def test_a_ledger_of_a_newer_release_does_not_lose_the_bills(bench):
    """They stay in the journal, for the program that can write there."""
    bench.store.errors["hold-7"] = ConfigurationError("ledger", "fake://", "a newer one")

    bench.settler.settle_now(settlement(7))
    bench.after_a_while()

    assert 1 == len(bench.journal)


# --- leases -----------------------------------------------------------------------------------------------------------


def test_a_sign_of_life_reaches_the_ledger(bench):
    """A stream of an hour keeps its hold."""
    bench.settler.ensure_worker()
    bench.store.reserve(Hold("hold-1", 10, 1, 1000, LINES))
    bench.clock.passed_s += 0.9
    bench.settler.extend_soon("hold-1", 1000)
    assert bench.settler.flush(PATIENCE_S)
    bench.clock.passed_s += 0.9

    assert [("hold-1", 1000)] == bench.store.extended
    assert 0 == bench.store.sweep(1)


def test_signs_of_life_do_not_wait_for_a_ledger_that_is_out(bench):
    """They would hold up the bills behind them; a hold that expires is corrected."""
    bench.store.is_out = True
    bench.settler.settle_now(settlement(1))
    bench.store.is_out = False

    bench.settler.extend_soon("hold-2", 1000)
    assert bench.settler.flush(PATIENCE_S)

    assert [] == bench.store.extended


# --- bugs -------------------------------------------------------------------------------------------------------------


def test_a_bill_that_no_ledger_takes_holds_up_nobody(bench, caplog):
    """It is told of, with its amount, and passed over."""
    bench.store.is_out = True
    for number in (1, 2, 3):
        bench.settler.settle_now(settlement(number))
    bench.store.is_out = False
    bench.store.errors["hold-2"] = OverflowError("too much")

    bench.after_a_while()

    assert ["hold-1", "hold-3"] == bench.store.settled
    assert [OverflowError] == [type(error) for error in bench.errors]
    assert 0 == len(bench.journal)
    assert any("llm_otel.settle_lost hold=hold-2 nano_usd=2" in message for message in caplog.messages)


def test_a_bug_on_the_way_gets_a_second_chance(bench):
    """It is counted, and the bill is brought again."""
    bench.store.late_errors["hold-7"] = RuntimeError("bug")

    bench.settler.settle_now(settlement(7))
    bench.after_a_while()

    assert [RuntimeError] == [type(error) for error in bench.errors]
    assert (7, 0) == standing(bench.store, LINES[0])
    assert 0 == len(bench.journal)


def test_the_worker_survives_what_strict_mode_raises(bench, caplog):
    """Who waits for the bill is told; the next one is settled as ever."""
    bench.is_strict = True
    bench.store.errors["hold-1"] = OverflowError("too much")

    with pytest.raises(OverflowError):
        bench.soon(1).result(PATIENCE_S)
    bench.after_a_while()
    worker = bench.settler._worker

    bench.soon(2).result(PATIENCE_S)
    bench.after_a_while()
    assert ["hold-2"] == bench.store.settled
    assert worker is bench.settler._worker
    assert worker.is_alive()


@pytest.mark.parametrize("leaving", [SystemExit, KeyboardInterrupt])
def test_who_waits_is_told_when_a_callback_ends_the_program(bench, leaving):
    """`sys.exit()` at the limit: raised to who waits for the bill, which is settled; nobody waits for ever."""
    bench.store.inner.reserve(Hold("hold-1", 1, 0, 60_000, LINES))

    def leave(_):
        raise leaving

    waiting = bench.settler.settle_soon(replace(settlement(1), lines=(replace(LINES[0], thresholds=(1,)),)), leave)
    bench.settler.ensure_worker()

    with pytest.raises(leaving):
        waiting.result(PATIENCE_S)
    assert ["hold-1"] == bench.store.settled


def test_at_exit_no_thread_is_started(bench):
    """There is none to be had any more (Python 3.12 and later); what comes is settled at once."""
    bench.settler.exit()

    bench.settler.ensure_worker()
    assert bench.soon(1) is None

    assert bench.settler._worker is None
    assert ["hold-1"] == bench.store.settled


def test_a_ledger_in_this_process_goes_on_after_a_failure(instant, tmp_path, caplog):
    """A journal for it would outlive what it is for, and hold up all that comes."""
    instant.store.errors["hold-1"] = RuntimeError("bug")

    instant.settler.settle_now(settlement(1))
    instant.settler.settle_now(settlement(2))

    assert (2, 0) == standing(instant.store, LINES[0])
    assert [] == list(tmp_path.iterdir())
    assert any("llm_otel.settle_lost hold=hold-1 nano_usd=1" in message for message in caplog.messages)


def test_a_listener_that_fails_does_not_undo_the_settle(bench):
    """The money is booked; it is not brought again."""

    def fail(crossings):
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        bench.settler.settle_now(settlement(15), fail)

    assert ["hold-15"] == bench.store.asked_to_settle
    assert 0 == len(bench.journal)


# --- interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["shared", "instant"])
def test_ctrl_c_in_a_settle_loses_nothing(tmp_path, kind, is_done):
    """Before the ledger has it or after: it comes through to the caller, and the bill to the ledger, once."""
    bench = Bench(tmp_path, is_instant=kind == "instant")
    store = bench.store
    if is_done:
        store.late_errors["hold-7"] = KeyboardInterrupt()
    else:
        settle = store._fail
        store._fail = lambda id_: (setattr(store, "_fail", settle), _interrupt())

    with pytest.raises(KeyboardInterrupt):
        bench.settler.settle_now(settlement(7))
    bench.settler.work(None)

    assert (7, 0) == standing(store, LINES[0])
    assert 0 == len(bench.journal)


def _interrupt():
    raise KeyboardInterrupt


class Dropped:
    """Settles when it is collected, as a stream does that nobody reads on."""

    def __init__(self, settler, number):
        self.itself = self
        self.end = weakref.finalize(self, settler.settle_soon, settlement(number))


def test_the_garbage_collector_may_settle_anywhere(bench):
    """It runs on any thread, in the middle of anything: also of another settle, with the journal's lock held."""
    before, ends = gc.get_threshold(), []
    bench.settler.ensure_worker()
    bench.store.is_out = True
    bench.settler._is_exiting = True  # Then it is not put off either.
    gc.set_threshold(1)
    try:
        for number in range(200):
            ends.append(Dropped(bench.settler, 2 * number).end)
            bench.settler.settle_now(settlement(2 * number + 1))
        while any(end.alive for end in ends):
            # It does nothing while the worker is in the middle of a collection.
            gc.collect()
    finally:
        gc.set_threshold(*before)
    bench.settler._is_exiting = False
    bench.store.is_out = False
    bench.after_a_while()

    assert sorted(f"hold-{number}" for number in range(400)) == sorted(bench.store.settled)
    assert (sum(range(400)), 0) == standing(bench.store, LINES[0])


def test_a_settler_lives_until_its_bills_are_through(bench):
    """After a second `configure()` nobody holds the old one but the bills."""
    settler = bench.another()
    settler.ensure_worker()
    bench.store.go_on.clear()
    settler.settle_soon(settlement(1))
    last = settler.settle_soon(settlement(2))
    del settler
    gc.collect()

    bench.store.go_on.set()
    last.result(PATIENCE_S)

    assert ["hold-1", "hold-2"] == bench.store.settled


# --- programs ---------------------------------------------------------------------------------------------------------


def run(job, *arguments):
    """Run a job in a process of its own to its end; return what it said, and what it complained of."""
    command = [sys.executable, "-m", "tests.enforcement.processes", job, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


def test_a_program_that_ends_settles_first(tmp_path):
    """What was handed over and not waited for is in the ledger when the process is gone."""
    run("end", tmp_path / "ledger.db", tmp_path / "state", 0.05, 20)

    store = SQLiteStore(tmp_path / "ledger.db", lambda: START_MS)
    assert (15, 0) == standing(store, LINES[0])
    assert not (tmp_path / "state").exists()
    store.close()


def test_a_program_that_cannot_settle_in_time_leaves_a_journal(tmp_path):
    """The one that the ledger was just being brought too. The next program settles it all, and nothing stays held."""
    _, complaint = run("end", tmp_path / "ledger.db", tmp_path / "state", 60, 0.1)

    assert "llm_otel.settles_not_flushed" in complaint
    store = SQLiteStore(tmp_path / "ledger.db", lambda: START_MS)
    assert (0, 50) == standing(store, LINES[0])
    (path,) = (tmp_path / "state").iterdir()
    assert [f"hold-{n}" for n in range(1, 6)] == [json.loads(text)["id"] for text in path.read_text().splitlines()]

    clock = HandClock()
    journal = Journal(LEDGER, tmp_path / "state")
    settler = Settler(
        store, journal, clock, crossed=lambda _: None, reached=lambda: None, on_error=lambda *_: pytest.fail("none")
    )
    settler.work(None)

    assert (15, 0) == standing(store, LINES[0])
    assert [] == list((tmp_path / "state").iterdir())
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_settles_by_itself(tmp_path):
    """Its parent's worker is not there: it starts its own."""
    said, _ = run("fork_settler", tmp_path / "ledger.db", tmp_path / "state")

    assert "child 0\n" == said
    store = SQLiteStore(tmp_path / "ledger.db", lambda: START_MS)
    assert (6, 0) == standing(store, LINES[0])
    store.close()
