"""Prices that need no file: the user's own, the catalogue's, and the known zero of a local server."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from llm_otel.models.providers import provider_named
from llm_otel.money import parse_atto
from llm_otel.pricing.quote import ALWAYS, NO_PRICES, Quote, Steps
from llm_otel.usage import Kind

if TYPE_CHECKING:
    from llm_otel.models.entry import ModelEntry, PricePeriod
    from llm_otel.models.registry import Registry

USER = "user"
CATALOG = "catalog"
LOCAL = "local"

_PER_MILLION = 10**6
_KINDS = {
    "input": Kind.INPUT,
    "output": Kind.OUTPUT,
    "cache_read": Kind.CACHE_READ,
    "cache_write": Kind.CACHE_WRITE,
    "cache_write_1h": Kind.CACHE_WRITE_1H,
    "reasoning": Kind.REASONING,
    "input_audio": Kind.INPUT_AUDIO,
    "cache_read_audio": Kind.CACHE_READ_AUDIO,
    "output_audio": Kind.OUTPUT_AUDIO,
}
_INHERITED = frozenset({Kind.REASONING, Kind.INPUT_IMAGE})
"""OpenAI, Anthropic and Google bill reasoning as output and images as input: nothing to look up for an entry
that does not say otherwise."""


class UserPrices:
    """Prices that users registered; theirs hold for every service tier."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote | None:  # noqa: ARG002
        """Return the user's own prices."""
        entry = self._registry.find(model, provider)
        if entry is None or not entry.is_user_defined:
            return None
        return _quote(entry, at, USER, is_for_every_tier=True)

    def checked_on(self, day: date) -> date | None:
        """Return the newest of the days that the user gave."""
        return _newest((entry for entry in self._registry.entries() if entry.is_user_defined), day)


class CatalogPrices:
    """Prices pinned in the catalogue; for the standard service tier."""

    def __init__(self, catalog: Registry) -> None:
        self._catalog = catalog

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote | None:  # noqa: ARG002
        """Return the pinned prices."""
        entry = self._catalog.find(model, provider)
        return _quote(entry, at, CATALOG) if entry is not None else None

    def checked_on(self, day: date) -> date | None:
        """Return the day on which the catalogue was checked."""
        return _newest(self._catalog.entries(), day)


class LocalPrices:
    """The price of a server on the user's own machine: 0 for each token, which is known.

    Models that Ollama runs in its cloud (`gpt-oss:120b-cloud`) are not local; what they cost is not known.
    """

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote | None:  # noqa: ARG002
        """Return zeros for a local provider."""
        known = provider_named(provider)
        if known is None or not known.is_local or model.endswith("cloud"):
            return None
        free = {kind: ((ALWAYS, 0),) for kind in Kind if kind < Kind.WEB_SEARCH}
        return Quote(source=LOCAL, date=None, standard=free, special=free)

    def checked_on(self, day: date) -> date | None:  # noqa: ARG002
        """Return `None`: there is nothing to check."""
        return None


def _quote(entry: ModelEntry, at: datetime, source: str, *, is_for_every_tier: bool = False) -> Quote:
    """Return an entry's prices at a time; none, but their bounds in time, where no period covers it."""
    period = entry.period_at(at.astimezone(UTC).date())
    starts = [_start(each) for each in entry.periods]
    now = at.timestamp()
    prices = _steps(period) if period is not None else NO_PRICES
    return Quote(
        source=source,
        date=entry.price_date.isoformat() if entry.price_date else None,
        standard=prices,
        special=prices if is_for_every_tier else NO_PRICES,
        inherits=_INHERITED - prices.keys() if period is not None else frozenset(),
        valid_from=max((start for start in starts if start <= now), default=-math.inf),
        valid_until=min((start for start in starts if start > now), default=math.inf),
    )


def _steps(period: PricePeriod) -> Mapping[Kind, Steps]:
    """Return the prices of a period by kind, in atto-USD per token."""
    steps: dict[Kind, Steps] = {}
    for over, prices in ((ALWAYS, period.base), *period.long_context):
        for name, price in prices.items():
            kind = _KINDS[name]
            steps[kind] = (*steps.get(kind, ()), (over, parse_atto(price, field=name, per=_PER_MILLION)))
    return {kind: each for kind, each in steps.items() if each[0][0] == ALWAYS}


def _start(period: PricePeriod) -> float:
    if period.since is None:
        return -math.inf
    return datetime.combine(period.since, time(), tzinfo=UTC).timestamp()


def _newest(entries: Iterable[ModelEntry], day: date) -> date | None:
    dates = (entry.price_date for entry in entries)
    return max((each for each in dates if each is not None and each <= day), default=None)
