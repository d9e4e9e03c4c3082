"""Where answers are kept for other processes, as the cache sees it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from llm_otel.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_otel.recording import Guard

PART = "cache"
"""The name under which the guard counts what goes wrong."""

_logger = logging.getLogger("llm_otel")


class Shelf(Protocol):
    """A place that processes share. Thread-safe, task-safe; every operation is bounded in time.

    Attributes:
        name: Its address, without secrets.

    Raises:
        StoreUnavailableError: By every operation, where the place cannot be reached.
    """

    name: str

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key, unless its time is over."""

    async def aget(self, key: str) -> bytes | None:
        """Return it without blocking the event loop."""

    def put(self, key: str, text: bytes, ttl_ms: int) -> None:
        """Keep something for so many milliseconds, at least 1, in place of what was there."""

    def close(self) -> None:
        """Let go of the connections."""


class CarefulShelf:
    """A shelf that fails by finding nothing, and is left alone in an `Outage`. Thread-safe, and safe to cancel."""

    def __init__(self, shelf: Shelf, monotonic: Callable[[], float], guard: Guard) -> None:
        """Take a shelf.

        Args:
            shelf: What is asked.
            monotonic: Seconds that never run backwards, for the time that it is left alone.
            guard: Counts its failures.
        """
        self._shelf = shelf
        self._guard = guard
        self._outage = Outage(monotonic)

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key; nothing in an outage."""
        if not self._outage.may_ask():
            return None
        try:
            found = self._shelf.get(key)
        # Whatever it raises: the provider answers too.
        except Exception as exc:  # noqa: BLE001
            self._failed(exc)
            return None
        self._answered()
        return found

    async def aget(self, key: str) -> bytes | None:
        """Return what is kept under a key, without blocking the event loop."""
        if not self._outage.may_ask():
            return None
        try:
            found = await self._shelf.aget(key)
        # As above.
        except Exception as exc:  # noqa: BLE001
            self._failed(exc)
            return None
        self._answered()
        return found

    def put(self, key: str, text: bytes, ttl_ms: int) -> None:
        """Keep something, or not, in an outage."""
        if not self._outage.may_ask():
            return
        try:
            self._shelf.put(key, text, ttl_ms)
        # As above.
        except Exception as exc:  # noqa: BLE001
            self._failed(exc)
        else:
            self._answered()

    def _answered(self) -> None:
        if self._outage.ended():
            _logger.warning("llm_otel.cache_available cache=%s", self._shelf.name)

    def _failed(self, error: Exception) -> None:
        if self._outage.began():
            _logger.warning("llm_otel.cache_unavailable cache=%s error=%s", self._shelf.name, error)
        self._guard.failed(PART, error)
