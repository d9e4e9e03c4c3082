"""The store in memory: what may come in between, and what it keeps."""

from __future__ import annotations

import gc
import os
import signal
import threading
import weakref

import pytest

from llm_otel.budgets.ledger import HOLD_KEPT_MS, Granted, Hold, Settled, SettledAs, Settlement
from llm_otel.budgets.rows import Row
from llm_otel.stores import memory
from llm_otel.stores.memory import MemoryStore
from tests.stores.lines import START_MS, line, standing

COMPANY, TEAM = line("company", 10**9), line("team", 10**9)
LINES = (COMPANY, TEAM)


def test_it_says_what_it_is():
    """For one process, and fast enough for an event loop."""
    store = MemoryStore(lambda: START_MS)

    assert ("memory://", False, True, 2**63 - 1) == (
        store.name,
        store.is_shared,
        store.is_instant,
        store.max_limit,
    )


class DroppedStream:
    """In a cycle with itself, so that only the collector finds it; its end settles."""

    def __init__(self, store: MemoryStore, hold_id: str, answers: list[Settled]) -> None:
        self.itself = self
        settlement = Settlement(hold_id, 3, LINES)
        weakref.finalize(self, lambda: answers.append(store.settle(settlement)))


@pytest.fixture
def _eager_collector():
    """Collects at almost every allocation."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_eager_collector")
def test_a_settle_from_the_collector_may_come_in_the_middle_of_anything():
    """No deadlock on the thread's own lock, and every hold is settled exactly once."""
    store, answers = MemoryStore(lambda: START_MS), []
    for number in range(200):
        store.reserve(Hold(f"dropped{number}", 10, 1, 60_000, LINES))
        DroppedStream(store, f"dropped{number}", answers)
        store.reserve(Hold(f"kept{number}", 10, 1, 60_000, LINES))
        store.settle(Settlement(f"kept{number}", 5, LINES))
    gc.collect()

    assert [Settled(SettledAs.HELD)] * 200 == answers
    assert [(200 * 8, 0)] * 2 == [standing(store, each) for each in LINES]


def test_a_settle_in_the_middle_of_the_same_settle_books_once():
    """Whichever is first to take the hold: here the clock of a reserve settles what the reserve expires."""
    nested = []

    def clock_ms() -> int:
        if store is not None and not nested:
            nested.append(store.settle(Settlement("a", 3, LINES)))
        return START_MS

    store = None
    made = MemoryStore(clock_ms)
    made.reserve(Hold("a", 10, 4, 0, LINES))
    store = made

    assert Granted() == made.reserve(Hold("b", 10, 0, 60_000, LINES))
    assert [Settled(SettledAs.HELD)] == nested
    assert [(3, 10)] * 2 == [standing(made, each) for each in LINES]


class InterruptedAt(list):
    """Rows, and Ctrl-C before one of them."""

    def __init__(self, rows: list[Row], at: int) -> None:
        super().__init__(rows)
        self.at = at

    def __iter__(self):
        return Interrupted(self[:], self.at) if self.at >= 0 else super().__iter__()


class Interrupted:
    """An iterator that goes on after the interrupt."""

    def __init__(self, rows: list[Row], at: int) -> None:
        self.left, self.at = rows, at

    def __iter__(self):
        return self

    def __next__(self) -> Row:
        self.at -= 1
        if self.at == -1:
            raise KeyboardInterrupt
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_ctrl_c_leaves_no_hold_half_done(monkeypatch, at):
    """What was begun on one row is done on all, once, before the interrupt goes on; so the end fits the hold."""
    store = MemoryStore(lambda: START_MS)
    store.settle(Settlement("makes the rows", 100, LINES))
    rows = [store._rows[each.budget, each.scope, each.start] for each in LINES]
    monkeypatch.setattr(memory, "weigh", lambda *_: (None, InterruptedAt(rows, at), False))

    with pytest.raises(KeyboardInterrupt):
        store.reserve(Hold("a", 10, 0, 60_000, LINES))
    assert [(100, 10)] * 2 == [standing(store, each) for each in LINES]

    with pytest.raises(KeyboardInterrupt):
        store.settle(Settlement("a", 3, LINES))
    assert [(103, 0)] * 2 == [standing(store, each) for each in LINES]
    store._holds["a"].rows.at = -1
    store.settle(Settlement("a", 3, LINES))
    assert [(103, 0)] * 2 == [standing(store, each) for each in LINES]


def test_ended_holds_are_forgotten_early_where_there_are_too_many(monkeypatch):
    """Memory is bounded whatever the traffic: the oldest go first."""
    monkeypatch.setattr(memory, "MAX_ENDED", 1000)
    store = MemoryStore(lambda: START_MS)
    for number in range(5000):
        store.reserve(Hold(f"{number}", 1, 0, 60_000, LINES))
        store.settle(Settlement(f"{number}", 1, LINES))

    assert len(store._holds) <= 1000 + memory.TIDY_EVERY
    assert len(store._ended) <= 1000 + memory.TIDY_EVERY
    assert len(store._leases) < 500
    assert Settled(SettledAs.REPEATED) == store.settle(Settlement("4999", 1, LINES))
    assert Settled(SettledAs.UNKNOWN) == store.settle(Settlement("0", 1, LINES))


def test_leases_of_settled_holds_do_not_pile_up_behind_a_long_one():
    """Of thousands of calls within one lease, only those in flight are kept."""
    now_ms = START_MS
    store = MemoryStore(lambda: now_ms)
    store.reserve(Hold("long", 7, 1, 5_000, LINES))
    for number in range(3000):
        store.reserve(Hold(f"{number}", 1, 0, 60_000, LINES))
        store.extend(f"{number}", 60_000)
        store.settle(Settlement(f"{number}", 0, LINES))
    assert len(store._leases) < 500

    now_ms += 5_000
    assert 1 == store.sweep(10)
    assert (1, 0) == standing(store, COMPANY)


def test_what_is_left_of_an_id_that_was_forgotten_does_not_end_its_second_life():
    """It expired, was settled an hour later, was forgotten, and is held anew when the hour is over."""
    now_ms, lifetime = START_MS, line("lifetime", 10**9, end=None, forget_at=None)
    store = MemoryStore(lambda: now_ms)

    def call(name: str) -> None:
        for number in range(memory.TIDY_EVERY):
            store.reserve(Hold(f"{name}{number}", 0, 0, 10**9, (lifetime,)))

    store.reserve(Hold("a", 10, 2, 0, (lifetime,)))
    store.sweep(1)
    now_ms += 3_600_000
    store.now_ms()
    store.settle(Settlement("a", 3, (lifetime,)))
    now_ms = START_MS + HOLD_KEPT_MS
    call("b")
    assert Granted() == store.reserve(Hold("a", 10, 2, 10**9, (lifetime,)))
    now_ms += 3_600_000
    call("c")

    assert Settled(SettledAs.HELD) == store.settle(Settlement("a", 5, (lifetime,)))
    assert (8, 0) == standing(store, lifetime)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_may_fork_while_other_threads_use_the_ledger():
    """Neither side is left with a lock that nobody frees, and the child's copy is whole."""
    store, stop = MemoryStore(lambda: START_MS), threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.reserve(Hold(f"{number}", 1, 0, 60_000, LINES))
            store.settle(Settlement(f"{number}", 0, LINES))

    thread = threading.Thread(target=work)
    thread.start()
    codes = []
    for _ in range(10):
        child = os.fork()
        if not child:
            signal.alarm(20)  # kills a child that waits for ever
            found = {standing(store, each) for each in LINES}
            os._exit(0 if len(found) == 1 else 1)
        codes.append(os.waitpid(child, 0)[1])
    stop.set()
    thread.join()

    assert [0] * 10 == codes
    assert (0, 0) == standing(store, TEAM)
