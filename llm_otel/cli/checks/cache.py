"""Whether the response cache that a fleet shares answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.cli.checks.finding import Finding, State
from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_otel.clock import Clock
    from llm_otel.config import Settings

_CACHE = "cache"
_KEY = "llm-otel check"
"""No call has it: keys of calls are digests."""


def look_at_cache(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Ask the response cache for something that it does not have; of one in the process's own memory say nothing."""
    from llm_otel.stores.opening import open_shelf

    try:
        shelf = open_shelf(settings.response_cache)
    except ConfigurationError as exc:
        yield Finding(State.FAILED, _CACHE, str(exc), "a service with it does not start: mend it, or leave it out")
        return
    if shelf is None:
        return
    started_s = clock.monotonic()
    try:
        shelf.get(_KEY)
    except StoreUnavailableError as exc:
        to_do = "until it answers, each process has only the answers in its own memory"
        yield Finding(State.WARNING, _CACHE, f"the response cache: {exc}", to_do)
    else:
        took_ms = (clock.monotonic() - started_s) * 1000
        yield Finding(State.OK, _CACHE, f"{shelf.name} answered in {took_ms:.0f} ms, for the response cache")
    finally:
        shelf.close()
