"""What redis-py raises, told as what it means for a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.errors import ConfigurationError
from llm_otel.stores.redis.scripts import LAYOUT, NEWER_LAYOUT

if TYPE_CHECKING:
    from llm_otel.stores.redis.address import Address


@contextmanager
def translated(address: Address, timeout_s: float) -> Iterator[None]:
    """Raise what an operation fails with as the store's own errors; no message shows a password.

    Raises:
        StoreUnavailableError: The server is not there, slow, full, loading, a replica, busy, or refuses us. Its own
            words are chained.
        ConfigurationError: The ledger is kept by a newer release of this library.
    """
    try:
        yield
    except (TimeoutError, RedisTimeoutError) as exc:
        raise StoreUnavailableError(f"{address.name} did not answer within {timeout_s * 1000:.0f} ms") from exc
    # A certificate file that is missing is an OSError, a host name that cannot be encoded a UnicodeError.
    except (RedisError, OSError, UnicodeError) as exc:
        _refuse_newer_layout(exc, address)
        reason = "refused the credentials: " if isinstance(exc, AuthenticationError) else ""
        text = address.without_secrets(str(exc))
        raise StoreUnavailableError(f"{address.name} cannot be used: {reason}{text}") from exc


def _refuse_newer_layout(exc: Exception, address: Address) -> None:
    code, _, version = str(exc).partition(" ")
    if isinstance(exc, ResponseError) and code == NEWER_LAYOUT:
        allowed = f"it is kept by a newer llm-otel (layout {version}; this one knows {LAYOUT}): upgrade llm-otel"
        raise ConfigurationError("ledger", address.name, allowed) from exc
