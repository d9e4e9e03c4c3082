"""Connections for event loops: each loop has its own, and they end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from llm_otel.forks import when_forked
from llm_otel.stores.redis.loop_timeout import LoopTimeout
from llm_otel.stores.redis.route import MAX_TRIES, Route

if TYPE_CHECKING:
    from llm_otel.stores.redis.address import Address
    from llm_otel.stores.redis.requests import Sendable

MAX_CONNECTIONS = 16
"""Of one loop, in use at once; more tasks wait for one. Few, since a hundred tasks that start together would spend
their time on making connections; on a network of 1 ms they are 16,000 operations a second."""

CLOSE_S = 0.25
"""How long, in seconds, the other side may take to say good-bye."""


class Connection(Protocol):
    """What is used of redis-py's asyncio connection, whose own methods are not typed."""

    async def connect(self) -> None:
        """Connect, authenticate, choose the database; nothing where that is done."""

    async def disconnect(self, nowait: bool = False) -> None:  # noqa: FBT001, FBT002 - redis-py's
        """Let go; with `nowait` do not wait until the transport has."""

    async def send_packed_command(self, command: list[bytes]) -> None:
        """Send a command that is written in RESP."""

    async def read_response(self) -> Any:
        """Return the answer, or raise the error that it is."""


class LoopPools:
    """Sends requests from event loops, each on a connection of its own. Thread-safe; a forked child starts anew.

    A loop's connections are let go when it shuts down, as `asyncio.run` does it. Those of a loop that was closed
    without that are given up when the next loop comes along.

    Args:
        address: The server, or any node of a cluster: requests follow their slot, which is one for all.
        timeout_s: What one operation may take in all.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._route = Route(address)
        self._timeout_s = timeout_s
        self._connection_class: type[Any] = redis.asyncio.SSLConnection if address.is_tls else redis.asyncio.Connection
        # Not weakly keyed: a connection holds its loop, so that the entry would hold its own key.
        self._pools: dict[asyncio.AbstractEventLoop, _LoopPool] = {}
        self._inherited: list[object] = []
        when_forked(self._renew)

    async def call(self, request: Sendable) -> Any:
        """Return the answer to a request. A cancel leaves it unknown whether it was done.

        Raises:
            TimeoutError: There was none in time.
            RedisError: The server refused, or could not be reached.
        """
        async with LoopTimeout(self._timeout_s):
            pool = self._pools.get(asyncio.get_running_loop()) or await self._open()
            return await pool.call(request)

    def close(self) -> None:
        """Let go of all connections; each loop does it when it comes to it."""
        for loop, pool in list(self._pools.items()):
            # It may be closed already, or just now.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(pool.close_soon)

    async def _open(self) -> _LoopPool:
        loop = asyncio.get_running_loop()
        for other in list(self._pools):
            if other.is_closed() and (orphan := self._pools.pop(other, None)):
                await orphan.abandon()
        pool = self._pools[loop] = _LoopPool(self._make, self._route, lambda: self._pools.pop(loop, None))
        await pool.watch_loop()
        return pool

    def _make(self) -> Connection:
        # No time limit for a step: there is one for the whole, which knows of loops that are held up.
        made: Connection = self._connection_class(
            **self._route.target, socket_timeout=None, socket_connect_timeout=None
        )
        return made

    def _renew(self) -> None:
        """Start without loops. The parent's are kept: to close them here would unregister them there (epoll)."""
        self._inherited.append(self._pools)
        self._pools = {}


class _LoopPool:
    """The connections of one loop, used on it only.

    Args:
        make: Returns a new connection.
        route: Learns from failures.
        forget: Called when the connections are let go.
    """

    def __init__(self, make: Callable[[], Connection], route: Route, forget: Callable[[], object]) -> None:
        self._make = make
        self._route = route
        self._forget = forget
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._is_closed = False
        self._watcher = self._until_loop_ends()
        self._closing: asyncio.Task[None] | None = None

    async def watch_loop(self) -> None:
        """Have this loop close the pool when it shuts down: it closes the async generators that have begun on it."""
        await anext(self._watcher)

    async def call(self, request: Sendable) -> Any:
        """Return the answer to a request."""
        tries = 0
        while True:
            tries += 1
            async with self._slots:
                idle = self._idle.pop() if self._idle else None
                try:
                    return await self._attempt(idle or self._make(), request)
                except RedisError as exc:
                    if not self._route.may_retry(exc, is_new=idle is None) or tries == MAX_TRIES:
                        raise

    def close_soon(self) -> None:
        """Close on the running loop, without waiting for it."""
        self._closing = asyncio.get_running_loop().create_task(self.aclose())

    async def aclose(self) -> None:
        """Let go of what is idle, and of the rest when it comes back."""
        self._is_closed = True
        self._forget()
        while self._idle:
            # The other side may be gone, or hang.
            with suppress(RedisError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._idle.pop().disconnect()

    async def abandon(self) -> None:
        """Give up connections of a loop that is closed, from another one; the sockets go with the last reference."""
        while self._idle:
            # Their loop does not take callbacks any more.
            with suppress(RuntimeError):
                await self._idle.pop().disconnect(nowait=True)

    async def _until_loop_ends(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.aclose()

    async def _attempt(self, connection: Connection, request: Sendable) -> Any:
        try:
            await connection.connect()
            answer = await self._ask(connection, request)
        except BaseException:
            # After a cancel, an answer to nobody may still come on it; and what broke one connection (a restart, a
            # failover) has most likely broken those that lie idle too.
            await self._drop(connection, *self._idle)
            self._idle.clear()
            raise
        if self._is_closed:
            await self._drop(connection)
        else:
            self._idle.append(connection)
        return answer

    @staticmethod
    async def _ask(connection: Connection, request: Sendable) -> Any:
        try:
            await connection.send_packed_command([request.by_digest])
            return await connection.read_response()
        except NoScriptError:
            await connection.send_packed_command([request.by_source])
            return await connection.read_response()

    @staticmethod
    async def _drop(*connections: Connection) -> None:
        for connection in connections:
            await connection.disconnect(nowait=True)
