"""`SQLiteStore`: the operations of a ledger, each one transaction."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from llm_otel.budgets.ledger import (
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
from llm_otel.budgets.rows import ENDED, GRANTED, SETTLED, announce, charge, may_have_news, sums, weigh, with_news
from llm_otel.clock import Clock, SystemClock
from llm_otel.errors import ConfigurationError
from llm_otel.money import MAX_NANO
from llm_otel.stores.sqlite.file import LedgerFile
from llm_otel.stores.sqlite.tables import Tables

FORGET_EVERY = 32
"""Old ends of holds, and rows, are dropped once in so many `reserve`s ..."""

FORGET_BATCH = 4 * FORGET_EVERY
"""... and so many of each are looked at: more than came in since, so that what is old stays a part of what is kept."""


LINES_AT_ONCE = 100
"""Lines that one statement reads: SQLite takes 500 parts of one (its limits, `SQLITE_MAX_COMPOUND_SELECT`)."""

Result = TypeVar("Result")


class SQLiteStore:
    """A ledger in a file, shared by the processes and threads of one machine. Thread-safe, and safe to fork.

    A hold or a settle that returned survives the death of any process (kill -9); a loss of power may take the last
    ones with it, and damages nothing. Integers have 64 bits: a row that would pass 9.2 billion USD raises
    `OverflowError`, and nothing is changed. Not for network file systems.

    Args:
        path: The database; made if there is none. Its directory must exist. Three files beside it belong to it
            (`-wal`, `-shm`, `-lock`).
        clock_ms: Milliseconds since the epoch, UTC.
        waiting: The clock to wait for locks by.

    Raises:
        ConfigurationError: The file cannot be opened or written, is no ledger, or is one of a newer release.
        StoreUnavailableError: Another process has kept it locked for 5 s.
    """

    is_shared = True
    is_instant = False
    max_limit = MAX_NANO

    def __init__(
        self, path: str | os.PathLike[str], clock_ms: Callable[[], int], *, waiting: Clock | None = None
    ) -> None:
        path = os.fspath(path)
        if path in ("", ":memory:") or "\0" in path:
            raise ConfigurationError("ledger", path, "the path of a file (the ledger in memory is 'memory://')")
        self.name = f"sqlite:///{path}"
        self._clock_ms = clock_ms
        # Resolved: a database has one lock file, by whatever name it goes and whatever directory we change to.
        self._file = LedgerFile(os.path.realpath(path), SystemClock() if waiting is None else waiting)
        self._worker = Worker()
        self._until_forget = FORGET_EVERY
        self._last_ms = 0

    def now_ms(self) -> int:
        """Return the store's time, as far as this process knows it: nothing is read, so nobody is waited for."""
        self._file.check_open()
        return steady(self._clock_ms(), self._last_ms)

    def reserve(self, hold: Hold) -> Decision:
        """Hold the amount on all lines, or on none."""
        return self._reserve(hold, self._file.deadline())

    async def areserve(self, hold: Hold) -> Decision:
        """Reserve in a thread of the store's own: the event loop's may all be busy with calls that take minutes."""
        return await asyncio.wrap_future(self._worker.submit(self._reserve, hold, self._file.deadline()))

    def settle(self, settlement: Settlement) -> Settled:
        """Replace the hold by what the request cost."""
        with self._file.transaction(self._file.deadline()) as connection:
            return self._settle(settlement, self._tables(connection, settlement.id))

    def extend(self, hold_id: str, lease_ms: int) -> bool:
        """Let a hold's lease start anew; return whether it is still held."""
        with self._file.transaction(self._file.deadline()) as connection:
            return self._tables(connection).extend(hold_id, lease_ms)

    def sweep(self, limit: int) -> int:
        """Expire at most `limit` holds whose lease is over, the longest over first; return how many."""
        with self._file.transaction(self._file.deadline()) as connection:
            tables = self._tables(connection)
            expired = tables.expire(limit)
            tables.copies.write()
            return expired

    def snapshot(self, queries: Sequence[RowQuery]) -> list[RowState]:
        """Return what stands in the rows asked for, without changing anything."""
        with self._file.transaction(self._file.deadline()) as connection:
            tables = self._tables(connection)
            return [state for query in queries for state in tables.states(query)]

    def balances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return what stands in the rows that count for each line, in their order, without changing anything."""
        return self._balances(lines, self._file.deadline())

    async def abalances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return balances, read in the thread that `areserve` waits in."""
        return await asyncio.wrap_future(self._worker.submit(self._balances, lines, self._file.deadline()))

    def close(self) -> None:
        """Let go of the file. What runs in the store's thread is waited for."""
        self._worker.close()
        self._file.close()

    def _reserve(self, hold: Hold, deadline: float) -> Decision:
        with self._file.transaction(deadline) as connection:
            tables = self._tables(connection, hold.id)
            self._forget(tables)
            tables.expire(SWEEP_BATCH)
            if tables.known is not None:
                decision: Decision = GRANTED if tables.known.is_held else ENDED
            else:
                decision = self._decide(hold, tables)
            tables.copies.write()
            return decision

    def _decide(self, hold: Hold, tables: Tables) -> Decision:
        copies, lines = tables.copies, hold.lines
        copies.load_lines(lines)
        denial, rows, has_news = weigh(hold, tables.now_ms, copies.rows)
        if denial is None:
            if len(rows) != len(lines):
                rows = [copies.row(line) for line in lines]
            charge(rows, 0, hold.amount)
            tables.put(hold)
        return with_news(denial, announce(lines, copies.rows, copies.new_row) if has_news else ())

    def _settle(self, settlement: Settlement, tables: Tables) -> Settled:
        known, copies, lines, actual = tables.known, tables.copies, settlement.lines, settlement.actual
        if known is not None and known.rows is None:
            return Settled(SettledAs.REPEATED if known.spent == actual else SettledAs.CONFLICT)
        copies.load_lines(lines)
        if known is None or known.rows is None:
            found, rows = SettledAs.UNKNOWN, [copies.row(line) for line in lines]
            charge(rows, actual, 0)
        else:
            found, rows = SettledAs.HELD if known.is_held else SettledAs.EXPIRED, copies.of(known.rows)
            charge(rows, actual - known.spent, -known.held)
        tables.settle(settlement.id, actual)
        crossings = announce(lines, copies.rows, copies.new_row) if may_have_news(lines, rows) else ()
        copies.write()
        return Settled(found, crossings) if crossings or found is not SettledAs.HELD else SETTLED

    def _balances(self, lines: Sequence[Line], deadline: float) -> list[Balance]:
        with self._file.transaction(deadline) as connection:
            copies = self._tables(connection).copies
            for first in range(0, len(lines), LINES_AT_ONCE):
                copies.load_lines(lines[first : first + LINES_AT_ONCE])
            return [Balance(*sums(line, copies.rows)) for line in lines]

    def _forget(self, tables: Tables) -> None:
        self._until_forget -= 1
        if self._until_forget <= 0:
            self._until_forget = FORGET_EVERY
            tables.forget(FORGET_BATCH)

    def _tables(self, connection: sqlite3.Connection, hold_id: str = "") -> Tables:
        tables = Tables(connection, steady(self._clock_ms(), self._last_ms), hold_id)
        self._last_ms = tables.now_ms
        return tables


class Worker:
    """A thread to wait in, started when it is first needed, and again in a forked process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: tuple[int, ThreadPoolExecutor] | None = None
        self._is_closed = False

    def submit(self, function: Callable[..., Result], *args: object) -> Future[Result]:
        """Let the thread call a function."""
        pid = os.getpid()
        with self._lock:
            if self._is_closed:
                raise StoreUnavailableError("the ledger was closed")
            if self._executor is None or self._executor[0] != pid:
                self._executor = (pid, ThreadPoolExecutor(max_workers=1, thread_name_prefix="llm-otel-ledger"))
            return self._executor[1].submit(function, *args)

    def close(self) -> None:
        """Let the thread finish what it was given."""
        with self._lock:
            self._is_closed, executor, self._executor = True, self._executor, None
        if executor is not None and executor[0] == os.getpid():
            executor[1].shutdown()
