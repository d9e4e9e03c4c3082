"""The sources: what each makes of its data, and what of data that is broken."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
)

from llm_otel.models.litellm_map import LiteLLMMap
from llm_otel.pricing.quote import ALWAYS, Quote
from llm_otel.pricing.sources.genai import GenaiPrices
from llm_otel.pricing.sources.litellm_map import LiteLLMPrices
from llm_otel.pricing.sources.off_peak import is_off_peak
from llm_otel.pricing.sources.pinned import LocalPrices
from llm_otel.usage import Kind
from tests.pricing.prices import NOW, flat

MICRO = 10**12


class Map(LiteLLMMap):
    """One entry, for whatever is asked."""

    def __init__(self, entry: Any) -> None:
        super().__init__()
        self._only = entry

    def entry(self, provider: str, model: str) -> Any:
        return self._only


def litellm_quote(entry: Any, *, provider: str = "p", tier: str = "standard", at: datetime = NOW) -> Quote:
    """Ask the source about an entry that has a price."""
    quote = LiteLLMPrices(Map(entry)).quote(provider, "m", at, tier)
    assert quote is not None
    return quote


BASE = {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}


def test_litellms_fields_become_kinds() -> None:
    """Exact, from the shortest decimal of its floats; an entry says nothing of its date."""
    quote = litellm_quote(
        {
            **BASE,
            "input_cost_per_audio_token": 3e-06,
            "input_cost_per_image_token": 4e-06,
            "cache_read_input_token_cost": 1.3e-10,
            "cache_read_input_audio_token_cost": 5e-06,
            "cache_creation_input_token_cost": 6e-06,
            "cache_creation_input_token_cost_above_1hr": 7e-06,
            "output_cost_per_reasoning_token": 8e-06,
            "output_cost_per_audio_token": 9e-06,
            "output_cost_per_image_token": 1e-05,
            "input_cost_per_request": 0.005,
            "search_context_cost_per_query": {
                "search_context_size_low": 0.01,
                "search_context_size_medium": 0.02,
            },
            "input_cost_per_token_cache_hit": 1.0,
            "output_cost_per_second": 1.0,
            "max_tokens": 8192.0,
            "source": "somewhere",
        }
    )
    assert {
        Kind.INPUT: flat(MICRO),
        Kind.OUTPUT: flat(2 * MICRO),
        Kind.INPUT_AUDIO: flat(3 * MICRO),
        Kind.INPUT_IMAGE: flat(4 * MICRO),
        Kind.CACHE_READ: flat(130_000_000),
        Kind.CACHE_READ_AUDIO: flat(5 * MICRO),
        Kind.CACHE_WRITE: flat(6 * MICRO),
        Kind.CACHE_WRITE_1H: flat(7 * MICRO),
        Kind.REASONING: flat(8 * MICRO),
        Kind.OUTPUT_AUDIO: flat(9 * MICRO),
        Kind.OUTPUT_IMAGE: flat(10 * MICRO),
        Kind.REQUEST: flat(5_000 * MICRO),
        Kind.WEB_SEARCH: flat(20_000 * MICRO),
    } == quote.standard
    assert ("litellm", None) == (quote.source, quote.date)


def test_litellms_long_context_prices() -> None:
    """Those of the hour-long write have two `above`s in their name; one without a base price is a slip."""
    quote = litellm_quote(
        {
            **BASE,
            "input_cost_per_token_above_200k_tokens": 2e-06,
            "input_cost_per_token_above_128k_tokens": 1.5e-06,
            "cache_creation_input_token_cost_above_1hr": 2e-06,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 4e-06,
            "cache_creation_input_token_cost_above_200k_tokens": 2.5e-07,
        }
    )
    assert ((ALWAYS, MICRO), (128_000, 1_500_000_000_000), (200_000, 2 * MICRO)) == quote.standard[Kind.INPUT]
    assert ((ALWAYS, 2 * MICRO), (200_000, 4 * MICRO)) == quote.standard[Kind.CACHE_WRITE_1H]
    assert Kind.CACHE_WRITE not in quote.standard


def test_xais_long_context_begins_at_the_threshold() -> None:
    """Everybody else's begins above it."""
    entry = {**BASE, "input_cost_per_token_above_200k_tokens": 2e-06}
    assert 199_999 == litellm_quote(entry, provider="x_ai").standard[Kind.INPUT][1][0]


@pytest.mark.parametrize(
    ("tier", "suffix"),
    [
        ("flex", "flex"),
        ("priority", "priority"),
        ("fast", "priority"),
        ("batch", "batches"),
        ("ultrafast", "ultrafast"),
    ],
)
def test_litellms_service_tiers(tier: str, suffix: str) -> None:
    """The batch price is `_batches`, OpenAI's fast tier is `_priority`."""
    entry = {**BASE, f"input_cost_per_token_{suffix}": 3e-06, f"output_cost_per_token_{suffix}": 4e-06}
    assert {Kind.INPUT: flat(3 * MICRO), Kind.OUTPUT: flat(4 * MICRO)} == litellm_quote(entry, tier=tier).special
    assert {} == litellm_quote(entry).special


def test_a_service_tier_without_long_prices_takes_the_standard_ones_but_never_less_than_its_own() -> None:
    """As LiteLLM bills; only that longer input is never cheaper."""
    long = {"input_cost_per_token_above_200k_tokens": 2e-06}
    flex = {"input_cost_per_token_flex": 5e-07, "output_cost_per_token_flex": 1e-06}
    priority = {"input_cost_per_token_priority": 3e-06, "output_cost_per_token_priority": 6e-06}
    own = {**flex, "input_cost_per_token_above_200k_tokens_flex": 1e-06}
    steps = [
        litellm_quote({**BASE, **long, **tier}, tier=name).special[Kind.INPUT]
        for tier, name in ((flex, "flex"), (priority, "priority"), (own, "flex"))
    ]
    assert [
        ((ALWAYS, MICRO // 2), (200_000, 2 * MICRO)),
        ((ALWAYS, 3 * MICRO), (200_000, 3 * MICRO)),
        ((ALWAYS, MICRO // 2), (200_000, MICRO)),
    ] == steps


def test_half_a_service_tier_is_not_believed() -> None:
    """An input price without an output price is a slip."""
    assert {} == litellm_quote({**BASE, "input_cost_per_token_priority": 9e-06}, tier="priority").special


def test_litellms_ranges_price_the_whole_request() -> None:
    """Alibaba's: a kind that a range does not price costs as much as its whole does there."""
    quote = litellm_quote(
        {
            "tiered_pricing": [
                {"range": [32_000, 128_000.0], "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06},
                {
                    "range": [0, 32_000.0],
                    "input_cost_per_token": 1e-06,
                    "output_cost_per_token": 2e-06,
                    "cache_read_input_token_cost": 1e-07,
                    "output_cost_per_reasoning_token": 3e-06,
                },
            ]
        }
    )
    assert {
        Kind.INPUT: ((ALWAYS, MICRO), (32_000, 2 * MICRO)),
        Kind.CACHE_READ: ((ALWAYS, MICRO // 10), (32_000, 2 * MICRO)),
        Kind.OUTPUT: ((ALWAYS, 2 * MICRO), (32_000, 4 * MICRO)),
        Kind.REASONING: ((ALWAYS, 3 * MICRO), (32_000, 4 * MICRO)),
    } == quote.standard


def test_a_write_at_0_is_not_free() -> None:
    """LiteLLM means that it costs no more than input."""
    assert Kind.CACHE_WRITE not in litellm_quote({**BASE, "cache_creation_input_token_cost": 0.0}).standard


def test_reasoning_at_the_price_of_output_is_no_price_of_its_own() -> None:
    """It would stand in the way of the output price of a service tier."""
    assert Kind.REASONING not in litellm_quote({**BASE, "output_cost_per_reasoning_token": 2e-06}).standard


def test_fireworks_reads_its_cache_at_half_price() -> None:
    """Unless the map says otherwise."""
    read = litellm_quote(BASE, provider="fireworks_ai").standard[Kind.CACHE_READ]
    said = litellm_quote({**BASE, "cache_read_input_token_cost": 1e-07}, provider="fireworks_ai").standard
    assert (flat(MICRO // 2), flat(MICRO // 10)) == (read, said[Kind.CACHE_READ])


def test_off_peak_prices_replace_the_others_for_a_minute_at_a_time() -> None:
    """So that a kept rate is never used beyond the hour that changes it."""
    entry = {**BASE, "off_peak_pricing": {"input_cost_per_token": 5e-07, "hours_utc": "12:00-13:00"}}
    quotes = [litellm_quote(entry, at=datetime(2026, 11, 22, 12, minute, tzinfo=UTC)) for minute in (0, 59)]
    later = litellm_quote(entry, at=datetime(2026, 11, 22, 13, tzinfo=UTC))
    assert [flat(MICRO // 2)] * 2 == [quote.standard[Kind.INPUT] for quote in quotes]
    assert flat(MICRO) == later.standard[Kind.INPUT]
    assert flat(2 * MICRO) == quotes[0].standard[Kind.OUTPUT]
    assert 60 == quotes[0].valid_until - quotes[0].valid_from


@pytest.mark.parametrize(
    ("rules", "at", "expected"),
    [
        ({"hours_utc": "16:30-00:30"}, datetime(2026, 11, 22, 16, 30, tzinfo=UTC), True),
        ({"hours_utc": "16:30-00:30"}, datetime(2026, 11, 22, 0, 29, tzinfo=UTC), True),
        ({"hours_utc": "16:30-00:30"}, datetime(2026, 11, 22, 0, 30, tzinfo=UTC), False),
        ({"hours_utc": ["01:00-02:00", "04:00-06:00"]}, datetime(2026, 11, 22, 5, tzinfo=UTC), True),
        ({"hours_utc": "00:00-00:00"}, datetime(2026, 11, 22, 5, tzinfo=UTC), True),
        (
            {"windows": [{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]},
            datetime(2026, 11, 22, 5, tzinfo=UTC),
            True,
        ),
        (
            {"windows": [{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]},
            datetime(2026, 11, 23, 5, tzinfo=UTC),
            False,
        ),
        (
            {
                "weekday_timezone": "Asia/Shanghai",
                "windows": [{"hours_utc": ["00:00-00:00"], "weekdays": [1]}],
            },
            datetime(2026, 11, 22, 17, tzinfo=UTC),
            True,
        ),
        ({}, datetime(2026, 11, 22, 5, tzinfo=UTC), False),
    ],
)
def test_off_peak_hours(rules: dict[str, Any], at: datetime, expected: bool) -> None:
    """2026-11-22 is a Sunday; at 17:00 UTC it is Monday in Shanghai."""
    assert expected is is_off_peak(rules, at)


@pytest.mark.parametrize(
    "entry",
    [
        {**BASE, "cache_read_input_token_cost": "cheap"},
        {**BASE, "cache_read_input_token_cost": -1.0},
        {**BASE, "tiered_pricing": [{"range": "none"}]},
        {**BASE, "tiered_pricing": [5]},
        {**BASE, "off_peak_pricing": {"hours_utc": "noon"}},
        {**BASE, "off_peak_pricing": 5},
        {**BASE, "off_peak_pricing": {"weekday_timezone": "Mars/Olympus", "hours_utc": "00:00-01:00"}},
        {**BASE, "search_context_cost_per_query": [1]},
    ],
)
def test_a_malformed_entry_of_litellms_has_no_price(entry: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Logged once, and no more; the caller goes on."""
    source = LiteLLMPrices(Map(entry))
    with caplog.at_level(logging.WARNING, logger="llm_otel"):
        assert [None, None] == [source.quote("p", "m", NOW, "standard") for _ in range(2)]
    assert 1 == len(caplog.records)
    assert "llm_otel.price_source_failed source=litellm" in caplog.text


@pytest.fixture
def genai_data():
    """Put data of the test's own in place of that of genai-prices."""

    def install(*models: ModelInfo) -> None:
        provider = Provider(id="openai", name="OpenAI", api_pattern="x", models=list(models))
        set_custom_snapshot(DataSnapshot(providers=[provider], from_auto_update=False))

    yield install
    set_custom_snapshot(None)


def genai_model(prices: Any, **facts: Any) -> ModelInfo:
    """Make the model `m`."""
    return ModelInfo(id="m", match=ClauseEquals("m"), prices=prices, **facts)


def genai_quote(*, at: datetime = NOW, tier: str = "standard") -> Quote:
    """Ask the source about `m`, which has a price."""
    quote = GenaiPrices().quote("openai", "m", at, tier)
    assert quote is not None
    return quote


def test_genais_keys_become_kinds(genai_data) -> None:
    """Per million tokens, per thousand searches and requests; units that no completion has are left out."""
    one = Decimal(1)
    genai_data(
        genai_model(
            ModelPrice(
                input_mtok=TieredPrices(base=one, tiers=[Tier(start=200_000, price=2 * one)]),
                output_mtok=2 * one,
                cache_read_mtok=Decimal("0.0375"),
                cache_write_mtok=3 * one,
                cache_write_1h_mtok=4 * one,
                input_audio_mtok=5 * one,
                cache_audio_read_mtok=6 * one,
                output_audio_mtok=7 * one,
                input_image_mtok=8 * one,
                output_image_mtok=9 * one,
                output_reasoning_mtok=10 * one,
                web_searches_kcount=10 * one,
                requests_kcount=5 * one,
                audio_hours=one,
                input_mchars=None,
            )
        )
    )
    assert {
        Kind.INPUT: ((ALWAYS, MICRO), (200_000, 2 * MICRO)),
        Kind.OUTPUT: flat(2 * MICRO),
        Kind.CACHE_READ: flat(37_500_000_000),
        Kind.CACHE_WRITE: flat(3 * MICRO),
        Kind.CACHE_WRITE_1H: flat(4 * MICRO),
        Kind.INPUT_AUDIO: flat(5 * MICRO),
        Kind.CACHE_READ_AUDIO: flat(6 * MICRO),
        Kind.OUTPUT_AUDIO: flat(7 * MICRO),
        Kind.INPUT_IMAGE: flat(8 * MICRO),
        Kind.OUTPUT_IMAGE: flat(9 * MICRO),
        Kind.REASONING: flat(10 * MICRO),
        Kind.WEB_SEARCH: flat(10_000 * MICRO),
        Kind.REQUEST: flat(5_000 * MICRO),
    } == genai_quote().standard


def test_genais_dated_prices_hold_for_a_day_and_name_theirs(genai_data) -> None:
    """The date is that on which the price in force began; before any, that of the newest change there was."""
    first, second = date(2026, 3, 1), date(2026, 12, 1)
    old, new, newest = (ModelPrice(input_mtok=Decimal(n), output_mtok=Decimal(n)) for n in (1, 2, 3))
    genai_data(
        genai_model(
            [
                ConditionalPrice(prices=old),
                ConditionalPrice(StartDateConstraint(first), prices=new),
                ConditionalPrice(StartDateConstraint(second), prices=newest),
            ]
        )
    )
    days = [
        datetime(2026, 2, 28, tzinfo=UTC),
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 12, 1, 5, tzinfo=UTC),
    ]
    quotes = [genai_quote(at=day) for day in days]
    assert [flat(MICRO), flat(2 * MICRO), flat(3 * MICRO)] == [quote.standard[Kind.INPUT] for quote in quotes]
    assert [None, "2026-03-01", "2026-12-01"] == [quote.date for quote in quotes]
    assert (days[2].replace(hour=0).timestamp(), 86_400) == (
        quotes[2].valid_from,
        quotes[2].valid_until - quotes[2].valid_from,
    )


def test_genais_variants_price_service_tiers(genai_data) -> None:
    """The first variant that names a kind decides, and only while it applies."""
    half, later = (ModelPrice(input_mtok=Decimal(n)) for n in ("0.5", "0.7"))
    genai_data(
        genai_model(
            ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2)),
            price_variants=[
                PriceVariant({"service_tier": "flex"}, later, StartDateConstraint(date(2027, 1, 1))),
                PriceVariant({"service_tier": "flex"}, half),
                PriceVariant({"processing": "batch"}, later),
                PriceVariant({"speed": "fast"}, half),
            ],
        )
    )
    tiers = {tier: genai_quote(tier=tier).special for tier in ("standard", "flex", "batch", "fast", "priority")}
    assert {
        "standard": {},
        "flex": {Kind.INPUT: flat(500_000_000_000)},
        "batch": {Kind.INPUT: flat(700_000_000_000)},
        "fast": {Kind.INPUT: flat(500_000_000_000)},
        "priority": {},
    } == tiers
    next_year = genai_quote(tier="flex", at=datetime(2027, 1, 1, tzinfo=UTC))
    assert {Kind.INPUT: flat(700_000_000_000)} == next_year.special


def test_a_model_that_genai_does_not_price_has_no_price(genai_data) -> None:
    """An empty price table is what it has for free models and for those nobody looked up."""
    genai_data(genai_model(ModelPrice()))
    assert GenaiPrices().quote("openai", "m", NOW, "standard") is None
    assert GenaiPrices().quote("openai", "n", NOW, "standard") is None
    assert GenaiPrices().quote("ollama", "m", NOW, "standard") is None


def test_a_missing_genai_prices_is_logged_once_and_knows_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next source is asked."""
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    source = GenaiPrices()
    with caplog.at_level(logging.WARNING, logger="llm_otel"):
        assert [None, None] == [source.quote("openai", "gpt-4o", NOW, "standard") for _ in range(2)]
    assert 1 == len(caplog.records)
    assert "llm_otel.price_source_failed source=genai-prices error=ModuleNotFoundError" in caplog.text
    assert source.checked_on(NOW.date()) is None


@pytest.mark.parametrize(
    "prices",
    [
        [],
        ModelPrice(input_mtok="dear"),
        ModelPrice(input_mtok=Decimal("NaN")),
        ModelPrice(input_mtok=Decimal(-1)),
    ],
)
def test_a_malformed_model_of_genais_has_no_price_and_others_do(
    genai_data, prices: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad entry does not take the source away."""
    good = ModelInfo(
        id="good",
        match=ClauseEquals("good"),
        prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1)),
    )
    genai_data(genai_model(prices), good)
    source = GenaiPrices()
    assert [None, None] == [source.quote("openai", "m", NOW, "standard") for _ in range(2)]
    assert source.quote("openai", "good", NOW, "standard") is not None
    assert 1 == caplog.text.count("llm_otel.price_source_failed")


def test_genais_age_is_known_once_it_is_loaded(genai_data) -> None:
    """The newest change that its data knows of."""
    genai_data(
        genai_model(
            [
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1))),
                ConditionalPrice(StartDateConstraint(date(2026, 3, 1)), prices=ModelPrice(input_mtok=Decimal(2))),
            ]
        )
    )
    source = GenaiPrices()
    assert source.checked_on(NOW.date()) is None
    source.quote("openai", "m", NOW, "standard")
    assert date(2026, 3, 1) == source.checked_on(NOW.date())
    assert source.checked_on(date(2026, 2, 28)) is None


@pytest.mark.parametrize(
    ("provider", "model", "is_free"),
    [
        ("ollama", "llama3", True),
        ("lm_studio", "anything", True),
        ("llamafile", "anything", True),
        ("ollama", "gpt-oss:120b-cloud", False),
        ("openai", "gpt-4o", False),
        ("nobody", "x", False),
    ],
)
def test_a_local_server_is_free(provider: str, model: str, is_free: bool) -> None:
    """Its tokens are, whatever the model; Ollama's cloud is not local."""
    quote = LocalPrices().quote(provider, model, NOW, "flex")
    assert is_free is (quote is not None)
    if quote is not None:
        assert {0} == {atto for steps in quote.standard.values() for _, atto in steps}
        assert Kind.WEB_SEARCH not in quote.standard


def test_a_price_change_that_lies_ahead_does_not_make_prices_younger(genai_data) -> None:
    """Announced prices are no proof that somebody checked today's."""
    genai_data(
        genai_model(
            [
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1))),
                ConditionalPrice(StartDateConstraint(date(2027, 1, 1)), prices=ModelPrice(input_mtok=Decimal(2))),
            ]
        )
    )
    assert genai_quote().date is None
