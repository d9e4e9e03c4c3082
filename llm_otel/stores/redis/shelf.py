"""The response cache's place in Redis: one key for each answer, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.stores.redis import address as addresses
from llm_otel.stores.redis.connections import connections
from llm_otel.stores.redis.requests import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTING = "response_cache"
PREFIX = b"llm_otel:cache:v1:{answers}:"
"""What keys begin with. The hash tag keeps them on one shard of a cluster, so that one connection finds them all."""


class _Command(NamedTuple):
    """A command that is no script: every server knows it."""

    by_digest: bytes

    @property
    def by_source(self) -> bytes:
        """The same."""
        return self.by_digest


class RedisShelf:
    """Answers in Redis 5 or newer, shared by a fleet. Thread-safe, task-safe, safe to fork.

    Making one connects to nothing: the first operation does. An operation is one command on one key. The server may
    evict (`maxmemory-policy allkeys-lru` is a good one), which a server that also keeps a ledger must not.

    Example:
        >>> shelf = RedisShelf("redis://localhost:6379/0")
        >>> shelf.name
        'redis://localhost:6379/0'
        >>> shelf.close()

    Args:
        url: As of a `RedisStore`.
        timeout_s: What one operation may take in all.

    Raises:
        ConfigurationError: The URL cannot be used, or the package redis is missing.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.25) -> None:
        address = addresses.parse(url, setting=SETTING)
        self.name = address.name
        self._is_closed = False
        self._threads, self._loops, self._translated = connections(
            address, timeout_s, setting=SETTING, what="a response cache"
        )

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key, unless its time is over.

        Raises:
            StoreUnavailableError: The server is not there, slow, or refuses us; here and below.
        """
        found: bytes | None = self._call(("GET", PREFIX + key.encode()))
        return found

    async def aget(self, key: str) -> bytes | None:
        """Return it without blocking the event loop."""
        self._check_open()
        with self._translated():
            found: bytes | None = await self._loops.call(_Command(packed(("GET", PREFIX + key.encode()))))
        return found

    def put(self, key: str, text: bytes, ttl_ms: int) -> None:
        """Keep something for so many milliseconds, at least 1, in place of what was there."""
        self._call(("SET", PREFIX + key.encode(), text, "PX", ttl_ms))

    def close(self) -> None:
        """Let go of the connections."""
        self._is_closed = True
        self._threads.close()
        self._loops.close()

    def _call(self, parts: Sequence[bytes | str | int]) -> Any:
        self._check_open()
        with self._translated():
            return self._threads.call(_Command(packed(parts)))

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError(f"{self.name} is closed")
