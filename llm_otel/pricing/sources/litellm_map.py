"""Prices of LiteLLM's map: the widest, undated, without the models it has dropped."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from threading import Lock
from typing import Any

from llm_otel.models.litellm_map import LiteLLMMap, has_prices
from llm_otel.money import parse_atto
from llm_otel.pricing.quote import ALWAYS, NO_PRICES, Quote, Steps, minute_of
from llm_otel.pricing.sources.off_peak import is_off_peak
from llm_otel.usage import Kind

_logger = logging.getLogger("llm_otel")

LITELLM = "litellm"

_FIELDS: Mapping[str, Kind] = {
    "input_cost_per_token": Kind.INPUT,
    "input_cost_per_audio_token": Kind.INPUT_AUDIO,
    "input_cost_per_image_token": Kind.INPUT_IMAGE,
    "cache_read_input_token_cost": Kind.CACHE_READ,
    "cache_read_input_audio_token_cost": Kind.CACHE_READ_AUDIO,
    "cache_creation_input_token_cost": Kind.CACHE_WRITE,
    "cache_creation_input_token_cost_above_1hr": Kind.CACHE_WRITE_1H,
    "output_cost_per_token": Kind.OUTPUT,
    "output_cost_per_reasoning_token": Kind.REASONING,
    "output_cost_per_audio_token": Kind.OUTPUT_AUDIO,
    "output_cost_per_image_token": Kind.OUTPUT_IMAGE,
    "input_cost_per_request": Kind.REQUEST,
}
_FIELD = re.compile(
    rf"({'|'.join(sorted(_FIELDS, key=len, reverse=True))})(?:_above_(\d+)k_tokens)?"
    r"(?:_(batches|flex|priority|ultrafast|balanced))?"
)
"""A price: what is priced, over how many thousand input tokens, at which service tier."""

_SUFFIXES = {"batch": "batches", "fast": "priority"}
"""Service tiers that the map calls otherwise; OpenAI's fast tier is priority by its older name."""
_WRITES = frozenset({Kind.CACHE_WRITE, Kind.CACHE_WRITE_1H})
_INCLUSIVE_PROVIDERS = frozenset({"x_ai"})
"""Whose long-context prices begin *at* the threshold (`_INCLUSIVE_THRESHOLD_PROVIDERS` in LiteLLM)."""

_HALF_PRICE_READS = frozenset({"fireworks_ai"})
"""Providers that bill cached input at half its price unless the map says otherwise
(`FIREWORKS_AI_DEFAULT_CACHE_READ_RATE_RATIO` in LiteLLM; docs.fireworks.ai, prompt caching)."""


class LiteLLMPrices:
    """Prices of the installed LiteLLM, read without importing it."""

    def __init__(self, known_to_litellm: LiteLLMMap) -> None:
        self._map = known_to_litellm
        self._lock = Lock()
        self._is_reported = False

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote | None:
        """Return today's prices, whatever the time: the map has no others; off-peak hours are respected."""
        try:
            entry = self._map.entry(provider, model)
            return _quote(entry, provider, at, tier) if entry is not None and has_prices(entry) else None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
            self._report(model, exc)
            return None

    def checked_on(self, day: date) -> date | None:  # noqa: ARG002
        """Return `None`: the map does not say."""
        return None

    def _report(self, model: str, exc: Exception) -> None:
        with self._lock:
            was_reported, self._is_reported = self._is_reported, True
        if not was_reported:
            _logger.warning(
                "llm_otel.price_source_failed source=%s model=%s error=%s: %s",
                LITELLM,
                model,
                type(exc).__name__,
                exc,
            )


def _quote(entry: Mapping[str, Any], provider: str, at: datetime, tier: str) -> Quote:
    tables = _tables(entry, inclusive=provider in _INCLUSIVE_PROVIDERS)
    standard = tables.get("", {})
    if isinstance(tiered := entry.get("tiered_pricing"), list):
        standard = standard | _ranges(tiered)
    off_peak = entry.get("off_peak_pricing")
    if off_peak is not None and is_off_peak(off_peak, at):
        standard = standard | _tables(off_peak, inclusive=False).get("", {})
    if (search := _search_price(entry)) is not None:
        standard = standard | {Kind.WEB_SEARCH: ((ALWAYS, search),)}
    if provider in _HALF_PRICE_READS and Kind.INPUT in standard:
        halved = tuple((over, atto // 2) for over, atto in standard[Kind.INPUT])
        standard = {Kind.CACHE_READ: halved} | standard
    # Written for most thinking models, at the price of the rest of the output: then it is no price of its
    # own, and must not stand in the way of an output price for a service tier.
    if standard.get(Kind.REASONING) == standard.get(Kind.OUTPUT):
        standard.pop(Kind.REASONING, None)
    valid_from, valid_until = minute_of(at) if off_peak is not None else (-math.inf, math.inf)
    return Quote(
        source=LITELLM,
        date=None,
        standard=standard,
        special=_special(tables.get(_SUFFIXES.get(tier, tier), NO_PRICES), standard),
        valid_from=valid_from,
        valid_until=valid_until,
    )


def _tables(entry: Mapping[str, Any], *, inclusive: bool) -> dict[str, dict[Kind, Steps]]:
    """Return an entry's prices by service tier (as the map spells it; "" is the standard one) and kind."""
    tables: dict[str, dict[Kind, list[tuple[int, int]]]] = {}
    for name, value in entry.items():
        match = _FIELD.fullmatch(name)
        if match is None or value is None:
            continue
        field, thousands, tier = match.groups()
        kind = _FIELDS[field]
        atto = parse_atto(value, field=name)
        if atto == 0 and kind in _WRITES:
            # 0 for a write means that it costs no more than reading the input, not that those tokens are
            # free.
            continue
        over = ALWAYS if thousands is None else int(thousands) * 1000 - inclusive
        tables.setdefault(tier or "", {}).setdefault(kind, []).append((over, atto))
    return {
        tier: {kind: tuple(sorted(steps)) for kind, steps in table.items() if min(steps)[0] == ALWAYS}
        for tier, table in tables.items()
    }


def _special(prices: Mapping[Kind, Steps], standard: Mapping[Kind, Steps]) -> Mapping[Kind, Steps]:
    """Return the prices of a service tier, made whole.

    Where it has no long-context prices, the standard ones apply, as LiteLLM bills them; but never less than
    the tier's own, which would make longer input cheaper. A tier that prices the input and not the output, or
    the reverse, is a slip (gpt-5-nano has the priority input of gpt-5, fifty times its own), and is not
    believed.
    """
    if any((kind in prices) != (kind in standard) for kind in (Kind.INPUT, Kind.OUTPUT)):
        return NO_PRICES
    whole = dict(prices)
    for kind, steps in prices.items():
        if len(steps) == 1:
            base = steps[0][1]
            whole[kind] = (steps[0], *((over, max(base, atto)) for over, atto in standard.get(kind, ())[1:]))
    return whole


def _ranges(tiers: list[Mapping[str, Any]]) -> dict[Kind, Steps]:
    """Return the prices of `tiered_pricing`: ranges of the input, each pricing the whole request."""
    ordered = sorted(tiers, key=lambda tier: float(tier["range"][0]))
    steps: dict[Kind, list[tuple[int, int]]] = {}
    for index, tier in enumerate(ordered):
        over = ALWAYS if index == 0 else int(tier["range"][0])
        for name, kind in _FIELDS.items():
            # A kind that only shorter inputs have a price for costs as much as its whole: never a price of
            # another range.
            whole = "input_cost_per_token" if kind < Kind.OUTPUT else "output_cost_per_token"
            value = tier.get(name, tier.get(whole) if kind in steps else None)
            if value is not None:
                steps.setdefault(kind, []).append((over, parse_atto(value, field=name)))
    return {kind: tuple(each) for kind, each in steps.items() if each[0][0] == ALWAYS}


def _search_price(entry: Mapping[str, Any]) -> int | None:
    """Return what one web search costs: the medium one, which is the default, where the size matters."""
    by_size = entry.get("search_context_cost_per_query") or {}
    price = by_size.get("search_context_size_medium")
    return parse_atto(price, field="search_context_cost_per_query") if price is not None else None
