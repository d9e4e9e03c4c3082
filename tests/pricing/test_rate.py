"""A rate: exact, by length, by kind, with parts that add up."""

from __future__ import annotations

import pytest

from llm_otel.pricing.quote import ALWAYS, Quote
from llm_otel.pricing.rate import CostBreakdown, Price, Rate
from llm_otel.semconv import TokenType
from llm_otel.usage import Kind, Usage
from tests.pricing.prices import flat, rate_of

MICRO = 10**12
"""One USD a million tokens, in atto-USD per token."""

ALL = {kind: flat((kind + 1) * MICRO) for kind in Kind}


def priced(rate: Rate, usage: Usage) -> CostBreakdown:
    """Price what has to have a price."""
    cost = rate.price(usage)
    assert cost is not None
    return cost


def test_every_kind_is_priced_apart_and_reported_under_its_type() -> None:
    """The n-th kind costs n USD a million; 1,000 of each."""
    usage = Usage.of(
        input_tokens=7_000,
        output_tokens=4_000,
        cache_read_tokens=2_000,
        cache_read_audio_tokens=1_000,
        cache_write_tokens=2_000,
        cache_write_1h_tokens=1_000,
        input_audio_tokens=2_000,
        input_image_tokens=1_000,
        reasoning_tokens=1_000,
        output_audio_tokens=1_000,
        output_image_tokens=1_000,
        web_searches=1_000,
    )
    cost = priced(rate_of(ALL), usage)
    assert {
        TokenType.INPUT: (1 + 2 + 3) * 10**6,
        TokenType.CACHE_READ: (4 + 5) * 10**6,
        TokenType.CACHE_WRITE: (6 + 7) * 10**6,
        TokenType.OUTPUT: (8 + 10 + 11) * 10**6,
        TokenType.REASONING: 9 * 10**6,
        TokenType.REQUEST: 12 * 10**6 + 13 * 10**3,
    } == cost.parts
    assert cost.total_nano == sum(cost.parts.values())
    assert ("test", "2026-11-22") == (cost.price_source, cost.price_date)


@pytest.mark.parametrize(("tokens", "nano"), [(199_999, 199_999_000), (200_000, 200_000_000), (200_001, 400_002_000)])
def test_a_long_prompt_reprices_the_whole_request(tokens: int, nano: int) -> None:
    """Above the threshold, not at it; all tokens, not those above."""
    rate = rate_of({Kind.INPUT: ((ALWAYS, MICRO), (200_000, 2 * MICRO)), Kind.OUTPUT: flat(0)})
    assert nano == priced(rate, Usage.of(input_tokens=tokens)).total_nano


def test_the_length_of_the_input_prices_the_output_too() -> None:
    """Every kind may have thresholds of its own; all go by the input."""
    rate = rate_of(
        {
            Kind.INPUT: ((ALWAYS, MICRO), (100, 2 * MICRO), (200, 3 * MICRO)),
            Kind.OUTPUT: ((ALWAYS, 10 * MICRO), (150, 20 * MICRO)),
        }
    )
    costs = {
        length: priced(rate, Usage.of(input_tokens=length, output_tokens=1)).parts for length in (100, 101, 151, 201)
    }
    assert {
        100: (100_000, 10_000),
        101: (202_000, 10_000),
        151: (302_000, 20_000),
        201: (603_000, 20_000),
    } == {length: (parts[TokenType.INPUT], parts[TokenType.OUTPUT]) for length, parts in costs.items()}


def test_the_total_is_rounded_once_and_shared_out() -> None:
    """Three parts of 0.4 nano-USD are 1.2: the total is 1, and one part gets it."""
    tenth = 10**8
    rate = rate_of({Kind.INPUT: flat(tenth), Kind.CACHE_READ: flat(tenth), Kind.OUTPUT: flat(tenth)})
    cost = priced(rate, Usage.of(input_tokens=8, cache_read_tokens=4, output_tokens=4))
    assert 1 == cost.total_nano
    assert [1, 0, 0, 0, 0, 0] == list(cost.parts.values())


def test_the_cache_saves_what_reading_would_have_cost_more() -> None:
    """Text against text, audio against audio; what writing cost more is not deducted."""
    rate = rate_of(
        {
            Kind.INPUT: flat(10 * MICRO),
            Kind.INPUT_AUDIO: flat(100 * MICRO),
            Kind.CACHE_READ: flat(1 * MICRO),
            Kind.CACHE_READ_AUDIO: flat(20 * MICRO),
            Kind.CACHE_WRITE: flat(12 * MICRO),
            Kind.OUTPUT: flat(0),
        }
    )
    usage = Usage.of(
        input_tokens=1_000,
        cache_read_tokens=300,
        input_audio_tokens=100,
        cache_read_audio_tokens=100,
        cache_write_tokens=50,
    )
    assert (200 * 9 + 100 * 80) * 1_000 == priced(rate, usage).saved_by_cache_nano


def test_a_cache_that_costs_more_saves_nothing() -> None:
    """A saving is never negative: a counter takes it."""
    rate = rate_of({Kind.INPUT: flat(MICRO), Kind.CACHE_READ: flat(2 * MICRO), Kind.OUTPUT: flat(0)})
    assert 0 == priced(rate, Usage.of(input_tokens=10, cache_read_tokens=10)).saved_by_cache_nano


def test_a_kind_that_has_no_price_makes_the_cost_unknown_only_where_it_was_used() -> None:
    """Unknown is never 0."""
    rate = rate_of({Kind.INPUT: flat(MICRO), Kind.OUTPUT: flat(MICRO), Kind.WEB_SEARCH: None})
    assert rate.price(Usage.of(input_tokens=1, web_searches=1)) is None
    assert 1_000 == priced(rate, Usage.of(input_tokens=1)).total_nano


def test_a_model_without_any_price_is_unknown_even_for_nothing() -> None:
    """No tokens at an unknown price are unknown; none at a known one cost 0."""
    assert rate_of({Kind.INPUT: None}).price(Usage()) is None
    assert 0 == priced(rate_of({Kind.INPUT: flat(MICRO)}), Usage()).total_nano


def test_only_what_was_used_is_named_as_source() -> None:
    """In the order of the kinds; with the oldest day, since a sum is as old as its oldest part."""
    first = Quote(source="first", date="2026-11-20", standard={})
    second = Quote(source="second", date="2026-11-01", standard={})
    third = Quote(source="third", date=None, standard={})
    rate = Rate.compile(
        {
            Kind.INPUT: Price(flat(MICRO), first),
            Kind.CACHE_READ: Price(flat(MICRO), second),
            Kind.OUTPUT: Price(flat(MICRO), third),
        }
    )
    origins = {
        name: (cost.price_source, cost.price_date)
        for name, cost in {
            "input": priced(rate, Usage.of(input_tokens=1)),
            "cached": priced(rate, Usage.of(input_tokens=2, cache_read_tokens=1)),
            "output": priced(rate, Usage.of(output_tokens=1)),
            "all": priced(rate, Usage.of(input_tokens=2, cache_read_tokens=1, output_tokens=1)),
        }.items()
    }
    assert {
        "input": ("first", "2026-11-20"),
        "cached": ("first+second", "2026-11-01"),
        "output": ("third", None),
        "all": ("first+second+third", "2026-11-01"),
    } == origins


def test_a_kind_that_nobody_was_asked_about_is_a_bug_not_a_zero() -> None:
    """The book asks before it prices."""
    with pytest.raises(AssertionError, match="ask the sources"):
        rate_of({Kind.INPUT: flat(MICRO)}).price(Usage.of(input_tokens=1, output_tokens=1))


def test_a_ceiling_takes_the_dearest_kind_and_length_within_reach() -> None:
    """The input may turn out shorter than its bound or be written to the cache; the output be reasoning."""
    rate = rate_of(
        {
            Kind.INPUT: ((ALWAYS, 3 * MICRO), (100, MICRO)),
            Kind.CACHE_WRITE: flat(5 * MICRO),
            Kind.OUTPUT: flat(10 * MICRO),
            Kind.REASONING: flat(20 * MICRO),
        }
    )
    assert (100 * 3 + 10 * 20) * 1_000 == rate.dearest().bound(100, 10)
    assert (101 * 3 + 10 * 20) * 1_000 == rate.dearest().bound(101, 10)
    assert (100 * 5 + 10 * 20) * 1_000 == rate.dearest((Kind.CACHE_WRITE,)).bound(100, 10)


def test_a_ceiling_is_rounded_up_and_counts_the_fee_on_a_request() -> None:
    """A hold must cover."""
    rate = rate_of({Kind.INPUT: flat(1), Kind.OUTPUT: flat(1), Kind.REASONING: flat(1), Kind.REQUEST: flat(10**9)})
    assert 2 == rate.dearest().bound(1, 0)


def test_a_ceiling_of_an_unpriced_kind_is_unknown() -> None:
    """A bound that leaves something out bounds nothing."""
    rate = rate_of({Kind.INPUT: flat(1), Kind.OUTPUT: flat(1), Kind.REASONING: None})
    assert rate.dearest() is None
