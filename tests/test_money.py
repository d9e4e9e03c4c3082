"""Money: what is taken in, how it is shown, how it is rounded."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

from llm_otel.errors import ConfigurationError
from llm_otel.money import (
    MAX_NANO,
    apportion,
    format_amount,
    format_usd,
    parse_atto,
    parse_usd,
    round_half_even,
    round_up,
    usd,
)


@pytest.mark.parametrize(
    ("value", "nano"),
    [
        ("1", 1_000_000_000),
        (1, 1_000_000_000),
        ("0.0000057", 5_700),
        (Decimal("2.50"), 2_500_000_000),
        (0.1, 100_000_000),
        (1.5e-07, 150),
        (0, 0),
        ("1e-9", 1),
        ("9223372036.854775807", MAX_NANO),
    ],
)
def test_an_amount_is_taken_in_as_written(value: object, nano: int) -> None:
    """Text, integers, decimals and floats mean the decimal number that they show."""
    assert nano == parse_usd(value, field="limit_usd")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "nano"),
    [("0.0000000005", 0), ("0.0000000015", 2), ("0.00000000051", 1), (0.1 + 0.2, 300_000_000)],
)
def test_an_amount_finer_than_a_nano_is_rounded_half_even(value: object, nano: int) -> None:
    """Nano-USD is the unit; what is finer goes to the nearest, of two equally near to the even one."""
    assert nano == parse_usd(value, field="limit_usd")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), float("-inf"), "NaN", "sNaN", "Infinity", -1, "-0.01", -0.5, True, False,
        None, "ten", "", b"1", [], 1j, "9223372036.9", 10**30, "1e999999", Decimal("1e999999"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_by_name(value: object) -> None:
    """The error names the field, the value and what is allowed."""
    with pytest.raises(ConfigurationError) as caught:
        parse_usd(value, field="limit_usd")  # type: ignore[arg-type]
    assert "limit_usd" == caught.value.field
    assert value is caught.value.value
    assert "from 0 to 9223372036.85" in str(caught.value)


def test_a_float_of_a_subclass_means_its_number() -> None:
    """Libraries subclass float and write their own name around the number."""

    class Shouting(float):
        def __repr__(self) -> str:
            return "Shouting(0.25)"

    assert 250_000_000 == parse_usd(Shouting(0.25), field="limit_usd")


def test_the_callers_decimal_context_does_not_matter() -> None:
    """A program that computes with three digits still has its limits taken in exactly."""
    with localcontext() as context:
        context.prec = 3
        assert 123_456_789_000_000_001 == parse_usd("123456789.000000001", field="limit_usd")
        assert Decimal("123456789.000000001") == usd(123_456_789_000_000_001)
        assert "$123,456,789.12" == format_usd(123_456_789_123_456_789, decimals=2)


def test_a_price_of_one_unit_is_exact_in_atto() -> None:
    """Prices are given for a thousand or a million units."""
    assert 150_000_000_000 == parse_atto("0.15", field="input", per=10**6)
    assert 10_000_000_000_000_000 == parse_atto(10, field="web_search", per=10**3)
    assert 130_000_000 == parse_atto(1.3e-10, field="smallest")


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (5_700, "$0.0000057"),
        (12_300_000_000, "$12.30"),
        (0, "$0.00"),
        (1, "$0.000000001"),
        (1_234_500_000_000, "$1,234.50"),
        (-500_000_000, "-$0.50"),
        (285_000, "$0.000285"),
        (99_999_999_999, "$99.999999999"),
    ],
)
def test_an_amount_is_shown_exactly_with_at_least_the_cents(nano: int, text: str) -> None:
    """Nothing is rounded away unless it is asked for."""
    assert text == format_usd(nano)


def test_an_amount_can_be_shown_with_fewer_places() -> None:
    """Tables round, half-even."""
    assert "$0.04" == format_usd(42_312_850, decimals=2)
    assert "$0.12" == format_usd(125_000_000, decimals=2)
    assert "$3" == format_usd(2_500_000_001, decimals=0)


def test_dollars_are_a_decimal_with_nine_places() -> None:
    """Users compute with Decimal; no float comes between."""
    assert Decimal("0.000005700") == usd(5_700)
    assert "0.000005700" == str(usd(5_700))
    assert Decimal("-1.5") == usd(-1_500_000_000)


def test_nothing_is_shown_as_nothing() -> None:
    """Python writes a zero with nine places as `0E-9`, and a call to a local model, say, costs nothing."""
    assert "0.00" == str(usd(0)) == f"{usd(0)}"


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0E-9", "$0.00"), ("2.5E-7", "$0.00000025"), ("1234.5", "$1,234.50"), ("-0.5", "-$0.50"), ("1E+3", "$1,000.00")],
)
def test_an_amount_of_dollars_is_shown_the_same_way(amount: str, text: str) -> None:
    """Whatever its exponent is."""
    assert text == format_amount(Decimal(amount))


@pytest.mark.parametrize(
    ("atto", "up", "nearest"),
    [
        (0, 0, 0),
        (1, 1, 0),
        (499_999_999, 1, 0),
        (500_000_000, 1, 0),
        (500_000_001, 1, 1),
        (1_500_000_000, 2, 2),
        (2_500_000_000, 3, 2),
        (3_000_000_000, 3, 3),
    ],
)
def test_holds_round_up_and_settles_to_the_nearest(atto: int, up: int, nearest: int) -> None:
    """A hold covers the cost; a settle is as near as can be, without drift."""
    assert up == round_up(atto)
    assert nearest == round_half_even(atto)


def test_a_rounded_total_is_split_by_the_largest_remainder() -> None:
    """The parts sum to the total, and a part of nothing stays nothing."""
    assert [1, 0, 0] == apportion(1, [400_000_000, 400_000_000, 0])
    assert [0, 1] == apportion(1, [400_000_000, 600_000_000])
    assert [3, 2] == apportion(5, [2_900_000_000, 2_100_000_000])
    assert [2, 3] == apportion(5, [2_000_000_000, 3_000_000_000])
