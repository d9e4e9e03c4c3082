"""The pinned models: the origin's twelve at their prices, and every figure against its sources."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from llm_otel.models.catalog import CHECKED, catalog
from llm_otel.models.entry import ModelCapability, ModelEntry, ModelTier
from llm_otel.models.litellm_map import litellm_map
from llm_otel.models.providers import LLMProvider, provider_named

ENTRIES = {entry.name: entry for entry in catalog()}

ORIGIN = {
    "gpt-4o": ("2.5", "10"),
    "gpt-4o-mini": ("0.15", "0.6"),
    "gpt-4-turbo": ("10", "30"),
    "gpt-3.5-turbo": ("0.5", "1.5"),
    "claude-3-opus-20240229": ("15", "75"),
    "claude-3-sonnet-20240229": ("3", "15"),
    "claude-3-haiku-20240307": ("0.25", "1.25"),
    "gemini-pro": ("0.5", "1.5"),
    "gemini-1.5-pro": ("1.25", "5"),
    "llama3": ("0", "0"),
    "codellama": ("0", "0"),
    "mistral": ("0", "0"),
}

# gemini-pro: genai-prices has Vertex AI's prices per character. gemini-1.5-pro: it has the model twice, once
# without its cache price.
GENAI_DIFFERS = {"gemini-pro": None, "gemini-1.5-pro": "gemini-pro-1.5"}


@pytest.mark.parametrize("name", ORIGIN)
def test_the_models_of_the_origin_are_pinned(name: str) -> None:
    """With price, source and date, since LiteLLM forgets what is retired."""
    entry = ENTRIES[name]
    period = entry.period_at(CHECKED)
    assert period is not None
    assert ORIGIN[name] == (str(period.base.input), str(period.base.output))
    assert entry.price_source
    assert CHECKED == entry.price_date


def test_every_provider_with_a_name_has_models() -> None:
    """OpenAI, Anthropic, Google and Ollama, the origin's and today's."""
    counts = Counter(entry.provider for entry in catalog())
    assert {provider.value for provider in LLMProvider} == set(counts)
    assert min(counts.values()) >= 5


def test_no_name_or_alias_stands_for_two_models() -> None:
    """The bare names are one namespace."""
    names = Counter(name for entry in catalog() for name in (entry.name, *entry.aliases))
    assert [] == [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("capability", list(ModelCapability))
def test_every_capability_has_models_of_every_cloud(capability: ModelCapability) -> None:
    """So that routing by capability always has a choice."""
    providers = {entry.provider for entry in catalog() if capability in entry.capabilities}
    assert {"openai", "anthropic", "gcp.gemini"} <= providers


def test_local_models_are_free_and_others_are_not() -> None:
    """0 is known for the first, and would be a mistake for the second."""
    for entry in catalog():
        for period in entry.periods:
            is_free = period.base.input == 0 and period.base.output == 0
            assert (entry.tier is ModelTier.LOCAL) == is_free, entry.name


def test_facts_are_within_reason() -> None:
    """Reading the cache is cheaper than reading, writing it dearer, and output dearer than input."""
    for entry in catalog():
        assert entry.context_window is not None
        assert (entry.max_output_tokens or 1) <= entry.context_window, entry.name
        for period in entry.periods:
            for prices in (period.base, *(prices for _, prices in period.long_context)):
                assert prices.output >= prices.input, entry.name
                assert (prices.cache_read or prices.input) <= prices.input, entry.name
                assert (prices.cache_write or prices.input) >= prices.input, entry.name
                if prices.cache_write is not None and prices.cache_write_1h is not None:
                    assert prices.cache_write_1h >= prices.cache_write, entry.name


def _flat(price: Any, over: int) -> Decimal | None:
    """Return a price of genai-prices for an input longer than so many tokens."""
    rate = getattr(price, "base", price)
    for tier in getattr(price, "tiers", ()):
        if over >= tier.start:
            rate = tier.price
    return rate


@pytest.mark.parametrize("entry", [e for e in catalog() if "genai-prices" in e.price_source], ids=lambda e: e.name)
def test_pinned_prices_are_those_of_genai_prices(entry: ModelEntry) -> None:
    """In every period, at every length, for every kind."""
    provider = provider_named(entry.provider)
    assert provider is not None
    reference = GENAI_DIFFERS.get(entry.name) or entry.name
    _, model = get_snapshot().find_provider_model(reference, None, provider.genai_prices, None)
    keys = {
        "input": "input_mtok",
        "output": "output_mtok",
        "cache_read": "cache_read_mtok",
        "cache_write": "cache_write_mtok",
        "cache_write_1h": "cache_write_1h_mtok",
        "input_audio": "input_audio_mtok",
        "cache_read_audio": "cache_audio_read_mtok",
    }
    for period in entry.periods:
        day = period.since or CHECKED
        theirs = model.get_prices(datetime.combine(day, time(12), tzinfo=UTC))
        for over, prices in ((0, period.base), *period.long_context):
            expected = {name: _flat(getattr(theirs, key), over) for name, key in keys.items()}
            actual = {name: getattr(prices, name) for name in keys}
            assert expected == actual, (entry.name, day, over)


@pytest.mark.parametrize("entry", [e for e in catalog() if "litellm" in e.price_source], ids=lambda e: e.name)
def test_pinned_facts_are_those_of_litellm(entry: ModelEntry) -> None:
    """Prices today, and the limit of the output."""
    raw = litellm_map().entry(entry.provider, entry.name)
    period = entry.period_at(CHECKED)
    assert raw is not None
    assert period is not None
    million = Decimal(10**6)
    assert Decimal(repr(raw["input_cost_per_token"])) * million == period.base.input
    assert Decimal(repr(raw["output_cost_per_token"])) * million == period.base.output
    cache_read = raw.get("cache_read_input_token_cost")
    assert (None if cache_read is None else Decimal(repr(cache_read)) * million) == period.base.cache_read
    assert raw["max_output_tokens"] == pytest.approx(entry.max_output_tokens, abs=1)
    assert raw["max_input_tokens"] <= entry.context_window


def test_prices_begin_on_their_day() -> None:
    """gemini-4-argon doubles on 2026-12-01, UTC; o3 had another price before 2025-06-10."""
    argon, o3 = ENTRIES["gemini-4-argon"], ENTRIES["o3"]
    before, after = argon.period_at(date(2026, 11, 30)), argon.period_at(date(2026, 12, 1))
    assert before is not None
    assert after is not None
    assert (Decimal(2), Decimal(4)) == (before.base.input, after.base.input)
    assert o3.period_at(date(2025, 6, 9)) is None
    assert o3.period_at(date(2025, 6, 10)) is not None
