"""Connections for threads. One operation has one deadline, whatever it has to wait for."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import redis
from redis.exceptions import NoScriptError, RedisError

from llm_otel.clock import SystemClock
from llm_otel.forks import when_forked
from llm_otel.stores.redis.route import MAX_TRIES, Route

if TYPE_CHECKING:
    from llm_otel.stores.redis.address import Address
    from llm_otel.stores.redis.requests import Sendable

MAX_CONNECTIONS = 16
"""In use at once; more threads wait for one. Few, since two hundred threads that start together would spend their time
on making connections; on a network of 1 ms they are 16,000 operations a second."""
MOMENT_S = 0.05
"""What each step of an operation has at least, in seconds: a process that was held up itself, by an import or for want
of CPU, must not take a server that is well for one that is out."""


class Connection(Protocol):
    """What is used of redis-py's connection, whose own methods are not typed."""

    def connect(self) -> None:
        """Connect, authenticate, choose the database."""

    def disconnect(self) -> None:
        """Let go; a forked child of its copy only."""

    def send_packed_command(self, command: list[bytes]) -> None:
        """Send a command that is written in RESP."""

    def can_read(self, timeout: float) -> bool:
        """Wait for an answer to begin; return whether it does."""

    def read_response(self) -> Any:
        """Return the answer, or raise the error that it is."""


class ThreadPool:
    """Sends requests, each on a connection of its own. Thread-safe; a forked child starts anew.

    It stands in for redis-py's pool and client because their time limits are for each step, and the steps of one
    operation add up: a free connection, the host's name, each of its addresses, TLS, credentials, the script.

    Args:
        address: The server, or any node of a cluster: requests follow their slot, which is one for all.
        timeout_s: What one operation may take in all.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._route = Route(address)
        self._timeout_s = timeout_s
        self._monotonic = SystemClock.monotonic
        self._connection_class: type[Any] = redis.SSLConnection if address.is_tls else redis.Connection
        self._is_closed = False
        self._renew()
        when_forked(self._renew)

    def call(self, request: Sendable) -> Any:
        """Return the answer to a request.

        Raises:
            TimeoutError: There was none in time.
            RedisError: The server refused, or could not be reached.
        """
        deadline = self._monotonic() + self._timeout_s
        tries = 0
        while True:
            tries += 1
            idle = self._acquire(deadline)
            try:
                return self._attempt(idle, request, deadline)
            except RedisError as exc:
                if not self._route.may_retry(exc, is_new=idle is None) or tries == MAX_TRIES:
                    raise

    def close(self) -> None:
        """Let go of what is idle, and of the rest when it comes back."""
        self._is_closed = True
        self._drop_idle()

    def _renew(self) -> None:
        """Start without connections: in a forked child they are the parent's, and its threads may hold the locks."""
        self._idle: list[Connection] = []
        # No semaphore: the garbage collector may drop a stream, whose end settles, in the middle of anything that
        # Python does, and a semaphore is a lock that is held in Python. These queues are made for that.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(MAX_CONNECTIONS):
            self._slots.put(None)

    def _acquire(self, deadline: float) -> Connection | None:
        """Take a slot and, if there is one, an idle connection: the one used last, so that the others may rest."""
        try:
            self._slots.get(timeout=self._left(deadline))
        except Empty:
            raise TimeoutError from None
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _attempt(self, idle: Connection | None, request: Sendable, deadline: float) -> Any:
        """Send a request from the slot that was taken, and free the slot."""
        connection = idle or self._new(deadline)
        try:
            answer = self._ask(connection, request, deadline)
        except BaseException:
            # What broke one connection (a restart, a failover) has most likely broken those that lie idle too.
            self._slots.put(None)
            connection.disconnect()
            self._drop_idle()
            raise
        self._give_back(connection)
        return answer

    def _ask(self, connection: Connection, request: Sendable, deadline: float) -> Any:
        try:
            return self._exchange(connection, request.by_digest, deadline)
        except NoScriptError:
            return self._exchange(connection, request.by_source, deadline)

    def _exchange(self, connection: Connection, command: bytes, deadline: float) -> Any:
        connection.send_packed_command([command])
        if not connection.can_read(self._left(deadline)):
            raise TimeoutError
        return connection.read_response()

    def _new(self, deadline: float) -> Connection:
        connecting = self._connect()
        try:
            return connecting.result(self._left(deadline))
        except BaseException:
            # The slot is taken until it has failed. Should it come after all, it is kept for others.
            connecting.add_done_callback(self._take_in)
            raise

    def _connect(self) -> Future[Connection]:
        """Connect on another thread: nothing else puts a bound to resolving the name of a host."""
        timeouts = {"socket_timeout": self._timeout_s, "socket_connect_timeout": self._timeout_s}
        made: Connection = self._connection_class(**self._route.target, **timeouts)
        connecting: Future[Connection] = Future()

        def connect() -> None:
            try:
                made.connect()
            # It is raised where it is waited for.
            except BaseException as exc:  # noqa: BLE001
                connecting.set_exception(exc)
            else:
                connecting.set_result(made)

        try:
            threading.Thread(target=connect, name="llm-otel-redis-connect", daemon=True).start()
        except RuntimeError:
            # No thread can be started while Python exits. What is settled then may take longer.
            connect()
        return connecting

    def _take_in(self, connecting: Future[Connection]) -> None:
        if connecting.exception() is None:
            self._give_back(connecting.result())
        else:
            self._slots.put(None)

    def _give_back(self, connection: Connection) -> None:
        self._idle.append(connection)
        self._slots.put(None)
        if self._is_closed:
            self._drop_idle()

    def _drop_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().disconnect()

    def _left(self, deadline: float) -> float:
        """Return the seconds left, and a moment if there are none."""
        return max(deadline - self._monotonic(), MOMENT_S)
