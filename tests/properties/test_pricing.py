"""Pricing, for any prices and any usage: exact, monotone, adding up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from llm_otel.money import ATTO_PER_NANO
from llm_otel.pricing.book import PriceBook
from llm_otel.pricing.quote import ALWAYS, Quote, Steps
from llm_otel.pricing.rate import PARENTS, CostBreakdown, Price, Rate
from llm_otel.usage import TOKEN_TYPES, Kind, Usage
from tests.pricing.prices import NOW, FakeSource

LENGTHS = (1_000, 128_000, 200_000, 272_000)
TOKENS = tuple(kind for kind in Kind if kind < Kind.WEB_SEARCH)

attos = st.integers(0, 10**15)


@st.composite
def steps(draw: st.DrawFn, *, is_rising: bool = False) -> Steps:
    """Prices of one kind, by length."""
    thresholds = draw(st.lists(st.sampled_from(LENGTHS), unique=True, max_size=2).map(sorted))
    prices = draw(st.lists(attos, min_size=len(thresholds) + 1, max_size=len(thresholds) + 1))
    return tuple(zip([ALWAYS, *thresholds], sorted(prices) if is_rising else prices, strict=True))


@st.composite
def rates(draw: st.DrawFn, *, is_rising: bool = False) -> Rate:
    """A rate that prices everything."""
    return compiled({kind: draw(steps(is_rising=is_rising)) for kind in Kind})


def compiled(prices: Mapping[Kind, Steps]) -> Rate:
    """Build a rate of one source."""
    quote = Quote(source="test", date=None, standard=prices)
    return Rate.compile({kind: Price(each, quote) for kind, each in prices.items()})


counts = st.integers(0, 400_000)
usages = st.builds(
    Usage.of,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    cache_write_1h_tokens=counts,
    reasoning_tokens=counts,
    input_audio_tokens=counts,
    cache_read_audio_tokens=counts,
    input_image_tokens=counts,
    output_audio_tokens=counts,
    output_image_tokens=counts,
    web_searches=st.integers(0, 20),
)


def at_length(each: Steps, input_tokens: int) -> int:
    """Look the price up the slow way."""
    return max((over, atto) for over, atto in each if input_tokens > over)[1]


def price(rate: Rate, usage: Usage) -> CostBreakdown:
    """Price what has to have a price."""
    cost = rate.price(usage)
    assert cost is not None
    return cost


@given(st.fixed_dictionaries({kind: steps() for kind in Kind}), usages)
def test_the_cost_is_that_of_rational_arithmetic_rounded_once(prices: dict[Kind, Steps], usage: Usage) -> None:
    """Half-even, at the total; and so is what the cache saved."""
    paid = {kind: at_length(prices[kind], usage.input_tokens) for kind in Kind}
    by_kind = dict(zip(Kind, usage.by_kind(), strict=True))
    cost = price(compiled(prices), usage)
    assert round(Fraction(sum(by_kind[kind] * paid[kind] for kind in Kind), ATTO_PER_NANO)) == cost.total_nano
    saved = by_kind[Kind.CACHE_READ] * (paid[Kind.INPUT] - paid[Kind.CACHE_READ])
    saved += by_kind[Kind.CACHE_READ_AUDIO] * (paid[Kind.INPUT_AUDIO] - paid[Kind.CACHE_READ_AUDIO])
    assert round(Fraction(max(saved, 0), ATTO_PER_NANO)) == cost.saved_by_cache_nano


@given(st.fixed_dictionaries({kind: steps() for kind in Kind}), usages)
def test_the_parts_sum_to_the_total(prices: dict[Kind, Steps], usage: Usage) -> None:
    """Each within one nano-USD of its own exact value, none negative, and 0 for what was free or not used."""
    cost = price(compiled(prices), usage)
    assert cost.total_nano == sum(cost.parts.values())
    exact: dict[str, Fraction] = {}
    for kind, count in zip(Kind, usage.by_kind(), strict=True):
        amount = Fraction(count * at_length(prices[kind], usage.input_tokens), ATTO_PER_NANO)
        exact[TOKEN_TYPES[kind]] = exact.get(TOKEN_TYPES[kind], Fraction(0)) + amount
    assert set(exact) == set(cost.parts)
    for token_type, nano in cost.parts.items():
        assert nano >= 0
        assert abs(nano - exact[token_type]) <= 1
        assert nano == 0 or exact[token_type] > 0


@given(rates(is_rising=True), usages, st.integers(0, 100_000), st.integers(0, 100_000), st.integers(0, 5))
def test_more_tokens_never_cost_less(
    rate: Rate, usage: Usage, more_input: int, more_output: int, more_searches: int
) -> None:
    """Where longer input is not cheaper by the token, which no provider's is."""
    more = usage + Usage.of(input_tokens=more_input, output_tokens=more_output, web_searches=more_searches)
    assert price(rate, more).total_nano >= price(rate, usage).total_nano


@given(rates(is_rising=True), usages, st.integers(0, 1_000), st.integers(0, 1_000))
def test_a_ceiling_is_never_passed(rate: Rate, usage: Usage, spare_input: int, spare_output: int) -> None:
    """By any usage within its counts, whatever kinds its tokens turn out to be."""
    dearest = rate.dearest(TOKENS)
    assert dearest is not None
    bound = dearest.bound(usage.input_tokens + spare_input, usage.output_tokens + spare_output)
    assert price(rate, replace(usage, web_searches=0)).total_nano <= bound


@given(rates(is_rising=True), counts, counts, counts)
def test_a_cache_saves_what_the_same_call_would_have_cost_more(
    rate: Rate, input_tokens: int, cached: int, output_tokens: int
) -> None:
    """Against no cache at all; to the nano-USD that each rounding may move."""
    with_cache = Usage.of(input_tokens=input_tokens, cache_read_tokens=cached, output_tokens=output_tokens)
    cost = price(rate, with_cache)
    without = price(rate, replace(with_cache, cache_read_tokens=0))
    assert abs(max(without.total_nano - cost.total_nano, 0) - cost.saved_by_cache_nano) <= 1


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*TOKENS, Kind.WEB_SEARCH]), steps(), max_size=6),
        min_size=1,
        max_size=4,
    ),
    usages,
)
def test_each_kind_is_priced_by_the_first_source_that_knows_it(tables: list[dict[Kind, Steps]], usage: Usage) -> None:
    """Or as its whole; the cost is known if and only if every kind that was used has a price."""

    def own(kind: Kind) -> Steps | None:
        return next((table[kind] for table in tables if kind in table), None)

    def expected(kind: Kind) -> Steps | None:
        if (found := own(kind)) is not None:
            return found
        if kind is Kind.CACHE_READ_AUDIO:
            return own(Kind.INPUT_AUDIO) or expected(Kind.CACHE_READ)
        return expected(PARENTS[kind]) if kind in PARENTS else None

    sources = [FakeSource(Quote(source=f"s{index}", date=None, standard=table)) for index, table in enumerate(tables)]
    cost = PriceBook(sources).price(usage, provider="p", model="m", at=NOW)
    used = {
        kind: count for kind, count in zip(Kind, usage.by_kind(), strict=True) if count and kind is not Kind.REQUEST
    }
    assume(used)
    prices = {kind: expected(kind) for kind in used}
    assert (None in prices.values()) == (cost is None)
    if cost is not None:
        atto = sum(count * at_length(prices[kind] or (), usage.input_tokens) for kind, count in used.items())
        assert round(Fraction(atto, ATTO_PER_NANO)) == cost.total_nano
