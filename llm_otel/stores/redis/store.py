"""The store: checks what it is given, asks, and reads the answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from llm_otel.budgets.ledger import (
    Balance,
    Decision,
    Hold,
    Line,
    RowQuery,
    RowState,
    Settled,
    Settlement,
    StoreUnavailableError,
)
from llm_otel.errors import ConfigurationError
from llm_otel.stores.redis import address as addresses
from llm_otel.stores.redis import requests as protocol
from llm_otel.stores.redis.connections import connections
from llm_otel.stores.redis.requests import Request, Requests

SWEEP_AT_ONCE = 200
"""How many holds one script expires: about 2 ms of a server that does nothing else meanwhile."""

_NAMESPACE = re.compile(r"\w+", re.ASCII)


class RedisStore:
    """Rows and holds in Redis 5 or newer, or a server that is like it. Thread-safe, task-safe, safe to fork.

    Making one connects to nothing: the first operation does. An operation is one script and one exchange, so it is
    atomic, and lost or done as a whole. It goes by the server's clock.

    Redis must not evict (`maxmemory-policy noeviction`, its default); how much of the ledger a crash of the server
    loses is up to its persistence. Replication is asynchronous: a failover may lose the last second.

    Example:
        >>> store = RedisStore("redis://localhost:6379/0")
        >>> store.name
        'redis://localhost:6379/0'
        >>> store.close()

    Args:
        url: `redis://[username:password@]host[:port][/database]`; `rediss://` for TLS, with `ssl_ca_certs`,
            `ssl_certfile` and `ssl_keyfile` (paths of PEM files) and `ssl_cert_reqs=none` as its query. One node of a
            cluster is enough.
        timeout_s: What one operation may take in all.
        namespace: What the ledger's keys begin with: letters, digits and underscores. Services that share budgets
            share it.
        now_ms: The time to go by, for tests.

    Raises:
        ConfigurationError: The URL, the namespace or the time-out cannot be used, or the package redis is missing.
            Any operation raises it too where a newer release keeps this ledger in another way.
    """

    is_shared = True
    is_instant = False
    max_limit = 9_007_199 * 10**9
    """What Lua compares exactly: whole USD in 2^53 nano-USD."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 0.25,
        namespace: str = "llm_otel",
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise ConfigurationError("namespace", namespace, "letters, digits and underscores")
        if not 0 < timeout_s < float("inf"):
            raise ConfigurationError("timeout_s", timeout_s, "a number of seconds above 0")
        self._address = addresses.parse(url)
        self.name = self._address.name
        self._timeout_s = timeout_s
        self._now_ms = now_ms
        self._is_closed = False
        self._requests = Requests(namespace)
        self._threads, self._loops, self._translated = connections(
            self._address, timeout_s, setting="ledger", what="a ledger"
        )

    def now_ms(self) -> int:
        """Return the server's time."""
        return int(self._call(self._requests.now(self._time())))

    def reserve(self, hold: Hold) -> Decision:
        """Hold the amount on all lines, or on none."""
        return protocol.decision(hold, self._call(self._requests.reserve(hold, self._time())))

    async def areserve(self, hold: Hold) -> Decision:
        """Reserve without blocking the event loop. A cancel leaves it unknown whether the money is held."""
        return protocol.decision(hold, await self._acall(self._requests.reserve(hold, self._time())))

    def settle(self, settlement: Settlement) -> Settled:
        """Replace the hold by what the request cost."""
        return protocol.settled(settlement, self._call(self._requests.settle(settlement, self._time())))

    def extend(self, hold_id: str, lease_ms: int) -> bool:
        """Let a hold's lease start anew; return whether it is still held."""
        return bool(self._call(self._requests.extend(hold_id, lease_ms, self._time())))

    def sweep(self, limit: int) -> int:
        """Expire at most `limit` holds whose lease is over, the longest over first; return how many."""
        expired = 0
        while expired < limit:
            wanted = min(limit - expired, SWEEP_AT_ONCE)
            found = int(self._call(self._requests.sweep(wanted, self._time())))
            expired += found
            if found < wanted:
                break
        return expired

    def snapshot(self, queries: Sequence[RowQuery]) -> list[RowState]:
        """Return what stands in the rows asked for. Beyond a thousand rows it is read in pages, not in one moment."""
        pages: list[list[Any]] = []
        index, offset = 1, 0
        while index:
            page = self._call(self._requests.snapshot(queries, index, offset, self._time()))
            pages.append(page)
            index, offset = page[:2]
        return protocol.row_states(queries, pages)

    def balances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return what stands in the rows that count for each line; those beyond a thousand rows in a second moment."""
        found: list[Balance] = []
        for some in protocol.by_rows(lines):
            found += protocol.balances(self._call(self._requests.balances(some)))
        return found

    async def abalances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return balances without blocking the event loop."""
        found: list[Balance] = []
        for some in protocol.by_rows(lines):
            found += protocol.balances(await self._acall(self._requests.balances(some)))
        return found

    def close(self) -> None:
        """Let go of the connections."""
        self._is_closed = True
        self._threads.close()
        self._loops.close()

    def _call(self, request: Request) -> Any:
        self._check_open()
        with self._translated():
            return self._threads.call(request)

    async def _acall(self, request: Request) -> Any:
        self._check_open()
        with self._translated():
            return await self._loops.call(request)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError(f"{self.name} is closed")

    def _time(self) -> int | str:
        return "" if self._now_ms is None else self._now_ms()
