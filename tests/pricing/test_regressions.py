"""Whole calls that were priced wrong somewhere, at real prices through every real source."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from llm_otel.pricing.book import PriceBook
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.semconv import TokenType
from llm_otel.usage import Usage
from tests.pricing.prices import NOW


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """A book over everything that is installed."""
    return PriceBook()


def cost_of(
    book: PriceBook, usage: Usage, provider: str, model: str, *, at: datetime = NOW, tier: str | None = None
) -> CostBreakdown:
    """Price what has to have a price."""
    cost = book.price(usage, provider=provider, model=model, at=at, service_tier=tier)
    assert cost is not None
    return cost


THOUSAND = Usage.of(input_tokens=1_000, output_tokens=1_000)


def test_the_first_call_of_the_readme(book: PriceBook) -> None:
    """18 input and 5 output tokens on gpt-4o-mini cost $0.0000057, exactly."""
    cost = cost_of(book, Usage.of(input_tokens=18, output_tokens=5), "openai", "gpt-4o-mini")
    assert (5_700, "catalog", "2026-11-22") == (cost.total_nano, cost.price_source, cost.price_date)
    assert (2_700, 3_000) == (cost.parts[TokenType.INPUT], cost.parts[TokenType.OUTPUT])


def test_cached_input_is_cheaper(book: PriceBook) -> None:
    """1,000 of 1,200 cached, 300 out on gpt-4o-mini: $0.000285 (others ignore the cache, +26 %)."""
    usage = Usage.of(input_tokens=1_200, output_tokens=300, cache_read_tokens=1_000)
    cost = cost_of(book, usage, "openai", "gpt-4o-mini")
    assert (285_000, 75_000) == (cost.total_nano, cost.saved_by_cache_nano)


def test_anthropics_cache_writes_for_an_hour_are_priced(book: PriceBook) -> None:
    """$0.010575; LiteLLM up to 1.84 forgot the hour-long writes and said $0.007575."""
    usage = Usage.of(
        input_tokens=5_100,
        output_tokens=50,
        cache_read_tokens=3_000,
        cache_write_tokens=2_000,
        cache_write_1h_tokens=500,
    )
    cost = cost_of(book, usage, "anthropic", "claude-sonnet-4-5")
    assert 10_575_000 == cost.total_nano
    assert 1_500 * 3_750 + 500 * 6_000 == cost.parts[TokenType.CACHE_WRITE]


@pytest.mark.parametrize(
    ("model", "tokens", "nano"),
    [
        ("gemini-2.5-pro", 200_000, 250_000_000),
        ("gemini-2.5-pro", 300_000, 750_000_000),
        ("gpt-5.5", 300_000, 3_000_000_000),
        ("claude-sonnet-4-5", 300_000, 1_800_000_000),
        ("claude-haiku-5-5", 100_001, 50_000_500),
    ],
)
def test_a_long_prompt_costs_the_long_price_throughout(book: PriceBook, model: str, tokens: int, nano: int) -> None:
    """Gemini 2.5 Pro doubles the whole prompt beyond 200,000 tokens: 0.75 dollars at 300,000."""
    provider = "gcp.gemini" if "gemini" in model else "anthropic" if "claude" in model else "openai"
    assert nano == cost_of(book, Usage.of(input_tokens=tokens), provider, model).total_nano


@pytest.mark.parametrize(
    ("tier", "nano"),
    [
        (None, 11_250_000),
        ("default", 11_250_000),
        ("auto", 11_250_000),
        ("flex", 5_625_000),
        ("FLEX", 5_625_000),
        ("batch", 5_625_000),
        ("priority", 22_500_000),
        ("fast", 22_500_000),
        ("scale", 11_250_000),
    ],
)
def test_service_tiers_have_prices_of_their_own(book: PriceBook, tier: str | None, nano: int) -> None:
    """gpt-5: flex and batch half, priority double; a tier without its own prices costs the standard ones."""
    assert nano == cost_of(book, THOUSAND, "openai", "gpt-5", tier=tier).total_nano


def test_reasoning_follows_the_output_into_a_service_tier(book: PriceBook) -> None:
    """It has no price of its own, so flex output is what it costs."""
    usage = Usage.of(input_tokens=1_000, output_tokens=1_000, reasoning_tokens=600, cache_read_tokens=200)
    cost = cost_of(book, usage, "openai", "gpt-5", tier="flex")
    assert (500_000, 12_500, 2_000_000, 3_000_000) == (
        cost.parts[TokenType.INPUT],
        cost.parts[TokenType.CACHE_READ],
        cost.parts[TokenType.OUTPUT],
        cost.parts[TokenType.REASONING],
    )


def test_a_slip_in_litellms_map_is_not_believed(book: PriceBook) -> None:
    """It gives gpt-5-nano the priority input price of gpt-5, and no output price to go with it."""
    assert 450_000 == cost_of(book, THOUSAND, "openai", "gpt-5-nano", tier="priority").total_nano


@pytest.mark.parametrize(
    ("at", "nano", "source"),
    [
        (datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC), 50_000_000, "genai-prices"),
        (datetime(2025, 6, 10, tzinfo=UTC), 10_000_000, "catalog"),
    ],
)
def test_a_call_costs_what_it_cost_on_its_day(book: PriceBook, at: datetime, nano: int, source: str) -> None:
    """o3 went from 10/40 to 2/8 dollars on 2025-06-10."""
    cost = cost_of(book, THOUSAND, "openai", "o3", at=at)
    assert (nano, source) == (cost.total_nano, cost.price_source)


def test_a_time_without_a_zone_is_utc(book: PriceBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the machine stands: 22 o'clock in New York would be the next day already."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        naive = datetime(2025, 6, 9, 22)  # noqa: DTZ001
        assert 50_000_000 == cost_of(book, THOUSAND, "openai", "o3", at=naive).total_nano
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_announced_price_begins_on_its_day(book: PriceBook) -> None:
    """gemini-4-argon doubles on 2026-12-01, also in a book that priced it the day before."""
    costs = [
        cost_of(book, THOUSAND, "gcp.gemini", "gemini-4-argon", at=datetime(2026, *day, tzinfo=UTC)).total_nano
        for day in ((11, 30, 23), (12, 1, 0), (11, 30, 23))
    ]
    assert [12_000_000, 24_000_000, 12_000_000] == costs


def test_a_retired_model_keeps_its_price(book: PriceBook) -> None:
    """LiteLLM has dropped claude-3-opus: 15/75 dollars a million."""
    cost = cost_of(book, THOUSAND, "anthropic", "claude-3-opus-20240229")
    assert (90_000_000, "catalog") == (cost.total_nano, cost.price_source)


def test_a_retired_model_outside_the_catalogue_is_priced_by_genai_prices(book: PriceBook) -> None:
    """claude-3-5-sonnet is in no current map of LiteLLM's; the day is one that genai-prices speaks for."""
    cost = cost_of(book, THOUSAND, "anthropic", "claude-3-5-sonnet-20241022")
    assert (18_000_000, "genai-prices") == (cost.total_nano, cost.price_source)
    assert cost.price_date is not None
    assert "2026-" <= cost.price_date <= "2026-11-22"


def test_a_provider_that_only_litellm_prices(book: PriceBook) -> None:
    """The widest source comes last."""
    cost = cost_of(book, THOUSAND, "deepinfra", "meta-llama/Llama-3.3-70B-Instruct")
    assert ("litellm", None) == (cost.price_source, cost.price_date)
    assert cost.total_nano > 0


@pytest.mark.parametrize("model", ["llama3", "something-of-mine:70b"])
def test_a_local_model_is_known_to_cost_nothing(book: PriceBook, model: str) -> None:
    """0 is a price."""
    usage = Usage.of(input_tokens=1_000, output_tokens=1_000, cache_read_tokens=10, reasoning_tokens=10)
    assert 0 == cost_of(book, usage, "ollama", model).total_nano


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-of-tomorrow"),
        ("nobody", "gpt-4o"),
        ("ollama", "gpt-oss:120b-cloud"),
        ("gcp.vertex_ai", "meta/llama3-405b-instruct-maas"),
        ("github_copilot", "gpt-4"),
    ],
)
def test_an_unknown_price_is_unknown(book: PriceBook, provider: str, model: str) -> None:
    """Neither 0 nor somebody else's, whether the model, the provider or the meaning of a 0 is unknown."""
    assert book.price(THOUSAND, provider=provider, model=model, at=NOW) is None


def test_searches_come_from_the_source_that_prices_them(book: PriceBook) -> None:
    """$10 a thousand at Anthropic; the catalogue prices tokens only, and both are named."""
    usage = Usage.of(input_tokens=1_000, output_tokens=1_000, web_searches=2)
    cost = cost_of(book, usage, "anthropic", "claude-sonnet-5-5")
    assert (20_000_000, 32_000_000) == (cost.parts[TokenType.REQUEST], cost.total_nano)
    assert "catalog+genai-prices" == cost.price_source


def test_a_search_that_nobody_prices_makes_the_cost_unknown(book: PriceBook) -> None:
    """gpt-3.5-turbo has no web search; one that is billed all the same is not 0."""
    usage = Usage.of(input_tokens=1_000, output_tokens=1_000, web_searches=1)
    assert book.price(usage, provider="openai", model="gpt-3.5-turbo", at=NOW) is None


def test_the_same_model_elsewhere_has_its_own_price(book: PriceBook) -> None:
    """Azure's gpt-4o is not looked up in the catalogue's OpenAI."""
    assert "genai-prices" == cost_of(book, THOUSAND, "azure.ai.openai", "gpt-4o").price_source
    assert "genai-prices" == cost_of(book, THOUSAND, "openrouter", "openai/gpt-4o").price_source


def test_what_a_marketplace_gives_away_is_known_to_be_free(book: PriceBook) -> None:
    """OpenRouter's `:free` models: the name says what genai-prices leaves open."""
    cost = cost_of(book, THOUSAND, "openrouter", "deepseek/deepseek-r1:free")
    assert (0, "genai-prices") == (cost.total_nano, cost.price_source)


def test_prices_by_the_hour(book: PriceBook) -> None:
    """DeepSeek is cheaper off peak; a book that has just priced the one must not use it for the other."""
    costs = [
        cost_of(book, THOUSAND, "deepseek", "deepseek-flash", at=datetime(2026, 11, 23, hour, minute, tzinfo=UTC))
        for hour, minute in ((3, 59), (4, 0), (3, 59))
    ]
    assert [1_500_000, 750_000, 1_500_000] == [cost.total_nano for cost in costs]
