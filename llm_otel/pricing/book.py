"""The price book: every source, in order, and what they said, kept ready."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache

from llm_otel.models.catalog import catalog
from llm_otel.models.litellm_map import litellm_map
from llm_otel.models.registry import Registry, default_registry
from llm_otel.pricing.quote import STANDARD, PriceSource, Quote, service_tier_of
from llm_otel.pricing.rate import PARENTS, CostBreakdown, Dearest, Price, Rate
from llm_otel.pricing.sources.genai import GenaiPrices
from llm_otel.pricing.sources.litellm_map import LiteLLMPrices
from llm_otel.pricing.sources.pinned import CatalogPrices, LocalPrices, UserPrices
from llm_otel.usage import Kind, Usage

_logger = logging.getLogger("llm_otel")

_MAX_RATES = 4096
"""Rates kept; more models than that in one process are somebody's generated names, and start over."""

_WRITES = (Kind.CACHE_WRITE, Kind.CACHE_WRITE_1H)
_TEXT = tuple(int(kind in (Kind.INPUT, Kind.OUTPUT, Kind.REASONING)) for kind in Kind)
_TEXT_WITH_WRITES = tuple(max(is_text, kind in _WRITES) for kind, is_text in zip(Kind, _TEXT, strict=True))
"""Counts of a text completion: one of each kind that it may use."""
_INPUT = tuple(int(kind is Kind.INPUT) for kind in Kind)
"""The same for embeddings."""

_ALSO = {
    Kind.CACHE_READ: (Kind.INPUT,),
    Kind.CACHE_READ_AUDIO: (Kind.INPUT_AUDIO,),
}
"""Kinds whose price is wanted along with another's: what the cache saved is told against them."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A rate, and when it may be used again without asking."""

    rate: Rate
    valid_from: float
    valid_until: float
    version: int


class PriceBook:
    """Prices completions. Thread-safe; a rate that is kept costs a few microseconds to apply.

    Sources, in order: the user's own models; the catalogue; the known zero of a local server; genai-prices at
    the time of the call; LiteLLM's map. A kind of token that one does not price is taken from the next. The
    last two are loaded only when the ones before do not price every kind that a completion used, or for a
    service tier with other prices.
    """

    def __init__(self, sources: Sequence[PriceSource] | None = None, *, registry: Registry | None = None) -> None:
        """Make a book over sources, by default those above.

        Args:
            sources: In the order in which they are asked.
            registry: Where users register models; writing to it invalidates what is kept.
        """
        self._registry = registry or default_registry()
        self._sources = default_sources(self._registry) if sources is None else tuple(sources)
        self._kept: dict[tuple[str, str, str], _Kept] = {}
        self._dearest: dict[tuple[int, bool, bool], tuple[Rate, Dearest | None]] = {}
        self._warned: set[tuple[str, str]] = set()

    def price(
        self, usage: Usage, *, provider: str, model: str, at: datetime | float, service_tier: str | None = None
    ) -> CostBreakdown | None:
        """Return what one completion cost, at list or contracted prices.

        `None` means that it is not known, and is logged once for each model.

        Args:
            usage: Of one request; a sum of several has no price.
            provider: The `gen_ai.provider.name` value.
            model: Without LiteLLM's prefix.
            at: When the request was made: seconds since the epoch, or a datetime; one without a zone is UTC.
            service_tier: As the provider named it (`flex`, `priority`, `batch`...); `None`: the standard one.
        """
        counts = usage.by_kind()
        cost = self._rate(provider, model, at, service_tier, counts).cost(counts, usage.input_tokens)
        if cost is None:
            self._warn(provider, model)
        return cost

    def dearest(
        self,
        *,
        provider: str,
        model: str,
        at: datetime | float,
        service_tier: str | None = None,
        may_write_cache: bool = False,
        generates: bool = True,
    ) -> Dearest | None:
        """Return what bounds the cost of text requests; `None` if the price of such tokens is not known.

        Args:
            provider: The `gen_ai.provider.name` value.
            model: Without LiteLLM's prefix.
            at: When the request will be made, as in `price`.
            service_tier: The one asked for; a provider that upgrades the request may pass the bound.
            may_write_cache: The request may write to the prompt cache, which may cost more than the input.
            generates: There is an output; embeddings have none, and often no price for it.
        """
        kinds = _WRITES if may_write_cache else ()
        counts = _TEXT_WITH_WRITES if may_write_cache else _TEXT if generates else _INPUT
        rate = self._rate(provider, model, at, service_tier, counts)
        key = (id(rate), may_write_cache, generates)
        kept = self._dearest.get(key)
        if kept is not None and kept[0] is rate:
            return kept[1]
        if len(self._dearest) >= _MAX_RATES:
            self._dearest.clear()
        made = rate.dearest(kinds, generates=generates)
        self._dearest[key] = (rate, made)
        return made

    def price_age(self, at: datetime) -> float | None:
        """Return the seconds since the newest day that a price in use speaks for; `None` if none says."""
        now = _aware(at).astimezone(UTC)
        days = [day for source in self._sources if (day := source.checked_on(now.date())) is not None]
        if not days:
            return None
        return (now - datetime.combine(max(days), time(), tzinfo=UTC)).total_seconds()

    def warm_up(self, at: datetime) -> None:
        """Ask every source something, so that each has loaded its data (0.3 s and 50 MB, in a thread).

        Without it the first call of a model outside the catalogue waits, and on an event loop all others do.
        """
        for source in self._sources:
            source.quote("openai", "gpt-4o", _aware(at), STANDARD)

    def refresh(self) -> None:
        """Forget what is kept, so that sources are asked again (after genai-prices was updated, say)."""
        self._kept.clear()
        self._dearest.clear()

    def _rate(
        self, provider: str, model: str, at: datetime | float, service_tier: str | None, counts: tuple[int, ...]
    ) -> Rate:
        """Return the rate in force, with every kind that is counted asked about."""
        key = (provider, model, service_tier_of(service_tier))
        seconds = _aware(at).timestamp() if isinstance(at, datetime) else at
        version = self._registry.version
        kept = self._kept.get(key)
        if kept is not None and (kept.version != version or not kept.valid_from <= seconds < kept.valid_until):
            kept = None
        if kept is not None and not kept.rate.lacks(counts):
            return kept.rate
        inquiry = _Inquiry(self._sources, provider, model, _aware(at), key[2])
        rate = inquiry.rate(_wanted(counts) | (kept.rate.asked if kept is not None else frozenset()))
        if len(self._kept) >= _MAX_RATES:
            self._kept.clear()
        self._kept[key] = _Kept(rate, *inquiry.validity(), version)
        return rate

    def _warn(self, provider: str, model: str) -> None:
        """Log that a model is unpriced, once for each."""
        key = (provider, model)
        if key not in self._warned and len(self._warned) < _MAX_RATES:
            self._warned.add(key)
            _logger.warning(
                "llm_otel.price_unknown provider=%s model=%s: in no total until register_model() prices it",
                provider,
                model,
            )


class _Inquiry:
    """Asks the sources about one model at one time: in order, each once at most, only as far as needed."""

    def __init__(self, sources: Sequence[PriceSource], provider: str, model: str, at: datetime, tier: str) -> None:
        self._unasked = iter(sources)
        self._question = (provider, model, at, tier)
        self._tier = tier
        self._heard: list[Quote] = []

    def rate(self, kinds: frozenset[Kind]) -> Rate:
        """Return the rate for some kinds."""
        prices = {kind: self._price(kind) for kind in sorted(kinds)}
        main = prices[Kind.INPUT]
        if main is not None and (fee := main.quote.standard.get(Kind.REQUEST)) is not None:
            prices[Kind.REQUEST] = Price(fee, main.quote)
        return Rate.compile(prices)

    def validity(self) -> tuple[float, float]:
        """Return the bounds, in seconds since the epoch, within which every source would answer the same."""
        return (
            max((quote.valid_from for quote in self._heard), default=-math.inf),
            min((quote.valid_until for quote in self._heard), default=math.inf),
        )

    def _quotes(self) -> Iterator[Quote]:
        yield from tuple(self._heard)
        for source in self._unasked:
            quote = source.quote(*self._question)
            if quote is not None:
                self._heard.append(quote)
                yield quote

    def _price(self, kind: Kind) -> Price | None:
        """Return the price of a kind: its own, or that of what it is a part of."""
        own = self._own(kind)
        if own is not None:
            return own
        if kind is Kind.CACHE_READ_AUDIO:
            return self._own(Kind.INPUT_AUDIO) or self._price(Kind.CACHE_READ)
        parent = PARENTS.get(kind)
        return self._price(parent) if parent is not None else None

    def _own(self, kind: Kind) -> Price | None:
        """Return a kind's own price: that of the service tier from any source, else the standard one."""
        if self._tier != STANDARD:
            for quote in self._quotes():
                if kind in quote.special:
                    return Price(quote.special[kind], quote)
        for quote in self._quotes():
            if kind in quote.standard:
                return Price(quote.standard[kind], quote)
            if kind in quote.inherits:
                return None
        return None


def default_sources(registry: Registry) -> tuple[PriceSource, ...]:
    """Return every source: the nearer to the user and the better kept, the earlier."""
    return (
        UserPrices(registry),
        CatalogPrices(_pinned()),
        LocalPrices(),
        GenaiPrices(),
        LiteLLMPrices(litellm_map()),
    )


@cache
def _pinned() -> Registry:
    """Return the catalogue as it is shipped, whatever users register over it."""
    return Registry(catalog())


def _wanted(counts: tuple[int, ...]) -> frozenset[Kind]:
    """Return the kinds to ask about for some counts: input always, so that an unknown model is seen."""
    used = {Kind.INPUT, *(kind for kind in Kind if counts[kind] and kind is not Kind.REQUEST)}
    return frozenset(used | {also for kind in used for also in _ALSO.get(kind, ())})


def _aware(at: datetime | float) -> datetime:
    if not isinstance(at, datetime):
        return datetime.fromtimestamp(at, tz=UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
