"""The ways to a server, for threads and for event loops. What needs the package redis is loaded when they are made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_otel.stores.redis.address import Address
    from llm_otel.stores.redis.loop_pools import LoopPools
    from llm_otel.stores.redis.thread_pool import ThreadPool


class Connections(NamedTuple):
    """Both ways, and what tells their failures as the store's own errors."""

    threads: ThreadPool
    loops: LoopPools
    translated: Callable[[], AbstractContextManager[None]]


def connections(address: Address, timeout_s: float, *, setting: str, what: str) -> Connections:
    """Return the ways to a server. It is connected to when it is first asked.

    Args:
        address: Where it is.
        timeout_s: What one operation may take in all.
        setting: Where the address was configured, for the message.
        what: What is in Redis, for the message.

    Raises:
        ConfigurationError: The package redis is missing.
    """
    try:
        from llm_otel.stores.redis.failures import translated
        from llm_otel.stores.redis.loop_pools import LoopPools
        from llm_otel.stores.redis.thread_pool import ThreadPool
    except ModuleNotFoundError as exc:
        if exc.name != "redis":
            raise
        allowed = f'{what} in Redis needs one more package: pip install "llm-otel[redis]"'
        raise ConfigurationError(setting, address.name, allowed) from exc
    return Connections(
        ThreadPool(address, timeout_s), LoopPools(address, timeout_s), partial(translated, address, timeout_s)
    )
