"""From addresses to what is kept there: a ledger's store, a shelf of the response cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_otel.budgets.ledger import Store
    from llm_otel.caching.shelf import Shelf

MEMORY = "memory://"
SQLITE = "sqlite:///"
_REDIS = ("redis://", "rediss://")
_ALLOWED = (
    "'memory://' (this process), 'sqlite:///spend.db' (the processes of this machine; four slashes for an absolute "
    "path), or 'redis://host:6379/0' or 'rediss://...' (a fleet)"
)


def open_store(url: str, *, clock_ms: Callable[[], int]) -> Store:
    """Return the store at an address. A store in Redis need not be reachable yet.

    Args:
        url: See `_ALLOWED`; it may hold a password, and is never shown.
        clock_ms: This machine's time, in milliseconds since the epoch; Redis goes by its own.

    Raises:
        ConfigurationError: The address cannot be used, or what it needs is not installed.
    """
    if url == MEMORY:
        from llm_otel.stores.memory import MemoryStore

        return MemoryStore(clock_ms)
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        from llm_otel.stores.sqlite import SQLiteStore

        return SQLiteStore(url.removeprefix(SQLITE), clock_ms)
    if url.startswith(_REDIS):
        from llm_otel.stores.redis import RedisStore

        return RedisStore(url)
    raise ConfigurationError("ledger", _shown(url), _ALLOWED)


def open_shelf(url: str) -> Shelf | None:
    """Return the shelf at the address of a response cache; `None` for one that this process has for itself.

    Raises:
        ConfigurationError: The address cannot be used, or what it needs is not installed.
    """
    if url == MEMORY:
        return None
    if url.startswith(_REDIS):
        from llm_otel.stores.redis import RedisShelf

        return RedisShelf(url)
    allowed = "'memory://' (this process), or 'redis://host:6379/0' or 'rediss://...' (a fleet)"
    raise ConfigurationError("response_cache", _shown(url), allowed)


def _shown(url: str) -> str | None:
    """Return what a message may show of an address that is none: nothing that may hold a password."""
    scheme, separator, _ = url.partition("://")
    return scheme if separator or not set(url) & set("@?") else None
