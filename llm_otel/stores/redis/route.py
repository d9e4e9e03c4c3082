"""Which server holds the ledger. In a Redis Cluster that is the master of one slot, and it changes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import redis.connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisError

if TYPE_CHECKING:
    from llm_otel.stores.redis.address import Address

_IS_TOLD_OF_DRIVER = "driver_info" in inspect.signature(redis.connection.AbstractConnection).parameters

_HANDSHAKE: dict[str, Any] = {
    # All answers are lists of strings and numbers; RESP 3 needs an exchange to begin with.
    "protocol": 2,
    # Nor is the server told of redis-py's release, by another two. The argument for that is another in 8.1 than in 6.4.
    **({"driver_info": None} if _IS_TOLD_OF_DRIVER else {"lib_name": None, "lib_version": None}),
}
"""Arguments of a connection that is usable at once, unless it has to authenticate or choose a database."""

MAX_TRIES = 4
"""For one operation: on a connection that turns out to be dead, at a node that has moved, and where it has moved to."""


class Route:
    """The server to connect to: the configured one, or where a node of its cluster has sent us.

    Thread-safe: what one thread learns is right for all. All keys of a ledger are in one slot, so one server at a time
    has them all, and the map of the cluster is of no use.
    """

    def __init__(self, address: Address) -> None:
        self._options = address.options
        self._server = self._configured = (address.host, address.port)

    @property
    def target(self) -> dict[str, Any]:
        """Where to, as arguments of a redis-py connection."""
        host, port = self._server
        return {"host": host, "port": port, **_HANDSHAKE, **self._options}

    def may_retry(self, exc: RedisError, *, is_new: bool) -> bool:
        """Say whether a request that failed may succeed at once on a new connection.

        Every operation of a ledger may be repeated, so nothing else need be known.

        Args:
            exc: The failure.
            is_new: Whether it was met on a new connection; an old one may have died of a restart long past.
        """
        before = self._server
        if isinstance(exc, MovedError):
            host, port = exc.node_addr
            # A node that does not know its own address names none: it means the one that was asked.
            self._server = (host or before[0], port)
        elif isinstance(exc, RedisConnectionError):
            self._server = self._configured
        else:
            return False
        return self._server != before or not is_new
