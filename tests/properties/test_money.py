"""Money, for any amount: exact, rounded once, never lost."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from llm_otel.money import (
    ATTO_PER_NANO,
    MAX_NANO,
    apportion,
    format_usd,
    parse_usd,
    round_half_even,
    round_up,
    usd,
)

nanos = st.integers(0, MAX_NANO)
attos = st.integers(0, 10**30)


@given(nanos)
def test_an_amount_survives_the_way_out_and_in(nano: int) -> None:
    """Dollars and the text for people both give back the very nano-USD."""
    assert nano == parse_usd(usd(nano), field="amount")
    assert nano == parse_usd(format_usd(nano).replace("$", "").replace(",", ""), field="amount")


@given(st.decimals(0, 9_000_000_000, allow_nan=False, allow_infinity=False, places=15))
def test_an_amount_is_rounded_half_even(amount: Decimal) -> None:
    """Against rational arithmetic."""
    assert round(Fraction(amount) * 10**9) == parse_usd(amount, field="amount")
    assert parse_usd(amount, field="amount") == parse_usd(str(amount), field="amount")


@given(st.floats(0, 9e9, allow_nan=False))
def test_a_float_means_what_it_shows(amount: float) -> None:
    """Its shortest decimal, not its binary fraction."""
    assert round(Fraction(repr(amount)) * 10**9) == parse_usd(amount, field="amount")


@given(attos)
def test_rounding_is_that_of_rational_arithmetic(atto: int) -> None:
    """Up covers by less than one; the nearest is off by half at most, and even at a tie."""
    exact = Fraction(atto, ATTO_PER_NANO)
    assert round(exact) == round_half_even(atto)
    assert 0 <= round_up(atto) - exact < 1


@given(st.lists(attos, min_size=1, max_size=8), st.booleans())
def test_parts_sum_to_the_rounded_total(parts: list[int], is_hold: bool) -> None:
    """Each part is within one nano-USD of its own value, none is negative, and nothing comes from nothing."""
    total = (round_up if is_hold else round_half_even)(sum(parts))
    shares = apportion(total, parts)
    assert total == sum(shares)
    assert all(share >= 0 for share in shares)
    assert all(abs(share - Fraction(part, ATTO_PER_NANO)) <= 1 for share, part in zip(shares, parts, strict=True))
    assert all(share == 0 for share, part in zip(shares, parts, strict=True) if part == 0)
