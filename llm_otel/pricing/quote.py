"""What one source says a model costs at one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llm_otel.usage import Kind

STANDARD = "standard"
"""The service tier of a request that asks for no other."""

_TIERS = {
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
    "fast": "fast",
    "ultrafast": "ultrafast",
    "balanced": "balanced",
    "batch": "batch",
    "batches": "batch",
}
"""Service tiers with prices of their own, by what providers call them."""

ALWAYS = -1
"""The threshold of a base price: every input is longer."""

Steps = tuple[tuple[int, int], ...]
"""Prices of one kind: (threshold, atto-USD per unit), by rising threshold. The last whose threshold the
request's whole input exceeds applies to all of the request, as Anthropic, Google, OpenAI and Alibaba bill
it."""

NO_PRICES: Mapping[Kind, Steps] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The prices of one model from one source.

    Attributes:
        source: The name that goes on spans.
        date: The day (ISO 8601) on which the prices were checked or came into force; `None`: the source does
            not say.
        standard: Prices by kind, for the standard service tier.
        special: Prices by kind, for the service tier that was asked for.
        inherits: Kinds known to have no price of their own here: no other source need be asked.
        valid_from: Seconds since the epoch from which the quote holds.
        valid_until: Seconds since the epoch before which it holds.
    """

    source: str
    date: str | None
    standard: Mapping[Kind, Steps]
    special: Mapping[Kind, Steps] = field(default_factory=dict)
    inherits: frozenset[Kind] = frozenset()
    valid_from: float = -math.inf
    valid_until: float = math.inf


class PriceSource(Protocol):
    """Something that knows prices. Thread-safe; does no network I/O; raises nothing."""

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote | None:
        """Return the prices of a model at an aware time, for a tier as `service_tier_of` names it."""

    def checked_on(self, day: date) -> date | None:
        """Return the newest day, up to a day, that its prices speak for; `None` if they do not say."""


def service_tier_of(name: str | None) -> str:
    """Return the service tier that prices go by; one without prices of its own is `STANDARD`."""
    return STANDARD if name is None else _TIERS.get(name.lower(), STANDARD)


def day_of(at: datetime) -> tuple[float, float]:
    """Return the bounds, in seconds since the epoch, of the UTC day around a moment."""
    start = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return start.timestamp(), (start + timedelta(days=1)).timestamp()


def minute_of(at: datetime) -> tuple[float, float]:
    """Return the bounds, in seconds since the epoch, of the minute around a moment."""
    start = at.timestamp() // 60 * 60
    return start, start + 60
