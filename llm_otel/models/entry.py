"""The facts of one model, as plain data: what the catalogue is written in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum


class ModelCapability(StrEnum):
    """What a model is good enough for: three steps of difficulty, then two kinds of work."""

    SIMPLE = "simple"
    """Classify, extract, rephrase: one step, short answer."""
    MODERATE = "moderate"
    """Summarise, compare, answer from given text: a few steps."""
    COMPLEX = "complex"
    """Plan, prove, weigh: many steps that depend on each other."""
    CODING = "coding"
    """Write, review and repair code."""
    RESEARCH = "research"
    """Read much and bring it together, with care for what is not known."""


class ModelTier(StrEnum):
    """The price class of a model among those of its day."""

    LOCAL = "local"
    """Runs on the user's own machine: no price for a token."""
    ECONOMY = "economy"
    STANDARD = "standard"
    PREMIUM = "premium"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """US dollars for a million tokens of each kind; `None` where the kind has no price of its own."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    input_audio: Decimal | None = None
    cache_read_audio: Decimal | None = None
    output_audio: Decimal | None = None

    def items(self) -> list[tuple[str, Decimal]]:
        """Return the kinds that have a price, by field name."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, price) for name, price in pairs if price is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePeriod:
    """What a model costs from one day on, until the next period begins.

    Attributes:
        since: The first day, UTC; `None`: always.
        base: The usual prices.
        long_context: Prices of the *whole* request once its input is longer than so many tokens, shortest
    first.
    """

    since: date | None = None
    base: TokenPrices
    long_context: tuple[tuple[int, TokenPrices], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model.

    Attributes:
        name: As the provider calls it, without LiteLLM's prefix.
        provider: The `gen_ai.provider.name` value.
        context_window: Input and output tokens together, or the input alone where the provider limits that.
        max_output_tokens: The most that one answer may have.
        periods: Prices in the order of their days; empty where they are not known.
        price_source: Where the prices were read.
        price_date: The day they were checked there.
        aliases: Dated names of the very same model at the very same prices.
        is_user_defined: Registered by the user: its prices go before all others.
    """

    name: str
    provider: str
    tier: ModelTier | None
    capabilities: frozenset[ModelCapability]
    context_window: int | None
    max_output_tokens: int | None
    periods: tuple[PricePeriod, ...]
    price_source: str
    price_date: date | None
    supports_tools: bool = True
    supports_vision: bool = True
    supports_json: bool = True
    aliases: tuple[str, ...] = ()
    is_user_defined: bool = False

    def period_at(self, day: date) -> PricePeriod | None:
        """Return the prices in force on a day (UTC)."""
        current = None
        for period in self.periods:
            if period.since is None or period.since <= day:
                current = period
        return current
