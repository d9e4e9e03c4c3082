"""What users see of a model, and say of one of their own. Needs pydantic; nothing else in the core does."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llm_otel.fields import ExactUSD
from llm_otel.models.entry import ModelCapability, ModelEntry, ModelTier, PricePeriod, TokenPrices
from llm_otel.models.providers import provider_named
from llm_otel.money import ATTO_PER_USD, parse_atto

_SUFFIX = "_cost_per_1k"
_PER_1K_TO_PER_MILLION = 3
"""Powers of ten between the unit here and that of the catalogue."""


class TokenCosts(BaseModel):
    """US dollars per 1,000 tokens of each kind; `None` means not known, or no price of its own. 0 is free."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_cost_per_1k: ExactUSD | None = None
    output_cost_per_1k: ExactUSD | None = None
    cache_read_cost_per_1k: ExactUSD | None = None
    """Input read from the prompt cache."""
    cache_write_cost_per_1k: ExactUSD | None = None
    """Input written to the prompt cache, for the usual five minutes."""
    cache_write_1h_cost_per_1k: ExactUSD | None = None
    """Input written to the prompt cache for an hour."""
    reasoning_cost_per_1k: ExactUSD | None = None
    """Reasoning, where it costs other than the rest of the output."""
    input_audio_cost_per_1k: ExactUSD | None = None
    cache_read_audio_cost_per_1k: ExactUSD | None = None
    output_audio_cost_per_1k: ExactUSD | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _exact(cls, value: Any, info: Any) -> Any:
        """Take a float for what it shows, and refuse what is no price."""
        if value is None or not info.field_name.endswith(_SUFFIX):
            return value
        return Decimal(parse_atto(value, field=info.field_name)) / ATTO_PER_USD

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.input_cost_per_1k is None) != (self.output_cost_per_1k is None):
            raise ValueError("input_cost_per_1k and output_cost_per_1k go together (0 where nothing is charged)")
        return self

    def to_prices(self) -> TokenPrices | None:
        """Return the prices per million tokens, `None` if there are none."""
        if self.input_cost_per_1k is None:
            return None
        costs = ((field.name, getattr(self, field.name + _SUFFIX)) for field in fields(TokenPrices))
        return TokenPrices(**{name: cost.scaleb(_PER_1K_TO_PER_MILLION) for name, cost in costs if cost is not None})


class LongContextCosts(TokenCosts):
    """What a whole request costs once its input is longer than `over_tokens`."""

    over_tokens: int = Field(gt=0)


class ModelInfo(TokenCosts):
    """The facts of one model.

    Example:
        >>> info = ModelInfo(name="my-llama", provider="ollama", input_cost_per_1k=0, output_cost_per_1k=0)
        >>> info.input_cost_per_1k == 0
        True
    """

    name: str = Field(min_length=1)
    """As the provider calls it, without LiteLLM's prefix."""
    provider: str = Field(min_length=1)
    """The `gen_ai.provider.name` value; LiteLLM's ids and usual names (`google`) are taken too."""
    long_context: tuple[LongContextCosts, ...] = ()
    """Costs of long requests, in the order of their length."""
    context_window: int | None = Field(default=None, gt=0)
    """Tokens of input and output together, or of input alone where the provider limits that."""
    max_output_tokens: int | None = Field(default=None, gt=0)
    capabilities: frozenset[ModelCapability] = frozenset()
    """What it is good enough for; a judgement, not a measurement."""
    tier: ModelTier | None = None
    supports_tools: bool = False
    supports_vision: bool = False
    supports_json: bool = False
    price_source: str = "user"
    """Where the prices were read."""
    price_date: date | None = None
    """The day they were checked there."""
    aliases: tuple[str, ...] = ()
    """Other names of the very same model at the very same prices."""

    @field_validator("provider", mode="before")
    @classmethod
    def _canonical_provider(cls, value: Any) -> Any:
        known = provider_named(value) if isinstance(value, str) else None
        return known.name if known else value

    @property
    def is_local(self) -> bool:
        """Whether it runs on the user's own machine."""
        known = provider_named(self.provider)
        return known is not None and known.is_local

    @classmethod
    def from_entry(cls, entry: ModelEntry, day: date) -> ModelInfo:
        """Return an entry of the registry with the prices in force on a day (UTC)."""
        period = entry.period_at(day)
        long_context = period.long_context if period else ()
        return cls(
            name=entry.name,
            provider=entry.provider,
            long_context=tuple(
                LongContextCosts(over_tokens=tokens, **costs_per_1k(prices)) for tokens, prices in long_context
            ),
            context_window=entry.context_window,
            max_output_tokens=entry.max_output_tokens,
            capabilities=entry.capabilities,
            tier=entry.tier,
            supports_tools=entry.supports_tools,
            supports_vision=entry.supports_vision,
            supports_json=entry.supports_json,
            price_source=entry.price_source,
            price_date=entry.price_date,
            aliases=entry.aliases,
            **(costs_per_1k(period.base) if period else {}),
        )

    def to_entry(self) -> ModelEntry:
        """Return what the registry keeps of a model that a user describes."""
        base = self.to_prices()
        long_context = tuple(
            (each.over_tokens, prices) for each in self.long_context if (prices := each.to_prices()) is not None
        )
        return ModelEntry(
            name=self.name,
            provider=self.provider,
            tier=self.tier,
            capabilities=self.capabilities,
            context_window=self.context_window,
            max_output_tokens=self.max_output_tokens,
            periods=(PricePeriod(base=base, long_context=long_context),) if base else (),
            price_source=self.price_source,
            price_date=self.price_date,
            supports_tools=self.supports_tools,
            supports_vision=self.supports_vision,
            supports_json=self.supports_json,
            aliases=self.aliases,
            is_user_defined=True,
        )


def costs_per_1k(prices: TokenPrices) -> dict[str, Any]:
    """Return prices per million tokens as the fields of `TokenCosts`."""
    return {name + _SUFFIX: price.scaleb(-_PER_1K_TO_PER_MILLION) for name, price in prices.items()}
