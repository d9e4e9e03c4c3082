"""What a ledger file holds, and the statements of a transaction on it."""

from __future__ import annotations

import json
import sqlite3
from functools import lru_cache
from typing import NamedTuple

from llm_otel.budgets.ledger import HOLD_KEPT_MS, Hold, RowQuery, RowState, steady
from llm_otel.budgets.rows import RowKey, charge
from llm_otel.errors import ConfigurationError
from llm_otel.stores.sqlite.copies import RowCopies

APPLICATION_ID = 0x4C4F544C
"""Says whose file it is ("LOTL"), so that no other program's database is ever written to."""

SCHEMA_VERSION = 1
"""The newest that this release knows, in the file's `user_version`."""

CLOCK_GRAIN_MS = 1_000
"""How far the store's time may run ahead of the one in the file: writing it costs a tenth of an operation."""

PAGE_BYTES = 1024
"""Of a new file. An operation changes a few bytes on each of some pages, and whole pages go into the log."""

CHECKPOINT_PAGES = 4_000
"""How long the log grows before it goes into the database, which waits for the disk: 4 MB, SQLite's usual."""

SCHEMA = (
    # No lease ends before `next_lease_ms`, and maybe none then: the hold was settled meanwhile. NULL: never.
    # `tidied_to`: how far, in the order of their ids, the ends were looked at.
    """CREATE TABLE clock (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        last_ms INTEGER NOT NULL,
        next_lease_ms INTEGER,
        tidied_to TEXT NOT NULL
    )""",
    "INSERT INTO clock VALUES (1, 0, NULL, '')",
    # The checks are for a bug of ours.
    """CREATE TABLE rows (
        budget TEXT NOT NULL,
        scope TEXT NOT NULL,
        start INTEGER NOT NULL,
        spent INTEGER NOT NULL CHECK (spent >= 0),
        held INTEGER NOT NULL CHECK (held >= 0),
        forget_at INTEGER,
        told TEXT,
        PRIMARY KEY (budget, scope, start)
    ) WITHOUT ROWID""",
    "CREATE INDEX rows_to_forget ON rows (forget_at) WHERE forget_at IS NOT NULL",
    # In flight. They are few, and looked through when `next_lease_ms` is over: an index on the leases would be written
    # by every operation, as would be a number of their own beside the id.
    """CREATE TABLE holds (
        id TEXT PRIMARY KEY,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        floor INTEGER NOT NULL CHECK (floor >= 0),
        lease_until_ms INTEGER NOT NULL,
        rows TEXT NOT NULL
    ) WITHOUT ROWID""",
    # Expired: the floor as spent, and the rows, which a late settle corrects. Settled: the actual cost, and no rows.
    """CREATE TABLE ends (
        id TEXT PRIMARY KEY,
        ended_ms INTEGER NOT NULL,
        spent INTEGER NOT NULL,
        rows TEXT
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_BEGIN = """
    SELECT last_ms, next_lease_ms, holds.amount, holds.rows, ends.spent, ends.rows
    FROM clock LEFT JOIN holds ON holds.id = ? LEFT JOIN ends ON ends.id = ?
"""
_TICK = "UPDATE clock SET last_ms = ?"
_PUT = "INSERT INTO holds (id, amount, floor, lease_until_ms, rows) VALUES (?, ?, ?, ?, ?)"
_EXTEND = "UPDATE holds SET lease_until_ms = ? WHERE id = ?"
_DUE = """
    SELECT id, amount, floor, rows FROM holds WHERE lease_until_ms <= ? ORDER BY lease_until_ms LIMIT ?
"""
_FIRST_LEASE = "SELECT min(lease_until_ms) FROM holds"
_SET_NEXT_LEASE = "UPDATE clock SET next_lease_ms = ?"
_DROP = "DELETE FROM holds WHERE id = ?"
_END = "INSERT OR REPLACE INTO ends (id, ended_ms, spent, rows) VALUES (?, ?, ?, ?)"
# Some at a time, round and round: an index on their ends would cost every settle.
_ENDS_TO_TIDY = """
    SELECT count(*), min(id), max(id)
    FROM (SELECT id FROM ends WHERE id > (SELECT tidied_to FROM clock) ORDER BY id LIMIT ?)
"""
_FORGET_ENDS = "DELETE FROM ends WHERE id BETWEEN ? AND ? AND ended_ms <= ?"
_SET_TIDIED = "UPDATE clock SET tidied_to = ?"
_FORGET_ROWS = """
    DELETE FROM rows WHERE (budget, scope, start) IN (
        SELECT budget, scope, start FROM rows WHERE forget_at <= ? AND held = 0 LIMIT ?
    )
"""
_STATES = "SELECT scope, start, spent, held FROM rows WHERE budget = ? AND start BETWEEN ? AND ?"


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Make a ledger of an empty file, and see that any other is one that this release can write to.

    Raises:
        ConfigurationError: It is no ledger, or a newer one.
    """
    (found_application,) = connection.execute("PRAGMA application_id").fetchone()
    (found_version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    is_empty = (found_application, found_version, tables) == (0, 0, 0)
    if not is_empty and found_application != APPLICATION_ID:
        raise ConfigurationError("ledger", path, "a ledger, or no file yet; this is another program's database")
    if found_version > SCHEMA_VERSION:
        allowed = f"a ledger of schema version {SCHEMA_VERSION} or older; this file has version {found_version}"
        raise ConfigurationError("ledger", path, f"{allowed}, written by a newer llm-otel")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError("ledger", path, "a file on a local disk, where SQLite can have a write-ahead log")
    # A crash of the process loses nothing; one of the machine may lose the last commits, and damages nothing.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    if is_empty:
        connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute("COMMIT")


class Known(NamedTuple):
    """A hold that the file knows.

    Attributes:
        held: nano-USD on each of its rows.
        spent: nano-USD on each of its rows: 0 while it is held, the floor when it expired, the actual cost in the end.
        is_held: Whether it is in flight.
        rows: Where; `None` once it was settled.
    """

    held: int
    spent: int
    is_held: bool
    rows: tuple[RowKey, ...] | None


class Tables:
    """The statements of one transaction.

    Args:
        connection: With the transaction begun.
        clock_ms: This machine's time.
        hold_id: The hold that it is about, if any.

    Attributes:
        now_ms: The store's time.
        known: What the file knows of the hold.
        copies: The rows in hand; whoever changes them writes them.
    """

    def __init__(self, connection: sqlite3.Connection, clock_ms: int, hold_id: str = "") -> None:
        self._connection = connection
        self._hold_id = hold_id
        self.copies = RowCopies(connection)
        last_ms, self._next_lease_ms, *found = connection.execute(_BEGIN, (hold_id, hold_id)).fetchone()
        self.known = _known(*found)
        self.now_ms = steady(clock_ms, last_ms)
        if not last_ms <= self.now_ms < last_ms + CLOCK_GRAIN_MS:
            connection.execute(_TICK, (self.now_ms,))

    def put(self, hold: Hold) -> None:
        """Note a new hold."""
        rows = _text_of(tuple([(line.budget, line.scope, line.start) for line in hold.lines]))
        until_ms = self.now_ms + hold.lease_ms
        self._connection.execute(_PUT, (hold.id, hold.amount, hold.floor, until_ms, rows))
        self._note_lease(until_ms)

    def settle(self, hold_id: str, actual: int) -> None:
        """Note the end of a hold, known or not."""
        if self.known is not None and self.known.is_held:
            self._connection.execute(_DROP, (hold_id,))
        self._connection.execute(_END, (hold_id, self.now_ms, actual, None))

    def extend(self, hold_id: str, lease_ms: int) -> bool:
        """Let a lease start anew; return whether there is one."""
        until_ms = self.now_ms + lease_ms
        is_held = self._connection.execute(_EXTEND, (until_ms, hold_id)).rowcount > 0
        if is_held:
            self._note_lease(until_ms)
        return is_held

    def expire(self, limit: int) -> int:
        """Expire at most `limit` holds whose lease is over, the longest over first; return how many."""
        if self._next_lease_ms is None or self._next_lease_ms > self.now_ms:
            return 0
        due = self._connection.execute(_DUE, (self.now_ms, limit)).fetchall()
        for hold_id, amount, floor, rows in due:
            charge(self.copies.of(_keys(rows)), floor, -amount)
            self._connection.execute(_DROP, (hold_id,))
            self._connection.execute(_END, (hold_id, self.now_ms, floor, rows))
            if hold_id == self._hold_id:
                self.known = Known(held=0, spent=floor, is_held=False, rows=_keys(rows))
        (self._next_lease_ms,) = self._connection.execute(_FIRST_LEASE).fetchone()
        self._connection.execute(_SET_NEXT_LEASE, (self._next_lease_ms,))
        return len(due)

    def forget(self, limit: int) -> None:
        """Look at `limit` ends and drop those of long ago; drop at most as many rows that nobody will ask for."""
        count, first, last = self._connection.execute(_ENDS_TO_TIDY, (limit,)).fetchone()
        self._connection.execute(_FORGET_ENDS, (first, last, self.now_ms - HOLD_KEPT_MS))
        self._connection.execute(_SET_TIDIED, (last if count == limit else "",))
        self._connection.execute(_FORGET_ROWS, (self.now_ms // 1000, limit))

    def states(self, query: RowQuery) -> list[RowState]:
        """Return what stands in the rows asked for, scope by scope."""
        found = self._connection.execute(_STATES, (query.budget, query.starts[0], query.starts[-1]))
        starts, sums = set(query.starts), dict[str, tuple[int, int]]()
        for scope, start, spent, held in found:
            if start in starts:
                before = sums.get(scope, (0, 0))
                sums[scope] = (before[0] + spent, before[1] + held)
        return [RowState(query.budget, scope, spent, held) for scope, (spent, held) in sums.items()]

    def _note_lease(self, until_ms: int) -> None:
        if self._next_lease_ms is None or until_ms < self._next_lease_ms:
            self._next_lease_ms = until_ms
            self._connection.execute(_SET_NEXT_LEASE, (until_ms,))


def _known(amount: int | None, rows_held: str, spent: int | None, rows_spent: str | None) -> Known | None:
    if amount is not None:
        return Known(held=amount, spent=0, is_held=True, rows=_keys(rows_held))
    if spent is not None:
        return Known(held=0, spent=spent, is_held=False, rows=None if rows_spent is None else _keys(rows_spent))
    return None


# Calls for the same budgets come again and again.
@lru_cache(maxsize=1024)
def _keys(rows: str) -> tuple[RowKey, ...]:
    return tuple((budget, scope, start) for budget, scope, start in json.loads(rows))


@lru_cache(maxsize=1024)
def _text_of(keys: tuple[RowKey, ...]) -> str:
    return json.dumps(keys)
