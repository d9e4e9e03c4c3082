"""A ledger file: who may write to it, for how long one waits, and what becomes of it when the process forks."""

from __future__ import annotations

import io
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.errors import ConfigurationError
from llm_otel.forks import when_forked
from llm_otel.stores.sqlite.tables import prepare

if TYPE_CHECKING:
    from llm_otel.clock import Clock

if sys.platform != "win32":
    import fcntl

WAIT_S = 5.0
"""How long an operation waits for others, threads and processes together."""

FIRST_NAP_S = 0.00005
LONGEST_NAP_S = 0.0005
"""Between two looks at the lock. A transaction takes 0.1 ms; SQLite's own waits reach 100 ms, and let one starve."""


class FileLock:
    """A lock that one process (or one `FileLock` in it) can have, freed by the system if that process dies.

    SQLite's own locks would do for correctness, up to a rare damage when two connections write and checkpoint at the
    same instant (3.7.0 to 3.51.2, sqlite.org/wal.html#walresetbug, 2026-03-13). Where there is no `flock`, they do.

    Args:
        path: The lock file, made if need be, and never removed: others may wait for it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: io.FileIO | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether it was."""
        if sys.platform == "win32":
            return True
        if self._file is None:
            self._file = io.FileIO(self._path, "a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Free the lock, if this is who has it."""
        if sys.platform != "win32" and self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file, and of the lock with it."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LedgerFile:
    """One connection to a ledger, for one transaction at a time.

    Threads take turns; a second connection would only wait for SQLite instead. Neither a connection nor a lock may be
    carried into a forked process (both would share the parent's locks without having them), so both are closed before
    a fork and opened anew on either side.

    Args:
        path: The database.
        waiting: The clock to wait by.

    Raises:
        ConfigurationError: It cannot be opened, is no ledger, or a newer one.
        StoreUnavailableError: Another process has kept it locked for `WAIT_S`.
    """

    def __init__(self, path: str, waiting: Clock) -> None:
        self.path = path
        self._waiting = waiting
        self._mutex = threading.RLock()
        self._is_inside = False
        self._is_closed = False
        self._file_lock = FileLock(f"{path}-lock")
        self._connection: sqlite3.Connection | None = None
        self._abandoned: list[sqlite3.Connection] = []
        try:
            self._enter(self.deadline()).execute("ROLLBACK")
            self._leave()
        except BaseException as exc:
            self._let_go()
            if not isinstance(exc, (sqlite3.Error, OSError)):
                raise
            allowed = "an SQLite file, or none yet, in a directory that exists and may be written to"
            raise ConfigurationError("ledger", path, f"{allowed} ({exc})") from exc
        when_forked(self.after_fork_in_child, before=self.before_fork, in_parent=self.after_fork_in_parent)

    def __del__(self) -> None:
        # Nobody closes the ledger of a runtime that was replaced: its last calls may still settle there.
        self._let_go()

    def check_open(self) -> None:
        """Raise `StoreUnavailableError` after `close()`."""
        if self._is_closed:
            raise self._unavailable("it was closed")

    def deadline(self) -> float:
        """Return when an operation that begins now gives up waiting, on the waiting clock."""
        return self._waiting.monotonic() + WAIT_S

    @contextmanager
    def transaction(self, deadline: float) -> Iterator[sqlite3.Connection]:
        """Keep everybody else out, and write all or nothing.

        Raises:
            StoreUnavailableError: The lock was not to be had in time, SQLite failed, or this very thread is in the
                middle of a transaction: the garbage collector dropped a stream there, whose end cannot wait for it.
        """
        if not self._mutex.acquire(timeout=max(0.0, deadline - self._waiting.monotonic())):
            raise self._unavailable("other threads have kept it locked")
        try:
            if self._is_inside:
                raise self._unavailable("this thread is in the middle of another operation on it")
            self._is_inside = True
            try:
                connection = self._enter(deadline)
                yield connection
                connection.execute("COMMIT")
            except (sqlite3.Error, OSError) as exc:
                # What is wrong with this connection need not be wrong with the next.
                self._disconnect()
                raise self._unavailable(str(exc)) from exc
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._leave()
                self._is_inside = False
        finally:
            self._mutex.release()

    def close(self) -> None:
        """Close the file, for good. The last one to do so moves the write-ahead log into the database."""
        with self._mutex:
            self._is_closed = True
            self._let_go()

    def _unavailable(self, why: str) -> StoreUnavailableError:
        return StoreUnavailableError(f"ledger {self.path!r}: {why}")

    def _enter(self, deadline: float) -> sqlite3.Connection:
        """Take the file and begin a transaction."""
        nap_s = FIRST_NAP_S
        while True:
            self.check_open()
            connection = self._try_to_begin()
            if connection is not None:
                return connection
            if self._waiting.monotonic() >= deadline:
                raise self._unavailable(f"another process has kept it locked for {WAIT_S:g} s")
            self._waiting.sleep(nap_s)
            nap_s = min(2 * nap_s, LONGEST_NAP_S)

    def _try_to_begin(self) -> sqlite3.Connection | None:
        if not self._file_lock.acquire():
            return None
        try:
            if self._connection is None:
                self._connection = _connect(self.path)
            # Not BEGIN: a transaction that only reads at first cannot wait when it comes to write.
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            self._file_lock.release()
            return None
        return self._connection

    def _leave(self) -> None:
        self._file_lock.release()

    def _roll_back(self) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _let_go(self) -> None:
        """Close what is open. The lock is held if it is free: closing the last connection writes to the database."""
        if self._connection is not None:
            self._file_lock.acquire()
        self._disconnect()
        self._file_lock.close()

    def before_fork(self) -> None:
        """Wait for the transaction of another thread, and let go."""
        self._mutex.acquire()
        if not self._is_inside:
            self._let_go()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._mutex.release()

    def after_fork_in_child(self) -> None:
        """Start anew. What a fork that told nobody beforehand brought along is never touched, not even closed."""
        self._mutex = threading.RLock()
        self._is_inside = False
        if self._connection is not None:
            self._abandoned.append(self._connection)
            self._connection = None
        self._file_lock.close()


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection
