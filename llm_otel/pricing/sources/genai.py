"""Prices of genai-prices: exact, dated, and kept after a model is retired.

The only place that imports `genai_prices` (0.2 s and 41 MB), on the first model that needs it.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING

from llm_otel.models.providers import provider_named
from llm_otel.money import parse_atto
from llm_otel.pricing.quote import ALWAYS, NO_PRICES, STANDARD, Quote, Steps, day_of, minute_of
from llm_otel.usage import Kind

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

_logger = logging.getLogger("llm_otel")

GENAI_PRICES = "genai-prices"
_FREE = ":free"
"""How OpenRouter names what it gives away; genai-prices leaves those models without prices."""

_UNITS: Mapping[str, tuple[Kind, int]] = {
    "input_mtok": (Kind.INPUT, 10**6),
    "input_audio_mtok": (Kind.INPUT_AUDIO, 10**6),
    "input_image_mtok": (Kind.INPUT_IMAGE, 10**6),
    "cache_read_mtok": (Kind.CACHE_READ, 10**6),
    "cache_audio_read_mtok": (Kind.CACHE_READ_AUDIO, 10**6),
    "cache_write_mtok": (Kind.CACHE_WRITE, 10**6),
    "cache_write_5m_mtok": (Kind.CACHE_WRITE, 10**6),
    "cache_write_1h_mtok": (Kind.CACHE_WRITE_1H, 10**6),
    "output_mtok": (Kind.OUTPUT, 10**6),
    "output_reasoning_mtok": (Kind.REASONING, 10**6),
    "output_audio_mtok": (Kind.OUTPUT_AUDIO, 10**6),
    "output_image_mtok": (Kind.OUTPUT_IMAGE, 10**6),
    "web_searches_kcount": (Kind.WEB_SEARCH, 10**3),
    "requests_kcount": (Kind.REQUEST, 10**3),
}
"""What each of its price keys prices, and how many units its price is for (`data_units.py` of 0.2.3). Kinds
that a completion through LiteLLM never reports (characters, pages, hours of audio) are left out."""

_CONTEXTS: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "batch": ({"processing": "batch"},),
    "flex": ({"service_tier": "flex"},),
    "priority": ({"service_tier": "priority"},),
    "fast": ({"service_tier": "fast"}, {"speed": "fast"}),
}
"""How its price variants name the service tiers (OpenAI's fast tier, Anthropic's fast mode)."""


class GenaiPrices:
    """Prices at the time of the call; a package that is missing or broken is logged once, and knows none."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_broken = False
        self._is_reported = False
        self._changes: list[date] = []

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote | None:
        """Return the prices in force at a time."""
        known = provider_named(provider)
        if known is None or known.genai_prices is None:
            return None
        snapshot = self._snapshot()
        if snapshot is None:
            return None
        try:
            found = _find(snapshot, known.genai_prices, model)
            return _quote(found, at, tier, self._data_date(at)) if found is not None else None
        except Exception as exc:  # noqa: BLE001
            # Broad: this is foreign code over foreign data, and whatever is wrong with one model, others may
            # be right.
            self._report(exc)
            return None

    def checked_on(self, day: date) -> date | None:
        """Return the last day, up to a day, on which some price of the data changed, once it is loaded.

        The data speaks at least for that day; it says nothing of when it was written.
        """
        index = bisect_right(self._changes, day)
        return self._changes[index - 1] if index else None

    def _snapshot(self) -> DataSnapshot | None:
        """Return the data in force (users may update it), importing the package the first time."""
        if self._is_broken:
            return None
        with self._lock:
            try:
                from genai_prices.data_snapshot import get_snapshot

                snapshot = get_snapshot()
                if not self._changes:
                    self._changes = sorted({day for each in snapshot.providers for day in _changes(each.models)})
            except Exception as exc:  # noqa: BLE001
                # Broad: an import runs whatever the package runs.
                self._is_broken = True
                self._report(exc)
                return None
        return snapshot

    def _data_date(self, at: datetime) -> str | None:
        day = self.checked_on(at.astimezone(UTC).date())
        return day.isoformat() if day is not None else None

    def _report(self, exc: Exception) -> None:
        if not self._is_reported:
            self._is_reported = True
            _logger.warning(
                "llm_otel.price_source_failed source=%s error=%s: %s", GENAI_PRICES, type(exc).__name__, exc
            )


def _find(snapshot: DataSnapshot, provider: str, model: str) -> ModelInfo | None:
    try:
        return snapshot.find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


def _quote(found: ModelInfo, at: datetime, tier: str, data_date: str | None) -> Quote | None:
    standard = _steps(found.get_prices(at))
    if not standard and found.id.endswith(_FREE):
        standard = {Kind.INPUT: ((ALWAYS, 0),), Kind.OUTPUT: ((ALWAYS, 0),)}
    if not standard:
        # No price at all: a model that is free, or that nobody looked up. It does not say which.
        return None
    valid_from, valid_until = _validity(found, at)
    return Quote(
        source=GENAI_PRICES,
        date=_since(found, at) or data_date,
        standard=standard,
        special=_special(found, at, tier),
        valid_from=valid_from,
        valid_until=valid_until,
    )


def _steps(prices: ModelPrice) -> Mapping[Kind, Steps]:
    """Return its prices by kind, in atto-USD per unit."""
    steps: dict[Kind, Steps] = {}
    for key, price in vars(prices).items():
        if price is not None and key in _UNITS:
            kind, per = _UNITS[key]
            base: Decimal = getattr(price, "base", price)
            tiers = [(tier.start, tier.price) for tier in getattr(price, "tiers", ())]
            steps[kind] = tuple((over, parse_atto(usd, field=key, per=per)) for over, usd in [(ALWAYS, base), *tiers])
    return steps


def _special(found: ModelInfo, at: datetime, tier: str) -> Mapping[Kind, Steps]:
    """Return its variants' prices for a service tier; the first that names a kind decides, as in its code."""
    contexts = _CONTEXTS.get(tier, ())
    if tier == STANDARD or not contexts:
        return NO_PRICES
    special: dict[Kind, Steps] = {}
    for variant in found.price_variants or ():
        if variant.when in contexts and (variant.constraint is None or variant.constraint.active(at)):
            special = {**_steps(variant.prices), **special}
    return special


def _since(found: ModelInfo, at: datetime) -> str | None:
    """Return the day on which the price in force began, if it has one."""
    conditional = found.prices if isinstance(found.prices, list) else []
    for each in reversed(conditional):
        if each.constraint is None:
            return None
        if each.constraint.active(at):
            start: date | None = getattr(each.constraint, "start_date", None)
            return start.isoformat() if start else None
    return None


def _validity(found: ModelInfo, at: datetime) -> tuple[float, float]:
    """Return when its prices surely hold: always, that day (dated ones), that minute (by time of day)."""
    conditional = found.prices if isinstance(found.prices, list) else []
    constraints = [each.constraint for each in (*conditional, *(found.price_variants or ()))]
    if any(hasattr(each, "start_time") for each in constraints):
        return minute_of(at)
    if any(hasattr(each, "start_date") for each in constraints):
        return day_of(at)
    return -math.inf, math.inf


def _changes(models: Sequence[ModelInfo]) -> Iterator[date]:
    """Yield the days on which the prices of models change."""
    for model in models:
        for each in model.prices if isinstance(model.prices, list) else ():
            if (start := getattr(each.constraint, "start_date", None)) is not None:
                yield start
