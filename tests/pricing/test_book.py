"""The book: who is asked, in which order, how often, and what is kept."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from llm_otel.models.entry import ModelEntry, PricePeriod, TokenPrices
from llm_otel.models.registry import Registry
from llm_otel.pricing.book import PriceBook
from llm_otel.pricing.quote import Quote, minute_of
from llm_otel.semconv import TokenType
from llm_otel.usage import Kind, Usage
from tests.pricing.prices import NOW, FakeSource, flat

MICRO = 10**12
ONE_OF_EACH = Usage.of(input_tokens=2, cache_read_tokens=1, output_tokens=1)


def quote(source: str, **facts: object) -> Quote:
    """Answer with these facts; a micro-dollar a token unless they say otherwise."""
    facts.setdefault("standard", {Kind.INPUT: flat(MICRO), Kind.OUTPUT: flat(MICRO)})
    return Quote(**{"source": source, "date": "2026-11-01", **facts})


def priced(book: PriceBook, usage: Usage = ONE_OF_EACH, *, at: datetime = NOW, tier: str | None = None):
    """Price what has to have a price."""
    cost = book.price(usage, provider="p", model="m", at=at, service_tier=tier)
    assert cost is not None
    return cost


def test_a_kind_that_one_source_does_not_price_is_taken_from_the_next() -> None:
    """And both are named."""
    first = FakeSource(quote("first"))
    second = FakeSource(quote("second", standard={Kind.INPUT: flat(9), Kind.CACHE_READ: flat(MICRO // 2)}))
    third = FakeSource(quote("third", standard={Kind.CACHE_READ: flat(7)}))
    cost = priced(PriceBook([first, second, third]))
    assert (1_000, 500, 1_000) == tuple(
        cost.parts[kind] for kind in (TokenType.INPUT, TokenType.CACHE_READ, TokenType.OUTPUT)
    )
    assert "first+second" == cost.price_source
    assert [] == third.questions


def test_a_kind_that_nobody_prices_costs_as_much_as_its_whole() -> None:
    """Cached input as input, an hour's write as a write, reasoning as output."""
    source = FakeSource(
        quote(
            "only",
            standard={
                Kind.INPUT: flat(MICRO),
                Kind.CACHE_WRITE: flat(2 * MICRO),
                Kind.OUTPUT: flat(3 * MICRO),
            },
        )
    )
    usage = Usage.of(
        input_tokens=40,
        cache_read_tokens=10,
        cache_write_tokens=20,
        cache_write_1h_tokens=10,
        output_tokens=20,
        reasoning_tokens=10,
    )
    assert (10_000, 10_000, 40_000, 30_000, 30_000, 0) == tuple(priced(PriceBook([source]), usage).parts.values())


@pytest.mark.parametrize(("audio", "nano"), [({}, 500), ({Kind.INPUT_AUDIO: flat(8 * MICRO)}, 8_000)])
def test_cached_audio_without_a_price_costs_what_audio_costs(audio: dict[Kind, object], nano: int) -> None:
    """Cached text is far cheaper. Only where audio costs what text does is it cached text."""
    standard = {Kind.INPUT: flat(MICRO), Kind.CACHE_READ: flat(MICRO // 2), **audio}
    usage = Usage.of(input_tokens=1, cache_read_tokens=1, input_audio_tokens=1, cache_read_audio_tokens=1)
    assert nano == priced(PriceBook([FakeSource(quote("only", standard=standard))]), usage).total_nano


def test_a_kind_known_to_have_no_price_of_its_own_is_not_asked_about_further() -> None:
    """The catalogue knows that reasoning is billed as output."""
    first = FakeSource(quote("first", inherits=frozenset({Kind.REASONING})))
    second = FakeSource(quote("second", standard={Kind.REASONING: flat(9 * MICRO)}))
    usage = Usage.of(input_tokens=1, output_tokens=2, reasoning_tokens=1)
    cost = priced(PriceBook([first, second]), usage)
    assert (3_000, "first") == (cost.total_nano, cost.price_source)
    assert [] == second.questions


def test_a_service_tiers_price_from_any_source_goes_before_a_standard_one() -> None:
    """The catalogue pins no tiers; what it does not have is not the standard price."""
    first = FakeSource(quote("first"))
    second = FakeSource(quote("second", special={Kind.INPUT: flat(MICRO // 2), Kind.OUTPUT: flat(MICRO // 2)}))
    book, usage = PriceBook([first, second]), Usage.of(input_tokens=2, output_tokens=2)
    assert (2_000, "second") == (
        priced(book, usage, tier="flex").total_nano,
        priced(book, usage, tier="flex").price_source,
    )
    assert (4_000, "first") == (priced(book, usage).total_nano, priced(book, usage).price_source)
    assert {"flex"} == {tier for *_, tier in second.questions}


def test_a_fee_on_the_request_is_that_of_whoever_prices_the_input() -> None:
    """Perplexity's, say; nobody else is asked for one."""
    fee = FakeSource(
        quote(
            "fee",
            standard={Kind.INPUT: flat(MICRO), Kind.OUTPUT: flat(MICRO), Kind.REQUEST: flat(5 * 10**15)},
        )
    )
    assert 5_000_000 == priced(PriceBook([fee])).parts[TokenType.REQUEST]
    assert 0 == priced(PriceBook([FakeSource(quote("none")), fee])).parts[TokenType.REQUEST]


def test_a_source_is_asked_once_for_a_rate_that_holds() -> None:
    """And again only for a kind that was not used before."""
    source = FakeSource(quote("only"))
    book = PriceBook([source])
    for _ in range(3):
        priced(book, Usage.of(input_tokens=1, output_tokens=1))
    assert 1 == len(source.questions)
    priced(book, Usage.of(input_tokens=1, output_tokens=1, reasoning_tokens=1))
    priced(book, Usage.of(input_tokens=1, output_tokens=1, reasoning_tokens=1))
    priced(book, Usage.of(input_tokens=1, output_tokens=1))
    assert 2 == len(source.questions)


def test_an_unknown_model_is_asked_about_once_too() -> None:
    """It may be called a million times."""
    source = FakeSource(None)
    book = PriceBook([source])
    for _ in range(3):
        assert book.price(ONE_OF_EACH, provider="p", model="m", at=NOW) is None
    assert 1 == len(source.questions)


class ByTheMinute(FakeSource):
    """Dearer by a micro-dollar a token every minute."""

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote:
        super().quote(provider, model, at, tier)
        start, end = minute_of(at)
        price = flat((at.minute + 1) * MICRO)
        standard = {Kind.INPUT: price, Kind.OUTPUT: price}
        return quote("clock", standard=standard, valid_from=start, valid_until=end)


def test_a_rate_is_used_only_within_the_time_it_holds() -> None:
    """From its first second until the next one begins; a time before it is asked about too."""
    source = ByTheMinute(None)
    book = PriceBook([source])
    moments = [NOW + timedelta(seconds=seconds) for seconds in (0, 59.9, 60, 30)]
    assert [3_000, 3_000, 6_000, 3_000] == [priced(book, at=at).total_nano for at in moments]
    assert [moments[0], moments[2], moments[3]] == [at for _, _, at, _ in source.questions]


def test_the_narrowest_time_of_the_sources_counts() -> None:
    """A price that is made of two holds as long as both do."""
    short = FakeSource(quote("short", standard={Kind.CACHE_READ: flat(1)}, valid_until=NOW.timestamp() + 1))
    first = FakeSource(quote("first"))
    book = PriceBook([first, short])
    priced(book)
    priced(book, at=NOW + timedelta(seconds=1))
    assert 2 == len(short.questions)


def test_refreshing_asks_again() -> None:
    """After the prices of a source were updated in the process."""
    source = FakeSource(quote("only"))
    book = PriceBook([source])
    priced(book)
    source.answer = quote("only", standard={Kind.INPUT: flat(5 * MICRO), Kind.OUTPUT: flat(5 * MICRO)})
    assert 3_000 == priced(book).total_nano
    book.refresh()
    assert 15_000 == priced(book).total_nano


def test_warming_up_asks_every_source() -> None:
    """Also those that an ordinary call would never reach, so that they have loaded."""
    sources = [FakeSource(quote("first")), FakeSource(None), FakeSource(quote("third"))]
    PriceBook(sources).warm_up(NOW)
    assert [1, 1, 1] == [len(source.questions) for source in sources]


def test_generated_model_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The book starts over instead."""
    monkeypatch.setattr("llm_otel.pricing.book._MAX_RATES", 10)
    book = PriceBook([FakeSource(quote("only"))])
    for index in range(35):
        assert book.price(ONE_OF_EACH, provider="p", model=f"m{index}", at=NOW) is not None
    assert len(book._kept) <= 10


def entry(name: str, *, is_mine: bool, **prices: str | None) -> ModelEntry:
    """Make a model of OpenAI's with prices a million tokens."""
    base = TokenPrices(**{kind: Decimal(price) for kind, price in prices.items() if price})
    return ModelEntry(
        name=name,
        provider="openai",
        tier=None,
        capabilities=frozenset(),
        context_window=None,
        max_output_tokens=None,
        periods=(PricePeriod(base=base),),
        price_source="contract",
        price_date=date(2026, 10, 1),
        is_user_defined=is_mine,
    )


def test_the_users_own_price_goes_before_all_and_takes_effect_at_once() -> None:
    """For every service tier; what they do not price is taken from the catalogue."""
    registry = Registry()
    book = PriceBook(registry=registry)
    usage = Usage.of(input_tokens=1_000, cache_read_tokens=500, output_tokens=1_000)

    def price(tier: str | None = None) -> tuple[int, str, str | None]:
        cost = book.price(usage, provider="openai", model="gpt-4o", at=NOW, service_tier=tier)
        assert cost is not None
        return cost.total_nano, cost.price_source, cost.price_date

    assert (500 * 2_500 + 500 * 1_250 + 1_000 * 10_000, "catalog", "2026-11-22") == price()
    registry.register(entry("gpt-4o", is_mine=True, input="2", output="8"))
    assert (500 * 2_000 + 500 * 1_250 + 1_000 * 8_000, "user+catalog", "2026-10-01") == price()
    registry.register(entry("gpt-4o", is_mine=True, input="1", output="1", cache_read="0"), replace=True)
    assert (1_500_000, "user", "2026-10-01") == price()
    assert (1_500_000, "user", "2026-10-01") == price("priority")


def test_a_price_that_is_not_known_is_logged_once_for_each_model(caplog: pytest.LogCaptureFixture) -> None:
    """By name: somebody has to register it."""
    book = PriceBook([FakeSource(None)])
    with caplog.at_level(logging.WARNING, logger="llm_otel"):
        for model in ("a", "b", "a", "a"):
            book.price(ONE_OF_EACH, provider="p", model=model, at=NOW)
    assert 2 == len(caplog.records)
    assert "llm_otel.price_unknown provider=p model=a" in caplog.text


def test_a_model_of_the_catalogue_loads_nothing_heavy() -> None:
    """Neither genai-prices nor LiteLLM nor pydantic; LiteLLM's files stay closed: 0.2 s and 50 MB saved."""
    code = """
import sys
from datetime import UTC, datetime
from llm_otel.models.litellm_map import LiteLLMMap
from llm_otel.pricing.book import PriceBook
from llm_otel.usage import Usage
LiteLLMMap._read = None
usage = Usage.of(input_tokens=18, output_tokens=5, cache_read_tokens=3, reasoning_tokens=2)
usage += Usage.of(input_tokens=4, input_image_tokens=4)
cost = PriceBook().price(usage, provider="openai", model="gpt-4o-mini", at=datetime(2026, 11, 22, tzinfo=UTC))
assert cost.price_source == "catalog", cost
loaded = {"genai_prices", "litellm", "pydantic"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_threads_get_the_same_prices_as_one() -> None:
    """First use, further kinds, other tiers and times, all at once."""
    book, barrier, failures = PriceBook(), threading.Barrier(8), []
    calls = [
        (Usage.of(input_tokens=1_000, output_tokens=10), "openai", "gpt-4o", None, 2_600_000),
        (Usage.of(input_tokens=1_000, cache_read_tokens=1_000), "openai", "gpt-4o", None, 1_250_000),
        (Usage.of(input_tokens=1_000), "openai", "gpt-5", "flex", 625_000),
        (Usage.of(input_tokens=1_000), "openai", "o3", None, 2_000_000),
    ]

    def work(offset: int) -> None:
        barrier.wait()
        for index in range(200):
            usage, provider, model, tier, nano = calls[(index + offset) % len(calls)]
            cost = book.price(usage, provider=provider, model=model, at=NOW, service_tier=tier)
            if cost is None or cost.total_nano != nano:
                failures.append((model, tier, cost))

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures


def test_a_ceiling_covers_the_dearest_way_a_call_can_go() -> None:
    """claude-sonnet-4-5 beyond 200,000 tokens, all of the input written to the cache for an hour."""
    book, asked = PriceBook(), {"provider": "anthropic", "model": "claude-sonnet-4-5", "at": NOW}
    bounds = {
        writes: book.dearest(**asked, may_write_cache=writes).bound(250_000, 1_000) for writes in (False, True, False)
    }
    assert {False: 250_000 * 6_000 + 22_500_000, True: 250_000 * 12_000 + 22_500_000} == bounds


def test_a_ceiling_for_an_unknown_model_is_unknown() -> None:
    """The budget decides what to do about it."""
    book = PriceBook([FakeSource(None)])
    assert book.dearest(provider="p", model="m", at=NOW) is None


def test_the_age_of_the_prices_is_that_of_the_newest_in_use() -> None:
    """In seconds, from midnight of the day; unknown if nobody says."""
    sources = [
        FakeSource(None, day=date(2026, 11, 20)),
        FakeSource(None, day=date(2026, 11, 21)),
        FakeSource(None),
    ]
    assert 1.5 * 86_400 == PriceBook(sources).price_age(datetime(2026, 11, 22, 12, tzinfo=UTC))
    assert PriceBook([FakeSource(None)]).price_age(NOW) is None


def test_announced_prices_make_none_younger() -> None:
    """genai-prices knows of changes in 2027; the catalogue was checked at midnight."""
    book = PriceBook()
    assert book.price(ONE_OF_EACH, provider="openai", model="gpt-5", at=NOW, service_tier="flex") is not None
    assert 43_200 == book.price_age(NOW)
