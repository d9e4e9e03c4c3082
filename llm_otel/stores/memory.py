"""A ledger in this process's memory: `memory://`."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from llm_otel.budgets.ledger import (
    HOLD_KEPT_MS,
    SWEEP_BATCH,
    Balance,
    Decision,
    Hold,
    Line,
    RowQuery,
    RowState,
    Settled,
    SettledAs,
    Settlement,
    StoreUnavailableError,
    steady,
)
from llm_otel.budgets.rows import (
    ENDED,
    GRANTED,
    SETTLED,
    Row,
    RowKey,
    announce,
    charge,
    may_have_news,
    sums,
    weigh,
    with_news,
)
from llm_otel.money import MAX_NANO

MAX_ENDED = 100_000
"""Ended holds that are remembered at most, about 25 MB; beyond, the oldest is forgotten before `HOLD_KEPT_MS`."""

TIDY_EVERY = 32
"""Old holds and rows are dropped once in so many `reserve`s, the work of one being too small to begin with ..."""

TIDY_BATCH = 4 * TIDY_EVERY
"""... and at most so many of each at a time: more than came in since, so that they never pile up."""


class _Known:
    """A hold in flight, or one that has expired and may still be settled: what stands on its rows because of it."""

    __slots__ = ("floor", "held", "is_held", "lease_until_ms", "rows", "spent")

    def __init__(self, held: int, floor: int, lease_until_ms: int, rows: list[Row]) -> None:
        self.is_held = True
        self.held = held
        self.spent = 0
        self.floor = floor
        self.lease_until_ms = lease_until_ms
        self.rows = rows

    def become(self, spent: int) -> None:
        """Spend this, and hold nothing. Doing it again changes nothing."""
        left, more, less = iter(self.rows), spent - self.spent, -self.held
        try:
            self.is_held, self.held, self.spent = False, 0, spent
            for row in left:
                row.spent += more
                row.held += less
        except BaseException:
            charge(left, more, less)
            raise


class MemoryStore:
    """Rows and holds in dicts, under one lock. Thread-safe; loses everything with the process.

    An operation can be interrupted on its own thread, inside the lock, wherever it calls something and at the end of
    each turn of a loop. The garbage collector may drop a stream there, whose end settles: hence an `RLock`, and amounts
    that are added, never computed and put back. (A `reserve`, of all things, begun by the collector within another,
    might find room that is just being filled.) Ctrl-C may leave for good: hence a hold and its rows are changed without
    a call in between, and rows that are left are done before it goes on.

    A fork waits until no thread is in here: the child has a ledger of its own, which begins as a copy.

    Args:
        clock_ms: Milliseconds since the epoch, UTC.
    """

    name = "memory://"
    is_shared = False
    is_instant = True
    max_limit = MAX_NANO

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._last_ms = 0
        self._lock = threading.RLock()
        self._is_closed = False
        self._rows: dict[RowKey, Row] = {}
        self._holds: dict[str, _Known | int] = {}  # an integer is what it was settled with
        self._leases: list[tuple[int, str]] = []  # a heap; those of holds that were settled or extended are dead
        self._dead_leases = 0
        self._ended: deque[tuple[int, str]] = deque()  # when (a settle asks no clock: the last time), and which
        self._starts: dict[str, dict[str, set[int]]] = {}  # of the rows there are, by budget and scope
        self._to_forget: list[tuple[int, RowKey]] = []  # a heap
        self._until_tidy = TIDY_EVERY
        _stores.add(self)

    def before_fork(self) -> None:
        """Wait for the operation of another thread: the child would find it half done, and its lock never freed."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on, in the parent and in the child."""
        self._lock.release()

    def now_ms(self) -> int:
        """Return the store's time."""
        with self._lock:
            return self._now()

    def reserve(self, hold: Hold) -> Decision:
        """Hold the amount on all lines, or on none."""
        with self._lock:
            now_ms = self._now()
            if self._leases and self._leases[0][0] <= now_ms:
                self._expire(now_ms, SWEEP_BATCH)
            known = self._holds.get(hold.id)
            if known is not None:
                return GRANTED if type(known) is _Known and known.is_held else ENDED
            denial, found, has_news = weigh(hold, now_ms, self._rows)
            if denial is None:
                self._put(hold, now_ms + hold.lease_ms, found)
            if not has_news:
                return GRANTED if denial is None else denial
            return with_news(denial, announce(hold.lines, self._rows, self._new_row))

    async def areserve(self, hold: Hold) -> Decision:
        """Reserve: it takes microseconds."""
        return self.reserve(hold)

    def settle(self, settlement: Settlement) -> Settled:
        """Replace the hold by what the request cost."""
        with self._lock:
            if self._is_closed:
                self._check_open()
            hold_id, actual, lines = settlement.id, settlement.actual, settlement.lines
            known = self._holds.get(hold_id)
            if known is None:
                return self._settle_unknown(settlement)
            if type(known) is not _Known:
                return Settled(SettledAs.REPEATED if known == actual else SettledAs.CONFLICT)
            was_held, rows = known.is_held, known.rows
            known.become(actual)
            self._ended.append((self._last_ms, hold_id))
            self._holds[hold_id] = actual
            self._dead_leases += 1
            crossings = announce(lines, self._rows, self._new_row) if may_have_news(lines, rows) else ()
            if was_held and not crossings:
                return SETTLED
            return Settled(SettledAs.HELD if was_held else SettledAs.EXPIRED, crossings)

    def extend(self, hold_id: str, lease_ms: int) -> bool:
        """Let a hold's lease start anew; return whether it is still held."""
        with self._lock:
            until_ms = self._now() + lease_ms
            known = self._holds.get(hold_id)
            if type(known) is not _Known or not known.is_held:
                return False
            heappush(self._leases, (until_ms, hold_id))
            known.lease_until_ms = until_ms
            self._dead_leases += 1
            return True

    def sweep(self, limit: int) -> int:
        """Expire at most `limit` holds whose lease is over, the longest over first; return how many."""
        with self._lock:
            return self._expire(self._now(), limit)

    def snapshot(self, queries: Sequence[RowQuery]) -> list[RowState]:
        """Return what stands in the rows asked for, without changing anything."""
        with self._lock:
            self._check_open()
            return [state for query in queries for state in self._states(query)]

    def balances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return what stands in the rows that count for each line, in their order, without changing anything."""
        with self._lock:
            if self._is_closed:
                self._check_open()
            return [Balance(*sums(line, self._rows)) for line in lines]

    async def abalances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return balances: it takes microseconds."""
        return self.balances(lines)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._is_closed = True
            for container in (self._rows, self._holds, self._leases, self._ended, self._starts, self._to_forget):
                container.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError(f"{self.name} is closed")

    def _now(self) -> int:
        if self._is_closed:
            self._check_open()
        now_ms = self._clock_ms()
        if now_ms < self._last_ms:
            now_ms = steady(now_ms, self._last_ms)
        self._last_ms = now_ms
        return now_ms

    def _put(self, hold: Hold, lease_until_ms: int, rows: list[Row]) -> None:
        if len(rows) < len(hold.lines):
            rows = [self._row(line) for line in hold.lines]
        hold_id, amount, left = hold.id, hold.amount, iter(rows)
        heappush(self._leases, (lease_until_ms, hold_id))
        known = _Known(amount, hold.floor, lease_until_ms, rows)
        try:
            self._holds[hold_id] = known
            for row in left:
                row.held += amount
        except BaseException:
            charge(left, 0, amount)
            raise
        self._until_tidy -= 1
        if self._until_tidy <= 0:
            self._tidy()

    def _settle_unknown(self, settlement: Settlement) -> Settled:
        lines = settlement.lines
        known = _Known(0, 0, 0, [self._row(line) for line in lines])
        known.is_held = False
        self._holds[settlement.id] = known
        known.become(settlement.actual)
        self._ended.append((self._last_ms, settlement.id))
        self._holds[settlement.id] = settlement.actual
        return Settled(SettledAs.UNKNOWN, announce(lines, self._rows, self._new_row))

    def _row(self, line: Line) -> Row:
        row = self._rows.get((line.budget, line.scope, line.start)) or self._new_row(line)
        row.keep_for(line)
        return row

    def _new_row(self, line: Line) -> Row:
        self._starts.setdefault(line.budget, {}).setdefault(line.scope, set()).add(line.start)
        key, row = (line.budget, line.scope, line.start), Row(line.forget_at)
        if line.forget_at is not None:
            heappush(self._to_forget, (line.forget_at, key))
        # Not put, but put if there is none: the collector may have been here.
        return self._rows.setdefault(key, row)

    def _expire(self, now_ms: int, limit: int) -> int:
        expired = 0
        while expired < limit and self._leases and self._leases[0][0] <= now_ms:
            until_ms, hold_id = self._leases[0]
            known = self._holds.get(hold_id)
            if type(known) is _Known and known.is_held and known.lease_until_ms == until_ms:
                self._ended.append((now_ms, hold_id))
                known.become(known.floor)
                expired += 1
            else:
                self._dead_leases -= 1
            heappop(self._leases)
        return expired

    def _states(self, query: RowQuery) -> list[RowState]:
        states = []
        for scope in list(self._starts.get(query.budget, ())):
            rows = [row for start in query.starts if (row := self._rows.get((query.budget, scope, start)))]
            if rows:
                spent, held = sum(row.spent for row in rows), sum(row.held for row in rows)
                states.append(RowState(query.budget, scope, spent, held))
        return states

    # --- Upkeep ---

    def _tidy(self) -> None:
        self._until_tidy = TIDY_EVERY
        if self._dead_leases > 64 + len(self._leases) // 2:
            self._drop_dead_leases()
        for _ in range(TIDY_BATCH):
            if not self._forget_hold(self._last_ms - HOLD_KEPT_MS):
                break
        for _ in range(TIDY_BATCH):
            if not self._forget_row(self._last_ms // 1000):
                break

    def _drop_dead_leases(self) -> None:
        """Leave only the leases that may run out: most holds are settled long before theirs is over."""
        live = [lease for lease in self._leases if self._is_live(lease)]
        heapify(live)
        self._leases, self._dead_leases = live, 0

    def _is_live(self, lease: tuple[int, str]) -> bool:
        known = self._holds.get(lease[1])
        return type(known) is _Known and known.is_held and known.lease_until_ms == lease[0]

    def _forget_hold(self, before_ms: int) -> bool:
        """Forget the oldest ended hold if it is time; return whether it was."""
        if not self._ended or (self._ended[0][0] > before_ms and len(self._ended) <= MAX_ENDED):
            return False
        _, hold_id = self._ended.popleft()
        known = self._holds.get(hold_id)
        # One that expired and was settled later is here twice; it may have been forgotten and be held anew by now.
        if type(known) is not _Known or not known.is_held:
            self._holds.pop(hold_id, None)
        return True

    def _forget_row(self, now_s: int) -> bool:
        """Forget the row that is due first; return whether any was due."""
        if not self._to_forget or self._to_forget[0][0] > now_s:
            return False
        key = heappop(self._to_forget)[1]
        row = self._rows.get(key)
        if row is None or row.forget_at is None:
            return True
        if row.held or row.forget_at > now_s:
            # Its holds end first, whenever that is, or its window was made longer.
            heappush(self._to_forget, (max(row.forget_at, now_s + 1), key))
            return True
        budget, scope, start = key
        starts = self._starts[budget][scope]
        starts.discard(start)
        if not starts:
            del self._starts[budget][scope]
        del self._rows[key]
        return True


_stores: weakref.WeakSet[MemoryStore] = weakref.WeakSet()


class _Forking(threading.local):
    """What the fork that a thread is about has locked: a store that is made meanwhile is not, nor to be released."""

    def __init__(self) -> None:
        self.stores: list[MemoryStore] = []


_forking = _Forking()


def _before_fork() -> None:
    for store in tuple(_stores):
        store.before_fork()
        _forking.stores.append(store)


def _after_fork() -> None:
    while _forking.stores:
        _forking.stores.pop().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
